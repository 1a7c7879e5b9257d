//! Reserved domains and addresses, and connect URLs.

use portway_api::{Authority, ManagedKeyType};
use portway_names::HostPattern;
use serde::{Deserialize, Serialize};

/// A domain that only its account may serve.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ReservedDomain {
    #[serde(with = "pattern")]
    pub(crate) domain: HostPattern,
    /// As it was given when the domain was reserved; nothing depends on it.
    pub(crate) region: String,
    pub(crate) description: String,
    pub(crate) metadata: String,
    /// An uploaded certificate.
    pub(crate) certificate_id: Option<String>,
    /// How certificates are ordered; excludes an uploaded one.
    pub(crate) certificate_management_policy: Option<Policy>,
    /// Regions; everywhere when there is none.
    pub(crate) resolves_to: Vec<String>,
}

/// How certificates are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Policy {
    pub(crate) authority: Authority,
    pub(crate) private_key_type: ManagedKeyType,
}

/// A TCP address that only its account may serve.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ReservedAddr {
    /// `host:port`.
    pub(crate) addr: String,
    pub(crate) region: String,
    pub(crate) description: String,
    pub(crate) metadata: String,
}

/// A domain of the account's own that its agents dial.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AgentIngress {
    pub(crate) domain: String,
    pub(crate) description: String,
    pub(crate) metadata: String,
    /// How certificates are ordered; the internal authority issues them when there is none.
    pub(crate) certificate_management_policy: Option<Policy>,
}

/// Host patterns as texts.
mod pattern {
    use portway_names::HostPattern;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(pattern: &HostPattern, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(pattern)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HostPattern, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
