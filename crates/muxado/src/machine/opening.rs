//! Streams of ours that the peer has not answered yet: how many there may be at a time, and what becomes of one that is refused because
//! the peer's queue of fresh streams is full.
//!
//! The Rust SDKs of ngrok take 64 streams that nobody has accepted, the Go ones 128, and refuse more; both return credit for the type word
//! as soon as they accept a stream. So a burst is sent as fast as it is accepted, and a refusal that comes all the same is no loss.
//!
//! The Rust SDKs end the session at the 513th stream in their table, and take a stream out of it a moment after its last frame has come:
//! when its forwarder has had its turn. So the place of a stream that ended is taken until the peer has answered a later one, and then one
//! that was opened after that: forwarders and the accept loop run side by side, and one answer alone was seen to overtake forwarders.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::BytesMut;

use crate::{ErrorCode, Role};

use super::schedule::Control;
use super::stream::SendState;
use super::{Machine, StreamId};

/// How often one stream is opened again before its refusal is told.
const REOPENED_MAX: u8 = 3;
/// SYNs that may leave, one at a time, while all places are taken and nothing is on its way whose answer could tell that some are free.
const SPARE_PLACES: usize = 8;
/// How long a place is taken at most without such an answer: far longer than an agent needs.
const PLACE_FREE_AFTER: Duration = Duration::from_secs(2);

/// What a session knows of its unanswered streams.
#[derive(Debug, Default)]
pub(super) struct Openings {
    /// Streams whose SYN has left, and of which nothing has come.
    unanswered: usize,
    /// Streams whose SYN waits for answers to others.
    held: VecDeque<StreamId>,
    /// Streams that have ended here and may still have their place at the peer, oldest first; no more than there are places.
    ended: VecDeque<Ended>,
    /// Those of them for which one later stream was answered already.
    leaving: VecDeque<Ended>,
}

/// A stream that has ended.
#[derive(Debug)]
struct Ended {
    /// Streams of ours with this number or a higher one were opened after it.
    next: u32,
    /// When bytes came first after it had ended.
    since: Option<Duration>,
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
    /// Keeps a stream's SYN back while too many others are unanswered, or all places are taken; tells whether it does.
    pub(super) fn holds_back(&mut self, id: StreamId) -> bool {
        if self.streams.get(id).is_none_or(|stream| !stream.syn_pending()) || self.syns_that_may_go() > 0 {
            return false;
        }
        let Some(stream) = self.streams.get_mut(id) else { return false };
        let Some(opening) = &mut stream.send.opening else { return false };
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

    /// One stream less is unanswered.
    pub(super) fn answer_came(&mut self) {
        self.openings.unanswered -= 1;
        self.let_go();
    }

    /// A stream that the peer knew is over here.
    pub(super) fn place_left(&mut self) {
        // More than all places cannot be taken, however fast the peer opens and ends streams of its own.
        let room = self.openings.over() < self.config.max_streams + SPARE_PLACES;
        if self.config.max_unanswered.is_some() && room {
            self.openings.ended.push_back(Ended { next: self.next_number, since: None });
        }
    }

    /// The peer speaks of a stream: when it is one of ours, what ended before that was opened is about to leave its place, or has left it.
    pub(super) fn places_before_are_free(&mut self, number: u32) {
        let ours = (number % 2 == 1) == (self.role == Role::Agent);
        let Openings { ended, leaving, .. } = &mut self.openings;
        let (before, next) = (leaving.len(), self.next_number);
        if !ours {
            return;
        }
        while leaving.pop_front_if(|ended| ended.next <= number).is_some() {}
        let free = leaving.len() < before;
        while let Some(first) = ended.pop_front_if(|ended| ended.next <= number) {
            leaving.push_back(Ended { next, ..first });
        }
        if free {
            self.let_go();
        }
    }

    /// Bytes came: places that are taken for too long are not taken.
    pub(super) fn places_in_time(&mut self, now: Duration) {
        if self.openings.over() == 0 {
            return;
        }
        let Openings { ended, leaving, .. } = &mut self.openings;
        ended.iter_mut().rev().take_while(|ended| ended.since.is_none()).for_each(|ended| ended.since = Some(now));
        let old = |ended: &mut Ended| ended.since.is_some_and(|since| now.saturating_sub(since) >= PLACE_FREE_AFTER);
        while leaving.pop_front_if(old).is_some() {}
        while ended.pop_front_if(old).is_some() {}
        self.let_go();
    }

    /// How many streams may be opened on the wire now.
    fn syns_that_may_go(&self) -> usize {
        let Some(most) = self.config.max_unanswered else { return usize::MAX };
        let (unanswered, places) = (self.openings.unanswered, self.config.max_streams);
        let taken = self.streams.on_wire() + self.openings.over();
        // Without anything on its way, nothing would ever tell that a place is free.
        let asks = usize::from(unanswered == 0 && taken < places + SPARE_PLACES);
        most.saturating_sub(unanswered).min(places.saturating_sub(taken).max(asks))
    }

    /// As many of those that wait may go.
    fn let_go(&mut self) {
        for _ in 0..self.syns_that_may_go() {
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
        if let Some(number) = self.streams.unassign(id) {
            self.free_refused(number, code);
        }
        self.unnumbered += 1;
        self.openings.held.push_back(id);
        self.answer_came();
        true
    }

    /// The Go SDKs keep a stream that they have refused in their table, with all that came on it, until it is reset.
    pub(super) fn free_refused(&mut self, number: u32, code: ErrorCode) {
        if self.config.max_unanswered.is_some() && code == ErrorCode::ACCEPT_QUEUE_FULL {
            self.schedule.push_control(Control::Reset { number, code: ErrorCode::STREAM_CANCELLED, fin: false });
        }
    }
}

impl Openings {
    /// Streams that have ended here and may still have their place.
    fn over(&self) -> usize {
        self.ended.len() + self.leaving.len()
    }
}

impl Opening {
    /// Remembers what was sent.
    pub(super) fn sent(&mut self, bytes: &[u8]) {
        self.sent.extend_from_slice(bytes);
    }
}
