//! SSH certificate authorities, and what they signed.

use std::collections::BTreeMap;

use portway_api::SshKeyType;
use serde::{Deserialize, Serialize};

use crate::seal::resource_context;

/// An authority with its key.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SshCertificateAuthority {
    pub(crate) description: String,
    pub(crate) metadata: String,
    pub(crate) key_type: SshKeyType,
    /// A line of authorized_keys.
    pub(crate) public_key: String,
    /// As OpenSSH has it in its files, sealed.
    pub(crate) private_key: String,
}

impl SshCertificateAuthority {
    pub(crate) const KIND: &str = "ssh_certificate_authority";

    /// The context that the private key is sealed in.
    pub(crate) fn key_context(id: &str) -> String {
        resource_context(Self::KIND, id, "private_key")
    }
}

/// What certificates of hosts and users have in common.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Signed {
    pub(crate) description: String,
    pub(crate) metadata: String,
    pub(crate) ssh_certificate_authority_id: String,
    pub(crate) key_type: SshKeyType,
    pub(crate) public_key: String,
    pub(crate) principals: Vec<String>,
    /// Seconds since 1970.
    pub(crate) valid_after: i64,
    /// Seconds since 1970.
    pub(crate) valid_until: i64,
    /// The file that ends in `-cert.pub`.
    pub(crate) certificate: String,
}

/// A certificate of an SSH server.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SshHostCertificate {
    #[serde(flatten)]
    pub(crate) signed: Signed,
}

/// A certificate of a user of SSH.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SshUserCertificate {
    #[serde(flatten)]
    pub(crate) signed: Signed,
    pub(crate) critical_options: BTreeMap<String, String>,
    pub(crate) extensions: BTreeMap<String, String>,
}
