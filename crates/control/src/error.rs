//! Why the control plane cannot start.

use std::io;
use std::path::PathBuf;

use portway_store::{ResourceError, StoreError};

/// Why the control plane cannot start. Each text says what failed, why, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory or a file in it cannot be made, read or written.
    #[error("cannot use {}: {source}; check the path, the free space and the rights of the user who runs the server", path.display())]
    Io {
        /// File or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something else stands where a file of the server belongs.
    #[error("{} is {what}; the server writes only to files of its own: look at what it is, then remove it", path.display())]
    Foreign {
        /// Where.
        path: PathBuf,
        /// What stands there.
        what: &'static str,
    },
    /// Another server runs on the directory.
    #[error(
        "another server is running on the data directory {}{}; stop it, start this one with --upgrade to take over from it, or give \
         this one another --data-dir and other addresses",
        dir.display(),
        .holder.map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    Locked {
        /// The directory.
        dir: PathBuf,
        /// The process id of the other server, when it wrote one.
        holder: Option<u32>,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The first account cannot be made.
    #[error("the first account cannot be made: {0}")]
    FirstAccount(ResourceError),
    /// Secrets are there and the key they were sealed with is not.
    #[error(
        "the master key {} is missing, and the database holds secrets that only it opens; put the file back from your backup",
        path.display()
    )]
    MasterKeyMissing {
        /// Where it belongs.
        path: PathBuf,
    },
    /// The key file is not one.
    #[error("the master key {} has {len} bytes instead of 32; put the file back from your backup", path.display())]
    MasterKeyMalformed {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        len: usize,
    },
    /// Secrets do not open.
    #[error(
        "the secrets in the database do not open with the master key {}: it is the key of another installation, or the database was \
         changed by hand; put key and database back from one backup",
        path.display()
    )]
    MasterKeyWrong {
        /// The file.
        path: PathBuf,
    },
    /// A certificate could not be made.
    #[error(
        "cannot issue a certificate for {names}: {reason}; check the base domain and the connect hosts in the configuration"
    )]
    Certificate {
        /// What it is for.
        names: String,
        /// What does not fit.
        reason: String,
    },
}

impl From<ResourceError> for OpenError {
    fn from(error: ResourceError) -> Self {
        match error {
            ResourceError::Store(error) => OpenError::Store(error),
            other => OpenError::FirstAccount(other),
        }
    }
}
