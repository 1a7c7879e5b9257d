//! One database: files, connections, schema.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, Row, Sqlite, SqliteConnection, Transaction};

use crate::error::Fault;
use crate::{Health, StoreError};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// The schema version this program knows: the number of its newest migration.
pub const SCHEMA_VERSION: i64 = 1;

/// How long a writer waits for another process. Transactions are short; this is long enough for a backup that holds the lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Readers at a time. Reads are short and the machine has few disks; more connections only cost memory (2 MiB of cache each).
const READERS: u32 = 4;
/// The WAL is cut back to this size in bytes when it has been copied into the database.
const WAL_LIMIT: &str = "67108864";

/// A database with the records of one installation. Cheap to clone; all clones share the connections.
///
/// One connection writes, so that writers queue here rather than in the engine; others read beside it and see the state before or after a
/// transaction, never within. What a finished operation wrote survives a power cut.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    path: PathBuf,
    writer: SqlitePool,
    reader: SqlitePool,
    pub(crate) health: Health,
}

impl Store {
    /// Opens the database, makes it when there is none (mode 0600), and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::Newer`] when a newer program has used it; the others as they say.
    pub async fn open(path: &Path) -> Result<Store, StoreError> {
        let made = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
        if let Err(error) = made {
            return Err(unopened(path, error));
        }
        let store = Self::connect(path, options(path)).await?;
        store.migrate().await?;
        Ok(store)
    }

