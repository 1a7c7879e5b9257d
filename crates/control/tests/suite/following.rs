//! Watching: snapshot, deltas, continuation, restarts, restored backups.

use portway_codes::Code;
use portway_proto::control::v1::resource::Body;
use portway_proto::control::v1::{AuthenticateRequest, ClaimRequest};
use portway_rpc::public_error;
use portway_store::{AccountChange, Audit, InUse, Store, Timestamp};

use crate::{Replica, Running, add_account, add_credential, sha256};

#[tokio::test]
async fn a_snapshot_holds_what_an_edge_needs() {
    let running = Running::start().await;
    running.client.claim(running.wish(1, "https://app.portway.localhost").await).await.unwrap();
    let mut replica = Replica::default();
    let mut updates = running.watch("other", "", 0).await;
    replica.follow(&mut updates, |replica| replica.snapshots == 1).await.unwrap();
    let count = |kind: fn(&Body) -> bool| replica.bodies().filter(|body| kind(body)).count();
    assert_eq!(count(|body| matches!(body, Body::Credential(_))), 1);
    assert_eq!(count(|body| matches!(body, Body::Certificate(one) if one.connect && one.names.len() == 4)), 1);
    assert_eq!(count(|body| matches!(body, Body::Certificate(one) if !one.connect && one.names.len() == 2)), 1);
    assert_eq!(count(|body| matches!(body, Body::ConnectName(one) if one.host == "connect.portway.localhost")), 1);
    assert_eq!(count(|body| matches!(body, Body::Lease(one) if one.expires_at_ms == 0)), 1);
    assert_eq!(count(|body| matches!(body, Body::Settings(one) if one.base_domain == "portway.localhost")), 1);
    for resource in replica.resources.values() {
        portway_proto::ReplicaRecord::try_from(resource.clone()).unwrap();
    }
}

#[tokio::test]
async fn a_watch_continues_where_the_last_one_ended() {
    let running = Running::start().await;
    let mut replica = Replica::default();
    let mut updates = running.watch("edge", "", 0).await;
    replica.follow(&mut updates, |replica| replica.snapshots == 1).await.unwrap();
    drop(updates);
    let reply = running.client.claim(running.wish(1, "https://a.portway.localhost").await).await.unwrap();
    let mut updates = running.watch("edge", &replica.epoch, replica.version).await;
    replica.follow(&mut updates, |replica| replica.resources.contains_key(&reply.lease_id)).await.unwrap();
    assert_eq!(replica.snapshots, 1);
    // Also over a restart of the control plane.
    drop(updates);
    let running = running.restart().await;
    let reply = running.client.claim(running.wish(2, "https://b.portway.localhost").await).await.unwrap();
    let mut updates = running.watch("edge", &replica.epoch, replica.version).await;
    replica.follow(&mut updates, |replica| replica.resources.contains_key(&reply.lease_id)).await.unwrap();
    assert_eq!(replica.snapshots, 1);
}

#[tokio::test]
async fn an_unknown_epoch_starts_from_a_snapshot() {
    let running = Running::start().await;
    let mut replica = Replica::default();
    let mut updates = running.watch("edge", "another installation", 3).await;
    replica.follow(&mut updates, |replica| replica.snapshots == 1).await.unwrap();
}

/// An edge that is ahead has seen changes that a restored backup does not have: numbering starts under a new name, for every edge.
#[tokio::test]
async fn an_edge_ahead_of_a_restored_backup_renames_the_numbering() {
    let running = Running::start().await;
    let feed = running.store().await.feed().await.unwrap();
    let mut replica = Replica::default();
    let mut updates = running.watch("edge", &feed.epoch, feed.version + 10).await;
    replica.follow(&mut updates, |replica| replica.snapshots == 1).await.unwrap();
    assert_ne!(replica.epoch, feed.epoch);
    assert_eq!(replica.version, feed.version);
}

#[tokio::test]
async fn a_watcher_too_far_behind_gets_a_snapshot() {
    let running = Running::start().await;
    let mut replica = Replica::default();
    let mut updates = running.watch("edge", "", 0).await;
    replica.follow(&mut updates, |replica| replica.snapshots == 1).await.unwrap();
    drop(updates);
    for name in ["a", "b", "c"] {
        running.client.claim(running.wish(1, &format!("https://{name}.portway.localhost")).await).await.unwrap();
    }
    running.store().await.prune_feed(1).await.unwrap();
    let mut updates = running.watch("edge", &replica.epoch, replica.version).await;
    replica.follow(&mut updates, |replica| replica.snapshots == 2).await.unwrap();
}

/// A new edge process has no agents yet: its names are kept for their accounts, and claimed again by the agents that come back.
#[tokio::test]
async fn a_new_edge_process_gives_its_names_back_for_a_while() {
    let running = Running::start().await;
    let wish = running.wish(1, "https://app.portway.localhost").await;
    let first = running.client.claim(wish.clone()).await.unwrap();
    let mut replica = Replica::default();
    let mut updates = running.watch("edge", "", 0).await;
    replica.follow(&mut updates, |replica| replica.snapshots == 1).await.unwrap();
    let Some(Body::Lease(lease)) = &replica.resources[&first.lease_id].body else { panic!("not a lease") };
    assert!(lease.expires_at_ms > 0);
    let again = running.client.claim(wish).await.unwrap();
    assert_eq!((again.lease_id.as_str(), again.lease.unwrap().expires_at_ms), (first.lease_id.as_str(), 0));
}

