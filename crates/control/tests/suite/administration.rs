//! `portway admin` beside a running server.

use std::time::Duration;

use portway_access::SshKey;
use portway_codes::Code;
use portway_control::admin::{Admin, AdminError, restore};
use portway_names::CredentialId;
use portway_proto::control::v1::{AuthenticateRequest, ClaimRequest};
use portway_rpc::public_error;
use secrecy::ExposeSecret;
use tokio::time::Instant;

use crate::{Replica, Running, add_credential, sha256};

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
    let made = listed.iter().find(|listed| listed.id == id.into()).unwrap();
    assert_eq!((made.description.as_str(), made.acl.as_slice()), ("for a test", rules.as_slice()));

    let revoked = Instant::now();
    admin.revoke(id).await.unwrap();
    let reached = replica.follow(&mut updates, |replica| !replica.resources.contains_key(&id_text));
    // The promise of the operator's guide is two seconds from the command to the end of the sessions.
    tokio::time::timeout(Duration::from_secs(2), reached).await.expect("revoked in time").unwrap();
    println!("revoked in {:?}", revoked.elapsed());
    assert_eq!(replica.snapshots, 1, "by delta, not by a new snapshot");
    assert!(matches!(admin.revoke(id).await, Err(AdminError::UnknownAuthtoken(unknown)) if unknown == id.into()));
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
    admin.revoke(id).await.unwrap();
    assert_eq!(admin.authtokens().await.unwrap().len(), 1);
}

const SSH_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

fn digest_of(key: &SshKey) -> portway_store::Digest {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &key.secret());
    portway_store::Digest::try_from(digest.as_ref()).unwrap()
}

#[tokio::test]
async fn a_public_ssh_key_opens_sessions_as_an_authtoken_does() {
    let running = Running::start().await;
    let mut updates = running.watch("edge", "", 0).await;
    let mut replica = Replica::default();
    replica.follow(&mut updates, |replica| replica.snapshots == 1).await.unwrap();
    let admin = Admin::open(running.dir.path()).await.unwrap();
    let key = format!("{SSH_KEY} me@laptop");
    let id = admin.register_ssh_key("", &["bind:*.portway.localhost".to_owned()], &key).await.unwrap();
    let found = admin.authtokens().await.unwrap().into_iter().find(|one| one.id == id.into()).unwrap();
    assert_eq!((found.description.as_str(), found.acl.len()), ("SSH key me@laptop", 1));
    let again = admin.register_ssh_key("other", &[], &key).await;
    assert!(matches!(again, Err(AdminError::SshKeyRegistered)), "{again:?}");
    let private = "-----BEGIN OPENSSH PRIVATE KEY-----";
    assert!(matches!(admin.register_ssh_key("", &[], private).await, Err(AdminError::SshKey(_))));

    // Edges know it as an authtoken, and claim with it as such.
    let known = CredentialId::new(*id.ksuid());
    let name = known.to_string();
    replica.follow(&mut updates, |replica| replica.resources.contains_key(&name)).await.unwrap();
    let digest = digest_of(&SshKey::parse(&key).unwrap()).as_bytes().to_vec().into();
    let found = running.client.authenticate(AuthenticateRequest { digest }).await.unwrap().credential.unwrap();
    assert_eq!(Some(&found), replica.resources.get(&name));
    portway_proto::ReplicaRecord::try_from(found).unwrap();
    let wish = |host: &'static str| {
        let (running, credential_id) = (&running, name.clone());
        async move { ClaimRequest { credential_id, ..running.wish(1, host).await } }
    };
    running.client.claim(wish("https://app.portway.localhost").await).await.unwrap();

    // It is taken away by the id that edges know it by, and back again by its own.
    admin.revoke(known).await.unwrap();
    replica.follow(&mut updates, |replica| !replica.resources.contains_key(&name)).await.unwrap();
    let refused = running.client.claim(wish("https://other.portway.localhost").await).await.unwrap_err();
    assert_eq!(public_error(&refused).unwrap().code, Code::ERR_NGROK_300);
    let id = admin.register_ssh_key("", &[], &key).await.unwrap();
    admin.revoke(id).await.unwrap();
    assert!(matches!(admin.revoke(id).await, Err(AdminError::UnknownAuthtoken(unknown)) if unknown == id.into()));
    assert_eq!(replica.snapshots, 1);
}

#[tokio::test]
async fn an_ssh_key_that_an_older_version_registered_is_one_still() {
    let running = Running::start().await;
    let admin = Admin::open(running.dir.path()).await.unwrap();
    let digest = digest_of(&SshKey::parse(SSH_KEY).unwrap());
    let account = admin.accounts().await.unwrap()[0].id;
    let old = add_credential(&running.store().await, account, 9, &digest).await;
    let again = admin.register_ssh_key("", &[], SSH_KEY).await;
    assert!(matches!(again, Err(AdminError::SshKeyRegistered)), "{again:?}");
    admin.revoke(old).await.unwrap();
    admin.register_ssh_key("", &[], SSH_KEY).await.unwrap();
}

#[tokio::test]
async fn changes_by_the_operator_are_in_the_audit_log() {
    let running = Running::start().await;
    let admin = Admin::open(running.dir.path()).await.unwrap();
    let account = admin.accounts().await.unwrap()[0].id;
    let (id, token) = admin.create_authtoken("for a test", &[]).await.unwrap();
    admin.revoke(id).await.unwrap();
    let log = running.store().await.audit_log(&account, None, 100).await.unwrap();
    let seen = log.iter().map(|entry| (entry.audit.who.as_str(), entry.audit.action.as_str(), entry.kind.as_str()));
    assert_eq!(
        seen.collect::<Vec<_>>(),
        [
            ("portway admin", "credentials delete", "credential"),
            ("portway admin", "credentials create", "credential"),
            ("portway server", "first start", "api_key"),
            ("portway server", "first start", "credential"),
            ("portway server", "first start", "membership"),
            ("portway server", "first start", "user"),
        ]
    );
    let digest = sha256(token.expose_secret()).to_string();
    assert!(!format!("{log:?}").contains(&digest));
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
    assert!(tokens.iter().all(|token| token.id != lost.into()));
    control.close().await;
}
