//! Names that accounts have for good.

use std::time::Duration;

use portway_names::HostPattern;
use portway_store::{
    ClaimAnswer, Content, HostConflict, InUse, NewResource, RESERVED_ADDR, Release, ReservedName, Resource,
    ResourceError, Store,
};
use proptest::prelude::*;

use crate::engine::{Engine, on_every_engine};
use crate::leases::{claim, granted, wish};
use crate::resources::{audit, content};
use crate::{START, TTL, account_id};

fn pattern(host: &str) -> HostPattern {
    host.parse().expect("a pattern")
}

fn saying(host: Option<&str>) -> Content {
    Content { host: host.map(pattern), ..content("{}", &[], &[]) }
}

async fn reserve(store: &Store, account: u8, id: &str, host: &str) -> Result<Resource, ResourceError> {
    let (id, kind) = (id.to_owned(), "reserved_domain".to_owned());
    let new = NewResource { id, kind, account: account_id(account), followed: false, content: saying(Some(host)) };
    store.create_resource(&new, &audit("create"), START).await
}

async fn holder(store: &Store, host: &str) -> Option<String> {
    let found = store.host_reservation(&pattern(host)).await.unwrap();
    found.map(|(account, id)| {
        assert!([1, 2].map(account_id).contains(&account));
        id
    })
}

async fn delete(store: &Store, account: u8, id: &str) {
    let (account, audit) = (account_id(account), audit("delete"));
    store.delete_resource(&account, "reserved_domain", id, InUse::Refuse, &audit, START).await.unwrap();
}

async fn the_owner_of_a_name_has_everything_below_it(engine: Engine) {
    let store = engine.filled().await;
    reserve(&store, 1, "rd_app", "app.example.com").await.unwrap();
    reserve(&store, 1, "rd_wild", "*.wild.example.com").await.unwrap();
    for (host, other, conflict) in [
        ("app.example.com", "app.example.com", HostConflict::Same),
        ("deep.app.example.com", "app.example.com", HostConflict::Above),
        ("*.app.example.com", "app.example.com", HostConflict::Above),
        ("x.wild.example.com", "*.wild.example.com", HostConflict::Above),
        ("*.wild.example.com", "*.wild.example.com", HostConflict::Same),
        ("wild.example.com", "*.wild.example.com", HostConflict::Below),
        ("example.com", "app.example.com", HostConflict::Below),
        ("*.com", "app.example.com", HostConflict::Below),
    ] {
        let refused = reserve(&store, 2, "rd_2", host).await.unwrap_err();
        let ResourceError::HostTaken { other: found, conflict: how, account, id, .. } = refused else {
            panic!("{host}: {refused}")
        };
        assert_eq!((found.to_string().as_str(), how, account), (other, conflict, account_id(1)), "{host}");
        assert!(id.starts_with("rd_"));
    }
    let again = reserve(&store, 1, "rd_2", "app.example.com").await.unwrap_err();
    assert!(matches!(&again, ResourceError::KeyTaken { key, id, .. } if key == "app.example.com" && id == "rd_app"));
    for (id, free) in [("rd_3", "app2.example.com"), ("rd_4", "ap.example.com"), ("rd_5", "app-x.example.com")] {
        reserve(&store, 2, id, free).await.unwrap();
    }
    for (id, own) in [("rd_6", "example.org"), ("rd_7", "deep.app.example.com"), ("rd_8", "*.app.example.com")] {
        reserve(&store, 1, id, own).await.unwrap();
    }
    for (host, id) in [
        ("app.example.com", Some("rd_app")),
        ("deep.app.example.com", Some("rd_7")),
        ("other.app.example.com", Some("rd_8")),
        ("x.y.wild.example.com", Some("rd_wild")),
        ("wild.example.com", None),
        ("example.com", None),
    ] {
        assert_eq!(holder(&store, host).await.as_deref(), id, "{host}");
    }
}

async fn a_reserved_name_changes_and_goes_with_its_resource(engine: Engine) {
    let store = engine.filled().await;
    reserve(&store, 1, "rd_1", "a.example.com").await.unwrap();
    let update = async |seen, host| {
        let (id, audit) = ("rd_1", audit("update"));
        let (account, kind, content) = (account_id(1), "reserved_domain", saying(host));
        store.update_resource(&account, kind, id, seen, &content, &audit, START).await.unwrap();
    };
    update(1, Some("a.example.com")).await;
    assert_eq!(holder(&store, "a.example.com").await.as_deref(), Some("rd_1"));
    update(2, Some("b.example.com")).await;
    assert_eq!(holder(&store, "a.example.com").await, None);
    reserve(&store, 2, "rd_2", "a.example.com").await.unwrap();
    update(3, None).await;
    assert_eq!(holder(&store, "b.example.com").await, None);
    delete(&store, 2, "rd_2").await;
    assert_eq!(holder(&store, "a.example.com").await, None);
}

