//! Who may: ACL rules of credentials, and names that nobody may have.
//!
//! It never looks anything up: rules and the wanted name are arguments, the answer is a value.

mod acl;
mod reserved;
mod rule;

pub use acl::{Acl, BindAllowed, BindDenied, DenyReason};
pub use reserved::is_reserved;
pub use rule::{AclError, MAX_RULE_LEN, MAX_RULES};
