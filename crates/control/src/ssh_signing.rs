//! Keys of SSH certificate authorities, and signing with them. It computes for up to seconds: not for the threads that serve.

use std::collections::BTreeMap;

use portway_api::{SshCurve, SshKeyType};
use ssh_key::certificate::{Builder, CertType};
use ssh_key::private::{KeypairData, RsaKeypair};
use ssh_key::{Algorithm, Certificate, EcdsaCurve, PrivateKey, PublicKey};
use zeroize::Zeroizing;

use crate::random;

/// Bits of an RSA key when nothing else is said.
const RSA_BITS: u32 = 2048;

/// What kind of key to make.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyChoice {
    pub(crate) kind: SshKeyType,
    /// Of an ECDSA key.
    pub(crate) curve: Option<SshCurve>,
    /// Of an RSA key.
    pub(crate) bits: Option<u32>,
}

/// A key of an authority.
pub(crate) struct AuthorityKey {
    /// A line of authorized_keys.
    pub(crate) public: String,
    /// As OpenSSH has it in its files, without the PEM around it.
    pub(crate) private: Zeroizing<Vec<u8>>,
}

/// What a certificate is to say.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) host: bool,
    /// How servers log it.
    pub(crate) key_id: String,
    pub(crate) public_key: PublicKey,
    pub(crate) principals: Vec<String>,
    pub(crate) critical_options: BTreeMap<String, String>,
    pub(crate) extensions: BTreeMap<String, String>,
    /// Seconds since 1970.
    pub(crate) valid_after: u64,
    /// Seconds since 1970.
    pub(crate) valid_until: u64,
}

/// Makes a key.
pub(crate) fn make_key(choice: KeyChoice) -> Result<AuthorityKey, ssh_key::Error> {
    let mut rng = rand::rng();
    let key = match choice.kind {
        SshKeyType::Ed25519 => PrivateKey::random(&mut rng, Algorithm::Ed25519)?,
        SshKeyType::Ecdsa => {
            let curve = match choice.curve {
                None | Some(SshCurve::P256) => EcdsaCurve::NistP256,
                Some(SshCurve::P384) => EcdsaCurve::NistP384,
                Some(SshCurve::P521) => EcdsaCurve::NistP521,
            };
            PrivateKey::random(&mut rng, Algorithm::Ecdsa { curve })?
        }
        SshKeyType::Rsa => {
            let bits = choice.bits.unwrap_or(RSA_BITS) as usize;
            PrivateKey::new(KeypairData::Rsa(RsaKeypair::random(&mut rng, bits)?), "")?
        }
    };
    Ok(AuthorityKey { public: key.public_key().to_openssh()?, private: key.to_bytes()? })
}

/// The key to be certified, and its kind; none for kinds that OpenSSH no longer takes.
pub(crate) fn read_key(line: &str) -> Option<(PublicKey, SshKeyType)> {
    let key = PublicKey::from_openssh(line).ok()?;
    let kind = match key.algorithm() {
        Algorithm::Rsa { .. } => SshKeyType::Rsa,
        Algorithm::Ecdsa { .. } | Algorithm::SkEcdsaSha2NistP256 => SshKeyType::Ecdsa,
        Algorithm::Ed25519 | Algorithm::SkEd25519 => SshKeyType::Ed25519,
        _ => return None,
    };
    Some((key, kind))
}

/// Signs a certificate with an authority's private key, and returns it as a file that ends in `-cert.pub`.
pub(crate) fn sign(private: &[u8], order: Order) -> Result<String, ssh_key::Error> {
    let authority = PrivateKey::from_bytes(private)?;
    let comment = order.public_key.comment().clone();
    let nonce = random::bytes::<{ Builder::RECOMMENDED_NONCE_SIZE }>();
    let mut builder = Builder::new(nonce, order.public_key, order.valid_after, order.valid_until)?;
    builder.cert_type(if order.host { CertType::Host } else { CertType::User })?;
    // Lists of revoked keys name certificates by it.
    builder.serial(u64::from_be_bytes(random::bytes()))?.key_id(order.key_id)?.comment(comment)?;
    match order.principals.is_empty() {
        true => {
            builder.all_principals_valid()?;
        }
        false => {
            for principal in order.principals {
                builder.valid_principal(principal)?;
            }
        }
    }
    for (name, value) in order.critical_options {
        builder.critical_option(name, value)?;
    }
    for (name, value) in order.extensions {
        builder.extension(name, value)?;
    }
    builder.sign(&authority).and_then(|certificate: Certificate| certificate.to_openssh())
}
