//! Settings of accounts.

use portway_names::AccountId;
use serde::{Deserialize, Serialize};

/// What the settings are called in the store.
pub(crate) const SETTINGS: &str = "settings";

/// Days for which the audit log is kept, when an account says nothing else.
pub(crate) const AUDIT_RETENTION_DAYS: u32 = 365;

/// What an account has chosen for itself.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AccountSettings {
    /// Days for which its audit log is kept.
    pub(crate) audit_retention_days: u32,
}

impl Default for AccountSettings {
    fn default() -> Self {
        AccountSettings { audit_retention_days: AUDIT_RETENTION_DAYS }
    }
}

/// The id of an account's settings: each has one at most.
pub(crate) fn settings_id(account: &AccountId) -> String {
    format!("set_{}", account.ksuid())
}
