//! Who gets a name.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use portway_store::{Claim, ClaimAnswer, Lease, Release, Store, Timestamp};

use crate::engine::{Engine, on_every_engine};
use crate::{START, TTL, account_id, credential_id, lease_id};

/// Lease ids differ within a test; no test makes 256.
static NEXT_ID: AtomicU8 = AtomicU8::new(0);

/// Account 1 or 2 wants a URL for an agent through edge "a".
pub(crate) fn wish(account: u8, agent: u8, url: &str) -> Claim {
    Claim {
        id: lease_id(NEXT_ID.fetch_add(1, Ordering::Relaxed)),
        url: url.parse().expect("a URL"),
        account: account_id(account),
        credential: credential_id(account),
        agent: vec![agent; 16],
        edge: "a".parse().expect("an edge id"),
        holder_offline: false,
    }
}

pub(crate) async fn claim(store: &Store, claim: Claim, now: Timestamp) -> ClaimAnswer {
    store.claim(&[claim], now, TTL).await.expect("writable").remove(0)
}

pub(crate) async fn granted(store: &Store, wanted: Claim, now: Timestamp) -> Lease {
    match claim(store, wanted, now).await {
        ClaimAnswer::Granted(lease) => lease,
        other => panic!("not granted: {other:?}"),
    }
}

async fn release(store: &Store, lease: &Lease, reserved: Duration, now: Timestamp) {
    store.release(&[Release { id: lease.id, fence: lease.fence }], now + reserved, now).await.expect("writable");
}

const URL: &str = "https://app.example.com";

async fn the_same_agent_gets_the_same_lease_without_a_write(engine: Engine) {
    let store = engine.filled().await;
    let first = granted(&store, wish(1, 1, URL), START).await;
    let version = store.feed().await.unwrap().version;
    assert_eq!(granted(&store, wish(1, 1, URL), START).await, first);
    assert_eq!(store.feed().await.unwrap().version, version);
}

async fn a_served_name_is_refused_to_others(engine: Engine) {
    let store = engine.filled().await;
    granted(&store, wish(1, 1, URL), START).await;
    assert_eq!(claim(&store, wish(1, 2, URL), START).await, ClaimAnswer::Online);
    assert_eq!(claim(&store, wish(2, 3, URL), START).await, ClaimAnswer::Taken);
}

async fn an_edge_speaks_for_its_own_sessions_only(engine: Engine) {
    let store = engine.filled().await;
    let first = granted(&store, wish(1, 1, URL), START).await;
    let from_elsewhere = Claim { edge: "b".parse().unwrap(), holder_offline: true, ..wish(1, 2, URL) };
    assert_eq!(claim(&store, from_elsewhere, START).await, ClaimAnswer::Online);
    let other_account = Claim { holder_offline: true, ..wish(2, 3, URL) };
    assert_eq!(claim(&store, other_account, START).await, ClaimAnswer::Taken);
    let own = Claim { holder_offline: true, ..wish(1, 2, URL) };
    let second = granted(&store, own, START).await;
    assert_eq!(second.id, first.id);
    assert!(second.fence > first.fence);
}

async fn a_released_name_is_its_accounts_at_once_and_everybodys_later(engine: Engine) {
    let store = engine.filled().await;
    let lease = granted(&store, wish(1, 1, URL), START).await;
    release(&store, &lease, Duration::from_secs(30), START).await;
    assert_eq!(claim(&store, wish(2, 2, URL), START).await, ClaimAnswer::Taken);
    let again = granted(&store, wish(1, 3, URL), START).await;
    release(&store, &again, Duration::from_secs(30), START).await;
    let later = START + Duration::from_secs(30);
    let other = granted(&store, wish(2, 2, URL), later).await;
    assert_eq!(other.account, account_id(2));
    assert!(other.fence > again.fence);
}

async fn an_old_fence_releases_nothing(engine: Engine) {
    let store = engine.filled().await;
    let old = granted(&store, wish(1, 1, URL), START).await;
    granted(&store, Claim { holder_offline: true, ..wish(1, 2, URL) }, START).await;
    release(&store, &old, Duration::ZERO, START).await;
    assert_eq!(claim(&store, wish(1, 3, URL), START).await, ClaimAnswer::Online);
}

async fn names_of_a_lost_edge_become_free(engine: Engine) {
    let store = engine.filled().await;
    granted(&store, wish(1, 1, URL), START).await;
    let lost = START + TTL;
    let elsewhere = Claim { edge: "b".parse().unwrap(), ..wish(2, 2, URL) };
    assert_eq!(claim(&store, elsewhere.clone(), lost - Duration::from_millis(1)).await, ClaimAnswer::Taken);
    assert_eq!(granted(&store, elsewhere, lost).await.account, account_id(2));
}

