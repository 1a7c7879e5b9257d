//! The schema and its versions.

use std::borrow::Cow;

use sqlx::AssertSqlSafe;
use sqlx::SqlSafeStr;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};

use crate::error::Fault;
use crate::sql::{Connection, Engine, Transaction, answered, query};

/// The schema version this program knows: the number of its newest migration.
pub const SCHEMA_VERSION: i64 = 4;

const MIGRATIONS: [(i64, &str, &str); 4] = [
    (1, "first", include_str!("../migrations/0001_first.sql")),
    (2, "resources", include_str!("../migrations/0002_resources.sql")),
    (3, "principals", include_str!("../migrations/0003_principals.sql")),
    (4, "work", include_str!("../migrations/0004_work.sql")),
];

/// A column whose order must be that of its bytes, in the migrations' text. SQLite orders so by itself, PostgreSQL by the language of the
/// database unless it is told.
const BY_BYTES: &str = "TEXT /* by bytes */";

/// After a table whose rows are found by its key only. SQLite then keeps them in the tree of the key instead of in a second one;
/// PostgreSQL has nothing of the kind.
const IN_KEY_ORDER: &str = "/* in key order */";

/// What else the engines say differently, in the migrations' text.
const FOR_SQLITE: [(&str, &str); 2] = [(IN_KEY_ORDER, "WITHOUT ROWID"), ("/* as JSON */", "-> '$'")];
const FOR_POSTGRES: [(&str, &str); 6] = [
    (BY_BYTES, "TEXT COLLATE \"C\""),
    ("/* as JSON */", "::json"),
    ("json_object(", "json_build_object("),
    ("json_array(", "json_build_array("),
    ("instr(", "strpos("),
    ("-- PostgreSQL: ", ""),
];

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
        Engine::Sqlite(connection) => migrator(&FOR_SQLITE).run_direct(None, connection, false).await,
        Engine::Postgres(connection) => {
            let migrator = migrator(&FOR_POSTGRES);
            return answered(async { migrator.run_direct(None, connection, false).await.map_err(engine_error) }).await;
        }
    };
    Ok(done.map_err(engine_error)?)
}

fn migrator(for_engine: &[(&str, &str)]) -> Migrator {
    let migration = |(version, name, sql): (i64, &'static str, &'static str)| {
        let sql = for_engine.iter().fold(sql.to_owned(), |sql, (mark, meaning)| sql.replace(mark, meaning));
        let sql = AssertSqlSafe(sql).into_sql_str();
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
