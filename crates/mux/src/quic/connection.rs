//! A QUIC connection as a session.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use portway_muxado::ErrorCode;
use quinn::{ConnectionError, VarInt};
use tokio::time::{Instant, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::{RecvHalf, SendHalf, heartbeat};
use crate::{CloseReason, OpenError, Role, SessionConfig, Stream};

/// How long [`open`] waits for the peer to allow one more stream. The peer doubles its limit while half of it is in use, which takes one
/// round trip; a peer that has not done so by then does not want more.
const OPEN_PATIENCE: Duration = Duration::from_secs(2);

/// A connection and what this side counts about it.
pub(crate) struct Handle {
    connection: quinn::Connection,
    config: SessionConfig,
    local_addr: SocketAddr,
    /// Streams of both sides that are open.
    open: AtomicUsize,
    /// Streams of the peer that are open, and how many it may have.
    theirs: AtomicUsize,
    allowed: AtomicU32,
    opens: Mutex<OpenRate>,
    /// The peer did not answer, and this side has closed the connection over it.
    given_up: AtomicBool,
    _heartbeat: AbortOnDropHandle<()>,
}

/// Lives as long as either half of a stream.
pub(crate) struct StreamGuard {
    handle: Arc<Handle>,
    theirs: bool,
}

/// Token bucket for streams that the peer opens; a second's worth may come at once.
struct OpenRate {
    tokens: f64,
    since: Instant,
}

impl Handle {
    pub(crate) fn new(
        connection: quinn::Connection,
        role: Role,
        config: SessionConfig,
        local_addr: SocketAddr,
    ) -> Arc<Self> {
        tracing::debug!(?role, peer = %connection.remote_address(), "QUIC session established");
        let period = (config.heartbeat_interval + config.heartbeat_tolerance) / 2;
        Arc::new_cyclic(|this| Self {
            local_addr: SocketAddr::new(connection.local_ip().unwrap_or(local_addr.ip()), local_addr.port()),
            connection,
            open: AtomicUsize::new(0),
            theirs: AtomicUsize::new(0),
            allowed: AtomicU32::new(config.quic_initial_streams),
            opens: Mutex::new(OpenRate { tokens: f64::from(config.opens_per_second), since: Instant::now() }),
            config,
            given_up: AtomicBool::new(false),
            _heartbeat: AbortOnDropHandle::new(tokio::spawn(heartbeat::watch(this.clone(), period))),
        })
    }

    pub(crate) fn close(&self, text: &str) {
        self.connection.close(VarInt::from_u32(ErrorCode::NONE.0), text.as_bytes());
    }

    pub(crate) fn abort(&self) {
        self.connection.close(VarInt::from_u32(ErrorCode::SESSION_CLOSED.0), b"");
    }

    /// Closes because the peer does not answer. It is told: where only one direction is dead, it hears that.
    pub(super) fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
        self.connection.close(VarInt::from_u32(ErrorCode::SESSION_CLOSED.0), b"no answer to heartbeats");
    }

    pub(crate) async fn closed(&self) -> CloseReason {
        self.reason(self.connection.closed().await)
    }

    pub(crate) fn close_reason(&self) -> Option<CloseReason> {
        self.connection.close_reason().map(|error| self.reason(error))
    }

    fn reason(&self, error: ConnectionError) -> CloseReason {
        match error {
            ConnectionError::LocallyClosed if self.given_up.load(Ordering::Relaxed) => CloseReason::HeartbeatLost,
            error => close_reason(error),
        }
    }

    pub(crate) fn peer_addr(&self) -> SocketAddr {
        self.connection.remote_address()
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    pub(crate) fn rtt(&self) -> Duration {
        self.connection.rtt()
    }

    /// Acknowledgements that came from the peer. Unlike datagrams nobody else can make them up.
    pub(crate) fn heard(&self) -> u64 {
        self.connection.stats().frame_rx.acks
    }

    /// Sends a packet that the peer has to acknowledge. quinn has no call for a PING frame; a connection window that is wider by one
    /// byte is announced in the same way, and the next bytes that are read pay for its return.
    pub(crate) fn ask(&self) {
        let window = self.config.memory_budget as u64;
        for window in [window + 1, window] {
            self.connection.set_receive_window(VarInt::from_u64(window).unwrap_or(VarInt::MAX));
        }
    }

    pub(crate) fn open_streams(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    fn guard(self: &Arc<Self>, theirs: bool) -> Arc<StreamGuard> {
        self.open.fetch_add(1, Ordering::Relaxed);
        if theirs {
            let open = self.theirs.fetch_add(1, Ordering::Relaxed) + 1;
            self.raise_limit(open);
        }
        Arc::new(StreamGuard { handle: self.clone(), theirs })
    }

    /// Half of the allowed streams are open: allow twice as many, so that a busy peer need not wait for a stream to end.
    fn raise_limit(&self, open: usize) {
        let allowed = self.allowed.load(Ordering::Relaxed);
        let most = u32::try_from(self.config.max_streams).unwrap_or(u32::MAX);
        if open >= allowed as usize / 2 && allowed < most {
            self.change_limit(allowed, allowed.saturating_mul(2).min(most));
        }
    }

    /// An eighth or less is open: give the memory back, step by step.
    fn lower_limit(&self, open: usize) {
        let allowed = self.allowed.load(Ordering::Relaxed);
        let least = self.config.quic_initial_streams;
        if open <= allowed as usize / 8 && allowed > least {
            self.change_limit(allowed, (allowed / 2).max(least));
        }
    }

    fn change_limit(&self, from: u32, to: u32) {
        if self.allowed.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.connection.set_max_concurrent_bi_streams(VarInt::from_u32(to));
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuicSession").field("peer", &self.peer_addr()).finish_non_exhaustive()
    }
}

impl fmt::Debug for StreamGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.handle.fmt(f)
    }
}

