//! The first account, made once although the first start may be killed at any moment.

use portway_names::AccountId;

use crate::error::Fault;
use crate::resource_error::Failure;
use crate::sql::Connection;
use crate::{
    Account, Audit, InUse, NewResource, ResourceError, Store, StoreError, Timestamp, accounts, referrers,
    resource_changes, resources, settings,
};

/// The setting that says how far the first start came: absent, then [`Pending`] as JSON, then [`WRITTEN`].
const SETTING: &str = "bootstrap";
const WRITTEN: &str = "written";

/// What the first start makes, in one transaction.
#[derive(Debug, Clone)]
pub struct FirstAccount {
    /// The account.
    pub account: Account,
    /// What it has: each after what it needs. The account of an earlier start takes the place of the one that is named in them.
    pub resources: Vec<NewResource>,
    /// Who makes it.
    pub audit: Audit,
}

/// What was made and not yet confirmed.
#[derive(serde::Serialize, serde::Deserialize)]
struct Pending {
    account: String,
    resources: Vec<String>,
}

impl Store {
    /// Whether the first account's secrets have reached whoever needs them ([`Store::confirm_bootstrap`]).
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn bootstrap_confirmed(&self) -> Result<bool, StoreError> {
        Ok(self.setting(SETTING).await?.as_deref() == Some(WRITTEN))
    }

    /// Makes the first account. When an earlier start made one and never confirmed it, that account stays and what that start gave it is
    /// replaced: secrets of it are lost, or half written somewhere. Returns the account; does nothing after [`Store::confirm_bootstrap`].
    ///
    /// # Errors
    /// [`ResourceError`]: `Store`, and what [`Store::create_resource`] says when the resources do not fit together.
    ///
    /// # Cancel safety
    /// It happens or it does not.
    pub async fn put_first_account(
        &self,
        first: &FirstAccount,
        now: Timestamp,
    ) -> Result<Option<AccountId>, ResourceError> {
        let run = async {
            let mut tx = self.write().await?;
            let account = replace(&mut tx, first, now).await?;
            tx.commit().await?;
            Ok(account)
        };
        run.await.map_err(|failure| self.resource_error(failure))
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

async fn replace(tx: &mut Connection, first: &FirstAccount, now: Timestamp) -> Result<Option<AccountId>, Failure> {
    let account = match settings::get(tx, SETTING).await? {
        Some(written) if written == WRITTEN => return Ok(None),
        None => {
            accounts::insert(tx, &first.account).await?;
            first.account.id
        }
        Some(pending) => {
            let damaged = |error: &dyn std::fmt::Display| Fault::Damaged(format!("setting {SETTING}: {error}"));
            let pending: Pending = serde_json::from_str(&pending).map_err(|error| damaged(&error))?;
            for id in pending.resources {
                if let Some(resource) = resources::find(tx, &id).await? {
                    referrers::delete(tx, &resource, InUse::DeleteAnyway, &first.audit, now).await?;
                }
            }
            pending.account.parse().map_err(|error| damaged(&error))?
        }
    };
    for resource in &first.resources {
        let resource = NewResource { account, ..resource.clone() };
        resource_changes::create(tx, &resource, &first.audit, now).await?;
    }
    let resources = first.resources.iter().map(|resource| resource.id.clone()).collect();
    let pending = Pending { account: account.to_string(), resources };
    let pending = serde_json::to_string(&pending).map_err(|error| Fault::Damaged(error.to_string()))?;
    settings::put(tx, SETTING, &pending).await?;
    Ok(Some(account))
}
