//! What the operator names to take it away.

use std::fmt;
use std::str::FromStr;

use portway_names::{CredentialId, IdError, SshCredentialId};

/// Which authtoken or SSH key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AuthtokenId {
    /// An authtoken, `cr_…`.
    Authtoken(CredentialId),
    /// An SSH key, `sshcr_…`. While it is connected, edges call it by the id of an authtoken with the same KSUID.
    SshKey(SshCredentialId),
}

impl From<CredentialId> for AuthtokenId {
    fn from(id: CredentialId) -> Self {
        AuthtokenId::Authtoken(id)
    }
}

impl From<SshCredentialId> for AuthtokenId {
    fn from(id: SshCredentialId) -> Self {
        AuthtokenId::SshKey(id)
    }
}

impl FromStr for AuthtokenId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        match text.parse() {
            Err(IdError::Prefix(_)) => text.parse().map(AuthtokenId::Authtoken),
            key => key.map(AuthtokenId::SshKey),
        }
    }
}

impl fmt::Display for AuthtokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AuthtokenId::Authtoken(id) => id.fmt(f),
            AuthtokenId::SshKey(id) => id.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use portway_names::{CredentialId, IdError, SshCredentialId};

    use super::AuthtokenId;

    #[test]
    fn both_forms_of_an_id_are_read() {
        for text in ["cr_0ujtsYcgvSTl8PAuAdqWYSMnLOv", "sshcr_0ujtsYcgvSTl8PAuAdqWYSMnLOv"] {
            assert_eq!(text.parse::<AuthtokenId>().unwrap().to_string(), text);
        }
        assert_eq!("ac_0ujtsYcgvSTl8PAuAdqWYSMnLOv".parse::<AuthtokenId>(), Err(IdError::Prefix(CredentialId::PREFIX)));
        assert!(matches!("sshcr_0".parse::<AuthtokenId>(), Err(IdError::Ksuid(_))));
        let key: SshCredentialId = "sshcr_0ujtsYcgvSTl8PAuAdqWYSMnLOv".parse().unwrap();
        assert_eq!(AuthtokenId::from(key), AuthtokenId::SshKey(key));
    }
}
