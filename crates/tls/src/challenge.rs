//! The proof of a name by the protocol `acme-tls/1` (RFC 8737 section 3).

use std::sync::Arc;

use portway_names::HostName;
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::ServerConfig;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls_pki_types::PrivatePkcs8KeyDer;

use crate::provider;
use crate::server::{Tickets, build};

/// ALPN name of the protocol (RFC 8737 section 4).
pub const ALPN_ACME: &[u8] = b"acme-tls/1";

/// Why there is no certificate that proves a name.
#[derive(Debug, thiserror::Error)]
pub enum ChallengeError {
    /// It cannot be made.
    #[error("the certificate of a challenge cannot be made: {0}")]
    Made(#[from] rcgen::Error),
    /// Its key cannot be used.
    #[error("the key of a challenge cannot be used: {0}")]
    Used(#[from] rustls::Error),
}

/// A configuration for accepting the authority that looks for the proof of a name: a certificate that signs itself and carries the digest, and
/// the protocol `acme-tls/1` alone. Such a connection ends after its handshake (RFC 8737 section 3).
///
/// # Errors
/// [`ChallengeError`].
pub fn challenge_config(host: &HostName, digest: &[u8; 32]) -> Result<Arc<ServerConfig>, ChallengeError> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec![host.to_string()])?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let certificate = params.self_signed(&key)?.der().clone();
    let key = provider().key_provider.load_private_key(PrivatePkcs8KeyDer::from(key.serialize_der()).into())?;
    // Unchecked: whoever does not know the extension, which is critical, takes no such certificate.
    let certificate = SingleCertAndKey::from(CertifiedKey::new(vec![certificate], key));
    Ok(build(rustls::DEFAULT_VERSIONS, None, Arc::new(certificate), &[ALPN_ACME], Tickets::None))
}
