//! Who a connection belongs to: what clients offer, and the question to the caller.

use std::future::Future;
use std::net::SocketAddr;

use portway_codes::{Code, PublicError};
use russh::keys::{Algorithm, HashAlg, PublicKey};
use secrecy::SecretString;

use crate::command::shown;

/// Least size of an RSA key, in bits (NIST SP 800-131A).
const MIN_RSA_BITS: usize = 2048;

/// Shortest text in front of `@` that is taken for an authtoken: below the length of any, above that of login names.
const MIN_TOKEN_LEN: usize = 40;

/// Longest authtoken that is looked at, in bytes.
const MAX_TOKEN_LEN: usize = 512;

/// What a client offers to show whose connection it is.
#[derive(Debug)]
pub enum Offer {
    /// A public key. Only after the client has proved that it has the private half does the answer count.
    Key(OfferedKey),
    /// An authtoken: as password, as answer to a prompt, or in the user name.
    Token(SecretString),
}

/// A public key that a client offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedKey {
    /// `SHA256:` and base64, as OpenSSH prints it.
    pub fingerprint: String,
    /// Algorithm and base64, as in `authorized_keys`, without comment.
    pub openssh: String,
}

/// Answers whose a credential is.
pub trait Gate: Send + Sync + 'static {
    /// Whoever it is.
    type Who: Clone + Send + Sync + 'static;

    /// Asked once for each credential that a client offers; a client may offer several, see [`crate::Limits::keys_tried`].
    ///
    /// An error whose status is 500 or above ends the login and is told to the user, so is any error about an authtoken. A key that is not
    /// known (`ERR_NGROK_1102`) only makes the client try its next one.
    fn admit(&self, offer: Offer, peer: SocketAddr) -> impl Future<Output = Result<Self::Who, PublicError>> + Send;
}

/// What the user name says.
#[derive(Debug)]
pub(crate) struct UserName {
    /// An authtoken in it.
    pub(crate) token: Option<SecretString>,
}

/// Reads a user name: a version of the command syntax (`v2`, the only one), an authtoken, both with a plus sign between, or any name, which
/// means the newest syntax: clients send the local login name when none is given.
pub(crate) fn user_name(user: &str) -> Result<UserName, PublicError> {
    let (front, token) = match user.split_once('+') {
        Some((front, token)) => (front, Some(token)),
        None => (user, None),
    };
    if let Some(version) = front.strip_prefix('v')
        && !version.is_empty()
        && version.bytes().all(|byte| byte.is_ascii_digit())
    {
        if version != "2" {
            let text =
                format!("The version \"{}\" of the command syntax is not served. Write v2, or nothing.", shown(front));
            return Err(Code::ERR_NGROK_1106.with(text));
        }
        return Ok(UserName { token: token.map(SecretString::from) });
    }
    let token = looks_like_token(user).then(|| SecretString::from(user));
    Ok(UserName { token })
}

fn looks_like_token(text: &str) -> bool {
    text.len() >= MIN_TOKEN_LEN
        && text.contains('_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// An authtoken as an offer.
pub(crate) fn token_offer(token: SecretString) -> Result<Offer, PublicError> {
    use secrecy::ExposeSecret;
    match token.expose_secret().len() {
        0 => Err(Code::ERR_NGROK_105.with(
            "No authtoken was given, and the account of no SSH key that was offered is known. Register a key (portway api ssh-credentials \
             create), or answer with an authtoken.",
        )),
        len if len > MAX_TOKEN_LEN => Err(Code::ERR_NGROK_105.plain()),
        _ => Ok(Offer::Token(token)),
    }
}

/// A public key as an offer, when keys of its kind and size are accepted with this signature.
pub(crate) fn key_offer(key: &PublicKey, algorithm: &Algorithm) -> Result<OfferedKey, PublicError> {
    let good = match algorithm {
        Algorithm::Ed25519 | Algorithm::Ecdsa { .. } | Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256 => true,
        // Without a hash the signature would be over SHA-1 (RFC 8332 section 1).
        Algorithm::Rsa { hash } => {
            hash.is_some() && key.key_data().rsa().is_some_and(|rsa| rsa.key_size() as usize >= MIN_RSA_BITS)
        }
        _ => false,
    };
    if !good {
        let text =
            "SSH keys of this kind or size are not accepted. Use an Ed25519 key, or an RSA key of 2048 bits or more.";
        return Err(Code::ERR_NGROK_1102.with(text));
    }
    let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
    let plain = PublicKey::new(key.key_data().clone(), "");
    let openssh = plain.to_openssh().map_err(|_| Code::ERR_NGROK_1102)?;
    Ok(OfferedKey { fingerprint, openssh: openssh.trim_end().to_owned() })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn user_names() {
        let token = "2abcdefghijklmnopqrstuvwxyz_0123456789ABCDEFGHIJ";
        let cases = [
            ("v2", Ok(None)),
            ("", Ok(None)),
            ("alice", Ok(None)),
            ("v", Ok(None)),
            ("vera", Ok(None)),
            ("v2x", Ok(None)),
            ("alice+tag", Ok(None)),
            ("v2+secret", Ok(Some("secret"))),
            (token, Ok(Some(token))),
            ("v1", Err(Code::ERR_NGROK_1106)),
            ("v3+secret", Err(Code::ERR_NGROK_1106)),
            ("v22222222222222222222222222", Err(Code::ERR_NGROK_1106)),
        ];
        for (user, expected) in cases {
            let read = user_name(user).map_err(|error| error.code);
            let read = read.map(|name| name.token.map(|token| token.expose_secret().to_owned()));
            assert_eq!(read, expected.map(|token| token.map(str::to_owned)), "{user}");
        }
    }

    #[test]
    fn keys_that_are_accepted() {
        let key = |algorithm: Algorithm| {
            russh::keys::PrivateKey::random(&mut rand::rng(), algorithm).unwrap().public_key().clone()
        };
        let ed25519 = key(Algorithm::Ed25519);
        let offer = key_offer(&ed25519, &Algorithm::Ed25519).unwrap();
        assert!(offer.fingerprint.starts_with("SHA256:") && offer.openssh.starts_with("ssh-ed25519 AAAA"));
        let small = PublicKey::from_openssh(include_str!("testing/rsa1024.pub")).unwrap();
        let large = PublicKey::from_openssh(include_str!("testing/rsa2048.pub")).unwrap();
        let sha2 = Algorithm::Rsa { hash: Some(HashAlg::Sha256) };
        assert!(key_offer(&large, &sha2).is_ok());
        assert!(key_offer(&large, &Algorithm::Rsa { hash: None }).is_err());
        assert!(key_offer(&small, &sha2).is_err());
        assert!(key_offer(&ed25519, &Algorithm::Dsa).is_err());
    }

    #[test]
    fn tokens_have_a_length() {
        assert!(token_offer("".into()).is_err());
        assert!(token_offer("a".repeat(MAX_TOKEN_LEN + 1).into()).is_err());
        assert!(token_offer("a".into()).is_ok());
    }
}
