//! TLS of one endpoint that wants it otherwise than the rest: a certificate of its own, certain versions, visitors with certificates.

use std::sync::Arc;

use rustls::server::{ResolvesServerCert, VerifierBuilderError, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};

use crate::client::pem_store;
use crate::server::{Tickets, build};
use crate::{CertStore, CertifiedKey, RootsError, provider};

/// How the visitors of one endpoint are served.
#[derive(Clone, Debug, Default)]
pub struct EndpointTls {
    /// Served to every visitor of the endpoint. None: what the store has for the name.
    pub certificate: Option<CertifiedKey>,
    /// Which versions are spoken.
    pub versions: TlsVersions,
    /// Authorities in PEM, one of which must have issued the visitor's certificate. None: visitors are not asked for one.
    pub client_authorities: Option<Vec<u8>>,
}

/// Versions of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersions {
    /// 1.2 and 1.3.
    #[default]
    Both,
    /// 1.2 alone.
    Only12,
    /// 1.3 alone.
    Only13,
}

/// Why an endpoint cannot have the TLS it asks for.
#[derive(Debug, thiserror::Error)]
pub enum EndpointTlsError {
    /// The authorities are none.
    #[error("the certificate authorities for visitors cannot be used: {0}")]
    Authorities(#[source] RootsError),
    /// The authorities make no verifier.
    #[error("the certificate authorities for visitors cannot be used: {0}")]
    Verifier(#[source] VerifierBuilderError),
}

/// A configuration for accepting the visitors of one endpoint, with these ALPN names in order of preference.
///
/// With authorities, a handshake without a certificate that one of them issued, or with one that is expired or not for clients, ends with an
/// alert. Such visitors do not resume: each connection shows its certificate anew, so an expired one is noticed at the next connection.
///
/// # Errors
/// [`EndpointTlsError`] when the authorities cannot be read or used.
pub fn endpoint_server_config(
    store: &Arc<CertStore>,
    alpn: &[&[u8]],
    endpoint: &EndpointTls,
) -> Result<Arc<ServerConfig>, EndpointTlsError> {
    let versions: &[&SupportedProtocolVersion] = match endpoint.versions {
        TlsVersions::Both => &[&TLS13, &TLS12],
        TlsVersions::Only12 => &[&TLS12],
        TlsVersions::Only13 => &[&TLS13],
    };
    let certificates: Arc<dyn ResolvesServerCert> = match &endpoint.certificate {
        Some(key) => Arc::new(SingleCertAndKey::from((*key.0).clone())),
        None => store.resolver(),
    };
    let Some(authorities) = &endpoint.client_authorities else {
        return Ok(build(versions, None, certificates, alpn, Tickets::Stateless));
    };
    let roots = Arc::new(pem_store(authorities).map_err(EndpointTlsError::Authorities)?);
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider()).build();
    let verifier = verifier.map_err(EndpointTlsError::Verifier)?;
    Ok(build(versions, Some(verifier), certificates, alpn, Tickets::None))
}
