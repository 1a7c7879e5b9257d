//! One database: opening, transactions, what went wrong with it.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use sqlx::postgres::PgPool;

use crate::error::Fault;
use crate::migration::SCHEMA_VERSION;
use crate::sql::{Connection, Transaction, answered};
use crate::{DatabaseUrl, Health, StoreError, migration, postgres, sqlite};

/// A database with the records of one installation. Cheap to clone; all clones share the connections.
///
/// Writers follow each other: on SQLite one connection writes, so that they queue here rather than in the engine, on PostgreSQL they take a
/// lock of the database first. Readers work beside them and see the state before or after a transaction, never within. What a finished
/// operation wrote survives a power cut.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    /// Which database, in words for people; no password.
    name: String,
    engine: Engine,
    pub(crate) health: Health,
}

#[derive(Debug)]
enum Engine {
    Sqlite(sqlite::Pools),
    Postgres(PgPool),
}

impl Store {
    /// Opens the database file, makes it when there is none (mode 0600), and brings its schema up to date. Before an older schema is
    /// changed, a copy of the database is kept beside it, with the old version in its name (`portway.db.schema-1`).
    ///
    /// # Errors
    /// [`StoreError::Newer`] when a newer program has used it; the others as they say.
    pub async fn open(path: &Path) -> Result<Store, StoreError> {
        sqlite::make(path)?;
        let store = Self::on_file(path).await?;
        store.migrate().await?;
        Ok(store)
    }

    /// Opens a database file that a server made, beside that server or without it, and leaves its schema alone.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Older`] and [`StoreError::Newer`]; the others as they say.
    pub async fn open_existing(path: &Path) -> Result<Store, StoreError> {
        sqlite::check(path)?;
        let store = Self::on_file(path).await?;
        store.refuse_other_schema().await?;
        Ok(store)
    }

    /// Connects to a PostgreSQL database (15 or newer), which must be there, and brings its schema up to date. Nothing is copied before.
    ///
    /// # Errors
    /// [`StoreError::Newer`] when a newer program has used it; the others as they say.
    pub async fn connect(url: &DatabaseUrl) -> Result<Store, StoreError> {
        let store = Self::on_server(url).await?;
        store.migrate().await?;
        Ok(store)
    }

    /// Connects to a PostgreSQL database that a server uses, and leaves its schema alone.
    ///
    /// # Errors
    /// [`StoreError::Older`] and [`StoreError::Newer`]; the others as they say.
    pub async fn connect_existing(url: &DatabaseUrl) -> Result<Store, StoreError> {
        let store = Self::on_server(url).await?;
        store.refuse_other_schema().await?;
        Ok(store)
    }

    /// A database that lives as long as this value, for tests.
    ///
    /// # Errors
    /// When the engine cannot allocate.
    pub async fn open_in_memory() -> Result<Store, StoreError> {
        let name = ":memory:".to_owned();
        let pools = sqlite::Pools::in_memory().await.map_err(|fault| StoreError::from_fault(&name, fault))?;
        let store = Self::new(name, Engine::Sqlite(pools));
        store.migrate().await?;
        Ok(store)
    }

    /// Which database this is, for people: the path of its file, or the address of the server without user and password.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Waits for running operations and closes every connection; the last one to close a file empties its write-ahead log. Operations on
    /// other clones fail from now on.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped: the log is read by the next open.
    pub async fn close(&self) {
        match &self.inner.engine {
            Engine::Sqlite(pools) => pools.close().await,
            Engine::Postgres(pool) => pool.close().await,
        }
    }