    /// Opens a database that a server made, beside that server or without it, and leaves its schema alone.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Older`] and [`StoreError::Newer`]; the others as they say.
    pub async fn open_existing(path: &Path) -> Result<Store, StoreError> {
        match OpenOptions::new().read(true).write(true).open(path) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(StoreError::Missing { path: path.to_path_buf() });
            }
            Err(error) => return Err(unopened(path, error)),
        }
        let store = Self::connect(path, options(path)).await?;
        let found = store.schema_version().await?;
        let path = path.to_path_buf();
        match found {
            SCHEMA_VERSION => Ok(store),
            _ if found > SCHEMA_VERSION => Err(StoreError::Newer { path, found, known: SCHEMA_VERSION }),
            _ => Err(StoreError::Older { path, found, known: SCHEMA_VERSION }),
        }
    }

    /// A database that lives as long as this value, for tests.
    ///
    /// # Errors
    /// When the engine cannot allocate.
    pub async fn open_in_memory() -> Result<Store, StoreError> {
        let path = Path::new(":memory:");
        let options = SqliteConnectOptions::new().in_memory(true).foreign_keys(true);
        // One connection, for ever: the database is gone with its last connection.
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options)
            .await
            .map_err(|error| StoreError::from_engine(path, error.into()))?;
        let inner = Inner { path: path.to_path_buf(), writer: pool.clone(), reader: pool, health: Health::default() };
        let store = Store { inner: Arc::new(inner) };
        store.migrate().await?;
        Ok(store)
    }

    /// The database's file.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Waits for running operations and closes every connection; the last one to close empties the write-ahead log. Operations on
    /// other clones fail from now on.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped: the log is read by the next open.
    pub async fn close(&self) {
        self.inner.reader.close().await;
        self.inner.writer.close().await;
    }

    /// Forbids the database to grow beyond its present size plus this many pages: what a full disk does, for tests of it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn limit_pages(&self, more: u32) -> Result<(), StoreError> {
        self.named(async {
            let mut connection = self.inner.writer.acquire().await.map_err(Fault::from)?;
            let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&mut *connection).await?;
            let limit = format!("PRAGMA max_page_count = {}", pages + i64::from(more));
            sqlx::raw_sql(sqlx::AssertSqlSafe(limit)).execute(&mut *connection).await?;
            Ok(())
        })
        .await
    }

    async fn connect(path: &Path, options: SqliteConnectOptions) -> Result<Store, StoreError> {
        let failed = |error: sqlx::Error| StoreError::from_engine(path, error.into());
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(BUSY_TIMEOUT)
            // A file does not close its end: asking before every use would double what a lookup costs.
            .test_before_acquire(false)
            .after_release(|connection, _| Box::pin(usable(connection)))
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options.clone())
            .await
            .map_err(failed)?;
        let reader = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(BUSY_TIMEOUT)
            .test_before_acquire(false)
            .after_release(|connection, _| Box::pin(usable(connection)))
            .max_lifetime(None)
            .connect_lazy_with(options.pragma("query_only", "ON"));
        let inner = Inner { path: path.to_path_buf(), writer, reader, health: Health::default() };
        Ok(Store { inner: Arc::new(inner) })
    }

    /// All missing migrations in one transaction, which holds the write lock: two processes that start at once do it one after the other.
    async fn migrate(&self) -> Result<(), StoreError> {
        let found = self.schema_version().await?;
        if found > SCHEMA_VERSION {
            return Err(StoreError::Newer { path: self.inner.path.clone(), found, known: SCHEMA_VERSION });
        }
        if found == SCHEMA_VERSION {
            return Ok(());
        }
        let mut tx = self.write().await.map_err(|fault| self.fault(fault))?;
        MIGRATIONS.run(&mut *tx).await.map_err(|error| match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => self.fault(error),
            other => StoreError::Engine { path: self.inner.path.clone(), source: Box::new(other) },
        })?;
        tx.commit().await.map_err(|error| self.fault(error))
    }

    /// The newest migration applied; 0 for an empty database.
    async fn schema_version(&self) -> Result<i64, StoreError> {
        const HAS_TABLE: &str =
            "SELECT count(*) AS n FROM sqlite_master WHERE type = 'table' AND name = '_sqlx_migrations'";
        const NEWEST: &str = "SELECT coalesce(max(version), 0) AS n FROM _sqlx_migrations";
        let count = |row: sqlx::sqlite::SqliteRow| row.try_get::<i64, _>("n");
        let writer = &self.inner.writer;
        let tables = sqlx::query(HAS_TABLE).fetch_one(writer).await.and_then(count).map_err(|e| self.fault(e))?;
        if tables == 0 {
            return Ok(0);
        }
        sqlx::query(NEWEST).fetch_one(writer).await.and_then(count).map_err(|e| self.fault(e))
    }

    /// A transaction that may write. It holds the write lock from its start, so it never fails half-way for another writer. Dropping it
    /// undoes it.
    pub(crate) async fn write(&self) -> Result<Transaction<'static, Sqlite>, Fault> {
        Ok(self.inner.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// A connection for one statement; several of them may see several states.
    pub(crate) async fn reader(&self) -> Result<PoolConnection<Sqlite>, Fault> {
        Ok(self.inner.reader.acquire().await?)
    }

    /// A transaction that sees one state of the database.
    pub(crate) async fn read(&self) -> Result<Transaction<'static, Sqlite>, Fault> {
        Ok(self.inner.reader.begin().await?)
    }

    /// Runs an operation and names the database in its failure.
    pub(crate) async fn named<T>(&self, operation: impl Future<Output = Result<T, Fault>>) -> Result<T, StoreError> {
        operation.await.map_err(|fault| self.fault(fault))
    }

    /// Names the database in a failure, and notes it.
    pub(crate) fn fault(&self, fault: impl Into<Fault>) -> StoreError {
        let error = StoreError::from_engine(&self.inner.path, fault.into());
        self.inner.health.failed(&error);
        error
    }
}

/// Whether a connection may be used again. After some failures, a full disk among them, SQLite undoes the whole transaction by itself; the
/// ROLLBACK that follows then fails, and the driver believes for ever that a transaction is open and refuses to begin another.
async fn usable(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // What dropping a transaction asked for comes before this.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        // NORMAL loses acknowledged transactions in a power cut.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("journal_size_limit", WAL_LIMIT)
}

fn unopened(path: &Path, error: std::io::Error) -> StoreError {
    let path = path.to_path_buf();
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => StoreError::Full { path },
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly { path },
        _ => StoreError::Engine { path, source: Box::new(error) },
    }
}
