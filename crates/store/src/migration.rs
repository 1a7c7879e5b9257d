//! The schema and its versions.

use std::borrow::Cow;

use sqlx::AssertSqlSafe;
use sqlx::SqlSafeStr;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};

use crate::error::Fault;
use crate::sql::{Connection, Engine, Transaction, answered, query};

/// The schema version this program knows: the number of its newest migration.
pub const SCHEMA_VERSION: i64 = 2;

const MIGRATIONS: [(i64, &str, &str); 2] = [
    (1, "first", include_str!("../migrations/0001_first.sql")),
    (2, "resources", include_str!("../migrations/0002_resources.sql")),
];

/// A column whose order must be that of its bytes, in the migrations' text. SQLite orders so by itself, PostgreSQL by the language of the
/// database unless it is told.
const BY_BYTES: &str = "TEXT /* by bytes */";

/// After a table whose rows are found by its key only. SQLite then keeps them in the tree of the key instead of in a second one;
/// PostgreSQL has nothing of the kind.
const IN_KEY_ORDER: &str = "/* in key order */";

const SQLITE_HAS_TABLE: &str =
    "SELECT count(*) AS n FROM sqlite_master WHERE type = 'table' AND name = '_sqlx_migrations'";
const POSTGRES_HAS_TABLE: &str =
    "SELECT count(*) AS n FROM pg_catalog.pg_class WHERE oid = to_regclass('_sqlx_migrations')";
const NEWEST: &str = "SELECT coalesce(max(version), 0) AS n FROM _sqlx_migrations";

/// The newest migration applied; 0 for an empty database.
pub(crate) async fn version(connection: &mut Connection) -> Result<i64, Fault> {
    let has_table = match connection.engine() {
        Engine::Sqlite(_) => SQLITE_HAS_TABLE,
        Engine::Postgres(_) => POSTGRES_HAS_TABLE,
    };
    match query(has_table).fetch_one(connection).await?.get::<i64>("n")? {
        0 => Ok(0),
        _ => query(NEWEST).fetch_one(connection).await?.get("n"),
    }
}

/// Applies what is missing. The transaction holds the write lock: two processes that start at once do it one after the other.
pub(crate) async fn run(tx: &mut Transaction) -> Result<(), Fault> {
    let done = match tx.engine() {
        // `run` gives a future that the compiler does not take for Send.
        Engine::Sqlite(connection) => {
            migrator(|sql| sql.replace(IN_KEY_ORDER, "WITHOUT ROWID")).run_direct(None, connection, false).await
        }
        Engine::Postgres(connection) => {
            let migrator = migrator(|sql| sql.replace(BY_BYTES, "TEXT COLLATE \"C\""));
            return answered(async { migrator.run_direct(None, connection, false).await.map_err(engine_error) }).await;
        }
    };
    Ok(done.map_err(engine_error)?)
}

fn migrator(for_engine: impl Fn(&str) -> String) -> Migrator {
    let migration = |(version, name, sql): (i64, &'static str, &'static str)| {
        let sql = AssertSqlSafe(for_engine(sql)).into_sql_str();
        Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, sql, false)
    };
    let mut migrator = Migrator::with_migrations(MIGRATIONS.map(migration).into());
    // The transaction's own lock is held already.
    migrator.set_locking(false);
    migrator
}

fn engine_error(error: MigrateError) -> sqlx::Error {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error,
        other => sqlx::Error::Migrate(Box::new(other)),
    }
}
