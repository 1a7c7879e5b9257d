//! What the peer does: frames are taken apart and applied.

use std::time::Duration;

use bytes::{Buf, BytesMut};
use portway_wire::frame::{Flags, FrameHeader, FrameKind, GO_AWAY_FIXED, HEADER_LEN, MAX_STREAM_ID};

use crate::{ErrorCode, Event, FaultReason, PeerFault, Role};

use super::limits::OpenVerdict;
use super::schedule::Control;
use super::stream::{Origin, ReceiveState, SendState, Stream};
use super::{Machine, StreamId};

/// Payload is passed on in pieces of at least this (or its rest): what fits in it comes whole, a type word above all, and large frames
/// do not wait for their end.
const SMALLEST_PIECE: usize = 4096;
/// Longest GOAWAY taken, bytes: it has to be buffered whole.
const MAX_GO_AWAY: u32 = 16 * 1024;
/// Text of a GOAWAY that is kept, bytes.
const MAX_GO_AWAY_TEXT: usize = 1024;

/// A DATA frame (or one to be skipped) whose header was taken and whose payload is still arriving.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inflow {
    /// Where the payload goes; nowhere when the stream is unknown or dead.
    target: Option<StreamId>,
    remaining: usize,
    fin: bool,
}

impl Machine {
    /// Takes received bytes. The payload of large frames goes on to its stream as it comes, in pieces of 4 KiB or more, that of small ones
    /// whole; what is less, an incomplete header or control frame, stays in `input` (16 KiB at most) and is to be there again, with more
    /// behind it, at the next call. `now` is monotonic, since the session's start.
    ///
    /// # Errors
    /// [`PeerFault`]: the session is over. The caller says [`go_away`](Self::go_away) with its code and closes. Told again on each call.
    pub fn receive(&mut self, input: &mut BytesMut, now: Duration) -> Result<(), PeerFault> {
        if self.fault.is_none() {
            self.places_in_time(now);
            self.fault = self.take_frames(input, now).err();
        }
        match self.fault {
            None => Ok(()),
            Some(fault) => {
                input.clear();
                Err(fault)
            }
        }
    }

    fn take_frames(&mut self, input: &mut BytesMut, now: Duration) -> Result<(), PeerFault> {
        loop {
            if self.peer_gone && !self.config.strict_frames {
                // One SDK family sends a GOAWAY whose length is wrong: what follows cannot be told from garbage.
                input.clear();
                return Ok(());
            }
            if let Some(inflow) = self.inflow {
                if !self.take_payload(inflow, input) {
                    return Ok(());
                }
                continue;
            }
            let Some(header) = input.first_chunk::<HEADER_LEN>() else { return Ok(()) };
            let header = FrameHeader::decode(header);
            match header.kind {
                FrameKind::Data => {
                    input.advance(HEADER_LEN);
                    self.inflow = Some(self.on_data(header, now)?);
                }
                FrameKind::Unknown(kind) if self.config.strict_frames => {
                    return Err(protocol(FaultReason::UnknownType { kind }));
                }
                FrameKind::Unknown(_) => {
                    input.advance(HEADER_LEN);
                    self.limits.idle_frame(now)?;
                    self.inflow = Some(Inflow { target: None, remaining: header.length as usize, fin: false });
                }
                FrameKind::Rst | FrameKind::WndInc | FrameKind::GoAway => {
                    check_length(header)?;
                    if input.len() < HEADER_LEN + header.length as usize {
                        return Ok(());
                    }
                    input.advance(HEADER_LEN);
                    let payload = input.split_to(header.length as usize);
                    self.on_control(header, payload, now)?;
                }
            }
        }
    }

    /// Moves payload on; tells whether the frame is complete.
    fn take_payload(&mut self, mut inflow: Inflow, input: &mut BytesMut) -> bool {
        let count = inflow.remaining.min(input.len());
        if count < inflow.remaining.min(SMALLEST_PIECE) && inflow.target.is_some() {
            return false;
        }
        if count > 0 {
            inflow.remaining -= count;
            match inflow.target.and_then(|id| Some((id, self.streams.get_mut(id)?))) {
                Some((id, stream)) if stream.recv.state == ReceiveState::Open => {
                    stream.recv.window.arrived(count, &mut self.budget);
                    stream.recv.queue.push_received(input.split_to(count));
                    self.wake_reader(id);
                }
                _ => input.advance(count),
            }
        }
        let complete = inflow.remaining == 0;
        self.inflow = (!complete).then_some(inflow);
        if let (true, true, Some(id)) = (complete, inflow.fin, inflow.target) {
            self.on_fin(id);
        }
        complete
    }

