//! Administration from the server's host, on its data directory, whether the server runs or not.
//!
//! Works beside a running server: the database allows it, and the server's edges follow within half a second.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use portway_access::{Acl, AclError, SshKey, SshKeyError};
use portway_names::{AccountId, CredentialId};
pub use portway_store::BackupError;
use portway_store::{Credential, DatabaseUrl, Digest, Store, StoreError, Timestamp};
use secrecy::SecretString;

use crate::OpenError;
use crate::directory::{DATABASE, DataDir};
use crate::random;
use crate::service::new_epoch;

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
        "{} is not the data directory of a Portway server with its own database; pass the server's --data-dir, or its --database-url where \
         it has one, or start the server once to make it",
        .0.display()
    )]
    NoDataDir(PathBuf),
    /// A first start was killed before it made an account.
    #[error("{0} has no account yet: the server's first start was not finished; start it once")]
    NoAccount(String),
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
    /// A server has the database open.
    #[error("a server is running on the data directory {}{}; stop it first", dir.display(), .holder.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    Running {
        /// The directory.
        dir: PathBuf,
        /// The server's process id, when it wrote one.
        holder: Option<u32>,
    },
    /// The data directory cannot be used.
    #[error(transparent)]
    Directory(OpenError),
    /// A backup or its way back.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// A public key that opens sessions already.
    #[error("the SSH key is registered already; `portway admin authtokens list` shows it, and `revoke` removes it")]
    SshKeyRegistered,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Puts a backup in the place of a stopped server's database. What was there is kept under another name, which is returned. Edges take a
/// new snapshot; authtokens that were made after the backup are gone. The master key must be the one of the backup's time.
///
/// # Errors
/// [`AdminError::Running`] while a server has the directory, [`AdminError::Backup`] when the file cannot be used; nothing is changed then.
///
/// # Cancel safety
/// Dropped half-way, restore again.
pub async fn restore(data_dir: &Path, backup: &Path) -> Result<Option<PathBuf>, AdminError> {
    let held = DataDir::hold(data_dir).map_err(|error| match error {
        OpenError::Locked { dir, holder } => AdminError::Running { dir, holder },
        other => AdminError::Directory(other),
    })?;
    Ok(portway_store::restore(backup, &held.file(DATABASE), &new_epoch(Timestamp::now())).await?)
}

/// An installation's database opened for administration.
#[derive(Debug)]
pub struct Admin {
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
        Ok(Admin { store })
    }

    /// Opens the PostgreSQL database of a server that was started at least once. Makes nothing.
    ///
    /// # Errors
    /// A store error when it cannot be reached, belongs to another version or is empty.
    pub async fn connect(url: &DatabaseUrl) -> Result<Admin, AdminError> {
        Ok(Admin { store: Store::connect_existing(url).await? })
    }

    /// Writes a backup of the database to a new file, beside a running server or without one. The master key is not in it.
    ///
    /// # Errors
    /// [`AdminError::Backup`]: the file is there already or cannot be written, or the state is in PostgreSQL.
    ///
    /// # Cancel safety
    /// Dropped half-way, a file that is not whole may stay.
    pub async fn backup(&self, file: &Path) -> Result<(), AdminError> {
        Ok(self.store.backup(file).await?)
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
        let account = accounts.first().ok_or_else(|| AdminError::NoAccount(self.store.name().to_owned()))?;
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
