//! The first start, kills during it, and starts on what is not right.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use portway_control::OpenError;
use portway_store::{Digest, Resource, Store, StoreError};
use secrecy::ExposeSecret;

use crate::{Running, open, sha256};

#[tokio::test]
async fn everything_is_there_and_private() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new").join("data");
    let control = open(&path).await.unwrap();
    let mode = |name: &str| fs::metadata(path.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(""), 0o700);
    for name in ["portway.db", "portway.db-wal", "master.key", "lock"] {
        assert_eq!(mode(name), 0o600, "{name}");
    }
    assert_eq!(fs::read_to_string(path.join("ca.pem")).unwrap(), control.ca_pem());
    let bootstrap = control.bootstrap().unwrap();
    assert_eq!(bootstrap.admin_email, "admin@portway.localhost");
    let secrets = [&bootstrap.authtoken, &bootstrap.api_key, &bootstrap.admin_password];
    let secrets: HashSet<String> = secrets.iter().map(|secret| secret.expose_secret().to_owned()).collect();
    assert_eq!(secrets.len(), 3);
    let shown = format!("{bootstrap:?}{control:?}");
    for secret in &secrets {
        assert!(secret.len() >= 24 && !shown.contains(secret.as_str()));
    }
    control.close().await;
    // Digests only: no file of the directory holds a secret.
    for entry in fs::read_dir(&path).unwrap() {
        let content = fs::read(entry.unwrap().path()).unwrap();
        for secret in &secrets {
            assert!(!content.windows(secret.len()).any(|window| window == secret.as_bytes()));
        }
    }
}

async fn by_digest(store: &Store, digest: &Digest) -> Option<Resource> {
    store.resource_by_key("credential", &digest.to_string()).await.unwrap()
}

#[tokio::test]
async fn unconfirmed_secrets_are_replaced_and_revoked() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path()).await.unwrap();
    let lost = sha256(first.bootstrap().unwrap().authtoken.expose_secret());
    drop(first);
    let mut second = open(dir.path()).await.unwrap();
    let kept = sha256(second.bootstrap().unwrap().authtoken.expose_secret());
    let store = Store::open_existing(&dir.path().join("portway.db")).await.unwrap();
    assert_eq!(by_digest(&store, &lost).await, None);
    assert!(by_digest(&store, &kept).await.is_some());
    assert_eq!(store.accounts().await.unwrap().len(), 1);
    second.confirm_bootstrap_written().await.unwrap();
    assert!(second.bootstrap().is_none());
    second.close().await;
    let third = open(dir.path()).await.unwrap();
    assert!(third.bootstrap().is_none());
    assert!(by_digest(&store, &kept).await.is_some());
}

/// Polls the first start a number of times and drops it: what a kill at that point leaves, as far as one process can show it. The next
/// start always goes on from there.
#[tokio::test]
async fn a_first_start_cut_anywhere_is_continued() {
    let mut finished = false;
    for polls in (0..).step_by(3) {
        let dir = tempfile::tempdir().unwrap();
        let mut opening = Box::pin(open(dir.path()));
        for _ in 0..polls {
            let outcome = tokio::select! {
                biased;
                outcome = &mut opening => Some(outcome),
                () = tokio::task::yield_now() => None,
                () = std::future::ready(()), if polls % 2 == 0 => None,
            };
            if let Some(outcome) = outcome {
                outcome.unwrap();
                finished = true;
                break;
            }
            // The engine's thread and the hash run elsewhere: give them a moment of real time.
            tokio::task::spawn_blocking(|| ()).await.unwrap();
        }
        drop(opening);
        let control = open(dir.path()).await.unwrap();
        assert!(control.bootstrap().is_some());
        let store = Store::open_existing(&dir.path().join("portway.db")).await.unwrap();
        assert_eq!(store.accounts().await.unwrap().len(), 1);
        let account = store.operator_account().await.unwrap().unwrap().id;
        for kind in ["user", "membership", "credential", "api_key"] {
            assert_eq!(store.resource_count(&account, kind).await.unwrap(), 1, "{kind}");
        }
        assert_eq!(store.certificates().await.unwrap().len(), 2);
        if finished || polls > 60 {
            break;
        }
    }
}

#[tokio::test]
async fn a_second_start_is_refused_until_the_first_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path()).await.unwrap();
    let refused = open(dir.path()).await.unwrap_err();
    assert!(matches!(refused, OpenError::Locked { holder: Some(_), .. }), "{refused}");
    first.close().await;
    open(dir.path()).await.unwrap();
}

#[tokio::test]
async fn a_close_gives_the_directory_free_although_the_service_is_held() {
    let running = Running::start().await;
    let _service = running.client.clone();
    let running = running.restart().await;
    assert!(running.dir.path().join("ca.pem").exists());
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// The files as a kill leaves them, without any closing: a copy made while it runs.
#[tokio::test]
async fn what_a_kill_leaves_starts_again_with_everything() {
    let running = Running::start().await;
    let wish = running.wish(1, "https://app.portway.localhost").await;
    let lease = running.client.claim(wish.clone()).await.unwrap();
    let killed = running.dir.path().join("killed");
    copy_files(running.dir.path(), &killed);
    let control = open(&killed).await.unwrap();
    assert!(control.bootstrap().is_none());
    let (client, server) = portway_rpc::in_memory(control.service());
    let server = tokio::spawn(server);
    assert_eq!(client.claim(wish).await.unwrap(), lease, "the same agent has the same lease");
    server.abort();
}

fn copy_files(from: &Path, to: &Path) {
    let staging = tempfile::tempdir().unwrap();
    copy(from, staging.path());
    copy(staging.path(), to);
}

#[tokio::test]
async fn a_lost_master_key_is_never_replaced() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).await.unwrap().close().await;
    let key = dir.path().join("master.key");
    let saved = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();
    assert!(matches!(open(dir.path()).await, Err(OpenError::MasterKeyMissing { .. })));
    assert!(!key.exists());
    fs::write(&key, [9; 32]).unwrap();
    assert!(matches!(open(dir.path()).await, Err(OpenError::MasterKeyWrong { .. })));
    fs::write(&key, b"short").unwrap();
    assert!(matches!(open(dir.path()).await, Err(OpenError::MasterKeyMalformed { len: 5, .. })));
    fs::write(&key, saved).unwrap();
    open(dir.path()).await.unwrap();
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused() {
    use sqlx::ConnectOptions;
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).await.unwrap().close().await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(dir.path().join("portway.db"));
    let mut connection = options.connect().await.unwrap();
    let later = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (77, 'later', TRUE, x'00', 0)";
    sqlx::query(later).execute(&mut connection).await.unwrap();
    drop(connection);
    let refused = open(dir.path()).await.unwrap_err();
    assert!(matches!(refused, OpenError::Store(StoreError::Newer { found: 77, .. })), "{refused}");
}

#[tokio::test]
async fn a_path_that_cannot_be_a_directory_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "").unwrap();
    let refused = open(&path).await.unwrap_err();
    assert!(matches!(refused, OpenError::Io { .. }), "{refused}");
    assert!(refused.to_string().contains(path.to_str().unwrap()));
}
