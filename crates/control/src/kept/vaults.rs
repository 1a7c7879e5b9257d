//! Vaults and the secrets in them.

use serde::{Deserialize, Serialize};

use crate::seal::resource_context;

/// A set of secrets.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Vault {
    pub(crate) description: String,
    pub(crate) metadata: String,
    pub(crate) name: String,
    /// The user or service user.
    pub(crate) created_by: String,
    pub(crate) last_updated_by: String,
}

impl Vault {
    /// The key that a vault of the account with this name has.
    pub(crate) fn key(account: &portway_names::AccountId, name: &str) -> String {
        format!("{account} {name}")
    }
}

/// A secret of a vault.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Secret {
    pub(crate) description: String,
    pub(crate) metadata: String,
    pub(crate) name: String,
    pub(crate) vault_id: String,
    /// Sealed.
    pub(crate) value: String,
    pub(crate) created_by: String,
    pub(crate) last_updated_by: String,
}

impl Secret {
    pub(crate) const KIND: &str = "secret";

    /// The context that the value is sealed in.
    pub(crate) fn value_context(id: &str) -> String {
        resource_context(Self::KIND, id, "value")
    }
}
