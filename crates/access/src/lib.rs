//! Who may: ACL rules of credentials.
