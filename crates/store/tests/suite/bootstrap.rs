//! The first account, however often its making is interrupted.

use portway_names::{ApiKeyId, UserId};
use portway_store::{Account, ApiKey, Digest, FirstAccount, User};

use crate::engine::{Engine, on_every_engine};
use crate::{START, account_id, credential, ksuid};

fn first(seed: u8) -> FirstAccount {
    let account = account_id(seed);
    FirstAccount {
        account: Account { id: account, name: "default".to_owned(), created: START },
        user: User {
            id: UserId::new(ksuid(seed)),
            account,
            email: "admin@example.com".to_owned(),
            password_hash: format!("hash {seed}"),
            created: START,
        },
        credential: credential(seed, seed),
        api_key: ApiKey {
            id: ApiKeyId::new(ksuid(seed)),
            account,
            user: UserId::new(ksuid(seed)),
            digest: Digest::new([seed; 32]),
            description: String::new(),
            metadata: String::new(),
            created: START,
        },
    }
}

async fn an_unconfirmed_start_is_replaced_and_a_confirmed_one_is_not(engine: Engine) {
    let store = engine.open().await;
    store.begin_feed("first").await.unwrap();
    assert_eq!(store.put_first_account(&first(1), START).await.unwrap(), Some(account_id(1)));
    assert!(!store.bootstrap_confirmed().await.unwrap());

    assert_eq!(store.put_first_account(&first(2), START).await.unwrap(), Some(account_id(1)), "the account stays");
    let credentials = store.credentials().await.unwrap();
    assert_eq!(credentials.len(), 1, "the lost authtoken is gone");
    assert_eq!((credentials[0].id, credentials[0].account), (credential(2, 1).id, account_id(1)));
    assert_eq!(store.api_key_by_digest(&Digest::new([1; 32])).await.unwrap(), None);
    assert!(store.api_key_by_digest(&Digest::new([2; 32])).await.unwrap().is_some());
    let user = store.user_by_email("admin@example.com").await.unwrap().unwrap();
    assert_eq!(store.user(&user.id).await.unwrap().as_ref(), Some(&user));
    assert_eq!(user.password_hash, "hash 2");
    assert_eq!(store.accounts().await.unwrap().len(), 1);

    store.confirm_bootstrap().await.unwrap();
    assert!(store.bootstrap_confirmed().await.unwrap());
    assert_eq!(store.put_first_account(&first(3), START).await.unwrap(), None);
    assert_eq!(store.credentials().await.unwrap().len(), 1);
}

on_every_engine!(memory: an_unconfirmed_start_is_replaced_and_a_confirmed_one_is_not);