    /// A DATA header: opens the stream if it says so, and charges the window for the whole payload.
    fn on_data(&mut self, header: FrameHeader, now: Duration) -> Result<Inflow, PeerFault> {
        let largest = self.config.max_window.max(self.config.initial_window);
        if header.length > largest {
            let reason = FaultReason::FrameTooLarge { length: header.length };
            return Err(PeerFault { code: ErrorCode::FRAME_SIZE, reason });
        }
        if header.stream == 0 {
            return Err(protocol(FaultReason::WrongStream { stream: 0 }));
        }
        self.places_before_are_free(header.stream);
        let fin = header.flags.has(Flags::FIN);
        let mut inflow = Inflow { target: None, remaining: header.length as usize, fin };
        let known = self.streams.find(header.stream);
        let target = if header.flags.has(Flags::SYN) {
            if known.is_some() {
                return Err(protocol(FaultReason::IdReused { stream: header.stream }));
            }
            self.on_syn(header, now)?
        } else if known.is_none() {
            self.on_stray(header, now)?;
            None
        } else {
            known
        };
        let Some(id) = target else { return Ok(inflow) };
        self.answered(id);
        if header.length == 0 && !fin && !header.flags.has(Flags::SYN) {
            self.limits.idle_frame(now)?;
        }
        let Some(stream) = self.streams.get_mut(id) else { return Ok(inflow) };
        match stream.recv.state {
            ReceiveState::Open if stream.recv.window.charge(header.length, now).is_ok() => inflow.target = Some(id),
            ReceiveState::Open => self.kill(id, ErrorCode::FLOW_CONTROL),
            ReceiveState::Reset(_) if fin && stream.send.given_up.is_some() => stream.recv.state = ReceiveState::Ended,
            ReceiveState::Reset(_) => {}
            ReceiveState::Finished | ReceiveState::Ended => self.kill(id, ErrorCode::STREAM_CLOSED),
        }
        Ok(inflow)
    }

    /// The peer opens a stream: the new stream, or none when it is refused.
    fn on_syn(&mut self, header: FrameHeader, now: Duration) -> Result<Option<StreamId>, PeerFault> {
        let number = header.stream;
        let wrong_parity = (number % 2 == 1) != (self.role == Role::Edge);
        if wrong_parity && self.config.strict_parity {
            return Err(protocol(FaultReason::WrongParity { stream: number }));
        }
        if self.config.strict_frames && number <= self.last_peer {
            return Err(protocol(FaultReason::IdReused { stream: number }));
        }
        self.leftovers.forget(number);
        let refusal = if wrong_parity {
            Some(ErrorCode::PROTOCOL)
        } else if self.limits.open(now)? == OpenVerdict::TooFast {
            Some(ErrorCode::ENHANCE_YOUR_CALM)
        } else if self.farewell.was_said() {
            Some(ErrorCode::REMOTE_GONE_AWAY)
        } else if self.unaccepted >= self.config.max_unaccepted {
            Some(ErrorCode::ACCEPT_QUEUE_FULL)
        } else if self.streams.peer_opened() >= self.config.max_streams {
            Some(ErrorCode::STREAMS_EXHAUSTED)
        } else {
            None
        };
        if let Some(code) = refusal {
            let fin = self.config.fin_before_reset;
            self.schedule.push_answer(Control::Reset { number, code, fin })?;
            if !header.flags.has(Flags::FIN) {
                self.leftovers.expect(number);
            }
            return Ok(None);
        }
        self.last_peer = self.last_peer.max(number);
        let (window, budget) = (self.config.initial_window, &self.budget);
        let id = self.streams.insert(|serial| Stream::new(serial, Some(number), Origin::Peer, window, budget));
        self.unaccepted += 1;
        self.events.push_back(Event::Opened(id));
        Ok(Some(id))
    }

    /// DATA for a stream that is not there: left over from one that was reset here, or never opened.
    fn on_stray(&mut self, header: FrameHeader, now: Duration) -> Result<(), PeerFault> {
        let fin = header.flags.has(Flags::FIN);
        let expected = if fin { self.leftovers.forget(header.stream) } else { self.leftovers.expected(header.stream) };
        if expected {
            return Ok(());
        }
        if fin && header.length == 0 {
            return self.limits.idle_frame(now);
        }
        if self.limits.stray_answer(now) {
            let (number, code) = (header.stream, ErrorCode::STREAM_CLOSED);
            self.schedule.push_answer(Control::Reset { number, code, fin: false })?;
            if !fin {
                self.leftovers.expect(number);
            }
        }
        Ok(())
    }

    fn on_fin(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        if stream.recv.state == ReceiveState::Open {
            stream.recv.state = ReceiveState::Finished;
            self.wake_reader(id);
        }
    }

    fn on_control(&mut self, header: FrameHeader, mut payload: BytesMut, now: Duration) -> Result<(), PeerFault> {
        if (header.kind == FrameKind::GoAway) != (header.stream == 0) && self.config.strict_frames {
            return Err(protocol(FaultReason::WrongStream { stream: header.stream }));
        }
        match header.kind {
            FrameKind::Rst => self.on_rst(header.stream, ErrorCode(payload.get_u32()), now),
            FrameKind::WndInc => self.on_credit(header.stream, payload.get_u32() & MAX_STREAM_ID, now),
            _ => {
                self.on_go_away(payload);
                Ok(())
            }
        }
    }

