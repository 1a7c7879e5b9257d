//! What edges show to the authority that certificates are ordered from.

use bytes::Bytes;
use portway_names::HostName;

use crate::control::v1::acme_proof::Way;
use crate::control::v1::{AcmeProof, AlpnProof, DnsProof, HttpProof};
use crate::field::{FieldError, FieldFault, parse};

/// Longest token and longest text of a proof, in bytes: authorities use a tenth of it.
pub const MAX_PROOF_LEN: usize = 1024;

/// Evidence for an ACME authority that a name is ours (RFC 8555 section 8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProofRecord {
    /// A text at `http://<host>/.well-known/acme-challenge/<token>`.
    Http {
        /// The host.
        host: HostName,
        /// The last part of the path.
        token: String,
        /// What is answered.
        text: String,
    },
    /// A certificate for the protocol `acme-tls/1` (RFC 8737 section 3).
    Alpn {
        /// The server name.
        host: HostName,
        /// SHA-256 of the text that the certificate carries.
        digest: [u8; 32],
    },
    /// A TXT record.
    Dns {
        /// Its name.
        name: HostName,
        /// Its text.
        text: String,
    },
}

impl ProofRecord {
    pub(crate) fn from_message(message: &AcmeProof) -> Result<Self, FieldError> {
        match &message.way {
            None => Err(FieldError::new("proofs", FieldFault::Missing)),
            Some(Way::Http(HttpProof { host, token, text })) => Ok(ProofRecord::Http {
                host: parse("host", host)?,
                token: short("token", token)?,
                text: short("text", text)?,
            }),
            Some(Way::Alpn(AlpnProof { host, digest })) => {
                let len = digest.len();
                let digest = digest.as_ref().try_into();
                Ok(ProofRecord::Alpn {
                    host: parse("host", host)?,
                    digest: digest.map_err(|_| FieldError::new("digest", FieldFault::Length { len, needed: 32 }))?,
                })
            }
            Some(Way::Dns(DnsProof { name, text })) => {
                Ok(ProofRecord::Dns { name: parse("name", name)?, text: short("text", text)? })
            }
        }
    }

    pub(crate) fn to_message(&self) -> AcmeProof {
        let way = match self {
            ProofRecord::Http { host, token, text } => {
                Way::Http(HttpProof { host: host.to_string(), token: token.clone(), text: text.clone() })
            }
            ProofRecord::Alpn { host, digest } => {
                Way::Alpn(AlpnProof { host: host.to_string(), digest: Bytes::copy_from_slice(digest) })
            }
            ProofRecord::Dns { name, text } => Way::Dns(DnsProof { name: name.to_string(), text: text.clone() }),
        };
        AcmeProof { way: Some(way) }
    }
}

fn short(field: &'static str, text: &str) -> Result<String, FieldError> {
    match text.len() {
        0 => Err(FieldError::new(field, FieldFault::Missing)),
        len if len > MAX_PROOF_LEN => Err(FieldError::new(field, FieldFault::TooLong { len, limit: MAX_PROOF_LEN })),
        _ => Ok(text.to_owned()),
    }
}
