//! The session machine: its state and what the application side of it can do. What the peer does is in `receive`, what leaves in
//! `transmit`.

mod limits;
mod opening;
mod queue;
mod receive;
mod schedule;
mod stream;
mod streams;
mod transmit;
mod window;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use portway_wire::frame::MAX_STREAM_ID;

use crate::{Config, ErrorCode, OpenRefused, PeerFault, Role, StreamFault};
use limits::Limits;
use opening::{Opening, Openings};
use schedule::{Control, Schedule};
use stream::{Origin, ReceiveState, SendState, Stream};
use streams::{Leftovers, Streams};
use transmit::Farewell;
use window::Budget;

/// A stream of one machine. It stands for one stream only, also after that has ended and its slot is used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId {
    slot: u32,
    serial: u32,
}

impl StreamId {
    /// A number unique within the session (until 2^32 streams), for logs. Not the id on the wire: see [`Machine::wire_id`].
    #[must_use]
    pub const fn number(self) -> u32 {
        self.serial
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
    /// The peer opened a stream. It may have bytes to read already, without a `Readable` of its own. It counts as not accepted until it
    /// is first read, written, finished or reset ([`Machine::peek`] does not count).
    Opened(StreamId),
    /// [`Machine::read`] has something to say after it said `WouldBlock`, or for the first time.
    Readable(StreamId),
    /// [`Machine::write`] takes bytes again after it took fewer than offered.
    Writable(StreamId),
    /// The stream was reset, by the peer or for what the peer did on it. Writes tell the code; so do reads, unless the peer had ended
    /// its direction cleanly before. The stream is remembered until [`Machine::reset`] is called, or both directions were ended.
    Reset(StreamId, ErrorCode),
    /// The peer goes away: no stream can be opened any more, and streams of ours that it did not process are reset.
    GoneAway {
        /// Highest stream id of ours that the peer has processed.
        last: u32,
        /// Why.
        code: ErrorCode,
        /// Free text of the peer, cut to a sane length.
        text: String,
    },
}

/// One side of a muxado session (`docs/spec/muxado.md`).
///
/// The caller feeds received bytes with [`receive`](Self::receive), takes [`next_event`](Self::next_event) until there is none, and
/// sends what [`transmit`](Self::transmit) appends whenever [`wants_transmit`](Self::wants_transmit). Every operation takes constant time.
///
/// A stream is forgotten when both directions have ended: ours by [`finish`](Self::finish) and its FIN sent, the peer's by reading up to
/// the end (`Ok(None)`). A caller that does not go that far ends the stream with [`reset`](Self::reset).
#[derive(Debug)]
pub struct Machine {
    config: Config,
    role: Role,
    streams: Streams,
    leftovers: Leftovers,
    schedule: Schedule,
    events: VecDeque<Event>,
    budget: Budget,
    limits: Limits,
    /// Wire id of the next stream of ours.
    next_number: u32,
    /// Streams of ours that have no wire id yet.
    unnumbered: u32,
    openings: Openings,
    /// Highest wire id of the peer's streams.
    last_peer: u32,
    /// Streams of the peer that the caller has not used yet.
    unaccepted: usize,
    /// The DATA frame whose payload is arriving.
    inflow: Option<receive::Inflow>,
    peer_gone: bool,
    farewell: Farewell,
    fault: Option<PeerFault>,
}

impl Machine {
    /// A fresh session.
    #[must_use]
    pub fn new(role: Role, config: Config) -> Self {
        Self {
            streams: Streams::new(),
            leftovers: Leftovers::new(),
            schedule: Schedule::default(),
            events: VecDeque::new(),
            budget: Budget::new(config.initial_window, config.max_window, config.memory_budget),
            limits: Limits::new(config.opens_per_second),
            next_number: match role {
                Role::Agent => 3,
                Role::Edge => 2,
            },
            unnumbered: 0,
            openings: Openings::default(),
            last_peer: 0,
            unaccepted: 0,
            inflow: None,
            peer_gone: false,
            farewell: Farewell::None,
            fault: None,
            role,
            config,
        }
    }

    /// The next thing that happened.
    pub fn next_event(&mut self) -> Option<Event> {
        loop {
            let event = self.events.pop_front()?;
            match &event {
                Event::Opened(id) => match self.streams.get_mut(*id) {
                    Some(stream) => stream.surfaced = true,
                    None => continue,
                },
                Event::Readable(id) | Event::Writable(id) | Event::Reset(id, _) if self.streams.get(*id).is_none() => {
                    continue;
                }
                _ => {}
            }
            return Some(event);
        }
    }

