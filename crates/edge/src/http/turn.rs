//! What the requests of a connection tell its IO: whether one is under way, what to write between, and what became of an upgrade.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use bytes::BytesMut;
use http::{HeaderMap, StatusCode};
use portway_codes::PublicError;
use tokio::time::Instant;

/// Bytes of interim responses that may wait to be written; what is more is dropped (they are hints). Some Early Hints are 4 KiB.
const INTERIM_MAX: usize = 16 * 1024;

/// Shared by the requests of a connection and its IO.
#[derive(Debug)]
pub(super) struct Turn {
    start: Instant,
    /// Milliseconds after `start` when the last request ended.
    idle_since_ms: AtomicU64,
    in_flight: AtomicU32,
    begun: AtomicBool,
    upgrade: AtomicU8,
    /// The response under way ends with the connection.
    unframed: AtomicBool,
    cut: AtomicBool,
    has_interim: AtomicBool,
    has_reader: AtomicBool,
    /// Bytes that were read since the connection's task was woken.
    taken: AtomicUsize,
    slow: Mutex<Slow>,
}

/// What is touched rarely.
#[derive(Debug, Default)]
struct Slow {
    /// Woken when the last request under way ends, or an upgrade is decided.
    reader: Option<Waker>,
    interim: BytesMut,
    /// What was wrong with the body under way.
    broken_body: Option<PublicError>,
}

/// What became of a request for another protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UpgradeState {
    Undecided,
    /// The bytes behind the request belong to the other protocol.
    Accepted,
    /// The bytes behind the request are the next request.
    Refused,
}

impl Turn {
    pub(super) fn new() -> Turn {
        Turn {
            start: Instant::now(),
            idle_since_ms: AtomicU64::new(0),
            in_flight: AtomicU32::new(0),
            begun: AtomicBool::new(false),
            upgrade: AtomicU8::new(0),
            unframed: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            has_interim: AtomicBool::new(false),
            has_reader: AtomicBool::new(false),
            taken: AtomicUsize::new(0),
            slow: Mutex::default(),
        }
    }

    fn slow(&self) -> MutexGuard<'_, Slow> {
        self.slow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection's task begins to run.
    pub(super) fn woken(&self) {
        self.taken.store(0, Ordering::Relaxed);
    }

    /// So many bytes were read.
    pub(super) fn take(&self, bytes: usize) {
        self.taken.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes that were read since the task was woken.
    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// A request is under way.
    pub(super) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.begun.store(true, Ordering::Relaxed);
        self.upgrade.store(0, Ordering::Relaxed);
    }

    /// Whether there was a request.
    pub(super) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }

    /// A request is over.
    pub(super) fn end(&self) {
        if self.in_flight.fetch_sub(1, Ordering::Relaxed) == 1 {
            let ms = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.idle_since_ms.store(ms, Ordering::Relaxed);
            self.wake();
        }
    }

    /// Whether no request is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) == 0
    }

    /// When the last request ended, or when the connection began.
    pub(super) fn idle_since(&self) -> Instant {
        self.start + Duration::from_millis(self.idle_since_ms.load(Ordering::Relaxed))
    }

    /// What becomes of the upgrade that the request asked for.
    pub(super) fn decide_upgrade(&self, accepted: bool) {
        self.upgrade.store(if accepted { 1 } else { 2 }, Ordering::Relaxed);
        self.wake();
    }

    pub(super) fn upgrade(&self) -> UpgradeState {
        match self.upgrade.load(Ordering::Relaxed) {
            1 => UpgradeState::Accepted,
            2 => UpgradeState::Refused,
            _ => UpgradeState::Undecided,
        }
    }

    /// The reader waits for a request to end or an upgrade to be decided.
    pub(super) fn wait(&self, waker: &Waker) {
        self.slow().reader = Some(waker.clone());
        self.has_reader.store(true, Ordering::Relaxed);
    }

    /// Wakes the reader that waits.
    pub(super) fn wake(&self) {
        if self.has_reader.swap(false, Ordering::Relaxed)
            && let Some(waker) = self.slow().reader.take()
        {
            waker.wake();
        }
    }

    /// The body under way cannot be read any further.
    pub(super) fn break_body(&self, error: PublicError) {
        self.slow().broken_body = Some(error);
    }

    /// What was wrong with the body under way: for whoever answers its request, once.
    pub(super) fn take_broken_body(&self) -> Option<PublicError> {
        self.slow().broken_body.take()
    }

    /// A response is cut off: the connection must not end as if it were whole.
    pub(super) fn cut(&self) {
        self.cut.store(true, Ordering::Relaxed);
    }

    /// The visitor speaks HTTP/1.0: a response without a length ends with the connection (RFC 9112 section 6.3).
    pub(super) fn unframed(&self) {
        self.unframed.store(true, Ordering::Relaxed);
    }

    /// Whether the end of the connection may be that of a response.
    pub(super) fn is_unframed(&self) -> bool {
        self.unframed.load(Ordering::Relaxed)
    }

    /// Whether a response was cut off.
    pub(super) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }

    /// Writes an interim response (RFC 9110 section 15.2) before the final one.
    pub(super) fn interim(&self, status: StatusCode, headers: &HeaderMap) {
        let mut slow = self.slow();
        let before = slow.interim.len();
        let interim = &mut slow.interim;
        interim.extend_from_slice(b"HTTP/1.1 ");
        interim.extend_from_slice(status.as_str().as_bytes());
        interim.extend_from_slice(b" ");
        interim.extend_from_slice(status.canonical_reason().unwrap_or("Information").as_bytes());
        for (name, value) in headers {
            interim.extend_from_slice(b"\r\n");
            interim.extend_from_slice(name.as_str().as_bytes());
            interim.extend_from_slice(b": ");
            interim.extend_from_slice(value.as_bytes());
        }
        interim.extend_from_slice(b"\r\n\r\n");
        if interim.len() > INTERIM_MAX {
            interim.truncate(before);
        }
        self.has_interim.store(true, Ordering::Relaxed);
    }

    /// Interim responses to write now.
    pub(super) fn take_interim(&self) -> Option<BytesMut> {
        self.has_interim.swap(false, Ordering::Relaxed).then(|| self.slow().interim.split())
    }
}
