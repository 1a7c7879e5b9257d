//! Opening, closing, killing, and what a wrong file says.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use portway_store::{Audit, RESOURCE_BODY_MAX, ResourceError, SCHEMA_VERSION, Store, StoreError};
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use crate::engine::{Engine, fill, on_every_engine};
use crate::{START, account_id, add_credential, credential, credentials, remove_credential};

async fn raw(path: &Path, sql: &'static str) {
    let mut connection = SqliteConnectOptions::new().filename(path).connect().await.expect("a database");
    sqlx::raw_sql(sql).execute(&mut connection).await.expect("valid SQL");
}

#[tokio::test]
async fn records_survive_a_close_and_files_are_private() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("portway.db");
    let store = Store::open(&path).await.unwrap();
    fill(&store).await;
    for entry in fs::read_dir(dir.path()).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    store.close().await;
    let store = Store::open(&path).await.unwrap();
    assert_eq!(store.accounts().await.unwrap().len(), 2);
}

/// What a kill leaves behind is the files as they are: a copy of them taken while the store is open must hold all that was acknowledged,
/// and nothing of a transaction that was not.
#[tokio::test]
async fn what_was_acknowledged_is_in_the_files_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("portway.db");
    let store = Store::open(&path).await.unwrap();
    fill(&store).await;
    for seed in 1..=20 {
        add_credential(&store, seed, 1).await.unwrap();
        let copy = dir.path().join(format!("copy-{seed}.db"));
        fs::copy(&path, &copy).unwrap();
        fs::copy(path.with_extension("db-wal"), copy.with_extension("db-wal")).unwrap();
        let copied = Store::open(&copy).await.unwrap();
        assert_eq!(credentials(&copied).await.len(), usize::from(seed));
        assert_eq!(copied.feed().await.unwrap().version, u64::from(seed));
        copied.close().await;
    }
}

/// A write-ahead log cut in the middle is what a power cut leaves: whole transactions from its front remain.
#[tokio::test]
async fn a_log_cut_anywhere_leaves_whole_transactions() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("portway.db");
    let store = Store::open(&path).await.unwrap();
    fill(&store).await;
    for seed in 1..=5 {
        add_credential(&store, seed, 1).await.unwrap();
    }
    let database = fs::read(&path).unwrap();
    let log = fs::read(path.with_extension("db-wal")).unwrap();
    let mut seen = Vec::new();
    for cut in (0..=log.len()).rev().step_by(1999).take(40) {
        let copy = dir.path().join(format!("cut-{cut}.db"));
        fs::write(&copy, &database).unwrap();
        fs::write(copy.with_extension("db-wal"), &log[..cut]).unwrap();
        let Ok(copied) = Store::open(&copy).await else { panic!("a log of {cut} bytes does not open") };
        if let Ok(feed) = copied.feed().await {
            assert_eq!(feed.version, credentials(&copied).await.len() as u64, "cut at {cut}");
            seen.push(feed.version);
        }
        copied.close().await;
    }
    assert!(seen.is_sorted_by(|newer, older| newer >= older), "a shorter log never knows more: {seen:?}");
    assert!(seen.len() > 2 && seen.first() != seen.last(), "the cuts reached different transactions: {seen:?}");
}

async fn an_operation_dropped_half_way_is_whole_or_nothing_and_blocks_nobody(engine: Engine) {
    let store = engine.filled().await;
    let mut happened = 0;
    for _ in 0..50 {
        let mut adding = Box::pin(add_credential(&store, 9, 1));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        // How far one poll gets depends on the engine; sometimes to the end, or to where nothing stops it any more.
        let finished = adding.as_mut().poll(&mut context).is_ready();
        drop(adding);
        let removed = remove_credential(&store, 9).await;
        assert!(removed || !finished, "what was acknowledged is there");
        happened += u64::from(removed);
        assert_eq!(credentials(&store).await, []);
        assert_eq!(
            store.feed().await.unwrap().version,
            2 * happened,
            "a credential comes and goes with its announcement"
        );
    }
    add_credential(&store, 9, 1).await.unwrap();
    assert_eq!(credentials(&store).await.len(), 1);
}

