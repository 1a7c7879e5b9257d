//! Opening, closing, killing, and what a wrong file says.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use portway_store::{SCHEMA_VERSION, Store, StoreError};
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use crate::engine::{Engine, fill, on_every_engine};
use crate::{START, account_id, credential};

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
        store.add_credential(&credential(seed, 1), START).await.unwrap();
        let copy = dir.path().join(format!("copy-{seed}.db"));
        fs::copy(&path, &copy).unwrap();
        fs::copy(path.with_extension("db-wal"), copy.with_extension("db-wal")).unwrap();
        let copied = Store::open(&copy).await.unwrap();
        assert_eq!(copied.credentials().await.unwrap().len(), usize::from(seed));
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
        store.add_credential(&credential(seed, 1), START).await.unwrap();
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
            assert_eq!(feed.version, copied.credentials().await.unwrap().len() as u64, "cut at {cut}");
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
        let credential = credential(9, 1);
        let mut adding = Box::pin(store.add_credential(&credential, START));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        // How far one poll gets depends on the engine; sometimes to the end, or to where nothing stops it any more.
        let finished = adding.as_mut().poll(&mut context).is_ready();
        drop(adding);
        let removed = store.remove_credential(&credential.id, START).await.unwrap();
        assert!(removed || !finished, "what was acknowledged is there");
        happened += u64::from(removed);
        assert_eq!(store.credentials().await.unwrap(), []);
        assert_eq!(
            store.feed().await.unwrap().version,
            2 * happened,
            "a credential comes and goes with its announcement"
        );
    }
    store.add_credential(&credential(9, 1), START).await.unwrap();
    assert_eq!(store.credentials().await.unwrap().len(), 1);
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
    store.add_credential(&credential(1, 1), START).await.unwrap();
    // The engine's own limit on pages says the same as a disk without space: SQLITE_FULL.
    store.limit_pages(0).await.unwrap();
    let mut large = credential(2, 1);
    large.metadata = "x".repeat(1 << 20);
    let error = store.add_credential(&large, START).await.unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    assert!(error.is_temporary());
    assert_eq!(store.credentials().await.unwrap().len(), 1);
    assert_eq!(store.feed().await.unwrap().version, 1);
}

#[tokio::test]
async fn writes_go_on_when_the_disk_has_space_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("portway.db")).await.unwrap();
    fill(&store).await;
    assert_eq!(store.health().fault(), None);
    let mut large = credential(2, 1);
    large.metadata = "x".repeat(1 << 20);
    for _ in 0..3 {
        store.limit_pages(0).await.unwrap();
        let error = store.add_credential(&large, START).await.unwrap_err();
        assert!(matches!(error, StoreError::Full { .. }), "{error}");
        assert_eq!(store.health().fault(), Some(error.to_string()));
    }
    store.limit_pages(10_000).await.unwrap();
    store.add_credential(&large, START).await.unwrap();
    assert_eq!(store.credentials().await.unwrap().len(), 1);
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
    admin.add_credential(&credential(7, 1), START).await.unwrap();
    assert_eq!(server.feed().await.unwrap().version, before + 1);
    assert_eq!(server.credentials().await.unwrap()[0].account, account_id(1));
    // Writers of both sides at once: each waits for the other.
    let writes = (10..30).map(|seed| {
        let store = if seed % 2 == 0 { server.clone() } else { admin.clone() };
        tokio::spawn(async move { store.add_credential(&credential(seed, 1), START).await })
    });
    for write in writes.collect::<Vec<_>>() {
        write.await.unwrap().unwrap();
    }
    assert_eq!(server.feed().await.unwrap().version, before + 21);
}

async fn two_that_open_an_empty_database_at_once_make_one_schema(engine: Engine) {
    let (first, second) = tokio::join!(engine.open(), engine.open());
    fill(&first).await;
    assert_eq!(second.accounts().await.unwrap().len(), 2);
}

on_every_engine!(
    file: an_operation_dropped_half_way_is_whole_or_nothing_and_blocks_nobody,
    two_stores_on_one_database_see_each_other,
    two_that_open_an_empty_database_at_once_make_one_schema,
);
