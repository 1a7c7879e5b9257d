//! One suite for every engine: what the interface promises, whatever is below it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod accounts;
mod backup;
mod bootstrap;
mod crash;
mod engine;
mod feed;
mod leases;
mod lifecycle;
mod migration;
mod names;
mod owners;
#[path = "../postgres/mod.rs"]
mod postgres;
mod records;
mod resource_model;
mod resources;
mod server;
mod work;

use std::time::Duration;

use portway_names::{AccountId, CredentialId, Ksuid, LeaseId};
use portway_store::{Account, Audit, Content, InUse, NewResource, Resource, ResourceError, Store, Timestamp};

/// The suite's clock starts here.
const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// How long an edge counts as alive.
const TTL: Duration = Duration::from_secs(60);

fn ksuid(seed: u8) -> Ksuid {
    Ksuid::from_parts(START.unix_secs(), [seed; 16])
}

fn account_id(seed: u8) -> AccountId {
    AccountId::new(ksuid(seed))
}

fn credential_id(seed: u8) -> CredentialId {
    CredentialId::new(ksuid(seed))
}

fn lease_id(seed: u8) -> LeaseId {
    LeaseId::new(ksuid(seed))
}

fn account(seed: u8) -> Account {
    Account {
        id: account_id(seed),
        name: format!("account {seed}"),
        description: String::new(),
        suspended: false,
        created: START,
    }
}

/// What edges follow, small and often: an authtoken.
fn credential(seed: u8, account: u8) -> NewResource {
    let content = Content {
        body: format!(r#"{{"description":"a \"description\" with 'quotes' and ünïcode","seed":{seed}}}"#),
        keys: vec![format!("digest {seed}")],
        ..Content::default()
    };
    let (id, kind) = (credential_id(seed).to_string(), "credential".to_owned());
    NewResource { id, kind, account: account_id(account), followed: true, content }
}

async fn add_credential(store: &Store, seed: u8, account: u8) -> Result<Resource, ResourceError> {
    store.create_resource(&credential(seed, account), &Audit::default(), START).await
}

/// Whether it was there.
async fn remove_credential(store: &Store, seed: u8) -> bool {
    let (account, id) = (account_id(1), credential_id(seed).to_string());
    match store.delete_resource(&account, "credential", &id, InUse::Refuse, &Audit::default(), START).await {
        Ok(_) => true,
        Err(ResourceError::Missing { .. }) => false,
        Err(error) => panic!("{error}"),
    }
}

/// Those of account 1.
async fn credentials(store: &Store) -> Vec<Resource> {
    store.resources(&account_id(1), "credential", None, 1000).await.expect("readable")
}
