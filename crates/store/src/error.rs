//! What can go wrong with the database, in words for whoever runs the server.

use std::io;

use sqlx::postgres::PgDatabaseError;

/// What went wrong with the database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A newer program has changed the database's shape.
    #[error(
        "the database {database} has schema version {found}, this program knows versions up to {known}; start the newer version of the \
         program, or restore the backup made before the upgrade"
    )]
    Newer {
        /// The database.
        database: String,
        /// The schema version it has.
        found: i64,
        /// The newest this program knows.
        known: i64,
    },
    /// The database waits for an upgrade that only the server makes.
    #[error(
        "the database {database} has schema version {found}, this program needs {known}; start the server of this version once to upgrade it"
    )]
    Older {
        /// The database.
        database: String,
        /// The schema version it has.
        found: i64,
        /// The one this program needs.
        known: i64,
    },
    /// There is no database to open.
    #[error("there is no database at {database}; start the server once to make it")]
    Missing {
        /// Where it should be.
        database: String,
    },
    /// The disk or quota is full. Nothing of the change was kept.
    #[error("the disk that holds {database} is full; nothing was changed; free some space, then try again")]
    Full {
        /// The database.
        database: String,
    },
    /// The disk does not take what is written. Nothing of the change was kept.
    #[error(
        "the disk that holds {database} does not take writes ({detail}): it is full or failing; nothing was changed; look at the free space \
         and the system's log, then try again"
    )]
    Disk {
        /// The database.
        database: String,
        /// What the engine said.
        detail: String,
    },
    /// The file or its directory cannot be written.
    #[error(
        "the database {database} cannot be opened for writing; check that its directory and files belong to the user who runs the server \
         and that the disk is not mounted read-only"
    )]
    ReadOnly {
        /// The database.
        database: String,
    },
    /// The file is not a database or is damaged.
    #[error("the database {database} is damaged or no database at all: {detail}; restore it from a backup")]
    Corrupt {
        /// The database.
        database: String,
        /// What does not fit.
        detail: String,
    },
    /// Another process held the write lock for longer than the busy timeout.
    #[error("another process is writing to {database} and does not end; try again, or find and stop that process")]
    Busy {
        /// The database.
        database: String,
    },
    /// A value that must be unique is there already.
    #[error("the {what} exists already")]
    Exists {
        /// What exists.
        what: &'static str,
    },
    /// The database server cannot be reached, or does not let this program in.
    #[error(
        "the database {database} cannot be reached: {detail}; check that PostgreSQL runs, and host, user, password and TLS in database_url"
    )]
    Unreachable {
        /// The database.
        database: String,
        /// What was seen.
        detail: String,
    },
    /// The database server is there and cannot be used.
    #[error(
        "the database {database} cannot be used: {detail}; make the database and give the user all rights in it, on PostgreSQL 15 or newer"
    )]
    Unfit {
        /// The database.
        database: String,
        /// What does not fit.
        detail: String,
    },
    /// This process has closed the database: it is stopping, or handing over.
    #[error("the database {database} is closed")]
    Closed {
        /// The database.
        database: String,
    },
    /// Anything else the engine says.
    #[error("the database {database} failed: {source}")]
    Engine {
        /// The database.
        database: String,
        /// What it said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl StoreError {
    /// Whether the same operation may work in a moment: the disk is full, somebody else writes, or the server is away.
    pub fn is_temporary(&self) -> bool {
        matches!(
            self,
            StoreError::Full { .. }
                | StoreError::Disk { .. }
                | StoreError::Busy { .. }
                | StoreError::Unreachable { .. }
        )
    }

    /// Names the database in a failure.
    pub(crate) fn from_fault(database: &str, fault: Fault) -> Self {
        let database = database.to_owned();
        let engine = match fault {
            Fault::Engine(error) => error,
            Fault::Damaged(detail) => return StoreError::Corrupt { database, detail },
            Fault::Unfit(detail) => return StoreError::Unfit { database, detail },
            Fault::Silent => {
                return StoreError::Unreachable { database, detail: "it does not answer in time".to_owned() };
            }
            Fault::File(error) if out_of_space(&error) => return StoreError::Full { database },
            Fault::File(error) => return StoreError::Engine { database, source: Box::new(error) },
        };
        match &engine {
            sqlx::Error::PoolClosed => StoreError::Closed { database },
            sqlx::Error::Database(error) if error.try_downcast_ref::<PgDatabaseError>().is_some() => {
                from_postgres(database, engine)
            }
            sqlx::Error::Database(_) => from_sqlite(database, engine),
            sqlx::Error::PoolTimedOut => StoreError::Busy { database },
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) => {
                StoreError::Unreachable { database, detail: engine.to_string() }
            }
            _ => StoreError::Engine { database, source: Box::new(engine) },
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
    /// The server is not one this program works with.
    Unfit(String),
    /// The server did not answer in time.
    Silent,
    /// A file beside the database.
    File(io::Error),
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

/// By PostgreSQL's SQLSTATE (PostgreSQL manual, appendix A).
fn from_postgres(database: String, engine: sqlx::Error) -> StoreError {
    let detail = engine.to_string();
    let code = engine.as_database_error().and_then(|error| error.code()).unwrap_or_default();
    match code.as_ref() {
        "53100" => StoreError::Full { database },
        "25006" => StoreError::ReadOnly { database },
        "55P03" => StoreError::Busy { database },
        "XX001" | "XX002" => StoreError::Corrupt { database, detail },
        "3D000" | "42501" => StoreError::Unfit { database, detail },
        // Wrong password, too many connections, shutting down, connection lost.
        code if ["28", "53", "57", "08"].iter().any(|class| code.starts_with(class)) => {
            StoreError::Unreachable { database, detail }
        }
        _ => StoreError::Engine { database, source: Box::new(engine) },
    }
}

/// By SQLite's result codes (https://www.sqlite.org/rescode.html): the low byte of an extended one is its primary one.
fn from_sqlite(database: String, engine: sqlx::Error) -> StoreError {
    let code = result_code(&engine);
    match code.map(|code| code & 0xff) {
        Some(13) => StoreError::Full { database },
        Some(10) => match code {
            // The first file to find a full disk is often the index of the log, not the log.
            Some(IOERR_SHMSIZE) => StoreError::Full { database },
            Some(code) if IOERR_OF_WRITES.contains(&code) => StoreError::Disk { database, detail: engine.to_string() },
            _ => StoreError::Engine { database, source: Box::new(engine) },
        },
        Some(8 | 14) => StoreError::ReadOnly { database },
        Some(11 | 26) => StoreError::Corrupt { database, detail: engine.to_string() },
        Some(BUSY | LOCKED) => StoreError::Busy { database },
        _ => StoreError::Engine { database, source: Box::new(engine) },
    }
}

/// Whether SQLite gave up because of another writer.
pub(crate) fn is_busy(engine: &sqlx::Error) -> bool {
    matches!(result_code(engine).map(|code| code & 0xff), Some(BUSY | LOCKED))
}

fn out_of_space(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// SQLITE_BUSY and SQLITE_LOCKED: somebody else holds what this needs.
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
/// SQLITE_IOERR_SHMSIZE: the shared index of the write-ahead log could not grow.
const IOERR_SHMSIZE: i32 = 4874;
/// SQLITE_IOERR_WRITE, _FSYNC, _DIR_FSYNC, _TRUNCATE, _SHMOPEN and _SHMMAP: what else a write meets on a full or failing disk.
const IOERR_OF_WRITES: [i32; 6] = [778, 1034, 1290, 1546, 4618, 5386];

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
            let error = StoreError::from_fault("portway.db", error);
            assert!(error.is_temporary(), "{code}: {error}");
            assert!(error.to_string().contains("full") && error.to_string().contains("space"), "{code}: {error}");
        }
        let reading = Fault::Engine(sqlx::Error::Database(Box::new(Refused(266))));
        assert!(!StoreError::from_fault("portway.db", reading).is_temporary());
    }
}
