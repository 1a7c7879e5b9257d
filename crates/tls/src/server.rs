//! The accepting side.

use std::sync::Arc;

use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ResolvesServerCert};
use rustls::{ServerConfig, SupportedProtocolVersion};

use crate::{CertStore, provider};

/// A whole TLS record with the fatal alert `unrecognized_name` (RFC 6066 section 3), in the clear. A listener that has read the
/// ClientHello and knows nobody of that name writes this and closes: rustls itself answers `access_denied` when the resolver has no
/// certificate.
pub const UNRECOGNIZED_NAME_ALERT: [u8; 7] = [0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x70];

/// A whole TLS record with the fatal alert `access_denied` (RFC 8446 section 6.2), in the clear: for visitors from addresses that may not come.
pub const ACCESS_DENIED_ALERT: [u8; 7] = [0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x31];

/// A configuration for accepting: TLS 1.3 and 1.2, certificates from the store, these ALPN names in order of preference.
///
/// SNI is strict: a name that no certificate of the store covers ends the handshake with an alert, unless the store has a fallback. A ClientHello without SNI gets the
/// store's default certificate. Clients resume by stateless tickets (12 hours, rotated), so no session is kept in memory.
pub fn server_config(store: &Arc<CertStore>, alpn: &[&[u8]]) -> Arc<ServerConfig> {
    build(rustls::DEFAULT_VERSIONS, None, store.resolver(), alpn, Tickets::Stateless)
}

/// Whether clients may resume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tickets {
    Stateless,
    None,
}

/// A configuration with what may differ.
pub(crate) fn build(
    versions: &[&'static SupportedProtocolVersion],
    clients: Option<Arc<dyn ClientCertVerifier>>,
    certificates: Arc<dyn ResolvesServerCert>,
    alpn: &[&[u8]],
    tickets: Tickets,
) -> Arc<ServerConfig> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .expect("the provider has suites for TLS 1.2 and 1.3");
    let builder = match clients {
        Some(clients) => builder.with_client_cert_verifier(clients),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(certificates);
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    if tickets == Tickets::None {
        config.send_tls13_tickets = 0;
        return Arc::new(config);
    }
    // One ticket is enough for a client that opens one connection at a time, and each costs 250 bytes and an encryption.
    config.send_tls13_tickets = 1;
    match rustls::crypto::aws_lc_rs::Ticketer::new() {
        Ok(ticketer) => config.ticketer = ticketer,
        Err(error) => tracing::warn!(%error, "no TLS session tickets: the system gives no randomness"),
    }
    Arc::new(config)
}
