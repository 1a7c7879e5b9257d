//! The crypto provider.

use std::sync::{Arc, LazyLock, Once};

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use rustls::crypto::{CryptoProvider, aws_lc_rs as rustls_aws_lc_rs};

/// The one provider of the process: aws-lc-rs, with AES-128-GCM in front of AES-256-GCM (a quarter less work for each byte, and no
/// known attack that the longer key would stop) and the provider's own key exchange order, hybrid post-quantum first.
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        let mut provider = rustls_aws_lc_rs::default_provider();
        provider.cipher_suites.sort_by_key(|suite| !is_aes_128(suite.suite()));
        Arc::new(provider)
    });
    PROVIDER.clone()
}

/// Runs the algorithms of a handshake once. The first use of aws-lc-rs in a process costs 50 to 70 ms (self tests and tables); called at
/// start on a blocking thread, that time passes while sockets are opened instead of in front of the first visitor. Only the first call of
/// a process does anything; others wait for it.
pub fn warm_up() {
    static WARM: Once = Once::new();
    WARM.call_once(|| {
        if exchange_keys().is_none() || sign_and_seal().is_err() {
            tracing::debug!("TLS warm-up did not finish; the first handshake will be slower");
        }
    });
}

fn is_aes_128(suite: rustls::CipherSuite) -> bool {
    suite.as_str().is_some_and(|name| name.contains("AES_128"))
}

fn exchange_keys() -> Option<()> {
    let provider = provider();
    let group = provider.kx_groups.first()?;
    let ours = group.start().ok()?;
    let theirs = group.start_and_complete(ours.pub_key()).ok()?;
    ours.complete(&theirs.pub_key).ok().map(drop)
}

fn sign_and_seal() -> Result<(), Unspecified> {
    const MESSAGE: &[u8] = b"warm up";
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)?;
    let signature = key.sign(&SystemRandom::new(), MESSAGE)?;
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key.public_key().as_ref()).verify(MESSAGE, signature.as_ref())?;
    // The key is used for this message only and then forgotten, so a fixed one does no harm.
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &[0; 16])?);
    cipher.seal_in_place_append_tag(Nonce::assume_unique_for_key([0; 12]), Aad::empty(), &mut MESSAGE.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aes_128_comes_first_and_every_suite_stays() {
        let suites: Vec<_> = provider().cipher_suites.iter().map(|suite| suite.suite()).collect();
        assert_eq!(suites[0], rustls::CipherSuite::TLS13_AES_128_GCM_SHA256);
        assert_eq!(suites.len(), rustls_aws_lc_rs::DEFAULT_CIPHER_SUITES.len());
    }

    #[test]
    fn warm_up_runs_to_the_end() {
        assert!(exchange_keys().is_some());
        assert!(sign_and_seal().is_ok());
    }
}
