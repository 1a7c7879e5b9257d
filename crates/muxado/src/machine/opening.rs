//! Streams of ours that the peer has not answered yet: how many there may be at a time, and what becomes of one that is refused because
//! the peer's queue of fresh streams is full.
//!
//! The Rust SDKs of ngrok take 64 streams that nobody has accepted, the Go ones 128, and refuse more; both return credit for the type word
//! as soon as they accept a stream. So a burst is sent as fast as it is accepted, and a refusal that comes all the same is no loss.

use std::collections::VecDeque;

use bytes::BytesMut;

use crate::ErrorCode;

use super::stream::SendState;
use super::{Machine, StreamId};

/// How often one stream is opened again before its refusal is told.
const REOPENED_MAX: u8 = 3;

/// What a session knows of its unanswered streams.
#[derive(Debug, Default)]
pub(super) struct Openings {
    /// Streams whose SYN has left, and of which nothing has come.
    unanswered: usize,
    /// Streams whose SYN waits for answers to others.
    held: VecDeque<StreamId>,
}

/// A stream that the peer has not answered.
#[derive(Debug, Default)]
pub(super) struct Opening {
    /// What was sent: at most the initial window, since no credit came.
    sent: BytesMut,
    /// How often the peer refused it.
    refused: u8,
    /// In [`Openings::held`].
    pub(super) held: bool,
}

impl Machine {
    /// Keeps a stream's SYN back while too many others are unanswered; tells whether it does.
    pub(super) fn holds_back(&mut self, id: StreamId) -> bool {
        let Some(most) = self.config.max_unanswered else { return false };
        let Some(stream) = self.streams.get_mut(id).filter(|stream| stream.syn_pending()) else { return false };
        let Some(opening) = &mut stream.send.opening else { return false };
        if self.openings.unanswered < most {
            return false;
        }
        opening.held = true;
        self.openings.held.push_back(id);
        true
    }

    /// The SYN of a stream leaves.
    pub(super) fn syn_leaves(&mut self, id: StreamId) {
        if self.streams.get(id).is_some_and(|stream| stream.send.opening.is_some()) {
            self.openings.unanswered += 1;
        }
    }

    /// The peer knows a stream of ours, or the stream is over.
    pub(super) fn answered(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        if stream.send.opening.take().is_some() && !stream.syn_pending() {
            self.answer_came();
        }
    }

    /// One stream less is unanswered: as many of those that wait may go.
    pub(super) fn answer_came(&mut self) {
        self.openings.unanswered -= 1;
        let most = self.config.max_unanswered.unwrap_or(usize::MAX);
        for _ in self.openings.unanswered..most {
            let Some(id) = self.openings.held.pop_front() else { return };
            if let Some(opening) = self.streams.get_mut(id).and_then(|stream| stream.send.opening.as_mut()) {
                opening.held = false;
                self.schedule_stream(id);
            }
        }
    }

    /// Opens a stream again that the peer refused because its queue was full, under another number and with all its bytes; tells whether it
    /// does.
    pub(super) fn reopens(&mut self, id: StreamId, code: ErrorCode) -> bool {
        let Some(stream) = self.streams.get_mut(id) else { return false };
        let send = &mut stream.send;
        let live = !matches!(send.state, SendState::Reset(_)) && send.given_up.is_none();
        let Some(opening) = send.opening.as_mut().filter(|opening| live && opening.refused < REOPENED_MAX) else {
            return false;
        };
        if code != ErrorCode::ACCEPT_QUEUE_FULL {
            return false;
        }
        opening.refused += 1;
        opening.held = true;
        send.queue.push_front(std::mem::take(&mut opening.sent).freeze());
        send.credit = self.config.initial_window;
        send.flush = true;
        if send.state == SendState::Finished {
            send.state = SendState::Finishing;
        }
        self.streams.unassign(id);
        self.unnumbered += 1;
        self.openings.held.push_back(id);
        self.answer_came();
        true
    }
}

impl Opening {
    /// Remembers what was sent.
    pub(super) fn sent(&mut self, bytes: &[u8]) {
        self.sent.extend_from_slice(bytes);
    }
}