    /// Forbids the database to grow beyond its present size plus this many pages: what a full disk does, for tests of it. Nothing happens
    /// on PostgreSQL.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn limit_pages(&self, more: u32) -> Result<(), StoreError> {
        match &self.inner.engine {
            Engine::Sqlite(pools) => self.named(sqlite::limit_pages(pools, more)).await,
            Engine::Postgres(_) => Ok(()),
        }
    }

    /// The file, when the database is one.
    pub(crate) fn file(&self) -> Option<&Path> {
        match &self.inner.engine {
            Engine::Sqlite(pools) => pools.path(),
            Engine::Postgres(_) => None,
        }
    }

    pub(crate) async fn on_file(path: &Path) -> Result<Store, StoreError> {
        let name = path.display().to_string();
        let pools = sqlite::Pools::open(path).await.map_err(|fault| StoreError::from_fault(&name, fault))?;
        Ok(Self::new(name, Engine::Sqlite(pools)))
    }

    async fn on_server(url: &DatabaseUrl) -> Result<Store, StoreError> {
        let name = url.place();
        let pool = postgres::open(url).await.map_err(|fault| StoreError::from_fault(&name, fault))?;
        Ok(Self::new(name, Engine::Postgres(pool)))
    }

    fn new(name: String, engine: Engine) -> Store {
        Store { inner: Arc::new(Inner { name, engine, health: Health::default() }) }
    }

    /// All missing migrations in one transaction, which holds the write lock.
    async fn migrate(&self) -> Result<(), StoreError> {
        if self.schema_version().await? == SCHEMA_VERSION {
            return Ok(());
        }
        let mut tx = self.named(async { self.write().await }).await?;
        // Another process may have been here since.
        let found = self.named(async { migration::version(&mut tx).await }).await?;
        if found > SCHEMA_VERSION {
            return Err(self.newer(found));
        }
        if found == SCHEMA_VERSION {
            return Ok(());
        }
        self.named(async {
            if let (Engine::Sqlite(pools), 1..) = (&self.inner.engine, found) {
                pools.keep_before_upgrade(found).await?;
            }
            migration::run(&mut tx).await?;
            tx.commit().await
        })
        .await
    }

    async fn refuse_other_schema(&self) -> Result<(), StoreError> {
        match self.schema_version().await? {
            SCHEMA_VERSION => Ok(()),
            found if found > SCHEMA_VERSION => Err(self.newer(found)),
            found => Err(StoreError::Older { database: self.inner.name.clone(), found, known: SCHEMA_VERSION }),
        }
    }

    fn newer(&self, found: i64) -> StoreError {
        StoreError::Newer { database: self.inner.name.clone(), found, known: SCHEMA_VERSION }
    }

    pub(crate) async fn schema_version(&self) -> Result<i64, StoreError> {
        self.named(async { migration::version(&mut self.reader().await?).await }).await
    }

    /// A transaction that may write. It holds the write lock from its start, so it never fails half-way for another writer, and what it
    /// reads stays true until it commits. Dropping it undoes it.
    pub(crate) async fn write(&self) -> Result<Transaction, Fault> {
        Ok(Transaction::new(match &self.inner.engine {
            Engine::Sqlite(pools) => Connection::SqliteTransaction(pools.write().await?),
            Engine::Postgres(pool) => Connection::PostgresTransaction(postgres::write(pool).await?),
        }))
    }

    /// A connection for one statement; several of them may see several states.
    pub(crate) async fn reader(&self) -> Result<Connection, Fault> {
        Ok(match &self.inner.engine {
            Engine::Sqlite(pools) => Connection::Sqlite(pools.reader().await?),
            Engine::Postgres(pool) => Connection::Postgres(answered(pool.acquire()).await?),
        })
    }

    /// A transaction that sees one state of the database.
    pub(crate) async fn read(&self) -> Result<Transaction, Fault> {
        Ok(Transaction::new(match &self.inner.engine {
            Engine::Sqlite(pools) => Connection::SqliteTransaction(pools.read().await?),
            Engine::Postgres(pool) => Connection::PostgresTransaction(postgres::read(pool).await?),
        }))
    }

    /// Runs an operation and names the database in its failure.
    pub(crate) async fn named<T>(&self, operation: impl Future<Output = Result<T, Fault>>) -> Result<T, StoreError> {
        operation.await.map_err(|fault| self.fault(fault))
    }

    /// Names the database in a failure, and notes it.
    pub(crate) fn fault(&self, fault: Fault) -> StoreError {
        let error = StoreError::from_fault(&self.inner.name, fault);
        self.inner.health.failed(&error);
        error
    }
}
