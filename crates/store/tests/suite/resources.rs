//! Resources of the REST API: found, changed once by one, refused whole.

use portway_store::{
    Audit, Changes, Content, Followed, InUse, NewResource, RESOURCE_BODY_MAX, RESOURCE_KEYS_MAX, RESOURCE_TEXT_MAX,
    Record, Resource, ResourceError, Store,
};

use crate::engine::{Engine, on_every_engine};
use crate::{START, TTL, account_id};

pub(crate) fn audit(action: &str) -> Audit {
    Audit { who: "ak_1".to_owned(), address: "192.0.2.1".to_owned(), action: action.to_owned(), ..Audit::default() }
}

pub(crate) fn content(body: &str, keys: &[&str], refs: &[&str]) -> Content {
    let list = |list: &[&str]| list.iter().copied().map(str::to_owned).collect();
    Content { body: body.to_owned(), keys: list(keys), refs: list(refs), ..Content::default() }
}

fn new(id: &str, account: u8, content: Content) -> NewResource {
    NewResource { id: id.to_owned(), kind: "domain".to_owned(), account: account_id(account), followed: false, content }
}

async fn create(store: &Store, new: NewResource) -> Resource {
    store.create_resource(&new, &audit("create"), START).await.expect("nothing is in the way")
}

async fn update(store: &Store, account: u8, id: &str, seen: u64, content: Content) -> Result<Resource, ResourceError> {
    let audit = audit("update");
    store.update_resource(&account_id(account), "domain", id, seen, &content, &audit, START + TTL).await
}

async fn delete(store: &Store, account: u8, id: &str, in_use: InUse) -> Result<Resource, ResourceError> {
    store.delete_resource(&account_id(account), "domain", id, in_use, &audit("delete"), START).await
}

async fn ids(store: &Store, before: Option<&str>, limit: u32) -> Vec<String> {
    let page = store.resources(&account_id(1), "domain", before, limit).await.expect("readable");
    page.into_iter().map(|resource| resource.id).collect()
}

async fn a_resource_is_found_by_id_and_key_by_its_account(engine: Engine) {
    let store = engine.filled().await;
    let body = r#"{"name":"a \u0000 ünïcode 'quoted'"}"#;
    let made = create(&store, new("rd_1", 1, content(body, &["a.example.com"], &[]))).await;
    assert_eq!((made.version, made.body.as_str(), made.created, made.updated), (1, body, START, START));
    let found = async |account: u8, kind: &str, id: &str| store.resource(&account_id(account), kind, id).await.unwrap();
    assert_eq!(found(1, "domain", "rd_1").await.as_ref(), Some(&made));
    assert_eq!(found(2, "domain", "rd_1").await, None, "another account's does not exist");
    assert_eq!(found(1, "address", "rd_1").await, None);
    assert_eq!(store.resource_by_key("domain", "a.example.com").await.unwrap(), Some(made));
    assert_eq!(store.resource_by_key("address", "a.example.com").await.unwrap(), None);
    let again = store.create_resource(&new("rd_1", 2, content("{}", &[], &[])), &audit("create"), START).await;
    assert!(matches!(again, Err(ResourceError::Exists { id }) if id == "rd_1"));
    let of_nobody = store.create_resource(&new("rd_2", 77, content("{}", &[], &[])), &audit("create"), START).await;
    assert!(matches!(of_nobody, Err(ResourceError::Store(_))), "an account is there before its resources");
}

