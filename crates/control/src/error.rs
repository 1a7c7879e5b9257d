//! Why the control plane cannot start.

use std::io;
use std::path::PathBuf;

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
}
