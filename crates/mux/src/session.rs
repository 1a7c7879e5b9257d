//! A session, whatever carries it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use tokio::time::{sleep, timeout};

use crate::{Carrier, CloseReason, OpenError, Stream, framed, quic};

/// How often [`Session::probe`] looks whether something has come. The answer of a peer takes a round trip, mostly longer than this.
const PROBE_LOOK: Duration = Duration::from_millis(10);

/// One link between an agent and an edge, in which both sides open streams. Clones are the same session; it may be used from any thread and
/// any runtime, while its driver stays on the runtime where it was made.
///
/// The session closes politely when its last clone and its last stream are dropped.
#[derive(Clone, Debug)]
pub struct Session {
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Framed(Arc<framed::Handle>),
    Quic(Arc<quic::Handle>),
}

impl Session {
    pub(crate) fn framed(handle: Arc<framed::Handle>) -> Self {
        Self { kind: Kind::Framed(handle) }
    }

    pub(crate) fn quic(handle: Arc<quic::Handle>) -> Self {
        Self { kind: Kind::Quic(handle) }
    }

    /// Opens a stream whose first bytes are `head` (`portway_wire::head`). Costs no round trip: head and what is written next leave
    /// together, at the latest when the stream is first read, written or flushed.
    ///
    /// On the QUIC carrier this waits for at most two seconds when the peer's present limit of streams is in use; the limit grows while it is.
    ///
    /// # Cancel safety
    /// When the future is dropped, no stream is left open.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(&self, head: Bytes) -> Result<Stream, OpenError> {
        match &self.kind {
            Kind::Framed(handle) => framed::open(handle, head),
            Kind::Quic(handle) => quic::open(handle, head).await,
        }
    }

    /// The next stream that the peer opened, in the order of opening; its head is still to be read. Heartbeats never come up here. `None`:
    /// the session is over.
    ///
    /// # Cancel safety
    /// No stream is lost when the future is dropped.
    pub async fn accept(&self) -> Option<Stream> {
        match &self.kind {
            Kind::Framed(handle) => framed::accept(handle).await,
            Kind::Quic(handle) => quic::accept(handle).await,
        }
    }

    /// Closes politely: the peer is told `text`, then the transport is closed. Streams that still run are lost, so let them end first.
    pub fn close(&self, text: &str) {
        match &self.kind {
            Kind::Framed(handle) => handle.close(text),
            Kind::Quic(handle) => handle.close(text),
        }
    }

    /// Closes at once, for a peer that is dead or dangerous: nothing more is sent over TCP, one packet over QUIC.
    pub fn abort(&self) {
        match &self.kind {
            Kind::Framed(handle) => handle.abort(),
            Kind::Quic(handle) => handle.abort(),
        }
    }

    /// Waits until the session is over.
    pub async fn closed(&self) -> CloseReason {
        match &self.kind {
            Kind::Framed(handle) => handle.closed().await,
            Kind::Quic(handle) => handle.closed().await,
        }
    }

    /// Why the session is over; `None` while it lives.
    pub fn close_reason(&self) -> Option<CloseReason> {
        match &self.kind {
            Kind::Framed(handle) => handle.close_reason(),
            Kind::Quic(handle) => handle.close_reason(),
        }
    }

    /// Asks the peer for a sign of life, and tells whether one came `within` the time. Costs one small packet each way; any peer answers,
    /// whatever its application is doing. A session that is over does not answer. When there is no way to ask, because all streams are in
    /// use, the answer is taken for given.
    ///
    /// # Cancel safety
    /// The question may have been sent when the future is dropped; nothing else is left.
    pub async fn probe(&self, within: Duration) -> bool {
        let before = self.heard();
        match &self.kind {
            Kind::Framed(handle) => handle.ask(),
            Kind::Quic(handle) => handle.ask(),
        }
        let answered = timeout(within, async {
            while self.heard() == before {
                sleep(PROBE_LOOK).await;
            }
        });
        tokio::select! {
            biased;
            _ = self.closed() => false,
            answered = answered => answered.is_ok(),
        }
    }

    /// What carries the session.
    pub fn carrier(&self) -> Carrier {
        match &self.kind {
            Kind::Framed(_) => Carrier::Tcp,
            Kind::Quic(_) => Carrier::Quic,
        }
    }

    /// The peer's address; on QUIC it may change while the session lives.
    pub fn peer_addr(&self) -> SocketAddr {
        match &self.kind {
            Kind::Framed(handle) => handle.peer_addr(),
            Kind::Quic(handle) => handle.peer_addr(),
        }
    }

    /// The address on this side.
    pub fn local_addr(&self) -> SocketAddr {
        match &self.kind {
            Kind::Framed(handle) => handle.local_addr(),
            Kind::Quic(handle) => handle.local_addr(),
        }
    }

    /// The round trip time, smoothed. `None` until the first ping was answered.
    pub fn rtt(&self) -> Option<Duration> {
        match &self.kind {
            Kind::Framed(handle) => handle.rtt(),
            Kind::Quic(handle) => Some(handle.rtt()),
        }
    }

    /// Streams open now, of both sides, heartbeats not counted.
    pub fn open_streams(&self) -> usize {
        match &self.kind {
            Kind::Framed(handle) => handle.open_streams(),
            Kind::Quic(handle) => handle.open_streams(),
        }
    }

    /// True when both are the same session.
    pub fn is_same(&self, other: &Self) -> bool {
        match (&self.kind, &other.kind) {
            (Kind::Framed(one), Kind::Framed(two)) => Arc::ptr_eq(one, two),
            (Kind::Quic(one), Kind::Quic(two)) => Arc::ptr_eq(one, two),
            _ => false,
        }
    }

    /// Counts signs of life of the peer.
    fn heard(&self) -> u64 {
        match &self.kind {
            Kind::Framed(handle) => handle.heard(),
            Kind::Quic(handle) => handle.heard(),
        }
    }
}
