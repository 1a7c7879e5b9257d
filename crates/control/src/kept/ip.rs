//! IP policies, their rules, and where they are applied.

use portway_api::{RestrictionType, RuleAction};
use serde::{Deserialize, Serialize};

/// A named set of rules.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct IpPolicy {
    pub(crate) description: String,
    pub(crate) metadata: String,
}

/// A rule of a policy.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct IpPolicyRule {
    pub(crate) description: String,
    pub(crate) metadata: String,
    pub(crate) ip_policy_id: String,
    pub(crate) cidr: String,
    pub(crate) action: RuleAction,
}

/// Where policies are applied.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct IpRestriction {
    pub(crate) description: String,
    pub(crate) metadata: String,
    pub(crate) r#type: RestrictionType,
    pub(crate) enforced: bool,
    pub(crate) ip_policy_ids: Vec<String>,
}
