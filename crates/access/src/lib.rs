//! Who may: ACL rules of credentials.
//!
//! It never looks anything up: rules and the wanted name are arguments, the answer is a value.

mod acl;
mod rule;

pub use acl::{Acl, BindAllowed, BindDenied, DenyReason};
pub use rule::{AclError, MAX_RULE_LEN, MAX_RULES};
