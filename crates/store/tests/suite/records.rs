//! Records come back as they were put.

use portway_names::{HostName, TlsCertificateId};
use portway_store::{Certificate, StoreError};

use crate::engine::{Engine, on_every_engine};
use crate::{START, TTL, ksuid};

async fn a_certificate_is_replaced_under_its_id(engine: Engine) {
    let store = engine.filled().await;
    let first = Certificate {
        id: TlsCertificateId::new(ksuid(1)),
        names: vec!["*.example.com".to_owned(), "127.0.0.1".to_owned()],
        chain_pem: "pem".to_owned(),
        sealed_key: "sealed".to_owned(),
        connect: false,
        not_before: START,
        not_after: START + TTL,
    };
    store.put_certificate(&first, START).await.unwrap();
    let second = Certificate { sealed_key: "another".to_owned(), connect: true, ..first };
    store.put_certificate(&second, START).await.unwrap();
    assert_eq!(store.certificates().await.unwrap(), std::slice::from_ref(&second));
    store.remove_certificate(&second.id, START).await.unwrap();
    assert_eq!(store.certificates().await.unwrap(), []);
}

async fn a_secret_is_never_overwritten(engine: Engine) {
    let store = engine.filled().await;
    assert!(!store.has_secrets().await.unwrap());
    store.add_secret("ca", "sealed").await.unwrap();
    assert!(matches!(store.add_secret("ca", "other").await, Err(StoreError::Exists { .. })));
    assert_eq!(store.secret("ca").await.unwrap().as_deref(), Some("sealed"));
    assert!(store.has_secrets().await.unwrap());
}

async fn connect_names_change_by_difference_only(engine: Engine) {
    let store = engine.filled().await;
    let host = |text: &str| text.parse::<HostName>().unwrap();
    store.put_connect_names(&[host("connect.example.com"), host("eu.example.com")], START).await.unwrap();
    assert_eq!(store.feed().await.unwrap().version, 2);
    store.put_connect_names(&[host("eu.example.com"), host("connect.example.com")], START).await.unwrap();
    assert_eq!(store.feed().await.unwrap().version, 2);
    store.put_connect_names(&[host("eu.example.com")], START).await.unwrap();
    assert_eq!(store.feed().await.unwrap().version, 3);
    assert_eq!(store.connect_names().await.unwrap(), [host("eu.example.com")]);
}

async fn settings_are_kept_and_the_base_domain_is_followed(engine: Engine) {
    let store = engine.filled().await;
    assert_eq!(store.setting("instance").await.unwrap(), None);
    store.put_setting("instance", "one").await.unwrap();
    store.put_setting("instance", "two").await.unwrap();
    assert_eq!(store.setting("instance").await.unwrap().as_deref(), Some("two"));
    assert_eq!(store.feed().await.unwrap().version, 0);
    store.put_base_domain("example.com", START).await.unwrap();
    store.put_base_domain("example.com", START).await.unwrap();
    assert_eq!(store.feed().await.unwrap().version, 1);
}

on_every_engine!(memory: a_certificate_is_replaced_under_its_id, a_secret_is_never_overwritten, connect_names_change_by_difference_only, settings_are_kept_and_the_base_domain_is_followed);
