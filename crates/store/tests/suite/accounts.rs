//! Accounts: what is said of them, and what it means for what they have.

use portway_names::AccountId;
use portway_store::{AccountChange, Audit, Changes, Record, ResourceError, Store};

use crate::engine::{Engine, on_every_engine};
use crate::resources::audit;
use crate::{START, TTL, account, account_id, add_credential, credential_id};

/// What edges hear of after a version: ids of what they are given, with the name of its account, and of what is gone.
async fn heard(store: &Store, version: u64) -> (Vec<(String, String)>, Vec<String>) {
    let Changes::Known { changed, removed, .. } = store.changes_since("first", version, 100).await.unwrap() else {
        panic!("the feed is whole")
    };
    let given = changed.into_iter().map(|record| match record {
        Record::Resource(followed) => (followed.resource.id, followed.account_name),
        other => panic!("{other:?}"),
    });
    (given.collect(), removed)
}

async fn change(store: &Store, seed: u8, change: AccountChange) -> Result<portway_store::Account, ResourceError> {
    store.update_account(&account_id(seed), &change, &audit("update"), START + TTL).await
}

async fn accounts_are_listed_in_pages_and_the_first_is_the_operators(engine: Engine) {
    let store = engine.open().await;
    assert_eq!(store.operator_account().await.unwrap(), None);
    store.begin_feed("first").await.unwrap();
    for seed in [1, 5, 3, 2, 4] {
        // Made in this order, whatever their ids.
        let account = portway_store::Account { created: START + TTL * u32::from(seed != 1), ..account(seed) };
        store.add_account(&account, &audit("create")).await.unwrap();
    }
    let again = store.add_account(&account(3), &audit("create")).await.unwrap_err();
    assert!(matches!(again, ResourceError::Exists { .. }), "{again}");
    assert_eq!(store.operator_account().await.unwrap().unwrap().id, account_id(1));
    assert_eq!(store.account(&account_id(3)).await.unwrap().unwrap().name, "account 3");
    assert_eq!(store.account(&account_id(9)).await.unwrap(), None);
    let page = async |before: Option<AccountId>, limit| {
        let page = store.accounts_page(before.as_ref(), limit).await.unwrap();
        page.into_iter().map(|account| account.id).collect::<Vec<_>>()
    };
    assert_eq!(page(None, 3).await, [5, 4, 3].map(account_id));
    assert_eq!(page(Some(account_id(3)), 3).await, [2, 1].map(account_id));
    let log = store.audit_log(&account_id(1), None, 100).await.unwrap();
    let seen: Vec<_> = log.iter().map(|entry| (entry.kind.as_str(), entry.id.clone())).collect();
    assert_eq!(seen, [4, 2, 3, 5, 1].map(|seed| ("account", account_id(seed).to_string())));
}

