//! SQLite: files, connections, copies.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, SqliteConnection};

use crate::StoreError;
use crate::error::{Fault, is_busy};

/// How long a writer waits for another process. Transactions are short; this is long enough for a backup that holds the lock.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two tries of one whom SQLite does not let wait.
const BUSY_PAUSE: Duration = Duration::from_millis(20);
/// Readers at a time. Reads are short and the machine has few disks; more connections only cost memory.
const READERS: u32 = 4;
/// Pages that each connection keeps, in KiB (negative by SQLite's rule): the inner nodes of all trees at a million resources, which the default
/// of 2 MiB does not hold. Memory is taken as pages are read, so a small database does not take it.
const CACHE: &str = "-16384";
/// The WAL is cut back to this size in bytes when it has been copied into the database.
const WAL_LIMIT: &str = "67108864";

/// The connections of one database file.
#[derive(Debug)]
pub(crate) struct Pools {
    /// One connection, so that writers queue here rather than in the engine.
    writer: SqlitePool,
    reader: SqlitePool,
    /// None for a database in memory.
    path: Option<PathBuf>,
}

impl Pools {
    /// Connects to a file that is there.
    pub(crate) async fn open(path: &Path) -> Result<Self, Fault> {
        let options = options(path);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(BUSY_TIMEOUT)
            // A file does not close its end: asking before every use would double what a lookup costs.
            .test_before_acquire(false)
            .after_release(|connection, _| Box::pin(usable(connection)))
            .idle_timeout(None)
            .max_lifetime(None);
        let writer = when_free(|| writer.clone().connect_with(options.clone())).await?;
        let reader = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(BUSY_TIMEOUT)
            .test_before_acquire(false)
            .after_release(|connection, _| Box::pin(usable(connection)))
            .max_lifetime(None)
            .connect_lazy_with(options.pragma("query_only", "ON"));
        Ok(Self { writer, reader, path: Some(path.to_path_buf()) })
    }

    /// A database in memory.
    pub(crate) async fn in_memory() -> Result<Self, Fault> {
        let options = SqliteConnectOptions::new().in_memory(true).foreign_keys(true);
        // One connection, for ever: the database is gone with its last connection.
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options)
            .await?;
        Ok(Self { writer: pool.clone(), reader: pool, path: None })
    }

    /// A transaction that holds the write lock from its start, so that it never fails half-way for another writer.
    pub(crate) async fn write(&self) -> Result<sqlx::Transaction<'static, sqlx::Sqlite>, Fault> {
        Ok(Box::pin(self.writer.begin_with("BEGIN IMMEDIATE")).await?)
    }

    /// A transaction that sees one state.
    pub(crate) async fn read(&self) -> Result<sqlx::Transaction<'static, sqlx::Sqlite>, Fault> {
        Ok(Box::pin(self.reader.begin()).await?)
    }

    /// A connection to read with.
    pub(crate) async fn reader(&self) -> Result<PoolConnection<sqlx::Sqlite>, Fault> {
        Ok(Box::pin(self.reader.acquire()).await?)
    }

    /// Keeps a copy of the database beside it before its schema changes: `portway.db.schema-1` is the last state of version 1. A copy of
    /// that version from an earlier attempt is replaced.
    pub(crate) async fn keep_before_upgrade(&self, version: i64) -> Result<(), Fault> {
        let Some(path) = &self.path else { return Ok(()) };
        let kept = beside(path, &format!(".schema-{version}"));
        let partial = beside(path, &format!(".schema-{version}.partial"));
        match fs::remove_file(&partial) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Fault::File(error)),
            _ => {}
        }
        copy(path, &partial).await?;
        fs::rename(&partial, &kept).map_err(Fault::File)?;
        Ok(())
    }

    /// The database's file; none in memory.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Waits for running operations and closes every connection.
    pub(crate) async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }
}

/// Makes the file when it is not there, readable by its owner only.
pub(crate) fn make(path: &Path) -> Result<(), StoreError> {
    let made = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    made.map(drop).map_err(|error| unopened(path, error))
}

/// Whether the file is there and can be written.
pub(crate) fn check(path: &Path) -> Result<(), StoreError> {
    match OpenOptions::new().read(true).write(true).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(StoreError::Missing { database: path.display().to_string() })
        }
        Err(error) => Err(unopened(path, error)),
    }
}

/// Writes one state of the database to a new file (mode 0600), which is on disk when this returns. Writers go on meanwhile; what they
/// write after the start is not in it. An interrupted copy leaves a partial file.
pub(crate) async fn copy(from: &Path, to: &Path) -> Result<(), Fault> {
    // The engine would make the file readable by everybody; it takes an empty one.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(Fault::File)?;
    let mut connection = options(from).read_only(true).connect().await?;
    let copied = sqlx::query("VACUUM INTO $1").bind(text(to)?).execute(&mut connection).await;
    let _ = connection.close().await;
    copied?;
    file.sync_all().and_then(|()| sync_folder(to)).map_err(Fault::File)
}

/// Lets a file's name survive a power cut.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Forbids the database to grow beyond its present size plus this many pages.
pub(crate) async fn limit_pages(pools: &Pools, more: u32) -> Result<(), Fault> {
    let mut connection = pools.writer.acquire().await?;
    let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&mut *connection).await?;
    let limit = format!("PRAGMA max_page_count = {}", pages + i64::from(more));
    sqlx::raw_sql(AssertSqlSafe(limit)).execute(&mut *connection).await?;
    Ok(())
}

/// The path with more at its end.
pub(crate) fn beside(path: &Path, more: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(more);
    name.into()
}

/// Connects, and tries again as long as the file is busy and the busy timeout lasts. Of two that turn a new file to write-ahead logging at
/// once, SQLite refuses one without the wait: that one holds the lock for readers already, and waiting could last for ever.
async fn when_free<T, F>(connect: impl Fn() -> F) -> Result<T, sqlx::Error>
where
    F: Future<Output = Result<T, sqlx::Error>>,
{
    let give_up = Instant::now() + BUSY_TIMEOUT;
    loop {
        match connect().await {
            Err(error) if is_busy(&error) && Instant::now() < give_up => tokio::time::sleep(BUSY_PAUSE).await,
            done => return done,
        }
    }
}

/// Whether a connection may be used again. After some failures, a full disk among them, SQLite undoes the whole transaction by itself; the
/// ROLLBACK that follows then fails, and the driver believes for ever that a transaction is open and refuses to begin another.
async fn usable(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    if !connection.is_in_transaction() {
        return Ok(true);
    }
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
        .pragma("cache_size", CACHE)
        .pragma("journal_size_limit", WAL_LIMIT)
}

/// A path for a statement.
fn text(path: &Path) -> Result<String, Fault> {
    let text = path.to_str().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path is not UTF-8"));
    Ok(text.map_err(Fault::File)?.to_owned())
}

fn unopened(path: &Path, error: io::Error) -> StoreError {
    let database = path.display().to_string();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full { database },
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly { database },
        _ => StoreError::Engine { database, source: Box::new(error) },
    }
}