async fn pages_go_by_the_bytes_of_ids_and_do_not_move(engine: Engine) {
    let store = engine.filled().await;
    // Languages sort these otherwise: A a B b.
    let all = ["rd_b", "rd_a", "rd_Z", "rd_B", "rd_A", "rd_9", "rd_1"];
    for id in ["rd_a", "rd_Z", "rd_9", "rd_B", "rd_b", "rd_1", "rd_A"] {
        create(&store, new(id, 1, content("{}", &[], &[]))).await;
    }
    create(&store, new("rd_other", 2, content("{}", &[], &[]))).await;
    assert_eq!(ids(&store, None, 100).await, all);
    assert_eq!(ids(&store, None, 3).await, all[..3]);
    delete(&store, 1, "rd_Z", InUse::Refuse).await.unwrap();
    create(&store, new("rd_newest", 1, content("{}", &[], &[]))).await;
    assert_eq!(ids(&store, Some("rd_Z"), 3).await, all[3..6]);
    assert_eq!(ids(&store, Some("rd_9"), 3).await, all[6..]);
    assert_eq!(ids(&store, Some("rd_1"), 3).await, [""; 0]);
    assert_eq!(store.resource_count(&account_id(1), "domain").await.unwrap(), 7);
    assert_eq!(store.resource_count(&account_id(1), "address").await.unwrap(), 0);
}

async fn a_key_that_is_taken_is_named_with_its_owner_and_nothing_stays(engine: Engine) {
    let store = engine.filled().await;
    create(&store, new("rd_1", 1, content("{}", &["a.example.com"], &[]))).await;
    let second = new("rd_2", 2, content("{}", &["b.example.com", "a.example.com"], &[]));
    let second = NewResource { followed: true, ..second };
    let refused = store.create_resource(&second, &audit("create"), START).await.unwrap_err();
    let ResourceError::KeyTaken { kind, key, account, id } = &refused else { panic!("{refused}") };
    assert_eq!(
        (kind.as_str(), key.as_str(), *account, id.as_str()),
        ("domain", "a.example.com", account_id(1), "rd_1")
    );
    assert_eq!(store.resource(&account_id(2), "domain", "rd_2").await.unwrap(), None);
    assert_eq!(store.resource_by_key("domain", "b.example.com").await.unwrap(), None);
    assert_eq!(store.audit_log(&account_id(2), None, 10).await.unwrap(), []);
    assert_eq!(store.feed().await.unwrap().version, 0);
    assert_eq!(store.health().fault(), None, "a refusal is no failure of the database");
    let other_kind =
        NewResource { kind: "address".to_owned(), ..new("ra_1", 2, content("{}", &["a.example.com"], &[])) };
    create(&store, other_kind).await;
}

async fn a_stale_version_changes_nothing_and_a_fresh_one_replaces_everything(engine: Engine) {
    let store = engine.filled().await;
    create(&store, new("rd_1", 1, content("1", &["a", "b"], &[]))).await;
    create(&store, new("rd_t", 1, content("target", &[], &[]))).await;
    let second = update(&store, 1, "rd_1", 1, content("2", &["b", "c"], &["rd_t"])).await.unwrap();
    assert_eq!((second.version, second.body.as_str(), second.created, second.updated), (2, "2", START, START + TTL));
    let stale = update(&store, 1, "rd_1", 1, content("3", &["a"], &[])).await.unwrap_err();
    assert!(matches!(stale, ResourceError::Stale { expected: 1, found: 2, .. }), "{stale}");
    assert_eq!(store.resource(&account_id(1), "domain", "rd_1").await.unwrap(), Some(second.clone()));
    assert_eq!(store.resource_by_key("domain", "a").await.unwrap(), None, "a key that is not wanted is free");
    for key in ["b", "c"] {
        assert_eq!(store.resource_by_key("domain", key).await.unwrap(), Some(second.clone()));
    }
    assert_eq!(store.resource_referrers("rd_t", 10).await.unwrap()[0].id, "rd_1");
    let foreign = update(&store, 2, "rd_1", 2, content("3", &[], &[])).await.unwrap_err();
    assert!(matches!(foreign, ResourceError::Missing { .. }), "{foreign}");
    update(&store, 1, "rd_1", 2, content("3", &[], &[])).await.unwrap();
    assert_eq!(store.resource_referrers("rd_t", 10).await.unwrap(), []);
}

