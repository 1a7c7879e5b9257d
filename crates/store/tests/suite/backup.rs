//! Backups are whole, and come back without taking anything away.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use portway_store::{BackupError, Changes, Store, StoreError, restore};
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use crate::add_credential;
use crate::engine::{Engine, fill};

async fn raw(path: &Path, sql: &'static str) {
    let mut connection = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
}

async fn credentials(path: &Path) -> usize {
    let store = Store::open(path).await.unwrap();
    let count = crate::credentials(&store).await.len();
    store.close().await;
    count
}

#[tokio::test]
async fn a_backup_beside_writers_is_one_state_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let (path, backup) = (dir.path().join("portway.db"), dir.path().join("backup.db"));
    let store = Store::open(&path).await.unwrap();
    fill(&store).await;
    for seed in 1..=20 {
        add_credential(&store, seed, 1).await.unwrap();
    }
    let writing = store.clone();
    let writer = tokio::spawn(async move {
        for seed in 21..=60 {
            add_credential(&writing, seed, 1).await.unwrap();
        }
    });
    store.backup(&backup).await.unwrap();
    writer.await.unwrap();
    assert_eq!(fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(store.backup(&backup).await, Err(BackupError::Exists(path)) if path == backup));
    store.close().await;

    let kept = restore(&backup, &path, "second").await.unwrap().unwrap();
    assert_eq!(kept, dir.path().join("portway.db.before-restore-1"));
    assert_eq!(credentials(&kept).await, 60);
    let restored = Store::open(&path).await.unwrap();
    let count = crate::credentials(&restored).await.len();
    let feed = restored.feed().await.unwrap();
    assert!((20..=60).contains(&count), "{count}");
    assert_eq!((feed.version, feed.epoch.as_str()), (count as u64, "second"), "records and feed are of one state");
    assert!(matches!(restored.changes_since("first", feed.version, 10).await.unwrap(), Changes::Unknown));
    restored.close().await;
    let again = restore(&backup, &path, "third").await.unwrap().unwrap();
    assert_eq!(again, dir.path().join("portway.db.before-restore-2"), "what was kept stays");
}

/// The log of a killed server belongs to the database that is kept, not to the one that comes.
#[tokio::test]
async fn a_killed_servers_log_goes_aside_with_its_database() {
    let dir = tempfile::tempdir().unwrap();
    let (path, backup) = (dir.path().join("portway.db"), dir.path().join("backup.db"));
    let store = Store::open(&path).await.unwrap();
    fill(&store).await;
    store.backup(&backup).await.unwrap();
    add_credential(&store, 1, 1).await.unwrap();
    // As a kill leaves them: the database without what is in the log.
    let left = dir.path().join("left");
    fs::create_dir(&left).unwrap();
    for name in ["portway.db", "portway.db-wal"] {
        fs::copy(dir.path().join(name), left.join(name)).unwrap();
    }
    let left = left.join("portway.db");
    let kept = restore(&backup, &left, "second").await.unwrap().unwrap();
    assert_eq!(credentials(&left).await, 0);
    assert_eq!(credentials(&kept).await, 1);

    // A database that nobody can open any more is kept as it is.
    let damaged = "damaged".repeat(1000);
    fs::write(&left, &damaged).unwrap();
    let kept = restore(&backup, &left, "third").await.unwrap().unwrap();
    assert_eq!(credentials(&left).await, 0);
    assert!(fs::read(&kept).unwrap() == damaged.as_bytes());
}

#[tokio::test]
async fn what_is_no_whole_backup_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (path, backup) = (dir.path().join("portway.db"), dir.path().join("backup.db"));
    let store = Store::open(&path).await.unwrap();
    fill(&store).await;
    for seed in 1..=100 {
        add_credential(&store, seed, 1).await.unwrap();
    }
    store.backup(&backup).await.unwrap();
    store.close().await;
    let whole = fs::read(&backup).unwrap();
    let before = fs::read(&path).unwrap();
    let bad = dir.path().join("bad.db");
    let mut damaged = whole.clone();
    damaged[whole.len() / 2..][..8192].fill(0x55);
    for content in [b"no database".as_slice(), &[], &whole[..whole.len() / 2], &damaged] {
        fs::write(&bad, content).unwrap();
        let refused = restore(&bad, &path, "second").await.unwrap_err();
        assert!(matches!(&refused, BackupError::Unusable { path, .. } if *path == bad), "{refused}");
    }
    fs::write(&bad, &whole).unwrap();
    raw(&bad, "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (99, 'later', TRUE, x'00', 0)").await;
    let refused = restore(&bad, &path, "second").await.unwrap_err();
    assert!(matches!(refused, BackupError::Store(StoreError::Newer { found: 99, .. })), "{refused}");
    let missing = restore(&dir.path().join("missing.db"), &path, "second").await.unwrap_err();
    assert!(matches!(missing, BackupError::File { .. }), "{missing}");
    assert!(fs::read(&path).unwrap() == before);
    let mut names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["backup.db", "bad.db", "portway.db"]);
}

#[tokio::test]
async fn a_backup_comes_to_where_nothing_was() {
    let dir = tempfile::tempdir().unwrap();
    let (path, backup) = (dir.path().join("portway.db"), dir.path().join("backup.db"));
    let store = Engine::file();
    let store = store.filled().await;
    store.backup(&backup).await.unwrap();
    assert_eq!(restore(&backup, &path, "second").await.unwrap(), None);
    assert_eq!(Store::open(&path).await.unwrap().accounts().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_server_has_programs_of_its_own() {
    let Some(engine) = Engine::postgres().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let refused = engine.open().await.backup(&dir.path().join("backup.db")).await.unwrap_err();
    assert!(matches!(refused, BackupError::Server) && refused.to_string().contains("pg_dump"), "{refused}");
}
