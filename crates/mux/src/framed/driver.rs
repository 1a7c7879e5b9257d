//! The task that moves bytes between the transport and the session machine.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf, BufMut, BytesMut};
use portway_muxado::{ErrorCode, Event, StreamId};
use portway_wire::StreamType;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::io::poll_read_buf;

use super::heartbeat::Heartbeat;
use super::link::{Link, Order, State};
use crate::blocks::{give_reading, give_writing, make_room, take_reading, take_writing};
use crate::{CloseReason, SessionConfig};

/// Bytes moved in one direction in one poll; then other tasks of the thread get their turn, above all those that take the bytes.
const POLL_BYTES: usize = 256 * 1024;

/// Bytes of frames collected for one write: four full TLS records, and what rustls buffers at most.
const WRITE_BYTES: usize = 64 * 1024;

/// Bytes asked from the transport at once: little at first, since a TLS stream zeroes the room it is given, and a full record when that
/// was filled.
const READ_SMALL: usize = 4 * 1024;
const READ_LARGE: usize = 16 * 1024;

/// How long a polite close may take to get its GOAWAY out.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// Places for wakers that are kept between polls; more are for bursts.
const WAKERS_KEPT: usize = 8;

/// Owns the transport of one session.
pub(super) struct Driver<IO> {
    io: IO,
    link: Arc<Link>,
    heartbeat: Heartbeat,
    timer: Pin<Box<Sleep>>,
    started: Instant,
    /// A partial frame, between polls.
    input: BytesMut,
    /// Frames that the transport has not taken, between polls.
    output: BytesMut,
    read_size: usize,
    unflushed: bool,
    /// Streams of the peer whose type word has not come.
    untyped: Vec<StreamId>,
    closing: Option<Closing>,
    order: Order,
    wakers: Vec<Waker>,
}

/// A session that is told to end.
struct Closing {
    reason: CloseReason,
    until: Instant,
    /// The GOAWAY is in `output` or gone.
    said: bool,
    /// The sending side of the transport is shut down.
    shut: bool,
}

/// What a batch of events meant for the session as a whole.
struct Passed {
    /// There are streams to accept.
    accepted: bool,
    /// The peer has said GOAWAY.
    gone: Option<CloseReason>,
}

