//! The fields that each list can be filtered by.

use crate::FilterField;
use crate::filter::fields;

/// Fields of nearly every resource, and what is added to them.
macro_rules! with_base {
    ($($field:literal $(= $path:literal)?),* $(,)?) => {
        fields!["id", "created_at", "description", "metadata" $(, $field $(= $path)?)*]
    };
}

pub(crate) const NONE: &[FilterField] = &[];
pub(crate) const BASE: &[FilterField] = with_base![];
pub(crate) const RESERVED_DOMAINS: &[FilterField] =
    with_base!["domain", "region", "cname_target", "certificate.id", "acme_challenge_cname_target"];
pub(crate) const RESERVED_ADDRS: &[FilterField] = with_base!["addr", "region"];
pub(crate) const AGENT_INGRESSES: &[FilterField] = with_base!["domain"];
pub(crate) const TLS_CERTIFICATES: &[FilterField] =
    with_base!["subject_common_name", "not_before", "not_after", "serial_number"];
pub(crate) const CERTIFICATE_AUTHORITIES: &[FilterField] = with_base!["subject_common_name", "not_before", "not_after"];
pub(crate) const IP_POLICY_RULES: &[FilterField] =
    with_base!["ip_policy" = "ip_policy.id", "ip_policy.id", "cidr", "action"];
pub(crate) const OWNED: &[FilterField] = with_base!["owner_id"];
pub(crate) const OWNED_WITH_ACL: &[FilterField] = with_base!["owner_id", "acl"];
pub(crate) const SERVICE_USERS: &[FilterField] = fields!["id", "created_at"];
pub(crate) const NAMED: &[FilterField] = with_base!["name"];
pub(crate) const ENDPOINTS: &[FilterField] = with_base![
    "principal.id",
    "type",
    "binding" = "bindings",
    "bindings",
    "url",
    "pooling_enabled",
    "scheme",
    "region",
    "name",
];
pub(crate) const TUNNEL_SESSIONS: &[FilterField] = fields![
    "id",
    "metadata",
    "agent_version",
    "ip",
    "os",
    "region",
    "started_at",
    "credential" = "credential.id",
    "credential.id",
];
pub(crate) const USERS: &[FilterField] = fields!["id", "created_at", "email", "name", "active"];
pub(crate) const ACCOUNTS: &[FilterField] = fields!["id", "created_at", "description", "name", "suspended"];
pub(crate) const MEMBERSHIPS: &[FilterField] =
    fields!["id", "created_at", "user.id", "developer", "team", "administrator"];
pub(crate) const AUDIT_LOG: &[FilterField] =
    fields!["id", "created_at", "operation", "principal.id", "object.id", "ip"];