    fn on_rst(&mut self, number: u32, code: ErrorCode, now: Duration) -> Result<(), PeerFault> {
        self.places_before_are_free(number);
        let Some(id) = self.streams.find(number) else {
            return if self.leftovers.forget(number) { Ok(()) } else { self.limits.idle_frame(now) };
        };
        let Some(stream) = self.streams.get_mut(id) else { return Ok(()) };
        if !stream.surfaced {
            // Opened and taken back before the caller heard of it.
            self.remove(id);
            return Ok(());
        }
        if stream.open_on_wire() && !self.reopens(id, code) {
            self.free_refused(number, code);
            self.end_by_reset(id, code);
        }
        Ok(())
    }

    fn on_credit(&mut self, number: u32, credit: u32, now: Duration) -> Result<(), PeerFault> {
        if credit == 0 && self.config.strict_frames {
            return Err(protocol(FaultReason::ZeroIncrement { stream: number }));
        }
        self.places_before_are_free(number);
        let Some(id) = self.streams.find(number) else { return self.limits.idle_frame(now) };
        self.answered(id);
        let Some(stream) = self.streams.get_mut(id) else { return Ok(()) };
        match stream.send.credit.checked_add(credit).filter(|sum| *sum <= MAX_STREAM_ID) {
            Some(sum) => {
                stream.send.credit = sum;
                self.schedule_stream(id);
            }
            None if matches!(stream.send.state, SendState::Open | SendState::Finishing) => {
                self.kill(id, ErrorCode::FLOW_CONTROL);
            }
            None => {}
        }
        Ok(())
    }

    fn on_go_away(&mut self, mut payload: BytesMut) {
        let first = !std::mem::replace(&mut self.peer_gone, true);
        // Shorter ones come from peers with the length bug; they say nothing more.
        let (last, code) = match payload.len() {
            GO_AWAY_FIXED.. => (payload.get_u32() & MAX_STREAM_ID, ErrorCode(payload.get_u32())),
            _ => (MAX_STREAM_ID, ErrorCode::NONE),
        };
        if !first {
            return;
        }
        payload.truncate(MAX_GO_AWAY_TEXT);
        for id in self.streams.ids() {
            let Some(stream) = self.streams.get(id) else { continue };
            let processed = stream.number.is_some_and(|number| number <= last);
            if stream.origin == Origin::Local && !processed {
                self.end_by_reset(id, ErrorCode::REMOTE_GONE_AWAY);
            }
        }
        let text = String::from_utf8_lossy(&payload).into_owned();
        self.events.push_back(Event::GoneAway { last, code, text });
    }

    /// Resets a stream for what the peer did on it. The caller hears of it as of a reset by the peer.
    fn kill(&mut self, id: StreamId, code: ErrorCode) {
        let fin_before = self.config.fin_before_reset;
        if let Some(stream) = self.streams.get(id)
            && let Some(number) = stream.number
        {
            let fin = fin_before && stream.send.state != SendState::Finished;
            self.schedule.push_control(Control::Reset { number, code, fin });
            self.leftovers.expect(number);
        }
        self.end_by_reset(id, code);
    }

    /// Ends both directions; what came before the peer's FIN stays readable.
    fn end_by_reset(&mut self, id: StreamId, code: ErrorCode) {
        self.answered(id);
        let Some(stream) = self.streams.get_mut(id) else { return };
        if stream.send.given_up.is_some() {
            // The caller has no interest in it any more.
            self.remove(id);
            return;
        }
        if stream.recv.state == ReceiveState::Open {
            stream.recv.state = ReceiveState::Reset(code);
            stream.recv.window.release(stream.recv.queue.len(), &mut self.budget);
            stream.recv.queue.clear();
        }
        stream.send.state = SendState::Reset(code);
        stream.send.queue.clear();
        if std::mem::take(&mut stream.send.scheduled) {
            self.sweep_ring();
        }
        self.events.push_back(Event::Reset(id, code));
        self.remove_if_over(id);
    }

    /// Tells a reader that waits. Of a stream the caller has not heard of, [`Event::Opened`] is word enough.
    fn wake_reader(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(id)
            && stream.surfaced
            && std::mem::take(&mut stream.recv.wanted)
        {
            self.events.push_back(Event::Readable(id));
        }
    }
}

fn protocol(reason: FaultReason) -> PeerFault {
    PeerFault { code: ErrorCode::PROTOCOL, reason }
}

/// Control frames are small and of fixed length, GOAWAY apart.
fn check_length(header: FrameHeader) -> Result<(), PeerFault> {
    let length = header.length;
    let reason = match header.kind {
        FrameKind::Rst | FrameKind::WndInc if length != 4 => FaultReason::FrameLength { length },
        FrameKind::GoAway if length > MAX_GO_AWAY => FaultReason::FrameTooLarge { length },
        _ => return Ok(()),
    };
    Err(PeerFault { code: ErrorCode::FRAME_SIZE, reason })
}
