//! What certificates are ordered for: reserved domains, connect URLs, and the base domain.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use portway_acme::{Proof as Wanted, Way};
use portway_names::{AccountId, HostName, HostPattern};
use portway_store::{Content, Resource};

use crate::kept::issuance::Proof;
use crate::kept::names::{AgentIngress, Certified, OwnName, ReservedDomain, acme_challenge_target};
use crate::kept::{BodyFault, read};
use crate::policy::NamePolicy;
use crate::rest::{Kept, content};

/// A resource that a certificate is ordered for.
#[derive(Debug)]
pub(super) enum Subject {
    Domain(ReservedDomain),
    Connect { ingress: AgentIngress, host: HostName },
    Own(OwnName),
}

impl Subject {
    /// None when the resource is of another kind, or the name in it is none.
    pub(super) fn of(resource: &Resource) -> Result<Option<Subject>, BodyFault> {
        Ok(match resource.kind.as_str() {
            ReservedDomain::KIND => Some(Subject::Domain(read(resource)?)),
            AgentIngress::KIND => {
                let ingress: AgentIngress = read(resource)?;
                ingress.domain.parse().ok().map(|host| Subject::Connect { ingress, host })
            }
            OwnName::KIND => Some(Subject::Own(read(resource)?)),
            _ => None,
        })
    }

    /// What the certificate is to name.
    pub(super) fn names(&self, policy: &NamePolicy) -> Vec<HostPattern> {
        match self {
            Subject::Domain(ReservedDomain { domain, .. }) | Subject::Own(OwnName { domain, .. }) => {
                vec![domain.clone()]
            }
            Subject::Connect { host, .. } => {
                std::iter::once(host.clone()).chain(policy.regional(host)).map(HostPattern::Exact).collect()
            }
        }
    }

    /// How the names can be proved, the best way first; in every other turn another one is.
    pub(super) fn ways(&self, turn: u32) -> &'static [Way] {
        match self {
            Subject::Domain(ReservedDomain { domain: HostPattern::Exact(_), .. })
            | Subject::Own(OwnName { domain: HostPattern::Exact(_), .. }) => match turn.is_multiple_of(2) {
                true => &[Way::Http, Way::TlsAlpn],
                false => &[Way::TlsAlpn, Way::Http],
            },
            // What the installation itself answers for in DNS.
            Subject::Domain(_) | Subject::Own(_) | Subject::Connect { .. } => &[Way::Dns],
        }
    }

    /// What edges are to show. `id` is the resource's.
    pub(super) fn proof(&self, id: &str, wanted: &Wanted, policy: &NamePolicy) -> Option<Proof> {
        let host = wanted.name.to_string();
        Some(match wanted.way {
            Way::Http => Proof::Http { host, token: wanted.token.clone(), text: wanted.text.clone() },
            Way::TlsAlpn => Proof::Alpn { host, digest: STANDARD_NO_PAD.encode(&wanted.digest) },
            Way::Dns => {
                let name = match self {
                    Subject::Domain(_) => acme_challenge_target(id, &policy.base_domain)?.to_string(),
                    Subject::Own(_) | Subject::Connect { .. } => format!("_acme-challenge.{host}"),
                };
                Proof::Dns { name, text: wanted.record.clone() }
            }
        })
    }

    pub(super) fn certified(&self) -> &Certified {
        match self {
            Subject::Domain(domain) => &domain.certified,
            Subject::Connect { ingress, .. } => &ingress.certified,
            Subject::Own(own) => &own.certified,
        }
    }

    pub(super) fn certified_mut(&mut self) -> &mut Certified {
        match self {
            Subject::Domain(domain) => &mut domain.certified,
            Subject::Connect { ingress, .. } => &mut ingress.certified,
            Subject::Own(own) => &mut own.certified,
        }
    }

    /// As the store keeps it.
    pub(super) fn content(&self, account: &AccountId) -> Content {
        match self {
            Subject::Domain(domain) => content(account, domain),
            Subject::Connect { ingress, .. } => content(account, ingress),
            Subject::Own(own) => own.content(),
        }
    }
}
