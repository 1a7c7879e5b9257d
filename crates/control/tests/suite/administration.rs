//! `portway admin` beside a running server.

use std::time::Duration;

use portway_control::admin::{Admin, AdminError, restore};
use portway_proto::control::v1::AuthenticateRequest;
use secrecy::ExposeSecret;
use tokio::time::Instant;

use crate::{Replica, Running, sha256};

#[tokio::test]
async fn a_directory_without_a_server_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for path in [dir.path().to_path_buf(), dir.path().join("missing")] {
        let refused = Admin::open(&path).await.unwrap_err();
        assert!(matches!(&refused, AdminError::NoDataDir(named) if *named == path), "{refused}");
        assert!(refused.to_string().contains("--data-dir"));
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing was made");
}

#[tokio::test]
async fn tokens_made_and_revoked_beside_the_server_reach_its_edges() {
    let running = Running::start().await;
    let mut updates = running.watch("edge", "", 0).await;
    let mut replica = Replica::default();
    replica.follow(&mut updates, |replica| replica.snapshots == 1).await.unwrap();

    let admin = Admin::open(running.dir.path()).await.unwrap();
    assert_eq!(admin.accounts().await.unwrap().len(), 1);
    let rules = ["bind:*.example.com".to_owned()];
    let (id, token) = admin.create_authtoken("for a test", &rules).await.unwrap();
    let id_text = id.to_string();
    replica.follow(&mut updates, |replica| replica.resources.contains_key(&id_text)).await.unwrap();
    let digest = sha256(token.expose_secret()).as_bytes().to_vec().into();
    let found = running.client.authenticate(AuthenticateRequest { digest }).await.unwrap().credential.unwrap();
    assert_eq!(Some(&found), replica.resources.get(&id_text));

    let listed = admin.authtokens().await.unwrap();
    assert_eq!(listed.len(), 2);
    let made = listed.iter().find(|listed| listed.id == id).unwrap();
    assert_eq!((made.description.as_str(), made.acl.as_slice()), ("for a test", rules.as_slice()));

    let revoked = Instant::now();
    admin.revoke(&id).await.unwrap();
    let reached = replica.follow(&mut updates, |replica| !replica.resources.contains_key(&id_text));
    // The promise of the operator's guide is two seconds from the command to the end of the sessions.
    tokio::time::timeout(Duration::from_secs(2), reached).await.expect("revoked in time").unwrap();
    println!("revoked in {:?}", revoked.elapsed());
    assert_eq!(replica.snapshots, 1, "by delta, not by a new snapshot");
    assert!(matches!(admin.revoke(&id).await, Err(AdminError::UnknownAuthtoken(unknown)) if unknown == id));
}

#[tokio::test]
async fn a_malformed_rule_makes_nothing() {
    let running = Running::start().await;
    let admin = Admin::open(running.dir.path()).await.unwrap();
    let refused = admin.create_authtoken("", &["bind:".to_owned()]).await.unwrap_err();
    assert!(matches!(refused, AdminError::Acl(_)), "{refused}");
    assert_eq!(admin.authtokens().await.unwrap().len(), 1);
}

#[tokio::test]
async fn it_works_on_a_stopped_servers_directory() {
    let running = Running::start().await;
    let Running { dir, stop, runner, .. } = running;
    stop.cancel();
    runner.await.unwrap().close().await;
    let admin = Admin::open(dir.path()).await.unwrap();
    let (id, _) = admin.create_authtoken("offline", &[]).await.unwrap();
    admin.revoke(&id).await.unwrap();
    assert_eq!(admin.authtokens().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_public_ssh_key_is_a_credential_like_others() {
    let running = Running::start().await;
    let admin = Admin::open(running.dir.path()).await.unwrap();
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me@laptop";
    let id = admin.register_ssh_key("", &["bind:*.portway.localhost".to_owned()], key).await.unwrap();
    let found = admin.authtokens().await.unwrap().into_iter().find(|one| one.id == id).unwrap();
    assert_eq!((found.description.as_str(), found.acl.len()), ("SSH key me@laptop", 1));
    let again = admin.register_ssh_key("other", &[], key).await;
    assert!(matches!(again, Err(AdminError::SshKeyRegistered)), "{again:?}");
    let private = "-----BEGIN OPENSSH PRIVATE KEY-----";
    assert!(matches!(admin.register_ssh_key("", &[], private).await, Err(AdminError::SshKey(_))));
    admin.revoke(&id).await.unwrap();
}

#[tokio::test]
async fn a_backup_is_made_beside_the_server_and_restored_without_it() {
    let running = Running::start().await;
    let admin = Admin::open(running.dir.path()).await.unwrap();
    let backup = running.dir.path().join("backup.db");
    admin.backup(&backup).await.unwrap();
    let (lost, _) = admin.create_authtoken("after the backup", &[]).await.unwrap();
    let refused = restore(running.dir.path(), &backup).await.unwrap_err();
    assert!(matches!(refused, AdminError::Running { holder: Some(_), .. }), "{refused}");
    drop(admin);

    let Running { dir, stop, runner, client, server, .. } = running;
    stop.cancel();
    runner.await.unwrap().close().await;
    drop(client);
    server.abort();
    let kept = restore(dir.path(), &backup).await.unwrap().unwrap();
    assert!(kept.exists());
    let control = crate::open(dir.path()).await.unwrap();
    assert!(control.bootstrap().is_none(), "the first account is in the backup");
    let tokens = Admin::open(dir.path()).await.unwrap().authtokens().await.unwrap();
    assert_eq!(tokens.len(), 1);
    assert!(tokens.iter().all(|token| token.id != lost));
    control.close().await;
}