async fn a_new_name_reaches_edges_and_a_suspended_account_has_nothing_there(engine: Engine) {
    let store = engine.filled().await;
    for (seed, account) in [(1, 1), (2, 2), (3, 2)] {
        add_credential(&store, seed, account).await.unwrap();
    }
    let ids = [2, 3].map(|seed| credential_id(seed).to_string());
    let described = AccountChange { description: Some("a customer".to_owned()), ..AccountChange::default() };
    assert_eq!(change(&store, 2, described).await.unwrap().description, "a customer");
    assert_eq!(store.feed().await.unwrap().version, 3, "nothing that edges know");

    let renamed = AccountChange { name: Some("new".to_owned()), ..AccountChange::default() };
    change(&store, 2, renamed).await.unwrap();
    let given = ids.clone().map(|id| (id, "new".to_owned())).to_vec();
    assert_eq!(heard(&store, 3).await, (given.clone(), vec![]));

    let suspend = |suspended| AccountChange { suspended: Some(suspended), ..AccountChange::default() };
    change(&store, 2, suspend(true)).await.unwrap();
    assert_eq!(heard(&store, 5).await, (vec![], ids.to_vec()));
    assert_eq!(store.snapshot().await.unwrap().records.len(), 1);
    assert_eq!(store.followed("credential", &ids[0]).await.unwrap(), None);
    assert_eq!(store.followed_by_key("credential", "digest 2").await.unwrap(), None);
    // A new one is not given either.
    add_credential(&store, 4, 2).await.unwrap();
    assert_eq!(heard(&store, 7).await, (vec![], vec![credential_id(4).to_string()]));

    let back = change(&store, 2, suspend(false)).await.unwrap();
    assert_eq!((back.name.as_str(), back.description.as_str(), back.suspended), ("new", "a customer", false));
    let given = [2, 3, 4].map(|seed| (credential_id(seed).to_string(), "new".to_owned())).to_vec();
    assert_eq!(heard(&store, 8).await, (given, vec![]));
    let found = store.followed_by_key("credential", "digest 2").await.unwrap().unwrap();
    assert_eq!((&found.resource.id, found.account_name.as_str()), (&ids[0], "new"));
    assert_eq!(store.followed("credential", &ids[0]).await.unwrap(), Some(found));
    assert_eq!(store.followed("api_key", &ids[0]).await.unwrap(), None);
}

async fn an_account_goes_with_all_it_has_unless_it_is_the_first(engine: Engine) {
    let store = engine.filled().await;
    for (seed, account) in [(1, 1), (2, 2)] {
        add_credential(&store, seed, account).await.unwrap();
    }
    let claim = crate::leases::wish(2, 1, "https://app.example.com");
    let lease = claim.id.to_string();
    store.claim(&[claim], START, TTL).await.unwrap();
    for refused in [
        store.delete_account(&account_id(1), &audit("delete"), START).await,
        change(&store, 1, AccountChange { suspended: Some(true), ..AccountChange::default() }).await,
    ] {
        assert!(matches!(refused, Err(ResourceError::OperatorAccount)), "{refused:?}");
    }
    let before = store.feed().await.unwrap().version;
    let gone = store.delete_account(&account_id(2), &audit("delete"), START).await.unwrap();
    assert_eq!(gone, account(2));
    let (given, mut removed) = heard(&store, before).await;
    removed.sort();
    assert_eq!((given, removed), (vec![], vec![credential_id(2).to_string(), lease]));
    assert_eq!(store.leases().await.unwrap(), []);
    assert_eq!(store.resource_by_key("credential", "digest 2").await.unwrap(), None);
    assert!(store.resource_by_key("credential", "digest 1").await.unwrap().is_some());
    assert_eq!(store.accounts().await.unwrap(), [account(1)]);
    let missing = store.delete_account(&account_id(2), &Audit::default(), START).await.unwrap_err();
    assert!(matches!(missing, ResourceError::Missing { .. }), "{missing}");
    let newest = store.audit_log(&account_id(1), None, 1).await.unwrap().remove(0);
    assert_eq!((newest.audit.action.as_str(), newest.id), ("delete", account_id(2).to_string()));
}

async fn a_name_that_is_too_long_is_refused(engine: Engine) {
    let store = engine.filled().await;
    let long = "x".repeat(portway_store::RESOURCE_TEXT_MAX + 1);
    let refused = change(&store, 1, AccountChange { name: Some(long), ..AccountChange::default() }).await;
    assert!(matches!(refused, Err(ResourceError::Limit { what: "a name", .. })), "{refused:?}");
    assert_eq!(store.account(&account_id(1)).await.unwrap(), Some(account(1)));
}

on_every_engine!(
    memory: accounts_are_listed_in_pages_and_the_first_is_the_operators,
    a_new_name_reaches_edges_and_a_suspended_account_has_nothing_there,
    an_account_goes_with_all_it_has_unless_it_is_the_first,
    a_name_that_is_too_long_is_refused,
);
