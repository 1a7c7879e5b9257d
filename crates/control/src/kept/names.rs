//! Reserved domains and addresses, and connect URLs.

use aws_lc_rs::digest::{SHA256, digest};
use portway_api::{Authority, ManagedKeyType};
use portway_names::{AccountId, HostName, HostPattern};
use portway_store::{Content, Timestamp};
use serde::{Deserialize, Serialize};

use super::issuance::Issuance;
use super::written;
use crate::random;

/// A domain that only its account may serve.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ReservedDomain {
    #[serde(with = "pattern")]
    pub(crate) domain: HostPattern,
    /// As it was given when the domain was reserved; nothing depends on it.
    pub(crate) region: String,
    pub(crate) description: String,
    pub(crate) metadata: String,
    #[serde(flatten)]
    pub(crate) certified: Certified,
    /// Regions; everywhere when there is none.
    pub(crate) resolves_to: Vec<String>,
}

/// Which certificate a name has, and how it comes by others.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Certified {
    /// The certificate that is presented: an uploaded one, or the one that was ordered last.
    #[serde(default)]
    pub(crate) certificate_id: Option<String>,
    #[serde(rename = "certificate_management_policy")]
    pub(crate) policy: Option<Policy>,
    /// How far the next certificate is; there is one for each policy.
    #[serde(default)]
    pub(crate) issuance: Option<Issuance>,
}

impl Certified {
    /// An uploaded certificate, and no others.
    pub(crate) fn by(certificate: String) -> Certified {
        Certified { certificate_id: Some(certificate), ..Certified::default() }
    }

    /// Takes a policy in the place of the one there was. The same once more means that it is to be tried now. The certificate that there is, is
    /// presented until there is another one.
    pub(crate) fn take_policy(&mut self, wanted: Policy, now: Timestamp) {
        match &mut self.issuance {
            Some(issuance) if self.policy == Some(wanted) => issuance.due_ms = issuance.due_ms.min(now.millis()),
            _ => self.issuance = Some(Issuance::begin(random::ksuid(now).to_string(), now)),
        }
        self.policy = Some(wanted);
    }

    /// Orders no more. The certificate stays.
    pub(crate) fn drop_policy(&mut self) {
        (self.policy, self.issuance) = (None, None);
    }

    /// When something is to be done for the next certificate.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        self.issuance.as_ref().map(Issuance::due)
    }
}

/// How certificates are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Policy {
    pub(crate) authority: Authority,
    pub(crate) private_key_type: ManagedKeyType,
}

/// A name of the installation's own that a certificate is ordered for: the base domain, or everything one label below. It belongs to the
/// operator's account, as nothing belongs to nobody.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OwnName {
    #[serde(with = "pattern")]
    pub(crate) domain: HostPattern,
    #[serde(flatten)]
    pub(crate) certified: Certified,
}

impl OwnName {
    /// What it is called in the store.
    pub(crate) const KIND: &'static str = "own_name";
    /// What its ids begin with.
    pub(crate) const PREFIX: &'static str = "own";

    /// As the store keeps it.
    pub(crate) fn content(&self) -> Content {
        Content {
            body: written(self),
            keys: vec![self.domain.to_string()],
            refs: self.certified.certificate_id.clone().into_iter().collect(),
            work_at: self.certified.due(),
            ..Content::default()
        }
    }
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
    /// The internal authority issues certificates where there is no policy.
    #[serde(flatten)]
    pub(crate) certified: Certified,
}

/// Characters of the label that leads to a domain: more than 80 bits, so that nobody meets another's.
const TARGET_LEN: usize = 17;
/// Characters of the label that stands for an account.
const ACCOUNT_LEN: usize = 8;

/// Where the CNAME record of an account's reserved domain is to point to, below the base domain; none when such a name would be too long.
pub(crate) fn cname_target(domain_id: &str, account: &AccountId, base: &HostName) -> Option<HostName> {
    let account = label(&account.to_string(), ACCOUNT_LEN);
    format!("{}.{account}.cname.{base}", label(domain_id, TARGET_LEN)).parse().ok()
}

/// The branch of the base domain where the targets of reserved domains are.
pub(crate) fn cname_zone(base: &HostName) -> Option<HostName> {
    HostName::join("cname", base).ok()
}

/// Where the CNAME record for ACME challenges of a reserved domain is to point to.
pub(crate) fn acme_challenge_target(domain_id: &str, base: &HostName) -> Option<HostName> {
    format!("{}.acme-challenge.{base}", label(domain_id, TARGET_LEN)).parse().ok()
}

/// A label of a host name that stands for an id: the same always, and not the id itself.
fn label(id: &str, len: usize) -> String {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz234567";
    let hash = digest(&SHA256, id.as_bytes());
    hash.as_ref().iter().take(len).map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect()
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
