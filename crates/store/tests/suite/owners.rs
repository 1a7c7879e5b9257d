//! What becomes of what is owned when the owner changes or goes: a user, its memberships in two accounts, and authtokens by way of them.

use portway_store::{Change, Changes, Content, Following, InUse, NewResource, Referrer, ResourceError, Store};

use crate::engine::{Engine, on_every_engine};
use crate::resources::{audit, content};
use crate::{START, account_id, credential, credential_id};

const OWNED: &[&str] = &["credential", "membership"];

fn new(id: &str, kind: &str, account: u8, content: Content) -> NewResource {
    NewResource { id: id.to_owned(), kind: kind.to_owned(), account: account_id(account), followed: false, content }
}

async fn create(store: &Store, new: &NewResource) {
    store.create_resource(new, &audit("create"), START).await.expect("nothing is in the way");
}

/// A user of account 1, with a membership in accounts 1 and 2 each, and an authtoken of each.
async fn owner(store: &Store) {
    create(store, &new("usr_1", "user", 1, content("{}", &[], &[]))).await;
    for account in [1, 2] {
        let outside_refs = vec!["usr_1".to_owned()];
        let member = Content { outside_refs, ..content("{}", &[], &[]) };
        create(store, &new(&format!("mbr_{account}"), "membership", account, member)).await;
        let mut owned = credential(account, account);
        owned.content.refs = vec![format!("mbr_{account}")];
        create(store, &owned).await;
    }
}

async fn set_followed(store: &Store, kind: &str, id: &str, account: u8, followed: bool) {
    let following = Following { followed, kinds: &["credential"], through: &["membership"] };
    let change = |_: &_| {
        let (content, audit) = (content("{}", &[], &[]), audit("update"));
        Ok::<_, ResourceError>(Change { content, audit, referrers: Some(following) })
    };
    store.modify_resource(&account_id(account), kind, id, START, change).await.expect("nothing is in the way");
}

/// Ids of what edges are given, and of what is gone, after a version.
async fn heard(store: &Store, version: u64) -> (Vec<String>, Vec<String>) {
    let Changes::Known { changed, removed, .. } = store.changes_since("first", version, 100).await.unwrap() else {
        panic!("the feed is whole")
    };
    (changed.iter().map(portway_store::Record::id).collect(), removed)
}

async fn an_account_refers_to_what_is_outside_only_when_the_caller_knows_that_it_may(engine: Engine) {
    let store = engine.filled().await;
    create(&store, &new("usr_1", "user", 1, content("{}", &[], &[]))).await;
    let member = new("mbr_2", "membership", 2, content("{}", &[], &["usr_1"]));
    let refused = store.create_resource(&member, &audit("create"), START).await.unwrap_err();
    assert!(matches!(refused, ResourceError::NoTarget { .. }), "{refused}");
    let outside = |id: &str| Content { outside_refs: vec![id.to_owned()], ..Content::default() };
    let refused =
        store.create_resource(&new("mbr_2", "membership", 2, outside("usr_9")), &audit("create"), START).await;
    assert!(matches!(refused, Err(ResourceError::NoTarget { .. })), "{refused:?}");
    create(&store, &new("mbr_2", "membership", 2, outside("usr_1"))).await;
    let expected = Referrer { id: "mbr_2".to_owned(), kind: "membership".to_owned() };
    assert_eq!(store.resource_referrers("usr_1", 10).await.unwrap(), [expected]);
}

async fn what_an_inactive_owner_has_is_taken_from_edges_and_given_back(engine: Engine) {
    let store = engine.filled().await;
    owner(&store).await;
    create(&store, &credential(3, 1)).await;
    let ids = [1, 2].map(|seed| credential_id(seed).to_string()).to_vec();
    set_followed(&store, "user", "usr_1", 1, false).await;
    assert_eq!(heard(&store, 3).await, (vec![], ids.clone()));
    assert_eq!(store.snapshot().await.unwrap().records.len(), 1, "that of another owner stays");
    set_followed(&store, "user", "usr_1", 1, false).await;
    assert_eq!(store.feed().await.unwrap().version, 5, "what is so already is not announced");
    set_followed(&store, "membership", "mbr_2", 2, true).await;
    assert_eq!(heard(&store, 5).await, (vec![ids[1].clone()], vec![]));
    set_followed(&store, "user", "usr_1", 1, true).await;
    assert_eq!(heard(&store, 6).await, (vec![ids[0].clone()], vec![]));
}

