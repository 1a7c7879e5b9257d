//! Administration from the server's host, on its data directory, whether the server runs or not.
//!
//! Works beside a running server: the database allows it, and the server's edges follow within half a second.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use portway_access::{Acl, AclError, SshKey, SshKeyError};
use portway_names::{AccountId, CredentialId};
use portway_store::{Credential, Digest, Store, StoreError, Timestamp};
use secrecy::SecretString;

use crate::directory::DATABASE;
use crate::random;

/// An account.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created: SystemTime,
}

/// An authtoken, without its text: that is known only to whoever made it.
#[derive(Debug, Clone)]
pub struct Authtoken {
    /// Its id.
    pub id: CredentialId,
    /// The account it opens sessions for.
    pub account: AccountId,
    /// What it is for, in the operator's words.
    pub description: String,
    /// Rules in their text form; empty means no restriction.
    pub acl: Vec<String>,
    /// When it was made.
    pub created: SystemTime,
}

/// Why an administrative command failed.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// No server was ever started on this directory.
    #[error(
        "{} is not the data directory of a Portway server; pass the server's --data-dir, or start the server once to make it",
        .0.display()
    )]
    NoDataDir(PathBuf),
    /// A first start was killed before it made an account.
    #[error("{} has no account yet: its first start was not finished; start the server once", .0.display())]
    NoAccount(PathBuf),
    /// No authtoken has this id.
    #[error("there is no authtoken {0}; `portway admin authtokens list` shows those there are")]
    UnknownAuthtoken(CredentialId),
    /// A rule that cannot be understood.
    #[error(transparent)]
    Acl(#[from] AclError),
    /// A file that was named.
    #[error("{} cannot be read: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A text that is no public key.
    #[error("the SSH key cannot be used: {0}")]
    SshKey(#[from] SshKeyError),
    /// A public key that opens sessions already.
    #[error("the SSH key is registered already; `portway admin authtokens list` shows it, and `revoke` removes it")]
    SshKeyRegistered,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A data directory opened for administration.
#[derive(Debug)]
pub struct Admin {
    data_dir: PathBuf,
    store: Store,
}

impl Admin {
    /// Opens the data directory of a server that was started at least once. Makes nothing.
    ///
    /// # Errors
    /// [`AdminError::NoDataDir`] when there is none; a store error when it belongs to another version or cannot be read.
    pub async fn open(data_dir: &Path) -> Result<Admin, AdminError> {
        let store = Store::open_existing(&data_dir.join(DATABASE)).await.map_err(|error| match error {
            StoreError::Missing { .. } => AdminError::NoDataDir(data_dir.to_path_buf()),
            other => other.into(),
        })?;
        Ok(Admin { data_dir: data_dir.to_path_buf(), store })
    }

    /// All accounts, oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn accounts(&self) -> Result<Vec<Account>, AdminError> {
        let accounts = self.store.accounts().await?.into_iter();
        Ok(accounts.map(|one| Account { id: one.id, name: one.name, created: one.created.into() }).collect())
    }

    /// All authtokens of all accounts, oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn authtokens(&self) -> Result<Vec<Authtoken>, AdminError> {
        let credentials = self.store.credentials().await?.into_iter();
        let authtoken = |one: Credential| Authtoken {
            id: one.id,
            account: one.account,
            description: one.description,
            acl: one.acl,
            created: one.created.into(),
        };
        Ok(credentials.map(authtoken).collect())
    }

    /// Makes an authtoken for the first account and returns its text, which is shown this once. Without rules it may bind anything.
    ///
    /// # Errors
    /// When a rule is malformed, or the database cannot be written.
    ///
    /// # Cancel safety
    /// Dropped half-way, an authtoken may be there whose text nobody knows; it opens nothing.
    pub async fn create_authtoken(
        &self,
        description: &str,
        acl: &[String],
    ) -> Result<(CredentialId, SecretString), AdminError> {
        let token = random::token(Timestamp::now());
        let id = self.add(description, acl, random::token_digest(&token)).await?;
        Ok((id, token.into()))
    }

    async fn add(&self, description: &str, acl: &[String], digest: Digest) -> Result<CredentialId, AdminError> {
        let rules = Acl::parse(acl.iter().map(String::as_str))?;
        let accounts = self.store.accounts().await?;
        let account = accounts.first().ok_or_else(|| AdminError::NoAccount(self.data_dir.clone()))?;
        let now = Timestamp::now();
        let credential = Credential {
            id: CredentialId::new(random::ksuid(now)),
            account: account.id,
            account_name: account.name.clone(),
            digest,
            acl: rules.rules().collect(),
            description: description.to_owned(),
            metadata: String::new(),
            created: now,
        };
        self.store.add_credential(&credential, now).await?;
        Ok(credential.id)
    }

    /// Lets a public SSH key open sessions for the first account with `ssh -R`. Without rules it may bind anything.
    ///
    /// # Errors
    /// When a rule or the key is malformed, when the key is registered already, or the database cannot be written.
    ///
    /// # Cancel safety
    /// It happens or it does not.
    pub async fn register_ssh_key(
        &self,
        description: &str,
        acl: &[String],
        public_key: &str,
    ) -> Result<CredentialId, AdminError> {
        let key = SshKey::parse(public_key)?;
        let description =
            if description.is_empty() { format!("SSH key {}", key.comment) } else { description.to_owned() };
        let added = self.add(description.trim_end(), acl, random::digest_of(&key.secret())).await;
        added.map_err(|error| match error {
            // The id is fresh, so it is the key.
            AdminError::Store(StoreError::Exists { .. }) => AdminError::SshKeyRegistered,
            other => other,
        })
    }

    /// Ends an authtoken: its sessions end within two seconds.
    ///
    /// # Errors
    /// [`AdminError::UnknownAuthtoken`] when there is none with this id; a store error when the database cannot be written.
    ///
    /// # Cancel safety
    /// It happens or it does not.
    pub async fn revoke(&self, id: &CredentialId) -> Result<(), AdminError> {
        let removed = self.store.remove_credential(id, Timestamp::now()).await?;
        if removed { Ok(()) } else { Err(AdminError::UnknownAuthtoken(*id)) }
    }
}
