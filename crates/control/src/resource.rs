//! Records of the store as resources of the link.

use bytes::Bytes;
use portway_names::HostPattern;
use portway_proto::control::v1::resource::Body;
use portway_proto::control::v1::{Certificate, ConnectName, Credential, Lease, Resource, Settings};
use portway_store::Record;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::certificates::private_key;
use crate::kept::certificates::{CertificateAuthority, TlsCertificate};
use crate::kept::names::ReservedDomain;
use crate::seal::{MasterKey, NotOpened};

/// Why a record cannot be given to edges.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResourceFault {
    #[error(transparent)]
    Sealed(#[from] NotOpened),
    #[error("the certificate's chain cannot be read: {0}")]
    Chain(rustls_pki_types::pem::Error),
    #[error("the resource's body cannot be read: {0}")]
    Body(#[from] serde_json::Error),
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
        Record::Resource(record) => match kept(master, &record) {
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
    Ok(Certificate {
        names: record.names,
        chain: chain(&record.chain_pem)?,
        private_key: Bytes::copy_from_slice(&key),
        connect: record.connect,
        attached: false,
    })
}

/// What edges need of a resource of the REST API; none when they need nothing.
fn kept(master: &MasterKey, record: &portway_store::Resource) -> Result<Option<Body>, ResourceFault> {
    let (account_id, body) = (record.account.to_string(), record.body.as_str());
    Ok(Some(match record.kind.as_str() {
        TlsCertificate::KIND => Body::Certificate(uploaded(master, &record.id, serde_json::from_str(body)?)?),
        CertificateAuthority::KIND => {
            let CertificateAuthority { ca_pem: pem, .. } = serde_json::from_str(body)?;
            Body::CertificateAuthority(portway_proto::control::v1::CertificateAuthority { account_id, pem })
        }
        ReservedDomain::KIND => {
            let ReservedDomain { domain, certificate_id, .. } = serde_json::from_str(body)?;
            let (domain, certificate_id) = (domain.to_string(), certificate_id.unwrap_or_default());
            Body::ReservedDomain(portway_proto::control::v1::ReservedDomain { account_id, domain, certificate_id })
        }
        _ => return Ok(None),
    }))
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