#[tokio::test]
async fn a_newer_schema_is_refused_with_both_versions() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("portway.db");
    Store::open(&path).await.unwrap().close().await;
    raw(
        &path,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (99, 'later', TRUE, x'00', 0)",
    )
    .await;
    for opened in [Store::open(&path).await, Store::open_existing(&path).await] {
        let error = opened.unwrap_err();
        assert!(matches!(error, StoreError::Newer { found: 99, known: SCHEMA_VERSION, .. }), "{error}");
        assert!(error.to_string().contains("version 99") && error.to_string().contains("backup"), "{error}");
    }
}

#[tokio::test]
async fn an_older_schema_is_upgraded_by_the_server_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("portway.db");
    fs::write(&path, "").unwrap();
    let error = Store::open_existing(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::Older { found: 0, .. }), "{error}");
    Store::open(&path).await.unwrap().close().await;
    Store::open_existing(&path).await.unwrap();
}

#[tokio::test]
async fn a_missing_database_is_not_made_by_administration() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("portway.db");
    let error = Store::open_existing(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::Missing { .. }), "{error}");
    assert!(!path.exists());
}

#[tokio::test]
async fn what_is_no_database_is_named_as_such() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("portway.db");
    fs::write(
        &path,
        "this is not a database, but it is long enough to look like the header of one, or so one might think",
    )
    .unwrap();
    let error = Store::open(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
}

#[tokio::test]
async fn a_full_disk_is_named_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("portway.db");
    let store = Store::open(&path).await.unwrap();
    fill(&store).await;
    add_credential(&store, 1, 1).await.unwrap();
    // The engine's own limit on pages says the same as a disk without space: SQLITE_FULL.
    store.limit_pages(0).await.unwrap();
    let mut large = credential(2, 1);
    large.content.body = "x".repeat(RESOURCE_BODY_MAX);
    let error = store.create_resource(&large, &Audit::default(), START).await.unwrap_err();
    let ResourceError::Store(error @ StoreError::Full { .. }) = error else { panic!("{error}") };
    assert!(error.is_temporary());
    assert_eq!(credentials(&store).await.len(), 1);
    assert_eq!(store.feed().await.unwrap().version, 1);
}

#[tokio::test]
async fn writes_go_on_when_the_disk_has_space_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("portway.db")).await.unwrap();
    fill(&store).await;
    assert_eq!(store.health().fault(), None);
    let mut large = credential(2, 1);
    large.content.body = "x".repeat(RESOURCE_BODY_MAX);
    for _ in 0..3 {
        store.limit_pages(0).await.unwrap();
        let error = store.create_resource(&large, &Audit::default(), START).await.unwrap_err();
        assert!(matches!(error, ResourceError::Store(StoreError::Full { .. })), "{error}");
        assert_eq!(store.health().fault(), Some(error.to_string()));
    }
    store.limit_pages(10_000).await.unwrap();
    store.create_resource(&large, &Audit::default(), START).await.unwrap();
    assert_eq!(credentials(&store).await.len(), 1);
    // What went well may have needed no space: only a write made for the purpose says that all is well.
    assert!(store.health().fault().is_some());
    store.try_write(START).await.unwrap();
    assert_eq!(store.health().fault(), None);
    store.close().await;
}

async fn two_stores_on_one_database_see_each_other(engine: Engine) {
    let server = engine.filled().await;
    let admin = engine.open().await;
    let before = server.feed().await.unwrap().version;
    add_credential(&admin, 7, 1).await.unwrap();
    assert_eq!(server.feed().await.unwrap().version, before + 1);
    assert_eq!(credentials(&server).await[0].account, account_id(1));
    // Writers of both sides at once: each waits for the other.
    let writes = (10..30).map(|seed| {
        let store = if seed % 2 == 0 { server.clone() } else { admin.clone() };
        tokio::spawn(async move { add_credential(&store, seed, 1).await })
    });
    for write in writes.collect::<Vec<_>>() {
        write.await.unwrap().unwrap();
    }
    assert_eq!(server.feed().await.unwrap().version, before + 21);
}

async fn some_that_open_an_empty_database_at_once_make_one_schema(engine: Engine) {
    let (first, second, third, fourth) = tokio::join!(engine.open(), engine.open(), engine.open(), engine.open());
    fill(&first).await;
    for store in [second, third, fourth] {
        assert_eq!(store.accounts().await.unwrap().len(), 2);
    }
}

on_every_engine!(
    file: an_operation_dropped_half_way_is_whole_or_nothing_and_blocks_nobody,
    two_stores_on_one_database_see_each_other,
    some_that_open_an_empty_database_at_once_make_one_schema,
);
