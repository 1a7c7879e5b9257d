//! The master key, and what is sealed with it before it goes into the database.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk, Salt};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use zeroize::Zeroizing;

/// Bytes of the master key.
pub(crate) const KEY_LEN: usize = 32;
/// Bytes of a nonce (NIST SP 800-38D section 5.2.1.1).
const NONCE_LEN: usize = 12;
/// What a sealed text begins with; another scheme gets another prefix.
const PREFIX: &str = "v1:";

/// Seals secrets with AES-256-GCM under random nonces. The context is authenticated: what was sealed as one thing does not open as
/// another, so a sealed value cannot be moved to another row.
pub(crate) struct MasterKey {
    sealing: RandomizedNonceKey,
    deriving: Prk,
}

/// The sealed text was changed, belongs elsewhere, or was sealed with another master key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sealed secret does not open: the master key is another one, or the database was tampered with")]
pub(crate) struct NotOpened;

impl MasterKey {
    pub(crate) fn new(key: &[u8; KEY_LEN]) -> Self {
        Self {
            sealing: RandomizedNonceKey::new(&AES_256_GCM, key).expect("the length is AES-256's"),
            deriving: Salt::new(HKDF_SHA256, b"portway master key").extract(key),
        }
    }

    /// Another key, the same at every start (RFC 5869 section 2.3). Keys of different purposes say nothing about each other.
    pub(crate) fn derive(&self, purpose: &str) -> [u8; 32] {
        let mut key = [0; 32];
        let purpose = [purpose.as_bytes()];
        let expanded = self.deriving.expand(&purpose, HKDF_SHA256).expect("32 bytes are one block of HKDF-SHA256");
        expanded.fill(&mut key).expect("the length is the one asked for");
        key
    }

    /// Seals a secret as text.
    pub(crate) fn seal(&self, context: &str, secret: &[u8]) -> String {
        let mut buffer = secret.to_vec();
        let nonce = self
            .sealing
            .seal_in_place_append_tag(Aad::from(context), &mut buffer)
            .expect("sealing fails only beyond 64 GiB");
        let mut sealed = nonce.as_ref().to_vec();
        sealed.append(&mut buffer);
        format!("{PREFIX}{}", STANDARD_NO_PAD.encode(sealed))
    }

    /// Opens what was sealed in the same context.
    pub(crate) fn open(&self, context: &str, sealed: &str) -> Result<Zeroizing<Vec<u8>>, NotOpened> {
        let sealed = sealed.strip_prefix(PREFIX).ok_or(NotOpened)?;
        let sealed = STANDARD_NO_PAD.decode(sealed).map_err(|_| NotOpened)?;
        let (nonce, buffer) = sealed.split_at_checked(NONCE_LEN).ok_or(NotOpened)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| NotOpened)?;
        let mut buffer = Zeroizing::new(buffer.to_vec());
        let len = self.sealing.open_in_place(nonce, Aad::from(context), &mut buffer).map_err(|_| NotOpened)?.len();
        buffer.truncate(len);
        Ok(buffer)
    }
}

/// The context of a secret inside a resource of the REST API.
pub(crate) fn resource_context(kind: &str, id: &str, field: &str) -> String {
    format!("{kind} {id} {field}")
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::{MasterKey, NotOpened};

    #[test]
    fn what_is_sealed_opens() {
        let key = MasterKey::new(&[7; 32]);
        for secret in [&b""[..], b"x", &[0; 5000]] {
            let sealed = key.seal("here", secret);
            assert_eq!(key.open("here", &sealed).unwrap().as_slice(), secret);
        }
    }

    #[test]
    fn sealing_twice_gives_different_texts() {
        let key = MasterKey::new(&[7; 32]);
        assert_ne!(key.seal("here", b"secret"), key.seal("here", b"secret"));
    }

    #[test]
    fn derived_keys_are_stable_and_differ() {
        let key = MasterKey::new(&[7; 32]);
        assert_eq!(key.derive("one"), MasterKey::new(&[7; 32]).derive("one"));
        assert_ne!(key.derive("one"), key.derive("two"));
        assert_ne!(key.derive("one"), MasterKey::new(&[8; 32]).derive("one"));
    }

    #[test]
    fn another_context_or_key_does_not_open() {
        let sealed = MasterKey::new(&[7; 32]).seal("here", b"secret");
        assert_eq!(MasterKey::new(&[7; 32]).open("there", &sealed), Err(NotOpened));
        assert_eq!(MasterKey::new(&[8; 32]).open("here", &sealed), Err(NotOpened));
    }

    #[test]
    fn no_changed_character_opens() {
        let key = MasterKey::new(&[7; 32]);
        let sealed = key.seal("here", b"a secret of some length");
        for at in 0..sealed.len() {
            for replacement in ["", "A", "B", "!"] {
                let changed = format!("{}{replacement}{}", &sealed[..at], &sealed[at + 1..]);
                // The last character may carry unused bits; the decoder refuses those, too.
                if changed != sealed {
                    assert_eq!(key.open("here", &changed), Err(NotOpened), "{at} {replacement}");
                }
            }
        }
        for short in ["", "v1:", "v1:AAAA", "v2:AAAA"] {
            assert_eq!(key.open("here", short), Err(NotOpened));
        }
    }
}
