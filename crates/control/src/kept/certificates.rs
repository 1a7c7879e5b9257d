//! Certificates of accounts: those that users uploaded, and those that were ordered for their names.

use serde::{Deserialize, Serialize};

use crate::seal::resource_context;

/// A certificate with its key, for names of the account.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TlsCertificate {
    pub(crate) description: String,
    pub(crate) metadata: String,
    /// The chain, leaf first.
    pub(crate) certificate_pem: String,
    /// PKCS#8 DER, sealed.
    pub(crate) private_key: String,
    pub(crate) private_key_type: KeyType,
    pub(crate) facts: Facts,
    /// When it was ordered, in seconds since 1970; none when it was uploaded.
    #[serde(default)]
    pub(crate) issued_at: Option<i64>,
}

impl TlsCertificate {
    pub(crate) const KIND: &str = "tls_certificate";

    /// Whether the installation ordered it; otherwise it was uploaded.
    pub(crate) fn was_ordered(&self) -> bool {
        self.issued_at.is_some()
    }

    /// The context that the private key is sealed in.
    pub(crate) fn key_context(id: &str) -> String {
        resource_context(Self::KIND, id, "private_key")
    }
}

/// An authority that issues certificates of visitors.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CertificateAuthority {
    pub(crate) description: String,
    pub(crate) metadata: String,
    pub(crate) ca_pem: String,
    pub(crate) facts: Facts,
}

/// Kinds of keys that edges sign with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum KeyType {
    Rsa,
    Ecdsa,
    Ed25519,
}

impl KeyType {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            KeyType::Rsa => "rsa",
            KeyType::Ecdsa => "ecdsa",
            KeyType::Ed25519 => "ed25519",
        }
    }
}

/// What a certificate says. Names and texts that it does not have are empty.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Facts {
    pub(crate) subject_common_name: String,
    pub(crate) subject_organization: String,
    pub(crate) subject_organizational_unit: String,
    pub(crate) subject_locality: String,
    pub(crate) subject_province: String,
    pub(crate) subject_country: String,
    pub(crate) issuer_common_name: String,
    pub(crate) serial_number: String,
    pub(crate) dns_names: Vec<String>,
    pub(crate) ips: Vec<String>,
    /// Seconds since 1970.
    pub(crate) not_before: i64,
    /// Seconds since 1970.
    pub(crate) not_after: i64,
    pub(crate) key_usages: Vec<String>,
    pub(crate) extended_key_usages: Vec<String>,
}
