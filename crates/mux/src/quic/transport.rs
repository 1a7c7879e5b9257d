//! How quinn is set up.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Once};

use quinn::congestion::CubicConfig;
use quinn::crypto::rustls::{NoInitialCipherSuite, QuicClientConfig, QuicServerConfig};
use quinn::{Endpoint, EndpointConfig, IdleTimeout, TokioRuntime, TransportConfig, VarInt};
use socket2::{Domain, Protocol, Socket, Type};

use super::QuicSocket;
use crate::SessionConfig;

/// Receive and send buffer asked for a UDP socket, bytes. The usual 208 KiB holds 1.5 ms at 1 Gbit/s, less than the pause between two
/// polls of a busy runtime; 4 MiB holds 30 ms.
const SOCKET_BUFFER: usize = 4 * 1024 * 1024;

/// Unacknowledged bytes that one connection may have sent, over all its streams: what fills 150 MB/s at 100 ms.
const SEND_WINDOW: u64 = 16 * 1024 * 1024;

/// Handshakes that wait for [`super::QuicListener::accept`]; more are refused by quinn. A reconnect storm comes at thousands a second.
const MAX_INCOMING: usize = 4096;

/// Bytes of early packets that quinn keeps for one waiting handshake, and for all of them. An agent sends a hello of two packets and
/// waits.
const INCOMING_BUFFER: u64 = 16 * 1024;
const INCOMING_BUFFER_TOTAL: u64 = 16 * 1024 * 1024;

fn transport(config: &SessionConfig) -> Arc<TransportConfig> {
    // The heartbeat is quicker, and unlike this timer it tells the peer.
    let idle = (config.heartbeat_interval + config.heartbeat_tolerance).mul_f32(1.5);
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(config.quic_initial_streams))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(config.quic_stream_window))
        // quinn's own default is no limit at all.
        .receive_window(VarInt::from_u64(config.memory_budget as u64).unwrap_or(VarInt::MAX))
        .send_window(SEND_WINDOW)
        .keep_alive_interval(Some(config.quic_keep_alive))
        .max_idle_timeout(IdleTimeout::try_from(idle).ok())
        .datagram_receive_buffer_size(None)
        .enable_segmentation_offload(true)
        .congestion_controller_factory(Arc::new(CubicConfig::default()));
    Arc::new(transport)
}

/// quinn's configuration for dialling.
pub(crate) fn client_config(
    tls: &Arc<rustls::ClientConfig>,
    config: &SessionConfig,
) -> Result<quinn::ClientConfig, NoInitialCipherSuite> {
    let crypto = QuicClientConfig::try_from(tls.clone())?;
    let mut client = quinn::ClientConfig::new(Arc::new(crypto));
    client.transport_config(transport(config));
    Ok(client)
}

/// quinn's configuration for accepting.
pub(super) fn server_config(
    tls: Arc<rustls::ServerConfig>,
    config: &SessionConfig,
) -> Result<quinn::ServerConfig, NoInitialCipherSuite> {
    let crypto = QuicServerConfig::try_from(tls)?;
    let mut server = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    server
        .transport_config(transport(config))
        .max_incoming(MAX_INCOMING)
        .incoming_buffer_size(INCOMING_BUFFER)
        .incoming_buffer_size_total(INCOMING_BUFFER_TOTAL);
    Ok(server)
}

/// A socket and endpoint of its own for one dialled session, so that agents behind one address look like separate peers and the socket
/// goes with the session. Must be called on the runtime that shall drive it.
pub(crate) fn client_endpoint(peer: SocketAddr) -> io::Result<Endpoint> {
    let any: SocketAddr = match peer {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = Socket::new(Domain::for_address(peer), Type::DGRAM, Some(Protocol::UDP))?;
    socket.bind(&any.into())?;
    let socket = prepared(socket.into())?;
    Endpoint::new(EndpointConfig::default(), None, socket, Arc::new(TokioRuntime))
}

/// The endpoint of a listener, driven by the current runtime.
pub(super) fn server_endpoint(
    socket: &QuicSocket,
    config: EndpointConfig,
    server: quinn::ServerConfig,
) -> io::Result<Endpoint> {
    Endpoint::new_with_abstract_socket(config, Some(server), socket.as_socket(), Arc::new(TokioRuntime))
}

/// A bound socket with large buffers, for a runtime.
pub(super) fn prepared(socket: UdpSocket) -> io::Result<UdpSocket> {
    grow_buffers(&socket);
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn grow_buffers(socket: &UdpSocket) {
    static WARNED: Once = Once::new();
    let socket = socket2::SockRef::from(socket);
    let asked = socket.set_recv_buffer_size(SOCKET_BUFFER).and_then(|()| socket.set_send_buffer_size(SOCKET_BUFFER));
    let received = socket.recv_buffer_size().unwrap_or(0);
    let sent = socket.send_buffer_size().unwrap_or(0);
    if asked.is_err() || received < SOCKET_BUFFER || sent < SOCKET_BUFFER {
        WARNED.call_once(|| {
            tracing::warn!(
                asked = SOCKET_BUFFER,
                receive = received,
                send = sent,
                "the system limits UDP socket buffers, which slows QUIC down under load; on Linux raise net.core.rmem_max and \
                 net.core.wmem_max"
            );
        });
    }
}
