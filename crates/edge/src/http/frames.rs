//! The meter of HTTP/2 frames, in the words of a connection.

use std::io::IoSlice;
use std::time::Duration;

use bytes::Bytes;
use portway_wire::http2_frames::FrameMeter;
use tokio::time::Instant;

/// Frames without effect that a connection earns by the mere passing of a second: keep-alives, however often they are sent.
const PER_SECOND: u32 = 20;

/// Counts the frames of one visitor's connection.
#[derive(Debug)]
pub(super) struct Frames {
    meter: FrameMeter,
    /// Up to when time has been paid out.
    paid: Instant,
}

impl Frames {
    pub(super) fn new(now: Instant) -> Frames {
        Frames { meter: FrameMeter::new(), paid: now }
    }

    /// Follows what the visitor sent. False: it sent more frames without effect than it may.
    pub(super) fn received(&mut self, bytes: &[u8], now: Instant) -> bool {
        let seconds = now.saturating_duration_since(self.paid).as_secs();
        if seconds > 0 {
            self.paid += Duration::from_secs(seconds);
            self.meter.earn(u32::try_from(seconds).unwrap_or(u32::MAX).saturating_mul(PER_SECOND));
        }
        self.meter.received(bytes).is_ok()
    }

    /// Follows what was sent to the visitor: the first `length` bytes of these.
    pub(super) fn sent(&mut self, bufs: &[IoSlice<'_>], mut length: usize) {
        for buf in bufs {
            let sent = &buf[..buf.len().min(length)];
            self.meter.sent(sent);
            length -= sent.len();
        }
    }

    /// Whether the head of a request has begun to arrive and is not complete.
    pub(super) fn in_head(&self) -> bool {
        self.meter.in_head()
    }

    /// What the visitor is told when its connection is ended over what it does.
    pub(super) fn goodbye(&self) -> Option<Bytes> {
        self.meter.goodbye().map(|frame| Bytes::copy_from_slice(&frame))
    }
}