async fn what_needs_a_resource_comes_in_pages(engine: Engine) {
    let store = engine.filled().await;
    create(&store, new("rd_t", 1, content("{}", &[], &[]))).await;
    let wanted: Vec<String> = (0..25).map(|n| format!("rd_{n:02}")).collect();
    for id in &wanted {
        create(&store, new(id, 1, content(id, &[], &["rd_t"]))).await;
    }
    let other = NewResource { kind: "address".to_owned(), ..new("ra_1", 1, content("{}", &[], &["rd_t"])) };
    create(&store, other).await;
    for limit in [1, 7, 25, 100] {
        let (mut found, mut after) = (Vec::new(), String::new());
        loop {
            let page = store.resources_needing("rd_t", "domain", &after, limit).await.unwrap();
            assert!(page.len() <= limit as usize);
            let Some(last) = page.last() else { break };
            after = last.id.clone();
            found.extend(page.into_iter().map(|resource| (resource.id, resource.body)));
        }
        assert_eq!(found, wanted.iter().map(|id| (id.clone(), id.clone())).collect::<Vec<_>>(), "{limit}");
    }
}

async fn the_ids_of_what_changed_are_known_as_far_as_the_feed_reaches_back(engine: Engine) {
    let store = engine.filled().await;
    let followed = |id: &str| NewResource { followed: true, ..new(id, 1, content("{}", &[], &[])) };
    for id in ["rd_1", "rd_2", "rd_3"] {
        create(&store, followed(id)).await;
    }
    create(&store, new("rd_4", 1, content("{}", &[], &[]))).await;
    let since = async |epoch, version, limit| store.changed_ids(epoch, version, limit).await.unwrap();
    let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    assert_eq!(since("first", 0, 10).await, Some((3, ids(&["rd_1", "rd_2", "rd_3"]))));
    assert_eq!(since("first", 1, 1).await, Some((2, ids(&["rd_2"]))));
    assert_eq!(since("first", 3, 10).await, Some((3, vec![])));
    store.prune_feed(1).await.unwrap();
    for (epoch, version) in [("other", 3), ("first", 1), ("first", 4)] {
        assert_eq!(since(epoch, version, 10).await, None, "{epoch} {version}");
    }
}

async fn what_is_in_use_is_not_deleted_unless_the_caller_insists(engine: Engine) {
    let store = engine.filled().await;
    create(&store, new("rd_t", 1, content("{}", &["t"], &[]))).await;
    create(&store, new("rd_1", 1, content("{}", &[], &["rd_t"]))).await;
    for account in [1, 2] {
        let target = if account == 1 { "rd_missing" } else { "rd_t" };
        let unfounded = new("rd_2", account, content("{}", &[], &[target]));
        let refused = store.create_resource(&unfounded, &audit("create"), START).await.unwrap_err();
        assert!(matches!(&refused, ResourceError::NoTarget { target: named } if named == target), "{refused}");
    }
    let refused = delete(&store, 1, "rd_t", InUse::Refuse).await.unwrap_err();
    let ResourceError::InUse { id, referrers } = refused else { panic!("{refused}") };
    assert_eq!((id.as_str(), referrers[0].id.as_str(), referrers[0].kind.as_str()), ("rd_t", "rd_1", "domain"));
    let deleted = delete(&store, 1, "rd_t", InUse::DeleteAnyway).await.unwrap();
    assert_eq!(deleted.id, "rd_t");
    assert_eq!(store.resource_by_key("domain", "t").await.unwrap(), None);
    delete(&store, 1, "rd_1", InUse::Refuse).await.unwrap();
    assert!(matches!(delete(&store, 1, "rd_1", InUse::Refuse).await, Err(ResourceError::Missing { .. })));
    // What needs itself only is not in use.
    create(&store, new("rd_3", 1, content("{}", &[], &["rd_3"]))).await;
    delete(&store, 1, "rd_3", InUse::Refuse).await.unwrap();
}