async fn an_edge_that_is_heard_of_keeps_its_names(engine: Engine) {
    let store = engine.filled().await;
    granted(&store, wish(1, 1, URL), START).await;
    store.edge_alive(&"a".parse().unwrap(), START + TTL * 3).await.unwrap();
    assert_eq!(claim(&store, wish(1, 2, URL), START + TTL * 2).await, ClaimAnswer::Online);
    assert_eq!(store.remove_ended_leases(START + TTL * 2).await.unwrap(), 0);
    store.edges_alive(START + TTL * 4).await.unwrap();
    assert_eq!(store.remove_ended_leases(START + TTL * 3).await.unwrap(), 0);
    assert_eq!(store.remove_ended_leases(START + TTL * 4).await.unwrap(), 1);
}

async fn a_new_edge_process_holds_names_for_their_accounts(engine: Engine) {
    let store = engine.filled().await;
    let before = granted(&store, wish(1, 1, URL), START).await;
    store.edge_began(&"a".parse().unwrap(), START + TTL, START).await.unwrap();
    assert_eq!(claim(&store, wish(2, 2, URL), START).await, ClaimAnswer::Taken);
    // The agent itself was restarted meanwhile: another agent id.
    let after = granted(&store, wish(1, 9, URL), START).await;
    assert!(after.fence > before.fence);
    assert_eq!(store.remove_ended_leases(START + TTL - Duration::from_millis(1)).await.unwrap(), 0);
}

async fn fences_grow_over_removed_leases(engine: Engine) {
    let store = engine.filled().await;
    let first = granted(&store, wish(1, 1, URL), START).await;
    release(&store, &first, Duration::ZERO, START).await;
    assert_eq!(store.remove_ended_leases(START).await.unwrap(), 1);
    assert_eq!(store.leases().await.unwrap(), []);
    assert!(granted(&store, wish(2, 1, URL), START).await.fence > first.fence);
}

async fn a_host_belongs_to_one_account_with_every_scheme_and_wildcard(engine: Engine) {
    let store = engine.filled().await;
    granted(&store, wish(1, 1, URL), START).await;
    granted(&store, wish(1, 1, "https://*.wild.example.com"), START).await;
    for free in [
        "https://wild.example.com",
        "https://app2.example.com",
        "https://xwild.example.com",
        "https://*.xapp.example.com",
    ] {
        granted(&store, wish(2, 4, free), START).await;
    }
    for taken in [
        "http://app.example.com",
        "tls://app.example.com",
        "https://*.example.com",
        "https://deep.below.wild.example.com",
        "https://*.below.wild.example.com",
        "tls://*.wild.example.com",
        "https://*.app.example.com",
    ] {
        assert_eq!(claim(&store, wish(2, 2, taken), START).await, ClaimAnswer::Taken, "{taken}");
    }
    for own in ["http://app.example.com", "https://*.app.example.com", "https://*.below.wild.example.com"] {
        granted(&store, wish(1, 3, own), START).await;
    }
}

async fn an_underscore_is_no_wildcard(engine: Engine) {
    let store = engine.filled().await;
    granted(&store, wish(1, 1, "https://x.aXb.example.com"), START).await;
    granted(&store, wish(2, 2, "https://*.a_b.example.com"), START).await;
}

async fn tcp_hosts_are_shared_by_port(engine: Engine) {
    let store = engine.filled().await;
    granted(&store, wish(1, 1, "tcp://example.com:20001"), START).await;
    granted(&store, wish(2, 2, "tcp://example.com:20002"), START).await;
    assert_eq!(claim(&store, wish(2, 2, "tcp://example.com:20001"), START).await, ClaimAnswer::Taken);
    granted(&store, wish(2, 2, "https://example.com"), START).await;
}

async fn claims_of_one_transaction_see_each_other(engine: Engine) {
    let store = engine.filled().await;
    let answers = store.claim(&[wish(1, 1, URL), wish(2, 2, URL), wish(1, 3, URL)], START, TTL).await.unwrap();
    assert!(matches!(answers[0], ClaimAnswer::Granted(_)));
    assert_eq!(answers[1..], [ClaimAnswer::Taken, ClaimAnswer::Online]);
}

async fn of_many_at_once_one_gets_the_name(engine: Engine) {
    let store = engine.filled().await;
    let tasks = (1..=24).map(|agent| {
        let store = store.clone();
        tokio::spawn(async move { claim(&store, wish(1 + agent % 2, agent, URL), START).await })
    });
    let mut winners = 0;
    for task in tasks.collect::<Vec<_>>() {
        winners += usize::from(matches!(task.await.unwrap(), ClaimAnswer::Granted(_)));
    }
    assert_eq!(winners, 1);
}

on_every_engine!(file: the_same_agent_gets_the_same_lease_without_a_write, a_served_name_is_refused_to_others, an_edge_speaks_for_its_own_sessions_only, a_released_name_is_its_accounts_at_once_and_everybodys_later, an_old_fence_releases_nothing, names_of_a_lost_edge_become_free, an_edge_that_is_heard_of_keeps_its_names, a_new_edge_process_holds_names_for_their_accounts, fences_grow_over_removed_leases, a_host_belongs_to_one_account_with_every_scheme_and_wildcard, an_underscore_is_no_wildcard, tcp_hosts_are_shared_by_port, claims_of_one_transaction_see_each_other, of_many_at_once_one_gets_the_name);
