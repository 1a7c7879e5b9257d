//! Who may: ACL rules of credentials, and the one IP matcher.
//!
//! It never looks anything up: rules and the wanted name or address are arguments, the answer is a value.

mod acl;
mod ip;
mod ip_rules;
mod rule;
mod ssh_key;

pub use acl::{Acl, BindAllowed, BindDenied, DenyReason};
pub use ip::{Cidr, CidrError, IpSet};
pub use ip_rules::{IpAction, IpRules, RestrictionType, admitted};
pub use rule::{AclError, MAX_RULE_LEN, MAX_RULES};
pub use ssh_key::{SshKey, SshKeyError};
