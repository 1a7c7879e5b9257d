//! The session machine.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::{Config, ErrorCode, OpenRefused, PeerFault, Role, StreamFault};

/// A stream of one machine: its wire id and its place in the stream table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId {
    number: u32,
    slot: u32,
}

impl StreamId {
    /// The id on the wire. Never reused within a session.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.number
    }

    /// A small dense index, unique among the streams that exist now and reused later: lets a caller keep per-stream state in a `Vec`.
    #[must_use]
    pub const fn slot(self) -> usize {
        self.slot as usize
    }
}

/// Something the caller wants to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The peer opened a stream.
    Opened(StreamId),
    /// [`Machine::read`] has something to say after it said `WouldBlock`.
    Readable(StreamId),
    /// [`Machine::write`] takes bytes again after it took fewer than offered.
    Writable(StreamId),
    /// The peer reset the stream; reads and writes tell the same code until [`Machine::reset`] forgets the stream.
    Reset(StreamId, ErrorCode),
    /// The peer opens no more streams and processes none above `last` of ours.
    GoneAway {
        /// Highest stream id of ours that the peer has processed.
        last: u32,
        /// Why.
        code: ErrorCode,
        /// Free text of the peer, cut to a sane length.
        text: String,
    },
}

/// One side of a muxado session.
#[derive(Debug)]
pub struct Machine {
    role: Role,
    config: Config,
}

impl Machine {
    /// A fresh session.
    #[must_use]
    pub fn new(role: Role, config: Config) -> Self {
        Self { role, config }
    }

    /// Takes received bytes: whole frames are consumed, a partial one stays in `input`. `now` is monotonic, since the session's start.
    ///
    /// # Errors
    /// [`PeerFault`]: the session is over.
    pub fn receive(&mut self, input: &mut BytesMut, now: Duration) -> Result<(), PeerFault> {
        let _ = (&self.config, self.role, now);
        input.clear();
        Ok(())
    }

    /// The next thing that happened.
    pub fn next_event(&mut self) -> Option<Event> {
        None
    }

    /// Opens a stream. The SYN leaves with the first write, finish or flush.
    ///
    /// # Errors
    /// [`OpenRefused`].
    pub fn open(&mut self) -> Result<StreamId, OpenRefused> {
        Err(OpenRefused::GoneAway)
    }

    /// Takes what fits of `data` and advances it; tells how much. 0 asks to wait for [`Event::Writable`].
    ///
    /// # Errors
    /// [`StreamFault`].
    pub fn write(&mut self, id: StreamId, data: &mut Bytes) -> Result<usize, StreamFault> {
        let _ = (id, data);
        Err(StreamFault::Unknown)
    }

    /// Sends SYN of an opened stream even when nothing was written yet.
    pub fn flush(&mut self, id: StreamId) {
        let _ = id;
    }

    /// Ends our direction after what was written.
    pub fn finish(&mut self, id: StreamId) {
        let _ = id;
    }

    /// Ends both directions at once and forgets the stream.
    pub fn reset(&mut self, id: StreamId, code: ErrorCode) {
        let _ = (id, code);
    }

    /// Takes up to `max` received bytes; `None` is the clean end.
    ///
    /// # Errors
    /// [`StreamFault`].
    pub fn read(&mut self, id: StreamId, max: usize, now: Duration) -> Result<Option<Bytes>, StreamFault> {
        let _ = (id, max, now);
        Err(StreamFault::Unknown)
    }

    /// The received bytes at hand without taking them (the first piece; empty when there is none): enough to see a stream's type word
    /// without accepting the stream.
    #[must_use]
    pub fn peek(&self, id: StreamId) -> &[u8] {
        let _ = id;
        &[]
    }

    /// Appends frames to `out`, at least `limit` bytes when there is so much to send (the last frame may go beyond); tells how many
    /// bytes were appended.
    pub fn transmit(&mut self, out: &mut BytesMut, limit: usize) -> usize {
        let _ = (out, limit);
        0
    }

    /// Whether [`Machine::transmit`] has something to send.
    #[must_use]
    pub fn wants_transmit(&self) -> bool {
        false
    }

    /// Says that the session ends.
    pub fn go_away(&mut self, code: ErrorCode, text: &str) {
        let _ = (code, text);
    }

    /// Tells the measured round trip, for window growth.
    pub fn set_rtt(&mut self, rtt: Duration) {
        let _ = rtt;
    }

    /// Streams open now.
    #[must_use]
    pub fn streams(&self) -> usize {
        0
    }
}