    /// Opens a stream. Nothing is sent yet: the SYN leaves with the first write, with [`finish`](Self::finish) or with
    /// [`flush`](Self::flush).
    ///
    /// # Errors
    /// [`OpenRefused`]: at the limit of streams, or when the session is ending.
    pub fn open(&mut self) -> Result<StreamId, OpenRefused> {
        if self.peer_gone || self.farewell.was_said() || self.fault.is_some() {
            return Err(OpenRefused::GoneAway);
        }
        if self.streams.len() >= self.config.max_streams {
            return Err(OpenRefused::TooManyStreams { limit: self.config.max_streams });
        }
        if self.unnumbered >= (MAX_STREAM_ID.saturating_sub(self.next_number)) / 2 {
            return Err(OpenRefused::IdsExhausted);
        }
        self.unnumbered += 1;
        let (window, budget) = (self.config.initial_window, &self.budget);
        let id = self.streams.insert(|serial| Stream::new(serial, None, Origin::Local, window, budget));
        if let (Some(_), Some(stream)) = (self.config.max_unanswered, self.streams.get_mut(id)) {
            stream.send.opening = Some(Opening::default());
        }
        Ok(id)
    }

    /// Takes what fits of `data` into the stream's send buffer and advances `data`; tells how much. When that is less than offered, wait
    /// for [`Event::Writable`].
    ///
    /// # Errors
    /// [`StreamFault`] when the stream takes no more bytes ever.
    pub fn write(&mut self, id: StreamId, data: &mut Bytes) -> Result<usize, StreamFault> {
        self.accept(id);
        let Some(stream) = self.streams.get_mut(id) else { return Err(StreamFault::Unknown) };
        match stream.send.state {
            SendState::Open => {}
            SendState::Reset(code) => return Err(StreamFault::Reset(code)),
            SendState::Finishing | SendState::Finished => return Err(StreamFault::Finished),
        }
        let taken = stream.send.room(self.config.send_buffer).min(data.len());
        stream.send.wanted = taken < data.len();
        if taken > 0 {
            stream.send.queue.push_written(data.split_to(taken));
            self.schedule_stream(id);
        }
        Ok(taken)
    }

    /// Sends the SYN of an opened stream even though nothing was written yet.
    pub fn flush(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(id) {
            stream.send.flush = true;
            self.schedule_stream(id);
        }
    }

    /// Ends our direction after what was written. Does nothing on a stream that is finished, reset or gone.
    pub fn finish(&mut self, id: StreamId) {
        self.accept(id);
        let Some(stream) = self.streams.get_mut(id) else { return };
        stream.send.finish_called = true;
        if stream.send.state == SendState::Open {
            stream.send.state = SendState::Finishing;
            self.schedule_stream(id);
        }
        self.remove_if_over(id);
    }

    /// Ends both directions, drops what is queued in them and forgets the stream. The peer is told unless both directions were closed on
    /// the wire already, or the stream never got that far.
    ///
    /// After [`finish`](Self::finish) only the peer's direction is given up: what was written before and the FIN still leave, the reset
    /// follows them.
    pub fn reset(&mut self, id: StreamId, code: ErrorCode) {
        if self.give_up(id, code) {
            return;
        }
        let Some(stream) = self.remove(id) else { return };
        let Some(number) = stream.number else { return };
        if stream.open_on_wire() {
            let fin = self.config.fin_before_reset && stream.send.state != SendState::Finished;
            self.schedule.push_control(Control::Reset { number, code, fin });
        }
        if stream.recv.state == ReceiveState::Open {
            self.leftovers.expect(number);
        }
    }

