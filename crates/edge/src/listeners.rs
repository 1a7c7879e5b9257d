//! The sockets an edge serves: made by its owner, handed to a successor.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

/// Listening sockets. Every one is bound already, so that addresses that are taken are reported before anything starts.
#[derive(Debug, Default)]
pub struct Listeners {
    /// TCP side of the https address: agents, https and tls endpoints.
    pub https: Vec<TcpListener>,
    /// UDP side of the https address: agents by QUIC.
    pub quic: Vec<UdpSocket>,
    /// The plain http address.
    pub http: Vec<TcpListener>,
    /// Where `ssh -R` connects; the https address takes it too.
    pub ssh: Vec<TcpListener>,
    /// Listeners of TCP endpoints that a predecessor left: used again when their port is bound.
    pub tcp: Vec<TcpListener>,
}

impl Listeners {
    /// Duplicates of all sockets: the same accept queues, descriptors of their own.
    ///
    /// # Errors
    ///
    /// When the process has no descriptors left.
    pub fn try_clone(&self) -> io::Result<Listeners> {
        Ok(Listeners {
            https: duplicates(&self.https, TcpListener::try_clone)?,
            quic: duplicates(&self.quic, UdpSocket::try_clone)?,
            http: duplicates(&self.http, TcpListener::try_clone)?,
            ssh: duplicates(&self.ssh, TcpListener::try_clone)?,
            tcp: duplicates(&self.tcp, TcpListener::try_clone)?,
        })
    }

    /// Port of the first https listener.
    pub(crate) fn https_port(&self) -> Option<u16> {
        first_port(&self.https)
    }

    /// Port of the first http listener.
    pub(crate) fn http_port(&self) -> Option<u16> {
        first_port(&self.http)
    }
}

fn duplicates<S>(sockets: &[S], duplicate: fn(&S) -> io::Result<S>) -> io::Result<Vec<S>> {
    sockets.iter().map(duplicate).collect()
}

fn first_port(sockets: &[TcpListener]) -> Option<u16> {
    sockets.first().and_then(|socket| socket.local_addr().ok()).map(|address: SocketAddr| address.port())
}
