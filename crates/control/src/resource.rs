//! Records of the store as resources of the link.

use bytes::Bytes;
use portway_proto::control::v1::resource::Body;
use portway_proto::control::v1::{Certificate, ConnectName, Credential, Lease, Resource, Settings};
use portway_store::Record;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::certificates::private_key;
use crate::seal::{MasterKey, NotOpened};

/// Why a record cannot be given to edges.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResourceFault {
    #[error(transparent)]
    Sealed(#[from] NotOpened),
    #[error("the certificate's chain cannot be read: {0}")]
    Chain(rustls_pki_types::pem::Error),
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
        // No kind of the REST API has a message yet.
        Record::Resource(_) => return Ok(None),
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
    let chain = CertificateDer::pem_slice_iter(record.chain_pem.as_bytes())
        .map(|der| der.map(|der| Bytes::copy_from_slice(&der)))
        .collect::<Result<_, _>>()
        .map_err(ResourceFault::Chain)?;
    Ok(Certificate { names: record.names, chain, private_key: Bytes::copy_from_slice(&key), connect: record.connect })
}
