//! A visitor's connection, as far as it is known before its first request.

use std::net::SocketAddr;
use std::sync::Arc;

use portway_names::{HostName, Scheme};

/// What the listeners learned about a visitor.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    /// Address of the visitor.
    pub(crate) peer: SocketAddr,
    /// Address the visitor connected to.
    pub(crate) local: SocketAddr,
    /// How the visitor came: https behind ended TLS, http in the clear.
    pub(crate) scheme: Scheme,
    /// Name in the ClientHello.
    pub(crate) sni: Option<HostName>,
    /// HTTP/2 was agreed by ALPN.
    pub(crate) alpn_h2: bool,
    /// Authorities, PEM, one of which issued the certificate that the visitor showed in its handshake.
    pub(crate) client_authorities: Option<Arc<str>>,
}
