//! Public SSH keys as credentials.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Longest public key that is read, in bytes of its text: an RSA key of 16,384 bits has 2,800.
const MAX_LEN: usize = 8 * 1024;

/// Algorithms of keys that the SSH front accepts.
const ALGORITHMS: [&str; 7] = [
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// A public SSH key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshKey {
    algorithm: &'static str,
    blob: Vec<u8>,
    /// What stands behind the key in its file, often a person and a machine.
    pub comment: String,
}

/// Why a text is no public SSH key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SshKeyError {
    /// Not a line of algorithm and base64.
    #[error("it is not one line of a public key, such as ssh-ed25519 AAAA…; give the file that ends in .pub")]
    Form,
    /// The private half.
    #[error("it is a private key, which nobody else should ever get; give the file that ends in .pub")]
    Private,
    /// An algorithm that is not accepted.
    #[error("keys of the kind {0:?} are not accepted; make one with ssh-keygen -t ed25519")]
    Algorithm(String),
}

impl SshKey {
    /// Reads a key as `ssh-keygen` writes it: algorithm, base64, and possibly a comment.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, SshKeyError> {
        let text = text.trim();
        if text.contains("PRIVATE KEY") {
            return Err(SshKeyError::Private);
        }
        if text.len() > MAX_LEN || text.contains(['\n', '\r']) {
            return Err(SshKeyError::Form);
        }
        let (name, rest) = text.split_once(' ').ok_or(SshKeyError::Form)?;
        let (encoded, comment) = rest.trim_start().split_once(' ').unwrap_or((rest.trim_start(), ""));
        let blob = STANDARD.decode(encoded).map_err(|_| SshKeyError::Form)?;
        // RFC 4253 section 6.6: the blob begins with the length of the algorithm's name, and the name.
        let inner = blob
            .split_first_chunk::<4>()
            .and_then(|(length, rest)| rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?));
        if inner != Some(name.as_bytes()) {
            return Err(SshKeyError::Form);
        }
        let known = ALGORITHMS.iter().find(|known| **known == name);
        let algorithm = known.ok_or_else(|| SshKeyError::Algorithm(name.to_owned()))?;
        Ok(Self { algorithm, blob, comment: comment.trim().to_owned() })
    }

    /// What stands for the key where an authtoken stands for itself. No authtoken has a byte 0 in it, so nobody logs in with an authtoken
    /// by knowing a public key.
    pub fn secret(&self) -> Vec<u8> {
        [b"ssh key\0", self.to_string().as_bytes()].concat()
    }
}

/// Algorithm and base64, without comment.
impl std::fmt::Display for SshKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.algorithm, STANDARD.encode(&self.blob))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

    #[test]
    fn a_key_is_read_with_and_without_comment() {
        let plain = SshKey::parse(KEY).unwrap();
        assert_eq!(plain.to_string(), KEY);
        let with = SshKey::parse(&format!("{KEY} me@host of mine\n")).unwrap();
        assert_eq!((with.comment.as_str(), with.secret()), ("me@host of mine", plain.secret()));
        assert_eq!(plain.secret(), format!("ssh key\0{KEY}").as_bytes());
    }

    #[test]
    fn what_is_none_is_refused_with_a_reason() {
        let private = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----";
        assert_eq!(SshKey::parse(private), Err(SshKeyError::Private));
        let renamed = KEY.replacen("ssh-ed25519", "ssh-rsa", 1);
        for text in ["", "ssh-ed25519", "ssh-ed25519 ???", "hello world", &renamed, &format!("{KEY}\n{KEY}")] {
            assert_eq!(SshKey::parse(text), Err(SshKeyError::Form), "{text}");
        }
        let dss = "ssh-dss AAAAB3NzaC1kc3MAAAAA";
        assert_eq!(SshKey::parse(dss), Err(SshKeyError::Algorithm("ssh-dss".to_owned())));
    }
}
