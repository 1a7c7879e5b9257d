//! What can go wrong with the database, in words for whoever runs the server.

use std::path::{Path, PathBuf};

/// What went wrong with the database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A newer program has changed the database's shape.
    #[error(
        "the database {} has schema version {found}, this program knows versions up to {known}; start the newer version of the \
         program, or restore the backup made before the upgrade",
        path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// The schema version it has.
        found: i64,
        /// The newest this program knows.
        known: i64,
    },
    /// The database waits for an upgrade that only the server makes.
    #[error(
        "the database {} has schema version {found}, this program needs {known}; start the server of this version once to upgrade it",
        path.display()
    )]
    Older {
        /// The database.
        path: PathBuf,
        /// The schema version it has.
        found: i64,
        /// The one this program needs.
        known: i64,
    },
    /// There is no database to open.
    #[error("there is no database at {}; start the server once to make it", path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The disk or quota is full. Nothing of the change was kept.
    #[error("the disk that holds {} is full; nothing was changed; free some space, then try again", path.display())]
    Full {
        /// The database.
        path: PathBuf,
    },
    /// The disk does not take what is written. Nothing of the change was kept.
    #[error(
        "the disk that holds {} does not take writes ({detail}): it is full or failing; nothing was changed; look at the free space \
         and the system's log, then try again",
        path.display()
    )]
    Disk {
        /// The database.
        path: PathBuf,
        /// What the engine said.
        detail: String,
    },
    /// The file or its directory cannot be written.
    #[error(
        "the database {} cannot be opened for writing; check that its directory and files belong to the user who runs the server \
         and that the disk is not mounted read-only",
        path.display()
    )]
    ReadOnly {
        /// The database.
        path: PathBuf,
    },
    /// The file is not a database or is damaged.
    #[error("the database {} is damaged or no database at all: {detail}; restore it from a backup", path.display())]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// What does not fit.
        detail: String,
    },
    /// Another process held the write lock for longer than the busy timeout.
    #[error("another process is writing to {} and does not end; try again, or find and stop that process", path.display())]
    Busy {
        /// The database.
        path: PathBuf,
    },
    /// A value that must be unique is there already.
    #[error("the {what} exists already")]
    Exists {
        /// What exists.
        what: &'static str,
    },
    /// This process has closed the database: it is stopping, or handing over.
    #[error("the database {} is closed", path.display())]
    Closed {
        /// The database.
        path: PathBuf,
    },
    /// Anything else the engine says.
    #[error("the database {} failed: {source}", path.display())]
    Engine {
        /// The database.
        path: PathBuf,
        /// What it said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl StoreError {
    /// Whether the same operation may work in a moment: the disk is full or somebody else writes.
    pub fn is_temporary(&self) -> bool {
        matches!(self, StoreError::Full { .. } | StoreError::Disk { .. } | StoreError::Busy { .. })
    }

    pub(crate) fn from_engine(path: &Path, error: Fault) -> Self {
        let path = path.to_path_buf();
        let engine = match error {
            Fault::Engine(error) => error,
            Fault::Damaged(detail) => return StoreError::Corrupt { path, detail },
        };
        if matches!(engine, sqlx::Error::PoolClosed) {
            return StoreError::Closed { path };
        }
        match primary_code(&engine) {
            Some(13) => StoreError::Full { path },
            Some(10) => match result_code(&engine) {
                // The first file to find a full disk is often the index of the log, not the log.
                Some(IOERR_SHMSIZE) => StoreError::Full { path },
                Some(code) if IOERR_OF_WRITES.contains(&code) => StoreError::Disk { path, detail: engine.to_string() },
                _ => StoreError::Engine { path, source: Box::new(engine) },
            },
            Some(8 | 14) => StoreError::ReadOnly { path },
            Some(11 | 26) => StoreError::Corrupt { path, detail: engine.to_string() },
            Some(5 | 6) => StoreError::Busy { path },
            _ => StoreError::Engine { path, source: Box::new(engine) },
        }
    }
}

/// A failure before it is known which database it is about.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The engine's.
    Engine(sqlx::Error),
    /// A value in a row is not what this program wrote.
    Damaged(String),
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Fault::Engine(error)
    }
}

/// Whether a unique constraint was hit.
pub(crate) fn is_unique_violation(fault: &Fault) -> bool {
    matches!(fault, Fault::Engine(sqlx::Error::Database(error)) if error.is_unique_violation())
}

/// SQLITE_IOERR_SHMSIZE: the shared index of the write-ahead log could not grow.
const IOERR_SHMSIZE: i32 = 4874;
/// SQLITE_IOERR_WRITE, _FSYNC, _DIR_FSYNC, _TRUNCATE, _SHMOPEN and _SHMMAP: what else a write meets on a full or failing disk.
const IOERR_OF_WRITES: [i32; 6] = [778, 1034, 1290, 1546, 4618, 5386];

/// SQLite's primary result code (https://www.sqlite.org/rescode.html): the low byte of the extended one.
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    result_code(error).map(|code| code & 0xff)
}

/// SQLite's extended result code.
fn result_code(error: &sqlx::Error) -> Option<i32> {
    match error {
        sqlx::Error::Database(error) => error.code()?.parse::<i32>().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::path::Path;

    use super::{Fault, StoreError};

    /// An engine's error with this result code.
    #[derive(Debug, thiserror::Error)]
    #[error("(code: {0}) disk I/O error")]
    struct Refused(i32);

    impl sqlx::error::DatabaseError for Refused {
        fn message(&self) -> &str {
            "disk I/O error"
        }

        fn code(&self) -> Option<Cow<'_, str>> {
            Some(self.0.to_string().into())
        }

        fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
            self
        }

        fn as_error_mut(&mut self) -> &mut (dyn std::error::Error + Send + Sync + 'static) {
            self
        }

        fn into_error(self: Box<Self>) -> Box<dyn std::error::Error + Send + Sync + 'static> {
            self
        }

        fn kind(&self) -> sqlx::error::ErrorKind {
            sqlx::error::ErrorKind::Other
        }
    }

    #[test]
    fn every_way_in_which_a_full_disk_shows_speaks_of_space() {
        for code in [13, 4874, 778, 1034, 1546, 4618, 5386] {
            let error = Fault::Engine(sqlx::Error::Database(Box::new(Refused(code))));
            let error = StoreError::from_engine(Path::new("portway.db"), error);
            assert!(error.is_temporary(), "{code}: {error}");
            assert!(error.to_string().contains("full") && error.to_string().contains("space"), "{code}: {error}");
        }
        let reading = Fault::Engine(sqlx::Error::Database(Box::new(Refused(266))));
        assert!(!StoreError::from_engine(Path::new("portway.db"), reading).is_temporary());
    }
}
