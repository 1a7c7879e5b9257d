//! Accepting QUIC sessions.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::time::Duration;

use portway_muxado::ErrorCode;
use portway_names::HostName;
use quinn::VarInt;
use tokio::time::timeout;

use super::connection::{Handle, close_reason};
use super::{QuicKeys, QuicSocket, transport};
use crate::{CloseReason, Role, Session, SessionConfig};

/// How long a handshake may take: three lost packets in a row on a slow path, and no more for somebody who only holds memory.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Handshakes in flight above which an address has to prove itself by a Retry round trip (RFC 9000 section 8.1.2) first.
const RETRY_ABOVE: usize = 1000;

/// How long [`QuicListener::close`] waits for peers to learn of it.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// A UDP socket on which agents arrive.
#[derive(Debug)]
pub struct QuicListener {
    endpoint: quinn::Endpoint,
    socket: QuicSocket,
    config: SessionConfig,
    local_addr: SocketAddr,
    handshakes: Arc<()>,
}

/// A client's first packet: no answer has been sent yet.
pub struct QuicIncoming {
    incoming: quinn::Incoming,
    config: SessionConfig,
    local_addr: SocketAddr,
    handshakes: Arc<()>,
}

/// Why a QUIC handshake made no session.
#[derive(Debug, thiserror::Error)]
pub enum EstablishError {
    /// It failed.
    #[error("QUIC handshake failed: {0}")]
    Handshake(#[source] CloseReason),
    /// It took too long.
    #[error("QUIC handshake took longer than {} s", HANDSHAKE_TIMEOUT.as_secs())]
    TimedOut,
    /// The address was asked to prove itself; the client comes back by itself.
    #[error("asked the client to prove its address first")]
    Retried,
}

impl QuicListener {
    /// Listens on a bound socket. Its buffers are grown; the runtime that this is called on drives all its sessions. Sessions of an earlier
    /// process with the same `keys` on the same address are reset when their agents next send something.
    ///
    /// # Errors
    /// When the socket cannot be used, or the TLS configuration lacks the suite that QUIC starts with (TLS 1.3 with AES-128-GCM).
    pub fn new(
        socket: std::net::UdpSocket,
        tls: Arc<rustls::ServerConfig>,
        config: SessionConfig,
        keys: &QuicKeys,
    ) -> io::Result<Self> {
        Self::succeed(socket, None, tls, config, keys)
    }

    /// As [`QuicListener::new`], on a socket that a predecessor with the same `keys` still reads: what is not for its sessions comes by
    /// `relay`, until [`QuicSocket::take_over`].
    ///
    /// # Errors
    /// As [`QuicListener::new`].
    pub fn succeed(
        socket: std::net::UdpSocket,
        relay: Option<UnixDatagram>,
        tls: Arc<rustls::ServerConfig>,
        config: SessionConfig,
        keys: &QuicKeys,
    ) -> io::Result<Self> {
        let local_addr = socket.local_addr()?;
        let server = transport::server_config(tls, &config)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let ids = keys.connection_ids();
        let socket = QuicSocket::new(transport::prepared(socket)?, relay, ids.clone())?;
        let endpoint = transport::server_endpoint(&socket, keys.endpoint_config(ids), server)?;
        Ok(Self { endpoint, socket, config, local_addr, handshakes: Arc::new(()) })
    }

    /// The socket, for its handover.
    pub fn socket(&self) -> QuicSocket {
        self.socket.clone()
    }

    /// The next client. `None`: the listener is closed.
    ///
    /// # Cancel safety
    /// No client is lost when the future is dropped.
    pub async fn accept(&self) -> Option<QuicIncoming> {
        let incoming = self.endpoint.accept().await?;
        Some(QuicIncoming {
            incoming,
            config: self.config.clone(),
            local_addr: self.local_addr,
            handshakes: self.handshakes.clone(),
        })
    }

    /// Address of the socket.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Sessions that live, those in handshake included.
    pub fn open_connections(&self) -> usize {
        self.endpoint.open_connections()
    }

    /// Takes no new clients any more; sessions go on. Packets of new clients are dropped, unless [`QuicSocket::pass_on`] takes them to a
    /// successor.
    pub fn refuse_new(&self) {
        self.endpoint.set_server_config(None);
    }

    /// Closes every session and the listener, and waits a moment for the peers to hear of it.
    pub async fn close(&self) {
        self.endpoint.close(VarInt::from_u32(ErrorCode::NONE.0), b"shutting down");
        // Peers that do not answer find out by their idle timeout.
        let _ = timeout(CLOSE_GRACE, self.endpoint.wait_idle()).await;
    }
}

impl QuicIncoming {
    /// The client's address; not proven yet.
    pub fn peer_addr(&self) -> SocketAddr {
        self.incoming.remote_address()
    }

    /// Does the handshake. Also tells the server name that the client asked for.
    ///
    /// # Cancel safety
    /// When the future is dropped, the handshake is abandoned.
    ///
    /// # Errors
    /// [`EstablishError`].
    pub async fn establish(self) -> Result<(Session, Option<HostName>), EstablishError> {
        let busy = Arc::strong_count(&self.handshakes) > RETRY_ABOVE;
        if busy && !self.incoming.remote_address_validated() && self.incoming.may_retry() {
            return match self.incoming.retry() {
                Ok(()) | Err(_) => Err(EstablishError::Retried),
            };
        }
        let connecting = self.incoming.accept().map_err(|error| EstablishError::Handshake(close_reason(error)))?;
        let connection = timeout(HANDSHAKE_TIMEOUT, connecting)
            .await
            .map_err(|_| EstablishError::TimedOut)?
            .map_err(|error| EstablishError::Handshake(close_reason(error)))?;
        let name = server_name(&connection);
        let handle = Handle::new(connection, Role::Edge, self.config, self.local_addr);
        Ok((Session::quic(handle), name))
    }

    /// Refuses the client with an answer (CONNECTION_REFUSED).
    pub fn refuse(self) {
        self.incoming.refuse();
    }

    /// Drops the client's packet without an answer.
    pub fn ignore(self) {
        self.incoming.ignore();
    }
}

impl fmt::Debug for QuicIncoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuicIncoming").field("peer", &self.peer_addr()).finish_non_exhaustive()
    }
}

fn server_name(connection: &quinn::Connection) -> Option<HostName> {
    let data = connection.handshake_data()?.downcast::<quinn::crypto::rustls::HandshakeData>().ok()?;
    data.server_name?.parse().ok()
}
