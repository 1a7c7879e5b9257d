//! The dialling side: whom to trust.

use std::sync::Arc;

use portway_names::Host;
use rustls::ClientConfig;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};

use crate::provider;

/// Sessions remembered for resumption by one client configuration: an agent dials a handful of names, so 32 is ample.
const RESUMPTION_SESSIONS: usize = 32;

/// Which certificate authorities a dialling side trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roots {
    /// Those of the operating system.
    Host,
    /// Mozilla's list, compiled in.
    Webpki,
    /// The certificates in this PEM text and nobody else.
    Pem(Vec<u8>),
}

/// Why a root set cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    /// The operating system's store cannot be used.
    #[error("the system's certificate store cannot be used: {0}")]
    Host(#[source] rustls::Error),
    /// The PEM text cannot be read.
    #[error("the CA file is no valid PEM: {0}")]
    Pem(#[source] rustls_pki_types::pem::Error),
    /// The PEM text has no certificate.
    #[error("the CA file has no certificate in it (expected -----BEGIN CERTIFICATE-----)")]
    Empty,
    /// A certificate in the PEM text is no trust anchor.
    #[error("a certificate in the CA file cannot be used as a root: {0}")]
    Unfit(#[source] rustls::Error),
    /// The roots make no verifier.
    #[error("the roots cannot be used: {0}")]
    Verifier(#[source] rustls::client::VerifierBuilderError),
    /// The crypto provider lacks TLS 1.2 or 1.3.
    #[error("the crypto provider cannot be used: {0}")]
    Provider(#[source] rustls::Error),
}

/// A configuration for dialling: TLS 1.3 and 1.2, these roots, these ALPN names in order of preference, resumption on, no client
/// certificate. Keep it for all dials to one server: it holds the session tickets.
///
/// # Errors
/// [`RootsError`] when the roots cannot be used.
pub fn client_config(roots: &Roots, alpn: &[&[u8]]) -> Result<Arc<ClientConfig>, RootsError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(RootsError::Provider)?;
    let mut config = match roots {
        Roots::Host => {
            let verifier = rustls_platform_verifier::Verifier::new(provider()).map_err(RootsError::Host)?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth()
        }
        Roots::Webpki => {
            let mut store = rustls::RootCertStore::empty();
            store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            builder.with_webpki_verifier(verifier(store)?).with_no_client_auth()
        }
        Roots::Pem(pem) => builder.with_webpki_verifier(verifier(pem_store(pem)?)?).with_no_client_auth(),
    };
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config.resumption = Resumption::in_memory_sessions(RESUMPTION_SESSIONS);
    Ok(Arc::new(config))
}

/// The same configuration with session tickets of its own: for a second listener of the same server, which cannot read the first
/// one's.
pub fn separate_resumption(config: &ClientConfig) -> Arc<ClientConfig> {
    let mut config = config.clone();
    config.resumption = Resumption::in_memory_sessions(RESUMPTION_SESSIONS);
    Arc::new(config)
}

/// The name to ask for and to find in the certificate. No SNI goes out for an address.
pub fn server_name(host: &Host) -> ServerName<'static> {
    match host {
        Host::Ip(ip) => ServerName::IpAddress((*ip).into()),
        Host::Name(name) => match ServerName::try_from(name.as_str().to_owned()) {
            Ok(name) => name,
            // A `HostName` may hold labels that no certificate can ("-x.example"): such a name verifies against nothing, and neither
            // does the unspecified address.
            Err(_) => ServerName::IpAddress(std::net::Ipv4Addr::UNSPECIFIED.into()),
        },
    }
}

fn verifier(store: rustls::RootCertStore) -> Result<Arc<WebPkiServerVerifier>, RootsError> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider()).build().map_err(RootsError::Verifier)
}

pub(crate) fn pem_store(pem: &[u8]) -> Result<rustls::RootCertStore, RootsError> {
    let mut store = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        store.add(certificate.map_err(RootsError::Pem)?).map_err(RootsError::Unfit)?;
    }
    if store.is_empty() { Err(RootsError::Empty) } else { Ok(store) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_checked() {
        assert!(client_config(&Roots::Webpki, &[b"portway/1"]).is_ok());
        assert!(matches!(client_config(&Roots::Pem(b"hello".to_vec()), &[]), Err(RootsError::Empty)));
        let garbled = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec();
        assert!(matches!(client_config(&Roots::Pem(garbled), &[]), Err(RootsError::Unfit(_))));
    }

    #[test]
    fn names_and_addresses_become_server_names() {
        assert_eq!(server_name(&"connect.example.com".parse().unwrap()).to_str(), "connect.example.com");
        assert!(matches!(server_name(&"[::1]".parse().unwrap()), ServerName::IpAddress(_)));
    }
}
