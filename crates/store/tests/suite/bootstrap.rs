//! The first account, however often its making is interrupted.

use portway_store::{Content, FirstAccount, NewResource};

use crate::engine::{Engine, on_every_engine};
use crate::resources::audit;
use crate::{START, account, account_id, credential, credential_id, credentials, ksuid};

/// An account with a user and an authtoken of the user.
fn first(seed: u8) -> FirstAccount {
    let account = account(seed);
    let id = format!("usr_{}", ksuid(seed));
    let mut owned = credential(seed, seed);
    owned.content.refs.push(id.clone());
    let body = format!("hash {seed}");
    let content = Content { body, keys: vec!["admin@example.com".to_owned()], ..Content::default() };
    let user = NewResource { id, kind: "user".to_owned(), account: account.id, followed: false, content };
    FirstAccount { account, resources: vec![user, owned], audit: audit("first start") }
}

async fn an_unconfirmed_start_is_replaced_and_a_confirmed_one_is_not(engine: Engine) {
    let store = engine.open().await;
    store.begin_feed("first").await.unwrap();
    assert_eq!(store.put_first_account(&first(1), START).await.unwrap(), Some(account_id(1)));
    assert!(!store.bootstrap_confirmed().await.unwrap());

    assert_eq!(store.put_first_account(&first(2), START).await.unwrap(), Some(account_id(1)), "the account stays");
    let left = credentials(&store).await;
    assert_eq!(left.len(), 1, "the lost authtoken is gone");
    assert_eq!((&left[0].id, left[0].account), (&credential_id(2).to_string(), account_id(1)));
    let user = store.resource_by_key("user", "admin@example.com").await.unwrap().unwrap();
    assert_eq!((user.body.as_str(), user.account), ("hash 2", account_id(1)));
    // Two made, two removed, two made.
    assert_eq!(store.audit_log(&account_id(1), None, 100).await.unwrap().len(), 6);
    assert_eq!(store.accounts().await.unwrap().len(), 1);

    store.confirm_bootstrap().await.unwrap();
    assert!(store.bootstrap_confirmed().await.unwrap());
    assert_eq!(store.put_first_account(&first(3), START).await.unwrap(), None);
    assert_eq!(credentials(&store).await.len(), 1);
}

on_every_engine!(memory: an_unconfirmed_start_is_replaced_and_a_confirmed_one_is_not);
