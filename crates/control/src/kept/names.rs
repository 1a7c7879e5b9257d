//! Names that accounts own.

use portway_api::{Authority, ManagedKeyType};
use serde::{Deserialize, Serialize};

/// A host name, or all names below one.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ReservedDomain {
    pub(crate) description: String,
    pub(crate) metadata: String,
    /// `app.example.com` or `*.example.com`.
    pub(crate) domain: String,
    pub(crate) region: String,
    /// The uploaded certificate that visitors get.
    pub(crate) certificate_id: Option<String>,
    pub(crate) certificate_management_policy: Option<ManagementPolicy>,
    pub(crate) resolves_to: Vec<String>,
}

impl ReservedDomain {
    pub(crate) const KIND: &str = "reserved_domain";
}

/// Who issues the certificate of a name, and with what kind of key.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ManagementPolicy {
    pub(crate) authority: Authority,
    pub(crate) private_key_type: ManagedKeyType,
}
