//! What is to be sent, and in which order: control frames first, then data frames, fairly.
//!
//! Streams with little to send go before streams with much, so that a small request does not wait behind bulk transfers; after
//! [`LIGHT_RUN`] of them in a row one heavy stream has its turn, so that nobody starves.

use std::collections::VecDeque;

use crate::{ErrorCode, FaultReason, PeerFault};

use super::StreamId;

/// Frames of light streams sent in a row while a heavy one waits.
const LIGHT_RUN: u32 = 8;
/// Resets that may wait to be sent on a peer's behalf. A well-behaved peer causes a handful; more means that it does not read.
const MAX_PENDING_RESETS: usize = 16_384;

/// A frame that goes before data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Control {
    /// WNDINC with the credit that the stream has collected.
    Credit(StreamId),
    /// RST, perhaps with an empty FIN before it.
    Reset { number: u32, code: ErrorCode, fin: bool },
}

/// Queues of what is to be sent. A stream stands in at most one ring, once; entries of streams that are gone are skipped.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    control: VecDeque<Control>,
    light: VecDeque<StreamId>,
    heavy: VecDeque<StreamId>,
    /// Entries of the rings whose streams are alive.
    ready: usize,
    run: u32,
}

impl Schedule {
    pub(super) fn push_control(&mut self, control: Control) {
        self.control.push_back(control);
    }

    /// Queues an answer that the peer provoked.
    pub(super) fn push_answer(&mut self, control: Control) -> Result<(), PeerFault> {
        let pending = self.control.len();
        if pending >= MAX_PENDING_RESETS {
            let reason = FaultReason::AnswersNotRead { pending };
            return Err(PeerFault { code: ErrorCode::ENHANCE_YOUR_CALM, reason });
        }
        self.control.push_back(control);
        Ok(())
    }

    pub(super) fn pop_control(&mut self) -> Option<Control> {
        self.control.pop_front()
    }

    /// Adds a stream that became ready.
    pub(super) fn push(&mut self, id: StreamId, heavy: bool) {
        self.ready += 1;
        if heavy {
            self.heavy.push_back(id);
        } else {
            self.light.push_back(id);
        }
    }

    /// Takes the stream whose turn it is. The caller skips entries of streams that are gone, and calls [`Schedule::took`] for others.
    pub(super) fn pop(&mut self) -> Option<StreamId> {
        let heavy_turn = self.light.is_empty() || self.run >= LIGHT_RUN;
        if heavy_turn && !self.heavy.is_empty() {
            self.run = 0;
            return self.heavy.pop_front();
        }
        self.run = self.run.saturating_add(1);
        self.light.pop_front()
    }

    /// Puts the entry popped last back to the front.
    pub(super) fn put_back(&mut self, id: StreamId, heavy: bool) {
        let ring = if heavy { &mut self.heavy } else { &mut self.light };
        ring.push_front(id);
    }

    /// The entry popped last was of a live stream.
    pub(super) fn took(&mut self) {
        self.ready -= 1;
    }

    /// A stream in a ring is gone; its entry turns stale. `alive` tells stale entries from others when they are to be swept.
    pub(super) fn left(&mut self, alive: impl Fn(StreamId) -> bool) {
        self.ready -= 1;
        if self.light.len() + self.heavy.len() > 2 * self.ready + 64 {
            self.light.retain(|id| alive(*id));
            self.heavy.retain(|id| alive(*id));
        }
    }

    /// Streams that are ready.
    pub(super) fn ready(&self) -> usize {
        self.ready
    }

    pub(super) fn has_control(&self) -> bool {
        !self.control.is_empty()
    }
}
