//! Whatever happens, the store's resources are those of a model that fits on a page.

use std::collections::{BTreeMap, BTreeSet};

use portway_store::{InUse, NewResource, Resource, ResourceError, Store};
use proptest::prelude::*;

use crate::engine::Engine;
use crate::resources::{audit, content};
use crate::{START, account_id};

const KIND: &str = "domain";

#[derive(Debug, Clone)]
enum Event {
    Create { id: u8, account: u8, said: Said },
    Update { id: u8, account: u8, seen: u64, said: Said },
    Delete { id: u8, account: u8, anyway: bool },
}

#[derive(Debug, Clone)]
struct Said {
    body: u8,
    keys: BTreeSet<u8>,
    refs: BTreeSet<u8>,
}

#[derive(Debug, Clone)]
struct Modelled {
    account: u8,
    version: u64,
    said: Said,
}

type Model = BTreeMap<u8, Modelled>;

fn said() -> impl Strategy<Value = Said> {
    let few = || prop::collection::btree_set(0..5_u8, 0..3);
    (any::<u8>(), few(), few()).prop_map(|(body, keys, refs)| Said { body, keys, refs })
}

fn event() -> impl Strategy<Value = Event> {
    let account = || prop_oneof![4 => Just(1_u8), 1 => Just(2_u8)];
    prop_oneof![
        4 => (0..5_u8, account(), said()).prop_map(|(id, account, said)| Event::Create { id, account, said }),
        4 => (0..5_u8, account(), 1..4_u64, said())
            .prop_map(|(id, account, seen, said)| Event::Update { id, account, seen, said }),
        2 => (0..5_u8, account(), any::<bool>())
            .prop_map(|(id, account, anyway)| Event::Delete { id, account, anyway }),
    ]
}

/// What the model says to an event, in a word; what happened is in the model afterwards.
fn expect(model: &mut Model, event: &Event) -> &'static str {
    match event {
        Event::Create { id, .. } if model.contains_key(id) => "exists",
        Event::Create { id, account, said } => {
            put(model, *id, Modelled { account: *account, version: 1, said: said.clone() })
        }
        Event::Update { id, account, seen, said } => match model.get(id) {
            Some(found) if found.account == *account && found.version == *seen => {
                let version = found.version + 1;
                put(model, *id, Modelled { account: *account, version, said: said.clone() })
            }
            Some(found) if found.account == *account => "stale",
            _ => "missing",
        },
        Event::Delete { id, account, anyway } => {
            if model.get(id).is_none_or(|found| found.account != *account) {
                return "missing";
            }
            if !anyway && model.iter().any(|(other, found)| other != id && found.said.refs.contains(id)) {
                return "in use";
            }
            model.remove(id);
            for found in model.values_mut() {
                found.said.refs.remove(id);
            }
            "done"
        }
    }
}

fn put(model: &mut Model, id: u8, new: Modelled) -> &'static str {
    let taken = |key| model.iter().any(|(other, found)| *other != id && found.said.keys.contains(key));
    if new.said.keys.iter().any(taken) {
        return "key taken";
    }
    // What was referred to before may be referred to again, and a resource to itself.
    let there = |target: &u8| *target == id || model.get(target).is_some_and(|found| found.account == new.account);
    if !new.said.refs.iter().all(there) {
        return "no target";
    }
    model.insert(id, new);
    "done"
}

fn content_of(said: &Said) -> portway_store::Content {
    let keys: Vec<String> = said.keys.iter().map(u8::to_string).collect();
    let refs: Vec<String> = said.refs.iter().map(|id| format!("rd_{id}")).collect();
    content(
        &said.body.to_string(),
        &keys.iter().map(String::as_str).collect::<Vec<_>>(),
        &refs.iter().map(String::as_str).collect::<Vec<_>>(),
    )
}

async fn happen(store: &Store, event: &Event) -> &'static str {
    let audit = audit("change");
    let done = match event {
        Event::Create { id, account, said } => {
            let (kind, account) = (KIND.to_owned(), account_id(*account));
            let content = content_of(said);
            let new = NewResource { id: format!("rd_{id}"), kind, account, followed: id % 2 == 0, content };
            store.create_resource(&new, &audit, START).await
        }
        Event::Update { id, account, seen, said } => {
            let (id, content) = (format!("rd_{id}"), content_of(said));
            store.update_resource(&account_id(*account), KIND, &id, *seen, &content, &audit, START).await
        }
        Event::Delete { id, account, anyway } => {
            let in_use = if *anyway { InUse::DeleteAnyway } else { InUse::Refuse };
            store.delete_resource(&account_id(*account), KIND, &format!("rd_{id}"), in_use, &audit, START).await
        }
    };
    match done {
        Ok(_) => "done",
        Err(ResourceError::Exists { .. }) => "exists",
        Err(ResourceError::Missing { .. }) => "missing",
        Err(ResourceError::Stale { .. }) => "stale",
        Err(ResourceError::KeyTaken { .. }) => "key taken",
        Err(ResourceError::NoTarget { .. }) => "no target",
        Err(ResourceError::InUse { .. }) => "in use",
        Err(error) => panic!("{error}"),
    }
}

async fn the_store_is_the_model(engine: &Engine, events: &[Event]) {
    let store = engine.filled().await;
    let (mut model, mut changes, mut announced) = (Model::new(), 0, 0);
    for event in events {
        let expected = expect(&mut model, event);
        assert_eq!(happen(&store, event).await, expected, "{event:?}");
        changes += usize::from(expected == "done");
        let (Event::Create { id, .. } | Event::Update { id, .. } | Event::Delete { id, .. }) = event;
        announced += u64::from(expected == "done" && id % 2 == 0);
    }
    let mut logged = 0;
    for account in [1, 2] {
        let page = store.resources(&account_id(account), KIND, None, 100).await.unwrap();
        let shown = |resource: &Resource| (resource.id.clone(), resource.version, resource.body.clone());
        let expected = model.iter().rev().filter(|(_, found)| found.account == account);
        let expected = expected.map(|(id, found)| (format!("rd_{id}"), found.version, found.said.body.to_string()));
        assert_eq!(page.iter().map(shown).collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        let log = store.audit_log(&account_id(account), None, 1000).await.unwrap();
        logged += log.iter().filter(|entry| entry.kind == KIND).count();
    }
    assert_eq!((logged, store.feed().await.unwrap().version), (changes, announced));
    for key in 0..5 {
        let owner = model.iter().find(|(_, found)| found.said.keys.contains(&key)).map(|(id, _)| format!("rd_{id}"));
        let found = store.resource_by_key(KIND, &key.to_string()).await.unwrap();
        assert_eq!(found.map(|found| found.id), owner);
    }
    for id in 0..5 {
        let users = model.iter().filter(|(_, found)| found.said.refs.contains(&id)).map(|(id, _)| format!("rd_{id}"));
        let found = store.resource_referrers(&format!("rd_{id}"), 100).await.unwrap();
        assert_eq!(found.into_iter().map(|found| found.id).collect::<Vec<_>>(), users.collect::<Vec<_>>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn the_stores_resources_are_those_of_a_model(events in prop::collection::vec(event(), 0..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            the_store_is_the_model(&Engine::Memory, &events).await;
            if let Some(engine) = Engine::postgres().await {
                the_store_is_the_model(&engine, &events).await;
            }
        });
    }
}
