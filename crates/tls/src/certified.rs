//! A certificate chain with its private key.

use std::fmt;
use std::sync::Arc;

use rustls::{SignatureAlgorithm, sign};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::provider;

/// Bytes of a SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7) with a modulus of 4,096 bits and an exponent of 33, the longest that can be.
const RSA_INFO_MAX: usize = 552;

/// A certificate chain (end entity first) and the key that signs for it, checked to belong together. Cheap to clone.
#[derive(Clone)]
pub struct CertifiedKey(pub(crate) Arc<sign::CertifiedKey>);

/// Why a chain and a key make no [`CertifiedKey`].
#[derive(Debug, thiserror::Error)]
pub enum CertifiedKeyError {
    /// No certificate was given.
    #[error("the certificate chain is empty")]
    NoCertificate,
    /// The PEM text of the chain cannot be read.
    #[error("the certificate chain is no valid PEM: {0}")]
    ChainPem(#[source] rustls_pki_types::pem::Error),
    /// The PEM text of the key cannot be read.
    #[error("the private key is no valid PEM: {0}")]
    KeyPem(#[source] rustls_pki_types::pem::Error),
    /// The key is of no supported kind, or is not the certificate's.
    #[error("the private key does not serve this certificate: {0}")]
    Unfit(#[source] rustls::Error),
}

impl CertifiedKey {
    /// From DER: the chain, end entity first, and the key as PKCS#8.
    ///
    /// # Errors
    /// [`CertifiedKeyError`], also when the key is not the certificate's.
    pub fn from_der(chain: Vec<Vec<u8>>, pkcs8: &[u8]) -> Result<Self, CertifiedKeyError> {
        let chain = chain.into_iter().map(CertificateDer::from).collect();
        Self::new(chain, PrivatePkcs8KeyDer::from(pkcs8.to_vec()).into())
    }

    /// From PEM: one or more certificates, end entity first, and a key as PKCS#8, PKCS#1 or SEC1.
    ///
    /// # Errors
    /// [`CertifiedKeyError`], also when the key is not the certificate's.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, CertifiedKeyError> {
        let chain = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<Vec<_>, _>>()
            .map_err(CertifiedKeyError::ChainPem)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(CertifiedKeyError::KeyPem)?;
        Self::new(chain, key)
    }

    /// The end-entity certificate, DER.
    pub fn end_entity_der(&self) -> &[u8] {
        // `new` refuses an empty chain.
        self.0.cert.first().map_or(&[], |certificate| certificate.as_ref())
    }

    /// Whether a signature takes tens of milliseconds, as with RSA beyond 4,096 bits: in each handshake a thread would do nothing else for
    /// so long.
    pub fn signs_slowly(&self) -> bool {
        let key = &self.0.key;
        let size = key.public_key().map_or(0, |info| info.len());
        key.algorithm() == SignatureAlgorithm::RSA && size > RSA_INFO_MAX
    }

    pub(crate) fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, CertifiedKeyError> {
        if chain.is_empty() {
            return Err(CertifiedKeyError::NoCertificate);
        }
        let certified = sign::CertifiedKey::from_der(chain, key, &provider()).map_err(CertifiedKeyError::Unfit)?;
        Ok(Self(Arc::new(certified)))
    }
}

impl fmt::Debug for CertifiedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertifiedKey").field("certificates", &self.0.cert.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str) -> (String, String) {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let (chain, key) = pair("a.example");
        let (_, other) = pair("b.example");
        assert!(CertifiedKey::from_pem(chain.as_bytes(), key.as_bytes()).is_ok());
        assert!(matches!(CertifiedKey::from_pem(chain.as_bytes(), other.as_bytes()), Err(CertifiedKeyError::Unfit(_))));
    }

    #[test]
    fn empty_and_garbled_input_is_named() {
        let (chain, key) = pair("a.example");
        assert!(matches!(CertifiedKey::from_pem(b"", key.as_bytes()), Err(CertifiedKeyError::NoCertificate)));
        assert!(matches!(CertifiedKey::from_pem(chain.as_bytes(), b"x"), Err(CertifiedKeyError::KeyPem(_))));
        assert!(matches!(CertifiedKey::from_der(vec![vec![1, 2, 3]], &[4, 5]), Err(CertifiedKeyError::Unfit(_))));
    }

    #[test]
    fn debug_shows_no_key() {
        let (chain, key) = pair("a.example");
        let text = format!("{:?}", CertifiedKey::from_pem(chain.as_bytes(), key.as_bytes()).unwrap());
        assert_eq!(text, "CertifiedKey { certificates: 1, .. }");
    }
}