/// Nobody reads the stream while hundreds of changes happen; then it is read to the end and nothing is missing.
#[tokio::test]
async fn a_slow_watcher_misses_nothing() {
    let running = Running::start().await;
    let mut updates = running.watch("edge", "", 0).await;
    for number in 0..600 {
        let claim = running.wish(1, &format!("https://n{number}.portway.localhost")).await;
        running.client.claim(claim).await.unwrap();
    }
    let version = running.store().await.feed().await.unwrap().version;
    let mut replica = Replica::default();
    replica.follow(&mut updates, |replica| replica.version == version).await.unwrap();
    let leases = replica.bodies().filter(|body| matches!(body, Body::Lease(_))).count();
    assert_eq!(leases, 600);
}

/// What `portway admin` writes while the server is down is in the next watch.
#[tokio::test]
async fn changes_of_another_process_are_followed() {
    let running = Running::start().await;
    let mut updates = running.watch("edge", "", 0).await;
    let mut replica = Replica::default();
    replica.follow(&mut updates, |replica| replica.snapshots == 1).await.unwrap();
    let store: Store = running.store().await;
    let account = store.operator_account().await.unwrap().unwrap().id;
    let id = running.credential().await.0;
    let (audit, now) = (Audit::default(), Timestamp::now());
    store.delete_resource(&account, "credential", &id, InUse::Refuse, &audit, now).await.unwrap();
    replica.follow(&mut updates, |replica| !replica.resources.contains_key(&id)).await.unwrap();
}

/// Edges hear of a new name of an account, and have nothing of it while it is suspended.
#[tokio::test]
async fn changes_of_an_account_reach_its_authtokens() {
    let running = Running::start().await;
    let mut updates = running.watch("edge", "", 0).await;
    let mut replica = Replica::default();
    replica.follow(&mut updates, |replica| replica.snapshots == 1).await.unwrap();
    let store = running.store().await;
    let account = add_account(&store, "other").await;
    let digest = sha256("another token");
    let id = add_credential(&store, account, 7, &digest).await.to_string();
    let name_at_edge = |replica: &Replica| match &replica.resources.get(&id)?.body {
        Some(Body::Credential(credential)) => Some(credential.account_name.clone()),
        _ => None,
    };
    replica.follow(&mut updates, |replica| name_at_edge(replica).as_deref() == Some("other")).await.unwrap();
    let change = async |change: AccountChange| {
        store.update_account(&account, &change, &Audit::default(), Timestamp::now()).await.unwrap();
    };
    let suspended = |suspended| AccountChange { suspended: Some(suspended), ..AccountChange::default() };
    change(AccountChange { name: Some("renamed".to_owned()), ..AccountChange::default() }).await;
    replica.follow(&mut updates, |replica| name_at_edge(replica).as_deref() == Some("renamed")).await.unwrap();
    change(suspended(true)).await;
    replica.follow(&mut updates, |replica| name_at_edge(replica).is_none()).await.unwrap();
    let lookup = || AuthenticateRequest { digest: digest.as_bytes().to_vec().into() };
    assert_eq!(running.client.authenticate(lookup()).await.unwrap().credential, None);
    let url = "https://app.portway.localhost";
    let (account_id, credential_id) = (account.to_string(), id.clone());
    let wish = ClaimRequest { account_id, credential_id, ..running.wish(9, url).await };
    let refused = running.client.claim(wish.clone()).await.unwrap_err();
    assert_eq!(public_error(&refused).unwrap().code, Code::ERR_NGROK_300);
    change(suspended(false)).await;
    replica.follow(&mut updates, |replica| name_at_edge(replica).is_some()).await.unwrap();
    assert!(running.client.authenticate(lookup()).await.unwrap().credential.is_some());
    running.client.claim(wish).await.unwrap();
}

/// The edge holds its end of the link while the control plane closes: it hears of it at once.
#[tokio::test]
async fn a_close_ends_the_watches() {
    let running = Running::start().await;
    let mut updates = running.watch("edge", "", 0).await;
    let mut replica = Replica::default();
    replica.follow(&mut updates, |replica| replica.snapshots == 1).await.unwrap();
    let Running { stop, runner, client, .. } = running;
    stop.cancel();
    runner.await.unwrap().close().await;
    let status = replica.follow(&mut updates, |_| false).await.unwrap_err();
    assert_eq!(status.message(), "the watch ended", "a control plane that stops ends a watch without a fault");
    let status = client.claim(ClaimRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::InvalidArgument, "the service still answers what it can: {status:?}");
    let lookup = AuthenticateRequest { digest: vec![1; 32].into() };
    assert!(portway_rpc::should_retry(&client.authenticate(lookup).await.unwrap_err()));
}
