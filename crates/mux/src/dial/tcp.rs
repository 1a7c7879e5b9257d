//! One try over TCP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use portway_names::Host;
use portway_tls::{ALPN_PORTWAY, ReadAhead, server_name};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

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
    let stream = handshake(ReadAhead::with_prefix(socket, early), host, tls).await?;
    Ok(over_tls(stream, Role::Agent, config.clone(), peer, local))
}

/// Connects to one address and takes the time of the handshake alone.
pub(super) async fn measure(
    address: SocketAddr,
    host: &Host,
    tls: &Arc<rustls::ClientConfig>,
) -> Result<Duration, DialCause> {
    let socket = TcpStream::connect(address).await.map_err(DialCause::from_io)?;
    tune_tcp(&socket).map_err(DialCause::from_io)?;
    let begun = Instant::now();
    let mut stream = handshake(socket, host, tls).await?;
    let took = begun.elapsed();
    // The measure is taken, whatever becomes of the farewell.
    let _unheard = stream.shutdown().await;
    Ok(took)
}

async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
    socket: S,
    host: &Host,
    tls: &Arc<rustls::ClientConfig>,
) -> Result<TlsStream<S>, DialCause> {
    let stream =
        TlsConnector::from(tls.clone()).connect(server_name(host), socket).await.map_err(DialCause::from_io)?;
    // A server without ALPN shakes hands all the same (RFC 7301 section 3.1) and would then wait for another protocol.
    match stream.get_ref().1.alpn_protocol() {
        Some(ALPN_PORTWAY) => Ok(stream),
        _ => Err(DialCause::AlpnMissing),
    }
}
