//! What leaves: control frames first, then data, then the farewell's silence.

use bytes::{BufMut, BytesMut};
use portway_wire::frame::{Flags, FrameHeader, FrameKind, GO_AWAY_FIXED, HEADER_LEN};

use crate::{ErrorCode, Event};

use super::schedule::Control;
use super::stream::{ReceiveState, SendState};
use super::{Machine, StreamId};

/// Room that every control frame fits in: an empty FIN and an RST.
const CONTROL_ROOM: usize = 2 * HEADER_LEN + 4;
/// Text sent with a GOAWAY, bytes.
const MAX_FAREWELL_TEXT: usize = 256;
/// A data frame is not begun in less room than this (or its whole payload), so that large writes are not cut to slivers.
const SLIVER: usize = 1024;
/// Smallest sensible `limit` of a transmit: a GOAWAY fits.
const SMALLEST_LIMIT: usize = 1024;

/// Our GOAWAY.
#[derive(Debug)]
pub(super) enum Farewell {
    None,
    ToSay { code: ErrorCode, text: String },
    Said,
}

impl Farewell {
    pub(super) fn say(&mut self, code: ErrorCode, text: &str) {
        if matches!(self, Self::None) {
            let text = text[..text.floor_char_boundary(MAX_FAREWELL_TEXT)].to_owned();
            *self = Self::ToSay { code, text };
        }
    }

    pub(super) fn was_said(&self) -> bool {
        !matches!(self, Self::None)
    }
}

impl Machine {
    /// Appends whole frames to `out`, at most `limit` bytes (taken as 1024 when smaller); tells how many bytes were appended. Payload is
    /// copied here, once. Call it again while [`wants_transmit`](Self::wants_transmit).
    pub fn transmit(&mut self, out: &mut BytesMut, limit: usize) -> usize {
        let start = out.len();
        let end = start + limit.max(SMALLEST_LIMIT);
        if self.is_silent() {
            return 0;
        }
        while end - out.len() >= CONTROL_ROOM {
            let Some(control) = self.schedule.pop_control() else { break };
            self.encode_control(control, out);
        }
        if !self.schedule.has_control() {
            self.encode_farewell(out, end);
            if !self.is_silent() {
                self.encode_data(out, end);
            }
        }
        out.len() - start
    }

    /// Whether [`transmit`](Self::transmit) has something to send.
    #[must_use]
    pub fn wants_transmit(&self) -> bool {
        let farewell = matches!(self.farewell, Farewell::ToSay { .. });
        !self.is_silent() && (farewell || self.schedule.has_control() || self.schedule.ready() > 0)
    }

    /// After a GOAWAY nothing may follow towards a peer whose reader loses the framing there.
    fn is_silent(&self) -> bool {
        matches!(self.farewell, Farewell::Said) && (!self.config.strict_frames || self.fault.is_some())
    }

    fn encode_control(&mut self, control: Control, out: &mut BytesMut) {
        match control {
            Control::Credit(id) => {
                let Some(stream) = self.streams.get_mut(id) else { return };
                let credit = std::mem::take(&mut stream.recv.credit);
                if let (Some(number), 1..) = (stream.number, credit) {
                    put_header(out, FrameKind::WndInc, Flags::NONE, number, 4);
                    out.put_u32(credit);
                }
            }
            Control::Reset { number, code, fin } => {
                if fin {
                    put_header(out, FrameKind::Data, Flags::FIN, number, 0);
                }
                put_header(out, FrameKind::Rst, Flags::NONE, number, 4);
                out.put_u32(code.0);
            }
        }
    }

    fn encode_farewell(&mut self, out: &mut BytesMut, end: usize) {
        let Farewell::ToSay { code, text } = &self.farewell else { return };
        let length = GO_AWAY_FIXED + text.len();
        if end - out.len() < HEADER_LEN + length {
            return;
        }
        put_header(out, FrameKind::GoAway, Flags::NONE, 0, length);
        out.put_u32(self.last_peer);
        out.put_u32(code.0);
        out.put_slice(text.as_bytes());
        self.farewell = Farewell::Said;
    }

    fn encode_data(&mut self, out: &mut BytesMut, end: usize) {
        while let Some(id) = self.schedule.pop() {
            let Some(stream) = self.streams.get(id).filter(|stream| stream.send.scheduled) else { continue };
            let payload = (stream.send.queue.len()).min(stream.send.credit as usize);
            let heavy = stream.send.queue.len() > self.config.contended_frame;
            if end - out.len() < HEADER_LEN + payload.min(SLIVER) {
                self.schedule.put_back(id, heavy);
                return;
            }
            self.schedule.took();
            self.encode_frame(id, out, payload.min(end - out.len() - HEADER_LEN));
        }
    }

    /// Sends one DATA frame of at most `payload` bytes of a stream that was taken from its ring.
    fn encode_frame(&mut self, id: StreamId, out: &mut BytesMut, payload: usize) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        stream.send.scheduled = false;
        if !stream.sendable() || self.holds_back(id) {
            return;
        }
        let Some(stream) = self.streams.get_mut(id) else { return };
        let alone = self.schedule.ready() == 0;
        let payload = payload.min(if alone { self.config.max_frame } else { self.config.contended_frame });
        let mut flags = Flags::NONE;
        if stream.syn_pending() {
            flags = flags.with(Flags::SYN);
        }
        if stream.send.state == SendState::Finishing && payload == stream.send.queue.len() {
            flags = flags.with(Flags::FIN);
            stream.send.state = SendState::Finished;
        }
        let number = match stream.number {
            Some(number) => number,
            None => self.number_stream(id),
        };
        let Some(stream) = self.streams.get_mut(id) else { return };
        put_header(out, FrameKind::Data, flags, number, payload);
        stream.send.queue.copy_to(out, payload);
        if let Some(opening) = &mut stream.send.opening {
            opening.sent(&out[out.len() - payload..]);
        }
        // A payload is never larger than the credit.
        stream.send.credit -= payload as u32;
        let send_buffer = self.config.send_buffer;
        if stream.send.wanted && stream.send.queue.len() <= send_buffer / 2 && stream.send.room(send_buffer) > 0 {
            stream.send.wanted = false;
            self.events.push_back(Event::Writable(id));
        }
        if let (SendState::Finished, Some(code)) = (stream.send.state, stream.send.given_up) {
            return self.forget_given_up(id, number, code);
        }
        self.schedule_stream(id);
        self.remove_if_over(id);
    }

    /// The FIN of a stream that the caller has given up is on its way; the peer hears last that nobody listens to it.
    fn forget_given_up(&mut self, id: StreamId, number: u32, code: ErrorCode) {
        let Some(stream) = self.remove(id) else { return };
        if matches!(stream.recv.state, ReceiveState::Reset(_)) {
            self.schedule.push_control(Control::Reset { number, code, fin: false });
            self.leftovers.expect(number);
        }
    }

    /// Gives a stream its wire id, in the order of first frames: on the wire ids only grow.
    fn number_stream(&mut self, id: StreamId) -> u32 {
        let number = self.next_number;
        self.next_number += 2;
        self.unnumbered -= 1;
        self.streams.assign(id, number);
        self.syn_leaves(id);
        number
    }
}

fn put_header(out: &mut BytesMut, kind: FrameKind, flags: Flags, stream: u32, length: usize) {
    // Payloads are bounded by `Config::max_frame` and the constants above.
    out.put_slice(&FrameHeader { length: length as u32, kind, flags, stream }.encode());
}
