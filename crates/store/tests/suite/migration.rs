//! A database of an older version becomes one of this version, once, and can be had back.

use std::borrow::Cow;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use portway_store::{DatabaseUrl, SCHEMA_VERSION, Store, StoreError};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection, PgConnection, SqlSafeStr};

use crate::engine::fill;
use crate::postgres::Database;
use crate::{START, account_id, credential};

const FIRST: &str = include_str!("../../migrations/0001_first.sql");
const OLD_ACCOUNT: &str = "INSERT INTO accounts (id, name, created_ms) VALUES ($1, 'old', 5)";

/// What the first version of the program made.
fn first_version() -> Migrator {
    let first = Migration::new(1, Cow::Borrowed("first"), MigrationType::Simple, FIRST.into_sql_str(), false);
    Migrator::with_migrations(vec![first])
}

async fn old_database(path: &Path) {
    let mut connection = SqliteConnectOptions::new().filename(path).create_if_missing(true).connect().await.unwrap();
    first_version().run(&mut connection).await.unwrap();
    sqlx::query(OLD_ACCOUNT).bind(account_id(9).to_string()).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

async fn accounts(path: &Path) -> i64 {
    let url = format!("sqlite:{}", path.display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    sqlx::query_scalar("SELECT count(*) FROM accounts").fetch_one(&mut connection).await.unwrap()
}

#[tokio::test]
async fn an_old_file_is_copied_and_then_upgraded_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("portway.db");
    old_database(&path).await;
    let error = Store::open_existing(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::Older { found: 1, known: SCHEMA_VERSION, .. }), "{error}");

    let (first, second) = tokio::join!(Store::open(&path), Store::open(&path));
    let (store, second) = (first.unwrap(), second.unwrap());
    assert_eq!(store.accounts().await.unwrap()[0].id, account_id(9));
    fill(&store).await;
    assert_eq!(second.resource_count(&account_id(9), "domain").await.unwrap(), 0);
    assert_eq!(second.accounts().await.unwrap().len(), 3);

    let copy = dir.path().join("portway.db.schema-1");
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(accounts(&copy).await, 1, "the copy is the state before");
    let partial = fs::read_dir(dir.path())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains("partial"));
    assert_eq!(partial.count(), 0);

    // The second start has nothing to do.
    fs::remove_file(&copy).unwrap();
    Store::open(&path).await.unwrap().close().await;
    assert!(!copy.exists());
}

#[tokio::test]
async fn a_new_file_is_not_copied() {
    let dir = tempfile::tempdir().unwrap();
    Store::open(&dir.path().join("portway.db")).await.unwrap().close().await;
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["portway.db"]);
}

/// Where the copy cannot be made, nothing is upgraded.
#[tokio::test]
async fn without_a_copy_nothing_changes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("portway.db");
    old_database(&path).await;
    // A folder that is not empty stands where the copy belongs.
    fs::create_dir_all(dir.path().join("portway.db.schema-1/full")).unwrap();
    Store::open(&path).await.unwrap_err();
    let error = Store::open_existing(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::Older { found: 1, .. }), "{error}");
    fs::remove_dir_all(dir.path().join("portway.db.schema-1")).unwrap();
    Store::open(&path).await.unwrap().close().await;
}

#[tokio::test]
async fn an_old_postgres_is_upgraded_once_by_many() {
    let Some(database) = Database::make().await else { return };
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    first_version().run(&mut connection).await.unwrap();
    sqlx::query(OLD_ACCOUNT).bind(account_id(9).to_string()).execute(&mut connection).await.unwrap();
    let url = DatabaseUrl::new(database.url());
    let opened = (0..4).map(|_| {
        let url = url.clone();
        tokio::spawn(async move { Store::connect(&url).await })
    });
    let mut stores = Vec::new();
    for store in opened.collect::<Vec<_>>() {
        stores.push(store.await.unwrap().unwrap());
    }
    fill(&stores[0]).await;
    stores[1].add_credential(&credential(1, 1), START).await.unwrap();
    assert_eq!(stores[2].accounts().await.unwrap().len(), 3);
    assert_eq!(stores[3].resource_count(&account_id(9), "domain").await.unwrap(), 0);
}
