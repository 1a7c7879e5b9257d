//! The keys by which clients know the server.

use std::fmt;

use portway_codes::PublicError;
use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PrivateKey};
use secrecy::{ExposeSecret, SecretString};

/// The server's host keys: Ed25519, and ECDSA over P-256 for clients that lack the first.
///
/// They have to stay the same for as long as the server has its name: a client that finds another key refuses to connect. Keeping them, and
/// keeping them secret, is up to the caller.
#[derive(Clone)]
pub struct HostKeys {
    keys: Vec<PrivateKey>,
}

/// Why there are no host keys.
#[derive(Debug, thiserror::Error)]
pub enum HostKeyError {
    /// A text that is no private key, or a key that is encrypted or of a kind that is not used.
    #[error("the host key cannot be read: {0}")]
    NotAKey(String),
    /// None at all.
    #[error("there is no host key")]
    None,
    /// A key could not be made or written.
    #[error("the host key cannot be made: {0}")]
    NotMade(String),
}

impl HostKeys {
    /// Makes new keys with the random numbers of the operating system.
    ///
    /// # Errors
    /// [`HostKeyError::NotMade`].
    pub fn generate() -> Result<Self, HostKeyError> {
        let made = |algorithm| {
            PrivateKey::random(&mut rand::rng(), algorithm).map_err(|error| HostKeyError::NotMade(error.to_string()))
        };
        let keys = vec![made(Algorithm::Ed25519)?, made(Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 })?];
        Ok(Self { keys })
    }

    /// Reads keys in the text form of OpenSSH (`-----BEGIN OPENSSH PRIVATE KEY-----`), one a text.
    ///
    /// # Errors
    /// [`HostKeyError::NotAKey`] for the first that cannot be used, [`HostKeyError::None`] when there is none.
    pub fn from_openssh<'a>(texts: impl IntoIterator<Item = &'a SecretString>) -> Result<Self, HostKeyError> {
        let keys = texts.into_iter().map(|text| read(text.expose_secret())).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() { Err(HostKeyError::None) } else { Ok(Self { keys }) }
    }

    /// The keys in the text form of OpenSSH, not encrypted: to be sealed and kept.
    ///
    /// # Errors
    /// [`HostKeyError::NotMade`].
    pub fn to_openssh(&self) -> Result<Vec<SecretString>, HostKeyError> {
        let write = |key: &PrivateKey| match key.to_openssh(LineEnding::LF) {
            Ok(text) => Ok(SecretString::from(text.as_str())),
            Err(error) => Err(HostKeyError::NotMade(error.to_string())),
        };
        self.keys.iter().map(write).collect()
    }

    /// The public halves in the form of `known_hosts` without the host: algorithm and base64.
    pub fn public(&self) -> Vec<String> {
        self.keys.iter().filter_map(|key| key.public_key().to_openssh().ok()).collect()
    }

    /// The SHA-256 fingerprints, as OpenSSH prints them.
    pub fn fingerprints(&self) -> Vec<String> {
        self.keys.iter().map(|key| key.fingerprint(HashAlg::Sha256).to_string()).collect()
    }

    pub(crate) fn to_vec(&self) -> Vec<PrivateKey> {
        self.keys.clone()
    }
}

impl fmt::Debug for HostKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HostKeys").field(&self.fingerprints()).finish()
    }
}

impl From<HostKeyError> for PublicError {
    fn from(error: HostKeyError) -> Self {
        portway_codes::Code::ERR_NGROK_802.with(error.to_string())
    }
}

fn read(text: &str) -> Result<PrivateKey, HostKeyError> {
    let key = PrivateKey::from_openssh(text).map_err(|error| HostKeyError::NotAKey(error.to_string()))?;
    if key.is_encrypted() {
        return Err(HostKeyError::NotAKey("it is encrypted".to_owned()));
    }
    match key.algorithm() {
        Algorithm::Ed25519 | Algorithm::Ecdsa { .. } => Ok(key),
        other => Err(HostKeyError::NotAKey(format!("{other} is not used"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_being_written_and_read() {
        let keys = HostKeys::generate().unwrap();
        assert_eq!(keys.fingerprints().len(), 2);
        assert!(keys.public()[0].starts_with("ssh-ed25519 ") && keys.public()[1].starts_with("ecdsa-sha2-nistp256 "));
        let texts = keys.to_openssh().unwrap();
        let read = HostKeys::from_openssh(&texts).unwrap();
        assert_eq!(read.fingerprints(), keys.fingerprints());
        assert!(!format!("{keys:?}").contains("PRIVATE"));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert!(matches!(HostKeys::from_openssh(&[]), Err(HostKeyError::None)));
        let cases = ["", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"];
        for text in cases {
            let text = SecretString::from(text);
            assert!(matches!(HostKeys::from_openssh([&text]), Err(HostKeyError::NotAKey(_))));
        }
    }
}