/// How far one direction came in a poll.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// The transport or the machine has no more for now.
    Waits,
    /// The share of this poll is used up.
    More,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Driver<IO> {
    pub(super) fn new(io: IO, link: Arc<Link>, config: &SessionConfig) -> Self {
        let started = Instant::now();
        Self {
            io,
            link,
            heartbeat: Heartbeat::new(config.heartbeat_interval, config.heartbeat_tolerance),
            timer: Box::pin(sleep_until(started)),
            started,
            input: BytesMut::new(),
            output: BytesMut::new(),
            read_size: READ_SMALL,
            unflushed: false,
            untyped: Vec::new(),
            closing: None,
            order: Order::Run,
            wakers: Vec::new(),
        }
    }

    /// One turn of the session: ready when it is over.
    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let now = self.begin(cx);
        match std::mem::replace(&mut self.order, Order::Run) {
            Order::Abort => return Poll::Ready(CloseReason::LocalClosed),
            Order::Close(text) => self.begin_close(CloseReason::LocalClosed, ErrorCode::NONE, &text),
            Order::Run => {}
        }
        let result = self.poll_timer(cx, now).and_then(|()| self.exchange(cx, now));
        self.give_back();
        match (result, &self.closing) {
            // Whatever happens while a session closes, that it was told to is the reason.
            (Err(_), Some(closing)) => Poll::Ready(closing.reason.clone()),
            (Err(reason), None) => Poll::Ready(reason),
            (Ok(()), Some(closing)) => {
                if self.timer.deadline() != closing.until {
                    // It began to close in this turn: the next one sets the timer.
                    cx.waker().wake_by_ref();
                }
                self.poll_shutdown(cx)
            }
            (Ok(()), None) => Poll::Pending,
        }
    }

    /// Leaves word where to be woken, and takes orders.
    fn begin(&mut self, cx: &Context<'_>) -> Duration {
        let now = self.started.elapsed();
        let mut state = self.link.lock();
        state.now = now;
        state.kicked = false;
        match &state.driver {
            Some(held) if held.will_wake(cx.waker()) => {}
            _ => state.driver = Some(cx.waker().clone()),
        }
        if state.order != Order::Run && self.closing.is_none() {
            self.order = state.order.clone();
        } else if state.order == Order::Abort {
            self.order = Order::Abort;
        }
        now
    }

    /// Sends what streams have written, takes what came, and sends what that caused.
    fn exchange(&mut self, cx: &mut Context<'_>, now: Duration) -> Result<(), CloseReason> {
        let progress = [self.poll_send(cx, now)?, self.poll_receive(cx, now)?, self.poll_send(cx, now)?];
        if progress.contains(&Progress::More) {
            cx.waker().wake_by_ref();
        }
        Ok(())
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>, now: Duration) -> Result<Progress, CloseReason> {
        if self.input.capacity() == 0 {
            self.input = take_reading();
        }
        let mut total = 0;
        while total < POLL_BYTES {
            make_room(&mut self.input);
            let mut room = (&mut self.input).limit(self.read_size);
            let count = match poll_read_buf(Pin::new(&mut self.io), cx, &mut room) {
                Poll::Pending => return Ok(Progress::Waits),
                Poll::Ready(Ok(0)) => return Err(lost(io::ErrorKind::UnexpectedEof.into())),
                Poll::Ready(Ok(count)) => count,
                Poll::Ready(Err(error)) => return Err(lost(error)),
            };
            total += count;
            self.read_size = if count < READ_SMALL { READ_SMALL } else { READ_LARGE };
            if self.closing.is_some() {
                // Read on, so that closing the socket does not wipe out what was sent (RFC 1122 section 4.2.2.13).
                self.input.clear();
                continue;
            }
            self.heartbeat.heard(now);
            self.take_frames(now)?;
        }
        Ok(Progress::More)
    }

    /// Gives received bytes to the machine and passes on what they mean.
    fn take_frames(&mut self, now: Duration) -> Result<(), CloseReason> {
        let link = self.link.clone();
        let mut state = link.lock();
        state.heard += 1;
        let received = state.machine.receive(&mut self.input, now);
        let passed = self.pass_events(&mut state, now);
        state.rtt = self.heartbeat.rtt();
        drop(state);
        self.wakers.drain(..).for_each(Waker::wake);
        if passed.accepted {
            link.announce();
        }
        if let Err(fault) = received {
            let text = fault.to_string();
            self.begin_close(CloseReason::PeerFault(text.clone()), fault.code, &text);
        }
        passed.gone.map_or(Ok(()), Err)
    }

    /// Hands the machine's events to those who wait for them; their wakers are collected, to be woken without the lock.
    fn pass_events(&mut self, state: &mut State, now: Duration) -> Passed {
        let mut passed = Passed { accepted: false, gone: None };
        while let Some(event) = state.machine.next_event() {
            match event {
                Event::Opened(id) => passed.accepted |= self.opened(state, id, now),
                Event::Readable(id) => passed.accepted |= self.readable(state, id, now),
                Event::Writable(id) => self.wakers.extend(state.take_writer(id)),
                Event::Reset(id, _) => self.reset(state, id),
                Event::GoneAway { code, text, .. } => passed.gone = Some(CloseReason::PeerClosed { code, text }),
            }
        }
        state.hidden = self.heartbeat.streams() + self.untyped.len();
        passed
    }

    /// A stream of the peer: heartbeats stay here, all others wait to be accepted. Tells whether one was added to those.
    fn opened(&mut self, state: &mut State, id: StreamId, now: Duration) -> bool {
        match state.machine.peek(id) {
            [] => {
                self.untyped.push(id);
                false
            }
            word if word.starts_with(&StreamType::HEARTBEAT.to_bytes()) => {
                self.heartbeat.adopt(&mut state.machine, id, now);
                false
            }
            _ => {
                state.waiting.push_back(id);
                true
            }
        }
    }

    fn readable(&mut self, state: &mut State, id: StreamId, now: Duration) -> bool {
        if self.heartbeat.readable(&mut state.machine, id, now) {
            return false;
        }
        if self.forget_untyped(id) {
            return self.typed(state, id, now);
        }
        self.wakers.extend(state.take_reader(id));
        false
    }

    /// The first bytes of a stream have come, or its end.
    fn typed(&mut self, state: &mut State, id: StreamId, now: Duration) -> bool {
        if state.machine.peek(id).is_empty() {
            state.machine.reset(id, ErrorCode::PROTOCOL);
            return false;
        }
        self.opened(state, id, now)
    }

    fn reset(&mut self, state: &mut State, id: StreamId) {
        if self.heartbeat.reset(&mut state.machine, id) {
            return;
        }
        if self.forget_untyped(id) {
            state.machine.reset(id, ErrorCode::NONE);
            return;
        }
        self.wakers.extend(state.take_wakers(id).into_iter().flatten());
    }

    fn forget_untyped(&mut self, id: StreamId) -> bool {
        // Nearly always empty: peers send the type word with the SYN.
        let Some(place) = self.untyped.iter().position(|untyped| *untyped == id) else { return false };
        self.untyped.swap_remove(place);
        true
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, now: Duration) -> Result<Progress, CloseReason> {
        let mut total = 0;
        loop {
            while self.output.has_remaining() {
                match Pin::new(&mut self.io).poll_write(cx, &self.output) {
                    Poll::Pending => return Ok(Progress::Waits),
                    Poll::Ready(Ok(0)) => return Err(lost(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(Ok(count)) => {
                        self.output.advance(count);
                        self.unflushed = true;
                        total += count;
                    }
                    Poll::Ready(Err(error)) => return Err(lost(error)),
                }
            }
            if total >= POLL_BYTES {
                return Ok(Progress::More);
            }
            if !self.collect(now) {
                return self.poll_flush(cx).map(|()| Progress::Waits);
            }
        }
    }

    /// Collects frames for the next write; `false` when there are none.
    fn collect(&mut self, now: Duration) -> bool {
        if self.closing.as_ref().is_some_and(|closing| closing.said) {
            return false;
        }
        let link = self.link.clone();
        let mut state = link.lock();
        if !state.machine.wants_transmit() {
            return false;
        }
        if self.output.capacity() == 0 {
            self.output = take_writing();
            self.output.reserve(WRITE_BYTES);
        }
        let collected = state.machine.transmit(&mut self.output, WRITE_BYTES) > 0;
        let said = state.machine.has_said_go_away();
        let passed = self.pass_events(&mut state, now);
        drop(state);
        self.wakers.drain(..).for_each(Waker::wake);
        if passed.accepted {
            link.announce();
        }
        if let Some(closing) = &mut self.closing {
            // Answers that wait go before it; the peer ignores all that follows it.
            closing.said = said;
        }
        collected
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Result<(), CloseReason> {
        if self.unflushed {
            match Pin::new(&mut self.io).poll_flush(cx) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(error)) => return Err(lost(error)),
            }
        }
        Ok(())
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>, now: Duration) -> Result<(), CloseReason> {
        if let Some(closing) = &self.closing {
            if Instant::now() >= closing.until {
                return Err(closing.reason.clone());
            }
            if self.timer.deadline() != closing.until {
                self.timer.as_mut().reset(closing.until);
            }
        } else {
            let link = self.link.clone();
            let mut state = link.lock();
            let asked = std::mem::take(&mut state.asked);
            if asked {
                self.heartbeat.hurry(now);
            }
            if now >= self.heartbeat.due() {
                let ticked = self.heartbeat.tick(&mut state.machine, rand::random(), now);
                ticked.map_err(|_| CloseReason::HeartbeatLost)?;
                state.hidden = self.heartbeat.streams() + self.untyped.len();
            }
            if asked && !self.heartbeat.waits() {
                // All streams are in use: a peer that cannot be asked is not blamed for its silence.
                state.heard += 1;
            }
            drop(state);
            let due = self.started + self.heartbeat.due();
            if self.timer.deadline() != due {
                self.timer.as_mut().reset(due);
            }
        }
        if self.timer.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        Ok(())
    }

    /// The GOAWAY is queued; when it is out, the transport is shut down, and when the peer has done the same or is slow, the session is
    /// over.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        if self.output.has_remaining() || self.unflushed {
            return Poll::Pending;
        }
        let Some(closing) = &mut self.closing else { return Poll::Pending };
        if !closing.shut {
            match Pin::new(&mut self.io).poll_shutdown(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) => closing.shut = true,
                Poll::Ready(Err(_)) => return Poll::Ready(closing.reason.clone()),
            }
        }
        // `poll_receive` waits for the peer's end, `poll_timer` for the end of patience.
        Poll::Pending
    }

    fn begin_close(&mut self, reason: CloseReason, code: ErrorCode, text: &str) {
        if self.closing.is_none() {
            self.link.lock().machine.go_away(code, text);
            self.input.clear();
            self.closing = Some(Closing { reason, until: Instant::now() + CLOSE_GRACE, said: false, shut: false });
        }
    }

    fn give_back(&mut self) {
        if self.input.is_empty() {
            give_reading(std::mem::take(&mut self.input));
        }
        if self.output.is_empty() {
            give_writing(std::mem::take(&mut self.output));
        }
        if self.wakers.capacity() > WAKERS_KEPT {
            self.wakers = Vec::new();
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Future for Driver<IO> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        match this.turn(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(reason) => {
                this.link.end(reason);
                Poll::Ready(())
            }
        }
    }
}

impl<IO> Drop for Driver<IO> {
    /// Also when the runtime shuts down or the driver panics: nobody shall wait for a session without a driver.
    fn drop(&mut self) {
        tracing::trace!(peer = %self.link.peer(), "session driver ends");
        self.link.end(lost(io::Error::new(io::ErrorKind::Interrupted, "the session's runtime has ended")));
    }
}

fn lost(error: io::Error) -> CloseReason {
    CloseReason::TransportLost(Arc::new(error))
}
