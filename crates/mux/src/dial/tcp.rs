//! One try over TCP.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use portway_names::Host;
use portway_tls::{ALPN_PORTWAY, ReadAhead, server_name};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{DialCause, tune_tcp};
use crate::{Role, Session, SessionConfig, over_tls};

/// Connects to one address and begins a session there.
pub(super) async fn dial(
    address: SocketAddr,
    host: &Host,
    tls: &Arc<rustls::ClientConfig>,
    config: &SessionConfig,
) -> Result<Session, DialCause> {
    let socket = TcpStream::connect(address).await.map_err(DialCause::from_io)?;
    over_socket(socket, Bytes::new(), host, tls, config).await
}

/// Begins a session over a connection to the server, direct or by a proxy. `early` was read from it already.
pub(super) async fn over_socket(
    socket: TcpStream,
    early: Bytes,
    host: &Host,
    tls: &Arc<rustls::ClientConfig>,
    config: &SessionConfig,
) -> Result<Session, DialCause> {
    tune_tcp(&socket).map_err(DialCause::from_io)?;
    let peer = socket.peer_addr().map_err(DialCause::from_io)?;
    let local = socket.local_addr().map_err(DialCause::from_io)?;
    let socket = ReadAhead::with_prefix(socket, early);
    let stream =
        TlsConnector::from(tls.clone()).connect(server_name(host), socket).await.map_err(DialCause::from_io)?;
    // A server without ALPN shakes hands all the same (RFC 7301 section 3.1) and would then wait for another protocol.
    if stream.get_ref().1.alpn_protocol() != Some(ALPN_PORTWAY) {
        return Err(DialCause::AlpnMissing);
    }
    Ok(over_tls(stream, Role::Agent, config.clone(), peer, local))
}
