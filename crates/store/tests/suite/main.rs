//! One suite for every engine: what the interface promises, whatever is below it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod backup;
mod bootstrap;
mod crash;
mod engine;
mod feed;
mod leases;
mod lifecycle;
mod migration;
#[path = "../postgres/mod.rs"]
mod postgres;
mod records;
mod resource_model;
mod resources;
mod server;

use std::time::Duration;

use portway_names::{AccountId, CredentialId, Ksuid, LeaseId};
use portway_store::{Credential, Digest, Timestamp};

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

fn credential(seed: u8, account: u8) -> Credential {
    Credential {
        id: credential_id(seed),
        account: account_id(account),
        account_name: format!("account {account}"),
        digest: Digest::new([seed; 32]),
        acl: vec!["bind:*.example.com".to_owned()],
        description: "a \"description\" with 'quotes' and ünïcode".to_owned(),
        metadata: String::new(),
        created: START,
    }
}