async fn a_name_that_another_accounts_agent_serves_cannot_be_reserved(engine: Engine) {
    let store = engine.filled().await;
    let lease = granted(&store, wish(2, 1, "https://x.app.example.com"), START).await;
    granted(&store, wish(2, 1, "tls://*.wild.example.com"), START).await;
    for (host, other) in [
        ("x.app.example.com", "x.app.example.com"),
        ("app.example.com", "x.app.example.com"),
        ("*.app.example.com", "x.app.example.com"),
        ("y.wild.example.com", "*.wild.example.com"),
        ("wild.example.com", "*.wild.example.com"),
    ] {
        let refused = reserve(&store, 1, "rd_1", host).await.unwrap_err();
        let ResourceError::HostLeased { other: found, account, .. } = refused else { panic!("{host}: {refused}") };
        assert_eq!((found, account), (pattern(other), account_id(2)), "{host}");
    }
    reserve(&store, 2, "rd_own", "y.app.example.com").await.unwrap();
    delete(&store, 2, "rd_own").await;
    store.release(&[Release { id: lease.id, fence: lease.fence }], START, START).await.unwrap();
    reserve(&store, 1, "rd_1", "app.example.com").await.unwrap();
    // The agent comes back before its old lease was removed.
    assert_eq!(claim(&store, wish(2, 1, "https://x.app.example.com"), START).await, ClaimAnswer::Reserved);
}

async fn what_is_reserved_is_not_leased_to_others(engine: Engine) {
    let store = engine.filled().await;
    reserve(&store, 1, "rd_1", "app.example.com").await.unwrap();
    reserve(&store, 1, "rd_2", "*.wild.example.com").await.unwrap();
    for url in [
        "https://app.example.com",
        "http://x.app.example.com",
        "tls://*.app.example.com",
        "https://*.example.com",
        "https://*.com",
        "https://x.y.wild.example.com",
        "https://*.wild.example.com",
        "https://wild.example.com",
    ] {
        assert_eq!(claim(&store, wish(2, 1, url), START).await, ClaimAnswer::Reserved, "{url}");
    }
    for url in ["https://example.com", "https://app2.example.com", "tcp://app.example.com:1"] {
        granted(&store, wish(2, 1, url), START).await;
    }
    for url in ["https://app.example.com", "https://*.x.app.example.com", "https://*.wild.example.com"] {
        granted(&store, wish(1, 2, url), START).await;
    }
}

async fn an_old_lease_does_not_pass_by_a_wildcard_that_came_since(engine: Engine) {
    let store = engine.filled().await;
    let lease = granted(&store, wish(1, 1, "https://app.example.com"), START).await;
    store.release(&[Release { id: lease.id, fence: lease.fence }], START, START).await.unwrap();
    granted(&store, wish(2, 2, "https://*.example.com"), START).await;
    assert_eq!(claim(&store, wish(1, 1, "https://app.example.com"), START).await, ClaimAnswer::Taken);
}

async fn a_reserved_address_is_its_accounts(engine: Engine) {
    let store = engine.filled().await;
    let (id, kind, addr) = ("ra_1".to_owned(), RESERVED_ADDR.to_owned(), "example.com:20001");
    let new = NewResource { id, kind, account: account_id(1), followed: false, content: content("{}", &[addr], &[]) };
    store.create_resource(&new, &audit("create"), START).await.unwrap();
    assert_eq!(claim(&store, wish(2, 1, "tcp://example.com:20001"), START).await, ClaimAnswer::Reserved);
    granted(&store, wish(2, 1, "tcp://example.com:20002"), START).await;
    granted(&store, wish(1, 2, "tcp://example.com:20001"), START).await;
    let name = ReservedName::Addr(addr.to_owned());
    assert_eq!(store.end_leases_below(&account_id(1), &name, START).await.unwrap(), 0, "it is reserved still");
    store.delete_resource(&account_id(1), RESERVED_ADDR, "ra_1", InUse::Refuse, &audit("delete"), START).await.unwrap();
    assert_eq!(store.end_leases_below(&account_id(1), &name, START).await.unwrap(), 1);
    granted(&store, wish(2, 1, "tcp://example.com:20001"), START).await;
}