async fn every_change_is_in_the_log_of_its_account(engine: Engine) {
    let store = engine.filled().await;
    create(&store, new("rd_1", 1, content("1", &[], &[]))).await;
    create(&store, new("rd_2", 2, content("1", &[], &[]))).await;
    let told = Audit { before: Some("1".to_owned()), after: Some("2".to_owned()), ..audit("update") };
    store
        .update_resource(&account_id(1), "domain", "rd_1", 1, &content("2", &[], &[]), &told, START + TTL)
        .await
        .unwrap();
    delete(&store, 1, "rd_1", InUse::Refuse).await.unwrap();
    let log = store.audit_log(&account_id(1), None, 3).await.unwrap();
    let seen: Vec<_> =
        log.iter().map(|entry| (entry.audit.action.as_str(), entry.kind.as_str(), entry.id.as_str())).collect();
    assert_eq!(seen, [("delete", "domain", "rd_1"), ("update", "domain", "rd_1"), ("create", "domain", "rd_1")]);
    assert_eq!((log[1].at, &log[1].audit), (START + TTL, &told));
    let older = store.audit_log(&account_id(1), Some(log[1].seq), 10).await.unwrap();
    assert_eq!(older[0], log[2]);
    assert_eq!(store.audit_log(&account_id(2), None, 10).await.unwrap().len(), 1);
    assert_eq!(store.prune_audit(&account_id(1), 2).await.unwrap(), 3);
    assert_eq!(store.audit_log(&account_id(1), None, 10).await.unwrap(), log[..2]);
    assert_eq!(store.audit_log(&account_id(2), None, 10).await.unwrap().len(), 1, "others keep theirs");
    assert_eq!(store.prune_audit(&account_id(1), 0).await.unwrap(), 1);
    create(&store, new("rd_3", 1, content("1", &[], &[]))).await;
    let log = store.audit_log(&account_id(1), None, 10).await.unwrap();
    assert_eq!(log.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [7, 6], "numbers go on");
}

async fn a_resource_is_found_with_what_it_needs(engine: Engine) {
    let store = engine.filled().await;
    create(&store, new("beyond", 1, content("beyond", &[], &[]))).await;
    create(&store, new("far", 1, content("far", &[], &["beyond"]))).await;
    create(&store, new("near", 1, content("near", &[], &["far"]))).await;
    create(&store, new("key", 1, content("key", &["k"], &["near"]))).await;
    let found = store.resource_by_key_with_needs("domain", "k").await.unwrap().unwrap();
    let needs: Vec<&str> = found.needs.iter().map(|needed| needed.id.as_str()).collect();
    assert_eq!((found.resource.id.as_str(), found.suspended, needs), ("key", false, vec!["near", "far"]));
    assert_eq!(store.resource_by_key_with_needs("domain", "other").await.unwrap(), None);
}

async fn edges_hear_of_the_kinds_they_follow(engine: Engine) {
    let store = engine.filled().await;
    create(&store, new("rd_quiet", 1, content("{}", &[], &[]))).await;
    assert_eq!(store.feed().await.unwrap().version, 0);
    create(&store, NewResource { followed: true, ..new("rd_1", 1, content("1", &[], &[])) }).await;
    let second = update(&store, 1, "rd_1", 1, content("2", &[], &[])).await.unwrap();
    let Changes::Known { version: 2, changed, removed } = store.changes_since("first", 0, 10).await.unwrap() else {
        panic!("two changes")
    };
    let followed = Followed { resource: second, account_name: "account 1".to_owned() };
    assert_eq!((changed, removed.len()), (vec![Record::Resource(followed.clone())], 0));
    assert!(store.snapshot().await.unwrap().records.contains(&Record::Resource(followed)));
    assert_eq!(store.snapshot().await.unwrap().records.len(), 1);
    delete(&store, 1, "rd_1", InUse::Refuse).await.unwrap();
    let Changes::Known { version: 3, changed, removed } = store.changes_since("first", 2, 10).await.unwrap() else {
        panic!("one change")
    };
    assert_eq!((changed.len(), removed), (0, vec!["rd_1".to_owned()]));
}

