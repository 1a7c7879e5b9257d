//! Records of the store as resources of the link.

use bytes::Bytes;
use portway_api::{RestrictionType, RuleAction};
use portway_proto::control::v1::resource::Body;
use portway_proto::control::v1::{self as pb, Certificate, ConnectName, Credential, Lease, Resource, Settings};
use portway_store::Record;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::certificates::private_key;
use crate::kept::ip::{IpPolicy, IpPolicyRule, IpRestriction};
use crate::rest::Kept;
use crate::seal::{MasterKey, NotOpened};

/// Why a record cannot be given to edges.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResourceFault {
    #[error(transparent)]
    Sealed(#[from] NotOpened),
    #[error("the certificate's chain cannot be read: {0}")]
    Chain(rustls_pki_types::pem::Error),
    #[error("what is kept of it cannot be read: {0}")]
    Kept(#[from] serde_json::Error),
}

/// The resource of a record, none when edges have no use for its kind; on failure its id and why.
pub(crate) fn resource(master: &MasterKey, record: Record) -> Result<Option<Resource>, (String, ResourceFault)> {
    let id = record.id();
    let body = match record {
        Record::Credential(record) => Body::Credential(credential(record)),
        Record::Certificate(record) => match certificate(master, record) {
            Ok(certificate) => Body::Certificate(certificate),
            Err(fault) => return Err((id, fault)),
        },
        Record::ConnectName(host) => {
            Body::ConnectName(ConnectName { host: host.to_string(), account_id: String::new() })
        }
        Record::Lease(record) => Body::Lease(lease(&record)),
        Record::Resource(record) => match kept(&record) {
            Ok(Some(body)) => body,
            Ok(None) => return Ok(None),
            Err(fault) => return Err((id, fault)),
        },
        Record::Settings { base_domain } => Body::Settings(Settings { base_domain }),
    };
    Ok(Some(Resource { id, body: Some(body) }))
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

/// A resource of the REST API; none when edges have no use for it.
fn kept(record: &portway_store::Resource) -> Result<Option<Body>, ResourceFault> {
    let (account_id, body) = (record.account.to_string(), record.body.as_str());
    Ok(match record.kind.as_str() {
        IpPolicy::KIND => Some(Body::IpPolicy(pb::IpPolicy { account_id })),
        IpPolicyRule::KIND => {
            let IpPolicyRule { ip_policy_id, cidr, action, .. } = serde_json::from_str(body)?;
            let action = match action {
                RuleAction::Allow => pb::IpAction::Allow,
                RuleAction::Deny => pb::IpAction::Deny,
            };
            let action = action.into();
            Some(Body::IpPolicyRule(pb::IpPolicyRule { account_id, ip_policy_id, cidr, action }))
        }
        IpRestriction::KIND => {
            let IpRestriction { r#type, enforced, ip_policy_ids, .. } = serde_json::from_str(body)?;
            let kind = match r#type {
                RestrictionType::Agent => pb::IpRestrictionType::Agent,
                RestrictionType::Endpoints => pb::IpRestrictionType::Endpoints,
                // Held here.
                RestrictionType::Dashboard | RestrictionType::Api => return Ok(None),
            };
            let r#type = kind.into();
            Some(Body::IpRestriction(pb::IpRestriction { account_id, r#type, enforced, ip_policy_ids }))
        }
        _ => None,
    })
}

fn credential(record: portway_store::Credential) -> Credential {
    Credential {
        account_id: record.account.to_string(),
        account_name: record.account_name,
        digest: Bytes::copy_from_slice(record.digest.as_bytes()),
        acl: record.acl,
    }
}

fn certificate(master: &MasterKey, record: portway_store::Certificate) -> Result<Certificate, ResourceFault> {
    let key = private_key(master, &record)?;
    let chain = CertificateDer::pem_slice_iter(record.chain_pem.as_bytes())
        .map(|der| der.map(|der| Bytes::copy_from_slice(&der)))
        .collect::<Result<_, _>>()
        .map_err(ResourceFault::Chain)?;
    Ok(Certificate { names: record.names, chain, private_key: Bytes::copy_from_slice(&key), connect: record.connect })
}
