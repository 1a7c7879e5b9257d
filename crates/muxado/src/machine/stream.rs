//! The state of one stream.

use crate::ErrorCode;

use super::opening::Opening;
use super::queue::ByteQueue;
use super::window::{Budget, Window};

/// Bytes that a stream may hold written beyond what the peer lets it send: a full frame is there when the peer lets it go on. A peer that
/// reads nothing is a visitor that reads nothing, and of those there may be thousands.
const WRITE_AHEAD: usize = 64 * 1024;

/// Who opened a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Local,
    Peer,
}

/// One stream, from its opening until both sides are done with it.
#[derive(Debug)]
pub(super) struct Stream {
    /// Tells this stream from earlier ones in the same slot.
    pub(super) serial: u32,
    /// The id on the wire; a stream of ours gets it when its first frame is sent, so that ids only grow on the wire.
    pub(super) number: Option<u32>,
    pub(super) origin: Origin,
    /// The caller has seen [`crate::Event::Opened`] (or opened the stream itself).
    pub(super) surfaced: bool,
    /// The caller has used the stream.
    pub(super) accepted: bool,
    pub(super) recv: Receiving,
    pub(super) send: Sending,
}

/// The direction from the peer.
#[derive(Debug)]
pub(super) struct Receiving {
    pub(super) state: ReceiveState,
    pub(super) queue: ByteQueue,
    pub(super) window: Window,
    /// Credit to be returned with the next WNDINC.
    pub(super) credit: u32,
    /// The reader found nothing, and wants to hear when that changes.
    pub(super) wanted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReceiveState {
    Open,
    /// The peer has sent FIN; what is queued can still be read.
    Finished,
    /// The reader has seen the end.
    Ended,
    /// Reset before FIN.
    Reset(ErrorCode),
}

/// The direction to the peer.
#[derive(Debug)]
pub(super) struct Sending {
    pub(super) state: SendState,
    pub(super) queue: ByteQueue,
    /// Bytes the peer lets us send.
    pub(super) credit: u32,
    /// The writer was turned away, and wants to hear when there is room.
    pub(super) wanted: bool,
    /// An opened stream whose SYN is to leave even without payload.
    pub(super) flush: bool,
    /// In one of the schedule's rings.
    pub(super) scheduled: bool,
    /// The caller has called `finish`.
    pub(super) finish_called: bool,
    /// The caller has given the stream up behind a `finish`: what is queued and the FIN still leave, then the peer is told.
    pub(super) given_up: Option<ErrorCode>,
    /// The peer has not answered; only of streams of ours where the configuration limits these.
    pub(super) opening: Option<Opening>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SendState {
    Open,
    /// FIN is to be sent after the queue.
    Finishing,
    /// FIN is sent.
    Finished,
    /// Reset.
    Reset(ErrorCode),
}

impl Sending {
    /// Bytes that may be written now, with a buffer of this size.
    pub(super) fn room(&self, send_buffer: usize) -> usize {
        send_buffer.min(self.credit as usize + WRITE_AHEAD).saturating_sub(self.queue.len())
    }
}

impl Stream {
    pub(super) fn new(serial: u32, number: Option<u32>, origin: Origin, initial_window: u32, budget: &Budget) -> Self {
        Self {
            serial,
            number,
            origin,
            surfaced: origin == Origin::Local,
            accepted: origin == Origin::Local,
            recv: Receiving {
                state: ReceiveState::Open,
                queue: ByteQueue::default(),
                window: Window::new(budget),
                credit: 0,
                wanted: true,
            },
            send: Sending {
                state: SendState::Open,
                queue: ByteQueue::default(),
                credit: initial_window,
                wanted: false,
                flush: false,
                scheduled: false,
                finish_called: false,
                given_up: None,
                opening: None,
            },
        }
    }

    /// Whether a frame of this stream could be sent now.
    pub(super) fn sendable(&self) -> bool {
        let data = !self.send.queue.is_empty() && self.send.credit > 0;
        let fin = self.send.state == SendState::Finishing && self.send.queue.is_empty();
        let live = matches!(self.send.state, SendState::Open | SendState::Finishing);
        live && (data || fin || self.syn_pending() && self.send.flush)
    }

    /// Whether the next frame is the one that opens the stream.
    pub(super) fn syn_pending(&self) -> bool {
        self.number.is_none()
    }

    /// Whether nobody has anything more to say or hear on this stream.
    pub(super) fn is_over(&self) -> bool {
        let sent = match self.send.state {
            SendState::Finished => true,
            SendState::Reset(_) => self.send.finish_called,
            SendState::Open | SendState::Finishing => false,
        };
        sent && self.recv.state == ReceiveState::Ended
    }

    /// Whether a reset has to be told to the peer: one direction at least is not yet closed on the wire.
    pub(super) fn open_on_wire(&self) -> bool {
        let receiving = self.recv.state == ReceiveState::Open;
        let sending = matches!(self.send.state, SendState::Open | SendState::Finishing);
        self.number.is_some() && (receiving || sending)
    }
}
