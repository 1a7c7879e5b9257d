//! The first account, made once although the first start may be killed at any moment.

use portway_names::AccountId;

use crate::error::Fault;
use crate::sql::{Connection, query};
use crate::{
    Account, ApiKey, Credential, Store, StoreError, Timestamp, User, accounts, api_keys, credentials, settings,
};

/// The setting that says how far the first start came: absent, then [`Pending`] as JSON, then [`WRITTEN`].
const SETTING: &str = "bootstrap";
const WRITTEN: &str = "written";
const REMOVE_USER: &str = "DELETE FROM users WHERE id = $1";

/// What the first start makes, in one transaction.
#[derive(Debug, Clone)]
pub struct FirstAccount {
    /// The account.
    pub account: Account,
    /// Its administrator.
    pub user: User,
    /// Its authtoken.
    pub credential: Credential,
    /// Its key for the REST interface.
    pub api_key: ApiKey,
}

/// What was made and not yet confirmed.
#[derive(serde::Serialize, serde::Deserialize)]
struct Pending {
    account: String,
    user: String,
    credential: String,
    api_key: String,
}

impl Store {
    /// Whether the first account's secrets have reached whoever needs them ([`Store::confirm_bootstrap`]).
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn bootstrap_confirmed(&self) -> Result<bool, StoreError> {
        Ok(self.setting(SETTING).await?.as_deref() == Some(WRITTEN))
    }

    /// Makes the first account. When an earlier start made one and never confirmed it, that account stays and its user, authtoken and key
    /// are replaced: their secrets are lost, or half written somewhere. Returns the account; does nothing after
    /// [`Store::confirm_bootstrap`].
    ///
    /// # Errors
    /// When the database cannot be written.
    ///
    /// # Cancel safety
    /// It happens or it does not.
    pub async fn put_first_account(
        &self,
        first: &FirstAccount,
        now: Timestamp,
    ) -> Result<Option<AccountId>, StoreError> {
        self.named(async {
            let mut tx = self.write().await?;
            let account = replace(&mut tx, first, now).await?;
            tx.commit().await?;
            Ok(account)
        })
        .await
    }

    /// Says that the first account's secrets are kept where they belong.
    ///
    /// # Errors
    /// When the database cannot be written.
    ///
    /// # Cancel safety
    /// It happens or it does not; confirming again changes nothing.
    pub async fn confirm_bootstrap(&self) -> Result<(), StoreError> {
        self.put_setting(SETTING, WRITTEN).await
    }
}

async fn replace(tx: &mut Connection, first: &FirstAccount, now: Timestamp) -> Result<Option<AccountId>, Fault> {
    let account = match settings::get(tx, SETTING).await? {
        Some(written) if written == WRITTEN => return Ok(None),
        None => {
            accounts::insert(tx, &first.account).await?;
            first.account.id
        }
        Some(pending) => {
            let damaged = |error: &dyn std::fmt::Display| Fault::Damaged(format!("setting {SETTING}: {error}"));
            let pending: Pending = serde_json::from_str(&pending).map_err(|error| damaged(&error))?;
            credentials::remove(tx, &pending.credential, now).await?;
            api_keys::remove(tx, &pending.api_key).await?;
            query(REMOVE_USER).bind(&pending.user).execute(&mut *tx).await?;
            pending.account.parse().map_err(|error| damaged(&error))?
        }
    };
    accounts::insert_user(tx, &User { account, ..first.user.clone() }).await?;
    credentials::insert(tx, &Credential { account, ..first.credential.clone() }, now).await?;
    api_keys::insert(tx, &ApiKey { account, ..first.api_key.clone() }).await?;
    let pending = Pending {
        account: account.to_string(),
        user: first.user.id.to_string(),
        credential: first.credential.id.to_string(),
        api_key: first.api_key.id.to_string(),
    };
    let pending = serde_json::to_string(&pending).map_err(|error| Fault::Damaged(error.to_string()))?;
    settings::put(tx, SETTING, &pending).await?;
    Ok(Some(account))
}