impl Drop for StreamGuard {
    fn drop(&mut self) {
        self.handle.open.fetch_sub(1, Ordering::Relaxed);
        if self.theirs {
            let open = self.handle.theirs.fetch_sub(1, Ordering::Relaxed) - 1;
            self.handle.lower_limit(open);
        }
    }
}

impl OpenRate {
    fn take(&mut self, per_second: u32, now: Instant) -> bool {
        let per_second = f64::from(per_second);
        let refill = now.saturating_duration_since(self.since).as_secs_f64() * per_second;
        self.tokens = (self.tokens + refill).min(per_second);
        self.since = now;
        let taken = self.tokens >= 1.0;
        if taken {
            self.tokens -= 1.0;
        }
        taken
    }
}

/// See [`crate::Session::open`]. A QUIC peer sees a stream when its first bytes come, so the head is written at once; quinn sends it when
/// this task next waits, together with what was written by then.
pub(crate) async fn open(handle: &Arc<Handle>, head: Bytes) -> Result<Stream, OpenError> {
    let limit = handle.config.max_streams;
    if handle.open_streams() >= limit {
        return Err(OpenError::TooManyStreams { limit });
    }
    let opened = match timeout(OPEN_PATIENCE, handle.connection.open_bi()).await {
        Err(_) => return Err(OpenError::TooManyStreams { limit: handle.open_streams() }),
        Ok(Err(error)) => return Err(OpenError::Closed(close_reason(error))),
        Ok(Ok(opened)) => opened,
    };
    let (send, recv) = opened;
    let guard = handle.guard(false);
    let (recv, mut send) = (RecvHalf::new(recv, guard.clone()), SendHalf::new(send, guard));
    send.write_all(head).await.map_err(|error| match error {
        crate::StreamError::SessionLost(reason) => OpenError::Closed(reason),
        // Only a peer that stops a stream it cannot have seen yet gets here.
        other => OpenError::Closed(CloseReason::PeerFault(other.to_string())),
    })?;
    Ok(Stream::quic(recv, send))
}

/// See [`crate::Session::accept`].
pub(crate) async fn accept(handle: &Arc<Handle>) -> Option<Stream> {
    loop {
        let (send, recv) = handle.connection.accept_bi().await.ok()?;
        let guard = handle.guard(true);
        let stream = Stream::quic(RecvHalf::new(recv, guard.clone()), SendHalf::new(send, guard));
        let mut opens = handle.opens.lock().unwrap_or_else(PoisonError::into_inner);
        if opens.take(handle.config.opens_per_second, Instant::now()) {
            return Some(stream);
        }
        drop(opens);
        let mut stream = stream;
        stream.reset(ErrorCode::ENHANCE_YOUR_CALM);
    }
}

/// What quinn's reason means for the callers of this crate.
pub(crate) fn close_reason(error: ConnectionError) -> CloseReason {
    match error {
        ConnectionError::ApplicationClosed(frame) => CloseReason::PeerClosed {
            code: error_code(frame.error_code),
            text: String::from_utf8_lossy(&frame.reason).into_owned(),
        },
        ConnectionError::TimedOut => CloseReason::HeartbeatLost,
        ConnectionError::LocallyClosed => CloseReason::LocalClosed,
        ConnectionError::TransportError(error) => CloseReason::PeerFault(error.to_string()),
        ConnectionError::Reset => lost(io::ErrorKind::ConnectionReset, "the peer has no such QUIC connection any more"),
        ConnectionError::ConnectionClosed(frame) => lost(io::ErrorKind::ConnectionAborted, &frame.to_string()),
        ConnectionError::VersionMismatch => {
            lost(io::ErrorKind::Unsupported, "the peer speaks no common version of QUIC")
        }
        ConnectionError::CidsExhausted => lost(io::ErrorKind::Other, "no QUIC connection ids are left"),
    }
}

/// Codes of this crate fit 32 bits; a larger one is not ours.
pub(super) fn error_code(code: VarInt) -> ErrorCode {
    ErrorCode(u32::try_from(code.into_inner()).unwrap_or(u32::MAX))
}

fn lost(kind: io::ErrorKind, text: &str) -> CloseReason {
    CloseReason::TransportLost(Arc::new(io::Error::new(kind, text)))
}
