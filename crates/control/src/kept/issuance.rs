//! How far a certificate is that is ordered from an ACME authority. It stands in the body of the resource that the certificate is for.

use portway_store::Timestamp;
use serde::{Deserialize, Serialize};

use crate::seal::resource_context;

/// Certificates of one name, from the first order to the last renewal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Issuance {
    /// Another one for each policy: what was ordered for an earlier one comes too late.
    pub(crate) id: String,
    /// When something is to be done next, in milliseconds since 1970.
    pub(crate) due_ms: i64,
    /// When it was begun to get the certificate that is not there yet.
    pub(crate) started_ms: i64,
    /// When the present certificate is to be renewed; none before the first one.
    pub(crate) renews_ms: Option<i64>,
    /// What went wrong last.
    pub(crate) trouble: Option<Trouble>,
    /// Times in a row that it went wrong.
    pub(crate) failures: u32,
    pub(crate) order: Option<Order>,
    /// What edges show to the authority.
    pub(crate) proofs: Vec<Proof>,
}

/// What keeps a certificate from being there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Trouble {
    /// The owner of the name has to do something.
    pub(crate) of_owner: bool,
    pub(crate) msg: String,
    /// When it is tried again by itself.
    pub(crate) retries_ms: i64,
}

/// A certificate that is being ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    /// Its private key, PKCS#8 DER, sealed: it is there before anything is ordered for it.
    pub(crate) key: String,
    /// Where the authority has the order; none before it was placed.
    pub(crate) url: Option<String>,
    /// Which way to prove the names is gone: another one after a failure.
    pub(crate) turn: u32,
    /// The authority was told to look at the proofs.
    pub(crate) shown: bool,
    /// Times that the authority was asked since.
    pub(crate) polls: u32,
}

/// What an edge shows to the authority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "way", rename_all = "lowercase")]
pub(crate) enum Proof {
    /// At `http://<host>/.well-known/acme-challenge/<token>`.
    Http { host: String, token: String, text: String },
    /// In a certificate for `acme-tls/1`; the digest is in base64.
    Alpn { host: String, digest: String },
    /// As TXT record at this name.
    Dns { name: String, text: String },
}

impl Issuance {
    pub(crate) fn begin(id: String, now: Timestamp) -> Issuance {
        let now = now.millis();
        Issuance {
            id,
            due_ms: now,
            started_ms: now,
            renews_ms: None,
            trouble: None,
            failures: 0,
            order: None,
            proofs: Vec::new(),
        }
    }

    /// The context that a private key is sealed in until its certificate is there. `resource` is the id of what the certificate is for.
    pub(crate) fn key_context(&self, resource: &str) -> String {
        resource_context("issuance", resource, &self.id)
    }

    pub(crate) fn due(&self) -> Timestamp {
        Timestamp::from_millis(self.due_ms)
    }

    /// Whether there is a certificate to come that is not there yet.
    pub(crate) fn is_running(&self) -> bool {
        self.order.is_some() || self.trouble.is_some() || self.renews_ms.is_none()
    }
}
