//! A replica built from a snapshot and changes equals the store.

use std::collections::BTreeMap;
use std::time::Duration;

use portway_names::{HostName, TlsCertificateId};
use portway_store::{Certificate, Changes, Claim, Record, Release, Store};
use proptest::prelude::*;

use crate::engine::{Engine, on_every_engine};
use crate::{START, TTL, account_id, add_credential, credential_id, ksuid, lease_id, remove_credential};

/// An edge's side of the feed.
#[derive(Debug, Default)]
struct Replica {
    epoch: String,
    version: u64,
    records: BTreeMap<String, Record>,
}

impl Replica {
    /// One step; true when it has everything.
    async fn step(&mut self, store: &Store, limit: u32) -> bool {
        match store.changes_since(&self.epoch, self.version, limit).await.expect("readable") {
            Changes::Unknown => {
                let snapshot = store.snapshot().await.expect("readable");
                self.epoch = snapshot.epoch;
                self.version = snapshot.version;
                self.records = snapshot.records.into_iter().map(|record| (record.id(), record)).collect();
                false
            }
            Changes::Known { version, changed, removed } => {
                let done = version == self.version;
                assert!(done || version > self.version);
                self.version = version;
                self.records.extend(changed.into_iter().map(|record| (record.id(), record)));
                for id in removed {
                    self.records.remove(&id);
                }
                done
            }
        }
    }
}

/// What may happen to a store.
#[derive(Debug, Clone)]
enum Event {
    AddCredential(u8),
    RemoveCredential(u8),
    PutCertificate(u8, u8),
    RemoveCertificate(u8),
    ConnectNames(Vec<u8>),
    BaseDomain(u8),
    Claim { account: u8, agent: u8, name: u8 },
    Release(u8),
    EdgeBegan,
    RemoveEnded,
    Prune(u8),
    RestartFeed(u8),
    Follow { limit: u8, steps: u8 },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (1..6_u8).prop_map(Event::AddCredential),
        2 => (1..6_u8).prop_map(Event::RemoveCredential),
        2 => (1..4_u8, any::<u8>()).prop_map(|(id, key)| Event::PutCertificate(id, key)),
        1 => (1..4_u8).prop_map(Event::RemoveCertificate),
        1 => prop::collection::vec(0..4_u8, 0..3).prop_map(Event::ConnectNames),
        1 => (0..3_u8).prop_map(Event::BaseDomain),
        6 => (1..=2_u8, 1..5_u8, 0..4_u8).prop_map(|(account, agent, name)| Event::Claim { account, agent, name }),
        3 => (0..4_u8).prop_map(Event::Release),
        1 => Just(Event::EdgeBegan),
        1 => Just(Event::RemoveEnded),
        1 => (0..8_u8).prop_map(Event::Prune),
        1 => any::<u8>().prop_map(Event::RestartFeed),
        4 => (1..5_u8, 1..4_u8).prop_map(|(limit, steps)| Event::Follow { limit, steps }),
    ]
}