async fn an_owner_goes_with_what_it_owns_and_with_nothing_else(engine: Engine) {
    let store = engine.filled().await;
    owner(&store).await;
    create(&store, &new("rd_1", "domain", 1, content("{}", &[], &["mbr_1"]))).await;
    let delete = |in_use| {
        let told = portway_store::Audit { before: Some("{}".to_owned()), ..audit("delete") };
        let store = store.clone();
        async move { store.delete_resource(&account_id(1), "user", "usr_1", in_use, &told, START).await }
    };
    for (in_use, by) in
        [(InUse::Refuse, "mbr_1"), (InUse::DeleteWith(&["membership"]), "cr_"), (InUse::DeleteWith(OWNED), "rd_1")]
    {
        let refused = delete(in_use).await.unwrap_err();
        let ResourceError::InUse { id, referrers } = refused else { panic!("{refused}") };
        assert!(id == "usr_1" && referrers.iter().any(|one| one.id.starts_with(by)), "{in_use:?}: {referrers:?}");
    }
    assert_eq!(store.feed().await.unwrap().version, 2);
    store.delete_resource(&account_id(1), "domain", "rd_1", InUse::Refuse, &audit("delete"), START).await.unwrap();
    assert_eq!(delete(InUse::DeleteWith(OWNED)).await.unwrap().id, "usr_1");
    assert_eq!(heard(&store, 2).await, (vec![], [1, 2].map(|seed| credential_id(seed).to_string()).to_vec()));
    for kind in ["membership", "credential"] {
        assert_eq!(store.resource_count(&account_id(2), kind).await.unwrap(), 0);
    }
    let log = store.audit_log(&account_id(2), None, 2).await.unwrap();
    assert!(log.iter().all(|entry| entry.audit == audit("delete")), "{log:?}");
    let own = store.audit_log(&account_id(1), None, 3).await.unwrap();
    assert_eq!(own.iter().filter(|entry| entry.audit.before.is_some()).count(), 1);
}

async fn what_a_creation_saw_is_still_so_when_it_is_made(engine: Engine) {
    let store = engine.filled().await;
    create(&store, &new("usr_1", "user", 1, content("true", &[], &[]))).await;
    let make = |followed| {
        let new = NewResource { followed, ..new("rd_1", "domain", 2, content("{}", &[], &[])) };
        Ok::<_, ResourceError>((new, audit("create")))
    };
    let ids = ["usr_1".to_owned(), "usr_9".to_owned()];
    let refused = store.create_resource_seeing(&ids, START, |seen| {
        assert_eq!(seen.iter().map(|seen| seen.id.as_str()).collect::<Vec<_>>(), ["usr_1"]);
        make(false)?;
        Err(ResourceError::NoTarget { target: "usr_9".to_owned() })
    });
    assert!(matches!(refused.await, Err(ResourceError::NoTarget { .. })));
    assert_eq!(store.resource_of_any_account("domain", "rd_1").await.unwrap(), None);
    let made = store.create_resource_seeing(&ids, START, |seen| make(seen[0].body == "true")).await.unwrap();
    assert!(made.followed);
    assert_eq!(store.resource_of_any_account("domain", "rd_1").await.unwrap(), Some(made));
    assert_eq!(store.resource_of_any_account("address", "rd_1").await.unwrap(), None);
}

on_every_engine!(
    memory: an_account_refers_to_what_is_outside_only_when_the_caller_knows_that_it_may,
    what_an_inactive_owner_has_is_taken_from_edges_and_given_back,
    an_owner_goes_with_what_it_owns_and_with_nothing_else,
    what_a_creation_saw_is_still_so_when_it_is_made,
);