async fn leases_end_with_the_name_that_they_lie_below(engine: Engine) {
    let store = engine.filled().await;
    reserve(&store, 1, "rd_1", "app.example.com").await.unwrap();
    reserve(&store, 1, "rd_2", "kept.app.example.com").await.unwrap();
    let ending = ["https://app.example.com", "http://app.example.com", "tls://*.x.app.example.com"];
    let staying = ["https://y.kept.app.example.com", "https://example.com", "https://app2.example.com"];
    for url in ending.iter().chain(&staying) {
        granted(&store, wish(1, 1, url), START).await;
    }
    delete(&store, 1, "rd_1").await;
    let before = store.feed().await.unwrap().version;
    let name = ReservedName::Host(pattern("app.example.com"));
    assert_eq!(store.end_leases_below(&account_id(2), &name, START).await.unwrap(), 0);
    assert_eq!(store.end_leases_below(&account_id(1), &name, START).await.unwrap(), ending.len());
    let mut left: Vec<String> = store.leases().await.unwrap().iter().map(|lease| lease.url.to_string()).collect();
    left.sort();
    let mut expected = staying.to_vec();
    expected.sort_unstable();
    assert_eq!(left, expected);
    assert_eq!(store.feed().await.unwrap().version, before + ending.len() as u64, "edges hear of it");
    granted(&store, wish(2, 2, "https://app.example.com"), START + Duration::from_secs(1)).await;
}

/// What the rules say, without a database.
fn in_the_way(host: &HostPattern, other: &HostPattern) -> bool {
    let (host, other) = (host.name(), other.name());
    host == other || host.is_below(other) || other.is_below(host)
}

async fn the_store_agrees_with_the_rules(engine: &Engine, wishes: &[(u8, String)]) {
    let store = engine.filled().await;
    let mut reserved: Vec<(u8, HostPattern)> = Vec::new();
    for (number, (account, host)) in wishes.iter().enumerate() {
        let host = pattern(host);
        let own = reserved.iter().any(|(other, there)| other == account && *there == host);
        let others = reserved.iter().any(|(other, there)| other != account && in_the_way(&host, there));
        match reserve(&store, *account, &format!("rd_{number}"), &host.to_string()).await {
            Ok(_) => {
                assert!(!own && !others, "{host} {reserved:?}");
                reserved.push((*account, host));
            }
            Err(ResourceError::KeyTaken { .. }) => assert!(own, "{host} {reserved:?}"),
            Err(ResourceError::HostTaken { .. }) => assert!(others, "{host} {reserved:?}"),
            Err(error) => panic!("{error}"),
        }
    }
    for (number, (account, host)) in wishes.iter().enumerate() {
        let host = pattern(host);
        let covers = |there: &HostPattern| {
            let (host, there, wildcard) = (host.name(), there.name(), host.is_wildcard());
            host == there || host.is_below(there) || wildcard && there.is_below(host)
        };
        let others = reserved.iter().any(|(other, there)| other != account && covers(there));
        let url = format!("https://{host}");
        let agent = u8::try_from(number).expect("few wishes");
        let answer = store.claim(&[wish(*account, agent, &url)], START, TTL).await.unwrap().remove(0);
        assert_eq!(answer == ClaimAnswer::Reserved, others, "{host} {reserved:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn reserved_names_are_those_of_the_rules(
        wishes in prop::collection::vec((1..3_u8, "(\\*\\.)?([ab]\\.){0,3}[cd]"), 1..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            the_store_agrees_with_the_rules(&Engine::Memory, &wishes).await;
            if let Some(engine) = Engine::postgres().await {
                the_store_agrees_with_the_rules(&engine, &wishes).await;
            }
        });
    }
}

on_every_engine!(
    memory: the_owner_of_a_name_has_everything_below_it,
    a_reserved_name_changes_and_goes_with_its_resource,
    a_name_that_another_accounts_agent_serves_cannot_be_reserved,
    what_is_reserved_is_not_leased_to_others,
    an_old_lease_does_not_pass_by_a_wildcard_that_came_since,
    a_reserved_address_is_its_accounts,
    leases_end_with_the_name_that_they_lie_below,
);