async fn what_is_too_long_is_named(engine: Engine) {
    let store = engine.filled().await;
    let long = "x".repeat(RESOURCE_TEXT_MAX + 1);
    let many: Vec<String> = (0..=RESOURCE_KEYS_MAX).map(|key| key.to_string()).collect();
    for (what, new) in [
        ("a body", new("rd_1", 1, content(&"x".repeat(RESOURCE_BODY_MAX + 1), &[], &[]))),
        ("a key", new("rd_1", 1, content("{}", &[&long], &[]))),
        ("a key", new("rd_1", 1, content("{}", &["nul\0"], &[]))),
        ("a reference", new("rd_1", 1, content("{}", &[], &[&long]))),
        ("keys", new("rd_1", 1, Content { keys: many, ..content("{}", &[], &[]) })),
        ("an id", new(&long, 1, content("{}", &[], &[]))),
    ] {
        let refused = store.create_resource(&new, &audit("create"), START).await.unwrap_err();
        assert!(matches!(refused, ResourceError::Limit { what: named, .. } if named == what), "{what}: {refused}");
    }
    let largest = content(&"x".repeat(RESOURCE_BODY_MAX), &[&"k".repeat(RESOURCE_TEXT_MAX)], &[]);
    create(&store, new(&"i".repeat(RESOURCE_TEXT_MAX), 1, largest)).await;
}

/// Two processes, several writers in each: an update that was acknowledged is in the sum.
async fn no_update_is_lost_among_writers(engine: Engine) {
    const WRITERS: u64 = 8;
    const EACH: u64 = 15;
    let stores = [engine.filled().await, engine.open().await];
    create(&stores[0], new("rd_1", 1, content("0", &[], &[]))).await;
    let writers = (0..WRITERS).map(|writer| {
        let store = stores[usize::from(writer % 2 == 0)].clone();
        tokio::spawn(async move {
            for _ in 0..EACH {
                if writer < WRITERS / 2 { add_seen(&store).await } else { add_inside(&store).await }
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let sum = stores[0].resource(&account_id(1), "domain", "rd_1").await.unwrap().unwrap();
    assert_eq!((sum.body, sum.version), ((WRITERS * EACH).to_string(), 1 + WRITERS * EACH));
    let log = stores[0].audit_log(&account_id(1), None, 1000).await.unwrap();
    assert_eq!(log.iter().filter(|entry| entry.kind == "domain").count() as u64, 1 + WRITERS * EACH);
}

fn one_more(resource: &Resource) -> Content {
    content(&(resource.body.parse::<u64>().expect("a number") + 1).to_string(), &[], &[])
}

/// By the version that was seen, until it is the newest.
async fn add_seen(store: &Store) {
    loop {
        let seen = store.resource(&account_id(1), "domain", "rd_1").await.unwrap().unwrap();
        match update(store, 1, "rd_1", seen.version, one_more(&seen)).await {
            Ok(_) => return,
            Err(ResourceError::Stale { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// In the transaction.
async fn add_inside(store: &Store) {
    let change = |resource: &Resource| Ok::<_, ResourceError>((one_more(resource), audit("update")));
    store.modify_resource(&account_id(1), "domain", "rd_1", START, change).await.unwrap();
}

on_every_engine!(
    file: a_resource_is_found_by_id_and_key_by_its_account,
    pages_go_by_the_bytes_of_ids_and_do_not_move,
    a_key_that_is_taken_is_named_with_its_owner_and_nothing_stays,
    a_stale_version_changes_nothing_and_a_fresh_one_replaces_everything,
    what_needs_a_resource_comes_in_pages,
    the_ids_of_what_changed_are_known_as_far_as_the_feed_reaches_back,
    what_is_in_use_is_not_deleted_unless_the_caller_insists,
    every_change_is_in_the_log_of_its_account,
    a_resource_is_found_with_what_it_needs,
    edges_hear_of_the_kinds_they_follow,
    what_is_too_long_is_named,
    no_update_is_lost_among_writers,
);
