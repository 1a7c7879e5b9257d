//! The QUIC socket during an upgrade: when the new server serves it, and how the old one leaves it.

use std::io;
use std::net::UdpSocket;
use std::os::unix::net::{UnixDatagram, UnixStream};

use portway_edge::{Edge, QuicSocket};
use tokio_util::task::AbortOnDropHandle;

use crate::handover::{Farewell, HandoverError, Predecessor, Word};
use crate::server::blocking;

/// A QUIC socket that a predecessor reads.
#[derive(Debug)]
pub(crate) struct LaterQuic {
    /// Taken when the edge serves it.
    socket: Option<UdpSocket>,
    farewell: Farewell,
}

impl LaterQuic {
    /// Waits on the predecessor's stream for the socket's turn.
    pub(crate) fn new(socket: Option<UdpSocket>, stream: UnixStream) -> io::Result<Self> {
        Ok(Self { socket, farewell: Farewell::new(stream)? })
    }

    /// The socket, as long as the edge does not serve it.
    pub(crate) fn socket(&self) -> Option<&UdpSocket> {
        self.socket.as_ref()
    }

    /// What the predecessor says next.
    ///
    /// Cancel safety: nothing is lost when the future is dropped.
    pub(crate) async fn next(&mut self) -> Word {
        self.farewell.next().await
    }

    /// Does what follows from a word. None when it was the last one.
    pub(crate) fn hear(mut self, word: Word, edge: &mut Edge) -> Option<Self> {
        let (relay, last) = match word {
            Word::Relay(relay) => (Some(relay), false),
            Word::Free => (None, true),
        };
        match self.socket.take().map(|socket| edge.serve_quic(socket, relay)) {
            None if last => edge.quic_sockets().iter().for_each(QuicSocket::take_over),
            None => {}
            Some(Ok(())) => tracing::info!("serving QUIC"),
            Some(Err(error)) => tracing::error!(%error, "QUIC is not served; agents use TCP"),
        }
        (!last).then_some(self)
    }
}

/// Sends QUIC newcomers of an edge that is to drain to the successor, and tells that when the last QUIC session here is over, however long the
/// rest of the drain takes: the end of the stream says so. The task is to be kept through the drain.
pub(crate) async fn leave(
    edge: &Edge,
    later: Option<LaterQuic>,
    predecessor: Predecessor,
) -> Option<AbortOnDropHandle<()>> {
    let sockets = edge.quic_sockets();
    let relayed = async {
        let (here, there) = UnixDatagram::pair()?;
        if let Some(socket) = sockets.first() {
            socket.pass_on(here)?;
        }
        blocking(move || predecessor.relay(&there).map(|()| predecessor).map_err(HandoverError::from)).await
    };
    let predecessor = match relayed.await {
        Ok(predecessor) => predecessor,
        Err(error) => {
            tracing::warn!(%error, "agents over QUIC have to wait for the end of this server's sessions");
            return None;
        }
    };
    let ended = edge.quic_ended();
    Some(AbortOnDropHandle::new(tokio::spawn(async move {
        if let Some(mut later) = later {
            // The predecessor of this server still reads the socket.
            while !matches!(later.next().await, Word::Free) {}
            sockets.iter().for_each(QuicSocket::take_over);
        }
        ended.await;
        drop(predecessor);
    })))
}