    /// Takes the first received piece, at most `max` bytes of it, never an empty one; `None` is the clean end, told until the stream is
    /// forgotten. Returns credit to the peer.
    ///
    /// # Errors
    /// [`StreamFault::WouldBlock`] when nothing is there yet; [`StreamFault::Reset`] and [`StreamFault::Unknown`].
    pub fn read(&mut self, id: StreamId, max: usize, now: Duration) -> Result<Option<Bytes>, StreamFault> {
        self.accept(id);
        let Some(stream) = self.streams.get_mut(id) else { return Err(StreamFault::Unknown) };
        let recv = &mut stream.recv;
        if recv.queue.is_empty() {
            match recv.state {
                ReceiveState::Open => {
                    recv.wanted = true;
                    return Err(StreamFault::WouldBlock);
                }
                ReceiveState::Reset(code) => return Err(StreamFault::Reset(code)),
                ReceiveState::Ended => return Ok(None),
                ReceiveState::Finished => {
                    recv.state = ReceiveState::Ended;
                    recv.window.release(0, &mut self.budget);
                    self.remove_if_over(id);
                    return Ok(None);
                }
            }
        }
        let piece = recv.queue.pop(max.max(1));
        if recv.state != ReceiveState::Open {
            recv.window.drained(piece.len(), &mut self.budget);
        } else if let Some(credit) = recv.window.consumed(piece.len(), now, &mut self.budget) {
            if recv.credit == 0 {
                self.schedule.push_control(Control::Credit(id));
            }
            recv.credit += credit;
        }
        Ok(Some(piece))
    }

    /// The received bytes at hand without taking them (the first piece; empty when there is none): enough to see a stream's type word
    /// without accepting the stream.
    #[must_use]
    pub fn peek(&self, id: StreamId) -> &[u8] {
        self.streams.get(id).map_or(&[], |stream| stream.recv.queue.front())
    }

    /// The stream's id on the wire: none before its first frame is sent, or when it is gone.
    #[must_use]
    pub fn wire_id(&self, id: StreamId) -> Option<u32> {
        self.streams.get(id)?.number
    }

    /// Says that the session ends: no stream can be opened any more by either side. Only the first call counts; `text` is cut to 256
    /// bytes. Towards ngrok SDKs nothing is sent after the GOAWAY, since their readers lose the framing there: close the connection.
    pub fn go_away(&mut self, code: ErrorCode, text: &str) {
        self.farewell.say(code, text);
    }

    /// Whether the GOAWAY is among what [`transmit`](Self::transmit) has appended so far.
    #[must_use]
    pub fn has_said_go_away(&self) -> bool {
        matches!(self.farewell, Farewell::Said)
    }

    /// Tells the measured round trip, for window growth.
    pub fn set_rtt(&mut self, rtt: Duration) {
        self.budget.set_round_trip(rtt);
    }

    /// Streams open now, of both sides.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Keeps a finished stream until its FIN has left, and nothing of what the peer sends on it. False: there is nothing to wait for.
    fn give_up(&mut self, id: StreamId, code: ErrorCode) -> bool {
        self.accept(id);
        let Some(stream) = self.streams.get_mut(id) else { return false };
        if stream.send.state != SendState::Finishing {
            return false;
        }
        stream.send.given_up = Some(code);
        stream.send.wanted = false;
        if stream.recv.state == ReceiveState::Open {
            stream.recv.state = ReceiveState::Reset(code);
            let unread = stream.recv.queue.len();
            stream.recv.queue.clear();
            stream.recv.window.release(unread, &mut self.budget);
        }
        true
    }

    /// Puts a stream that has something to send in its ring.
    fn schedule_stream(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        let held = stream.send.opening.as_ref().is_some_and(|opening| opening.held);
        if !stream.send.scheduled && !held && stream.sendable() {
            stream.send.scheduled = true;
            self.schedule.push(id, stream.send.queue.len() > self.config.contended_frame);
        }
    }

    /// The caller has used a stream of the peer's.
    fn accept(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(id)
            && !stream.accepted
        {
            stream.accepted = true;
            self.unaccepted -= 1;
        }
    }

    fn remove_if_over(&mut self, id: StreamId) {
        if self.streams.get(id).is_some_and(Stream::is_over) {
            self.remove(id);
        }
    }

    /// Takes a stream out of the table and gives back what it held.
    fn remove(&mut self, id: StreamId) -> Option<Stream> {
        let mut stream = self.streams.remove(id)?;
        self.unaccepted -= usize::from(!stream.accepted);
        self.unnumbered -= u32::from(stream.number.is_none());
        let unread = stream.recv.queue.len();
        stream.recv.window.release(unread, &mut self.budget);
        if stream.send.scheduled {
            self.sweep_ring();
        }
        if stream.number.is_some() {
            self.place_left();
            if stream.send.opening.is_some() {
                self.answer_came();
            }
        }
        Some(stream)
    }

    /// A scheduled stream has turned unready: its ring entry is stale.
    fn sweep_ring(&mut self) {
        let streams = &self.streams;
        self.schedule.left(|id| streams.get(id).is_some_and(|stream| stream.send.scheduled));
    }
}
