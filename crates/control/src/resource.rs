//! Records of the store as resources of the link.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use portway_api::{RestrictionType, RuleAction};
use portway_names::HostPattern;
use portway_proto::control::v1::acme_proof::Way;
use portway_proto::control::v1::resource::Body;
use portway_proto::control::v1::{self as pb, Certificate, ConnectName, Credential, Lease, Resource, Settings};
use portway_store::{Followed, Record};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::certificates::private_key;
use crate::kept::certificates::{CertificateAuthority, TlsCertificate};
use crate::kept::ip::{IpPolicy, IpPolicyRule, IpRestriction};
use crate::kept::issuance::{Issuance, Proof};
use crate::kept::names::{self as kept_names, AgentIngress, Certified, OwnName, ReservedDomain};
use crate::kept::principals::{CREDENTIAL, CredentialBody, SSH_CREDENTIAL, SshCredentialBody, edge_id};
use crate::kept::{BodyFault, read};
use crate::policy::NamePolicy;
use crate::rest::Kept;
use crate::seal::{MasterKey, NotOpened};

/// Why a record cannot be given to edges.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResourceFault {
    #[error(transparent)]
    Sealed(#[from] NotOpened),
    #[error("the certificate's chain cannot be read: {0}")]
    Chain(rustls_pki_types::pem::Error),
    #[error(transparent)]
    Body(#[from] BodyFault),
}

/// The resource of a record, none when edges have no use for its kind; on failure its id and why.
pub(crate) fn resource(
    master: &MasterKey,
    names: &NamePolicy,
    record: Record,
) -> Result<Option<Resource>, (String, ResourceFault)> {
    let id = record.id();
    let body = match record {
        Record::Certificate(record) => match certificate(master, record) {
            Ok(certificate) => Body::Certificate(certificate),
            Err(fault) => return Err((id, fault)),
        },
        Record::ConnectName(host) => {
            let regional = names.regional(&host).into_iter().map(|name| name.to_string()).collect();
            Body::ConnectName(ConnectName { host: host.to_string(), regional, ..ConnectName::default() })
        }
        Record::Lease(record) => Body::Lease(lease(&record)),
        Record::Resource(followed) => match kept(master, names, &followed) {
            Ok(Some(body)) => body,
            Ok(None) => return Ok(None),
            Err(fault) => return Err((id, fault)),
        },
        Record::Settings { base_domain } => Body::Settings(Settings { base_domain }),
    };
    Ok(Some(Resource { id: edge_id(&id), body: Some(body) }))
}

pub(crate) fn lease(record: &portway_store::Lease) -> Lease {
    Lease {
        url: record.url.to_string(),
        account_id: record.account.to_string(),
        agent_id: Bytes::copy_from_slice(&record.agent),
        edge_id: record.edge.to_string(),
        fence: record.fence,
        expires_at_ms: record.released_until.map_or(0, |until| until.millis()),
    }
}

/// What edges are told of a resource of the REST API.
fn kept(master: &MasterKey, names: &NamePolicy, followed: &Followed) -> Result<Option<Body>, ResourceFault> {
    let resource = &followed.resource;
    let account_id = resource.account.to_string();
    Ok(match resource.kind.as_str() {
        IpPolicy::KIND => Some(Body::IpPolicy(pb::IpPolicy { account_id })),
        IpPolicyRule::KIND => {
            let IpPolicyRule { ip_policy_id, cidr, action, .. } = read(resource)?;
            let action = match action {
                RuleAction::Allow => pb::IpAction::Allow,
                RuleAction::Deny => pb::IpAction::Deny,
            };
            let action = action.into();
            Some(Body::IpPolicyRule(pb::IpPolicyRule { account_id, ip_policy_id, cidr, action }))
        }
        IpRestriction::KIND => {
            let IpRestriction { r#type, enforced, ip_policy_ids, .. } = read(resource)?;
            let kind = match r#type {
                RestrictionType::Agent => pb::IpRestrictionType::Agent,
                RestrictionType::Endpoints => pb::IpRestrictionType::Endpoints,
                // Held here.
                RestrictionType::Dashboard | RestrictionType::Api => return Ok(None),
            };
            let r#type = kind.into();
            Some(Body::IpRestriction(pb::IpRestriction { account_id, r#type, enforced, ip_policy_ids }))
        }
        TlsCertificate::KIND => Some(Body::Certificate(uploaded(master, &resource.id, read(resource)?)?)),
        CertificateAuthority::KIND => {
            let CertificateAuthority { ca_pem: pem, .. } = read(resource)?;
            Some(Body::CertificateAuthority(pb::CertificateAuthority { account_id, pem }))
        }
        ReservedDomain::KIND => {
            let ReservedDomain { domain, certified: Certified { certificate_id, issuance, .. }, .. } = read(resource)?;
            let target = kept_names::cname_target(&resource.id, &resource.account, &names.base_domain);
            let target = target.filter(|_| !names.is_below_base(&domain));
            Some(Body::ReservedDomain(pb::ReservedDomain {
                account_id,
                domain: domain.to_string(),
                certificate_id: certificate_id.unwrap_or_default(),
                cname_target: target.map(|target| target.to_string()).unwrap_or_default(),
                proofs: proofs(issuance),
            }))
        }
        OwnName::KIND => {
            let OwnName { domain, certified: Certified { certificate_id, issuance, .. } } = read(resource)?;
            Some(Body::ReservedDomain(pb::ReservedDomain {
                account_id,
                domain: domain.to_string(),
                certificate_id: certificate_id.unwrap_or_default(),
                cname_target: String::new(),
                proofs: proofs(issuance),
            }))
        }
        AgentIngress::KIND => {
            let AgentIngress { domain: host, certified: Certified { certificate_id, issuance, .. }, .. } =
                read(resource)?;
            let regional = host.parse().map(|host| names.regional(&host)).unwrap_or_default();
            let regional = regional.into_iter().map(|name| name.to_string()).collect();
            Some(Body::ConnectName(ConnectName {
                host,
                account_id,
                regional,
                certificate_id: certificate_id.unwrap_or_default(),
                public_certificates: issuance.is_some(),
                proofs: proofs(issuance),
            }))
        }
        _ => credential(followed)?.map(Body::Credential),
    })
}

/// What edges show to the authority that a certificate is ordered from.
fn proofs(issuance: Option<Issuance>) -> Vec<pb::AcmeProof> {
    let proofs = issuance.into_iter().flat_map(|issuance| issuance.proofs);
    let ways = proofs.map(|proof| match proof {
        Proof::Http { host, token, text } => Way::Http(pb::HttpProof { host, token, text }),
        Proof::Alpn { host, digest } => {
            let digest = STANDARD_NO_PAD.decode(digest).unwrap_or_default().into();
            Way::Alpn(pb::AlpnProof { host, digest })
        }
        Proof::Dns { name, text } => Way::Dns(pb::DnsProof { name, text }),
    });
    ways.map(|way| pb::AcmeProof { way: Some(way) }).collect()
}

/// What an agent logs in with; none when the resource is nothing of the kind.
pub(crate) fn credential(followed: &Followed) -> Result<Option<Credential>, BodyFault> {
    let (digest, acl) = match followed.resource.kind.as_str() {
        CREDENTIAL => {
            let body: CredentialBody = read(&followed.resource)?;
            (body.digest, body.acl)
        }
        SSH_CREDENTIAL => {
            let body: SshCredentialBody = read(&followed.resource)?;
            (body.digest, body.acl)
        }
        _ => return Ok(None),
    };
    Ok(Some(Credential {
        account_id: followed.resource.account.to_string(),
        account_name: followed.account_name.clone(),
        digest: Bytes::copy_from_slice(digest.as_bytes()),
        acl,
    }))
}

fn certificate(master: &MasterKey, record: portway_store::Certificate) -> Result<Certificate, ResourceFault> {
    let key = private_key(master, &record)?;
    Ok(Certificate {
        names: record.names,
        chain: chain(&record.chain_pem)?,
        private_key: Bytes::copy_from_slice(&key),
        connect: record.connect,
        attached: false,
    })
}

/// For which names it is presented is decided at the edge, which follows both certificates and domains: neither has to be announced for the other.
fn uploaded(master: &MasterKey, id: &str, kept: TlsCertificate) -> Result<Certificate, ResourceFault> {
    let key = master.open(&TlsCertificate::key_context(id), &kept.private_key)?;
    let mut names = kept.facts.dns_names;
    // Certificates may name what is no host name; nobody reserves that.
    names.retain(|name| name.parse::<HostPattern>().is_ok());
    Ok(Certificate {
        names,
        chain: chain(&kept.certificate_pem)?,
        private_key: Bytes::copy_from_slice(&key),
        connect: false,
        attached: true,
    })
}

fn chain(pem: &str) -> Result<Vec<Bytes>, ResourceFault> {
    let certificates = CertificateDer::pem_slice_iter(pem.as_bytes());
    let chain = certificates.map(|der| der.map(|der| Bytes::copy_from_slice(&der))).collect::<Result<_, _>>();
    chain.map_err(ResourceFault::Chain)
}