async fn happen(store: &Store, event: &Event) {
    match event {
        Event::AddCredential(seed) => drop(add_credential(store, *seed, 1).await),
        Event::RemoveCredential(seed) => drop(remove_credential(store, *seed).await),
        Event::PutCertificate(seed, key) => {
            let certificate = Certificate {
                id: TlsCertificateId::new(ksuid(*seed)),
                names: vec!["example.com".to_owned()],
                chain_pem: String::new(),
                sealed_key: key.to_string(),
                connect: key % 2 == 0,
                not_before: START,
                not_after: START + TTL,
            };
            store.put_certificate(&certificate, START).await.unwrap();
        }
        Event::RemoveCertificate(seed) => {
            store.remove_certificate(&TlsCertificateId::new(ksuid(*seed)), START).await.unwrap();
        }
        Event::ConnectNames(names) => {
            let hosts: Vec<HostName> =
                names.iter().map(|name| format!("c{name}.example.com").parse().unwrap()).collect();
            store.put_connect_names(&hosts, START).await.unwrap();
        }
        Event::BaseDomain(name) => store.put_base_domain(&format!("d{name}.example.com"), START).await.unwrap(),
        Event::Claim { account, agent, name } => {
            let claim = Claim {
                id: lease_id(name * 16 + agent),
                url: format!("https://n{name}.example.com").parse().unwrap(),
                account: account_id(*account),
                credential: credential_id(1),
                agent: vec![*agent],
                edge: "a".parse().unwrap(),
                holder_offline: agent % 2 == 0,
            };
            store.claim(&[claim], START, TTL).await.unwrap();
        }
        Event::Release(index) => {
            let leases = store.leases().await.unwrap();
            if let Some(lease) = leases.get(usize::from(*index)) {
                let reserved = Duration::from_secs(u64::from(index % 2));
                store.release(&[Release { id: lease.id, fence: lease.fence }], START + reserved, START).await.unwrap();
            }
        }
        Event::EdgeBegan => store.edge_began(&"a".parse().unwrap(), START + TTL, START).await.unwrap(),
        Event::RemoveEnded => drop(store.remove_ended_leases(START).await.unwrap()),
        Event::Prune(keep) => store.prune_feed(u64::from(*keep)).await.unwrap(),
        Event::RestartFeed(epoch) => store.restart_feed(&format!("e{epoch}")).await.unwrap(),
        Event::Follow { .. } => {}
    }
}

async fn a_replica_follows(engine: &Engine, events: Vec<Event>) {
    let store = engine.filled().await;
    let mut replica = Replica::default();
    for event in &events {
        happen(&store, event).await;
        if let Event::Follow { limit, steps } = event {
            for _ in 0..*steps {
                replica.step(&store, u32::from(*limit)).await;
            }
        }
    }
    while !replica.step(&store, 3).await {}
    let snapshot = store.snapshot().await.unwrap();
    let expected: BTreeMap<_, _> = snapshot.records.into_iter().map(|record| (record.id(), record)).collect();
    assert_eq!((&replica.epoch, replica.version), (&snapshot.epoch, snapshot.version));
    assert_eq!(replica.records, expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn a_replica_of_snapshot_and_changes_equals_the_store(events in prop::collection::vec(event(), 0..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            a_replica_follows(&Engine::Memory, events.clone()).await;
            if let Some(engine) = Engine::postgres().await {
                a_replica_follows(&engine, events).await;
            }
        });
    }
}

async fn a_replica_too_far_behind_is_told_so(engine: Engine) {
    let store = engine.filled().await;
    for seed in 1..=10 {
        add_credential(&store, seed, 1).await.unwrap();
    }
    store.prune_feed(4).await.unwrap();
    assert_eq!(store.feed().await.unwrap().floor, 6);
    assert!(matches!(store.changes_since("first", 5, 100).await.unwrap(), Changes::Unknown));
    let Changes::Known { version: 10, changed, removed } = store.changes_since("first", 6, 100).await.unwrap() else {
        panic!("version 6 is still known");
    };
    assert_eq!((changed.len(), removed.len()), (4, 0));
}

async fn another_epoch_and_a_version_of_the_future_are_unknown(engine: Engine) {
    let store = engine.filled().await;
    add_credential(&store, 1, 1).await.unwrap();
    assert!(matches!(store.changes_since("other", 1, 100).await.unwrap(), Changes::Unknown));
    assert!(matches!(store.changes_since("first", 2, 100).await.unwrap(), Changes::Unknown));
    assert!(matches!(store.changes_since("first", 1, 100).await.unwrap(), Changes::Known { version: 1, .. }));
    store.begin_feed("second").await.unwrap();
    assert_eq!(store.feed().await.unwrap().epoch, "first", "a feed begins once");
}

on_every_engine!(memory: a_replica_too_far_behind_is_told_so, another_epoch_and_a_version_of_the_future_are_unknown);
