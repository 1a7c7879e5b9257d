//! The visitor's side as hyper reads and writes it: every byte of HTTP/1 passes a strict watcher first, frames of HTTP/2 are counted, and
//! nothing waits for ever.
//!
//! The watcher refuses what two parsers could read in two ways. A request it refuses is never seen by hyper as a whole: the requests
//! before it are answered, then the refusal is written and the connection ends.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use portway_codes::{Code, PublicError};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;
use tokio_util::io::poll_read_buf;

use super::frames::Frames;
use super::guard::{Guard, Phase, Seen};
use super::idle_timer::IdleTimer;
use super::page;
use super::turn::{Turn, UpgradeState};
use crate::config::Limits;
use crate::cut::Cut;

/// Bytes that are read ahead while it is open whether they belong to another protocol. A WebSocket client sends none.
const AHEAD_MAX: usize = 16 * 1024;

/// Bytes asked for at once behind a head that came in pieces.
const READ_MORE: usize = 4 * 1024;

/// Bytes of HTTP/2 that are read in one turn of the connection's task. Its parser goes on for as long as there are any, and the others on
/// the shard wait: a few thousand of the smallest frames cost a millisecond or two.
const TURN_MAX: usize = 64 * 1024;

/// The visitor's side of a connection. Where the end of the connection is that of what the visitor was to get, it is reset when it is
/// dropped before [`VisitorIo::told_end`].
pub(super) struct VisitorIo<IO: Cut> {
    io: IO,
    turn: Arc<Turn>,
    /// None: bytes pass as they are.
    guard: Option<Guard>,
    /// Of HTTP/2.
    frames: Option<Box<Frames>>,
    /// Read, and not passed on yet: first what the watcher let through, then what it did not.
    ahead: BytesMut,
    /// How much of that it let through.
    passable: usize,
    /// Some of it the watcher has not seen yet.
    unseen: bool,
    /// What becomes of reading when all that may pass has passed.
    stopped: Option<Reading>,
    /// What is said to the visitor behind the last response.
    refusal: Option<PublicError>,
    /// Interim responses being written.
    interim: BytesMut,
    reading: Reading,
    /// The protocol is no longer HTTP: nothing is watched, the ends are real.
    raw: bool,
    told_end: bool,
    /// All that hyper wrote has left.
    flushed: bool,
    limits: Times,
    timer: IdleTimer,
    /// When a byte moved last.
    moved: Instant,
    /// When the head that is being read began.
    head_began: Option<Instant>,
}

/// The waits of a visitor's connection.
#[derive(Debug, Clone, Copy)]
struct Times {
    head: std::time::Duration,
    idle: std::time::Duration,
    body: Option<std::time::Duration>,
}

/// How far reading is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Open,
    /// The visitor will send no more.
    Ended,
    /// What follows is refused, once what came before is answered.
    Refused,
    /// The body under way is broken.
    BrokenBody,
    /// The visitor sends nothing but work: its connection is cut.
    Flooded,
}

impl<IO: Cut> VisitorIo<IO> {
    /// `first`: bytes that were read already.
    pub(super) fn new(
        io: IO,
        first: BytesMut,
        turn: Arc<Turn>,
        guard: Option<Guard>,
        limits: &Limits,
    ) -> VisitorIo<IO> {
        let now = Instant::now();
        VisitorIo {
            io,
            turn,
            head_began: (guard.is_some() && !first.is_empty()).then_some(now),
            frames: guard.is_none().then(|| Box::new(Frames::new(now))),
            guard,
            unseen: !first.is_empty(),
            ahead: first,
            passable: 0,
            stopped: None,
            refusal: None,
            interim: BytesMut::new(),
            reading: Reading::Open,
            raw: false,
            told_end: false,
            flushed: true,
            limits: Times {
                head: limits.http_head_timeout,
                idle: limits.http_idle_timeout,
                body: limits.http_body_idle_timeout,
            },
            timer: IdleTimer::default(),
            moved: now,
        }
    }

    /// Behind a 101: bytes pass as they are.
    pub(super) fn open_up(&mut self) {
        self.guard = None;
        self.unseen = true;
        self.raw = true;
    }

    /// Whether the visitor may still have sent something that nobody read: closed now, its system would answer with a reset, and the
    /// visitor might lose the response.
    pub(super) fn has_unread(&self) -> bool {
        let between = self.guard.as_ref().is_none_or(|guard| guard.phase() == Phase::Head);
        let nothing_left = self.reading == Reading::Open && self.stopped.is_none() && between && self.ahead.is_empty();
        self.reading != Reading::Ended && !nothing_left
    }

    /// Shows the watcher what it has not let through yet, and tells how much of it may pass.
    fn observe(&mut self, bytes: &[u8]) -> usize {
        let Some(guard) = &mut self.guard else { return self.count(bytes) };
        let (passed, stop) = match guard.observe(bytes) {
            Seen::Fine(passed) => (passed, None),
            Seen::Refused { passed, error, in_body } => (passed, Some((error, in_body))),
        };
        let in_head = passed < bytes.len() && guard.phase() == Phase::Head;
        self.head_began = if in_head { self.head_began.or(Some(self.moved)) } else { None };
        if let Some((error, in_body)) = stop {
            self.stop(error, in_body);
        }
        passed
    }

    /// Counts the frames of HTTP/2; of other protocols everything passes.
    fn count(&mut self, bytes: &[u8]) -> usize {
        let Some(frames) = &mut self.frames else { return bytes.len() };
        if !frames.received(bytes, self.moved) {
            self.stopped = Some(Reading::Flooded);
            return 0;
        }
        self.head_began = if frames.in_head() { self.head_began.or(Some(self.moved)) } else { None };
        bytes.len()
    }

    /// Nothing passes any more behind what was let through.
    fn stop(&mut self, error: PublicError, in_body: bool) {
        if in_body {
            self.turn.break_body(error);
            self.stopped = Some(Reading::BrokenBody);
        } else {
            self.refusal = Some(error);
            self.stopped = Some(Reading::Refused);
        }
    }

    /// Shows the watcher what was read behind the bytes that it kept back.
    fn show_ahead(&mut self) {
        let ahead = std::mem::take(&mut self.ahead);
        self.passable += self.observe(&ahead[self.passable..]);
        self.ahead = ahead;
        self.unseen = false;
    }

    /// Passes bytes that were let through already, when there are any.
    fn pass_ahead(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let passed = self.passable.min(buf.remaining());
        buf.put_slice(&self.ahead[..passed]);
        self.ahead.advance(passed);
        self.passable -= passed;
        if self.ahead.is_empty() {
            self.ahead = BytesMut::new();
        }
        passed > 0
    }

    /// Reads more behind what is kept.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.ahead.reserve(READ_MORE);
        let read = match poll_read_buf(Pin::new(&mut self.io), cx, &mut self.ahead) {
            Poll::Pending => return self.poll_read_limit(cx),
            Poll::Ready(read) => read?,
        };
        self.moved = Instant::now();
        self.unseen = true;
        if read == 0 {
            self.reading = Reading::Ended;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads straight to hyper; what must not pass yet is kept.
    fn poll_straight(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        match Pin::new(&mut self.io).poll_read(cx, buf) {
            Poll::Pending => return self.poll_read_limit(cx),
            Poll::Ready(read) => read?,
        }
        self.moved = Instant::now();
        let read = buf.filled().len() - before;
        if read == 0 {
            self.reading = Reading::Ended;
            return Poll::Ready(Ok(()));
        }
        let passed = self.observe(&buf.filled()[before..]);
        if passed < read {
            self.ahead.extend_from_slice(&buf.filled()[before + passed..]);
            buf.set_filled(before + passed);
        }
        Poll::Ready(Ok(()))
    }

    /// While an upgrade is undecided: reads on, but only to notice that the visitor is gone.
    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.ahead.len() < AHEAD_MAX {
            self.ahead.reserve(READ_MORE);
            self.unseen = true;
            if ready!(poll_read_buf(Pin::new(&mut self.io), cx, &mut self.ahead))? == 0 {
                self.reading = Reading::Ended;
                return Poll::Ready(Ok(()));
            }
        }
        Poll::Pending
    }

    /// Whether the upgrade that the last head asks for is still to be decided; a refused one is over.
    fn awaits_upgrade(&mut self) -> bool {
        let Some(guard) = &mut self.guard else { return false };
        if guard.phase() != Phase::MaybeUpgrade {
            return false;
        }
        match self.turn.upgrade() {
            UpgradeState::Refused => {
                guard.upgrade_refused();
                self.unseen = !self.ahead.is_empty();
                false
            }
            UpgradeState::Undecided | UpgradeState::Accepted => true,
        }
    }

    fn poll_stopped(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        if matches!(self.reading, Reading::BrokenBody | Reading::Flooded) {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        if self.reading == Reading::Refused && !(self.turn.is_idle() && self.flushed) {
            self.turn.wait(cx.waker());
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    /// The deadline of a read that waits.
    fn poll_read_limit(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let phase = self.guard.as_ref().map_or(Phase::Head, Guard::phase);
        let deadline = match (phase, self.head_began) {
            (Phase::Body, _) => self.limits.body.map(|limit| self.moved + limit),
            (Phase::Head, Some(began)) => Some(began + self.limits.head),
            (Phase::Head, None) if !self.raw => Some(self.quiet_since() + self.limits.idle),
            _ => None,
        };
        let Some(deadline) = deadline else { return Poll::Pending };
        ready!(self.timer.poll(cx, deadline));
        if phase == Phase::Body {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if self.head_began.is_some() {
            self.refusal = Some(Code::ERR_PORTWAY_40801.plain());
            self.reading = Reading::Refused;
            return Poll::Ready(Ok(()));
        }
        if self.turn.is_idle() && self.flushed {
            self.reading = Reading::Ended;
            return Poll::Ready(Ok(()));
        }
        // Waiting for its response, a visitor may be silent. Hyper asks only once, so the timer has to ask again.
        let again = self.timer.poll(cx, Instant::now() + self.limits.idle);
        debug_assert!(again.is_pending(), "a deadline in the future");
        Poll::Pending
    }

    /// Since when the visitor asks for nothing. Frames of HTTP/2 that are no requests do not count, or a trickle of them would hold the
    /// connection for ever.
    fn quiet_since(&self) -> Instant {
        if self.guard.is_some() { self.moved } else { self.turn.idle_since() }
    }

    fn poll_interim(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(new) = self.turn.take_interim() {
            self.interim.unsplit(new);
        }
        while !self.interim.is_empty() {
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, &self.interim))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.interim.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    fn count_sent(&mut self, bufs: &[io::IoSlice<'_>], result: &Poll<io::Result<usize>>) {
        if let (Some(frames), Poll::Ready(Ok(sent))) = (&mut self.frames, result) {
            frames.sent(bufs, *sent);
        }
    }

    /// What a write did: bytes moved, or the visitor takes none and may do so only for so long.
    fn written(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if result.is_ready() {
            self.moved = Instant::now();
            return result;
        }
        let Some(limit) = self.limits.body else { return Poll::Pending };
        ready!(self.timer.poll(cx, self.moved + limit));
        self.turn.cut();
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<IO: Cut> AsyncRead for VisitorIo<IO> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        if this.frames.is_some() && this.turn.taken() >= TURN_MAX {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        while buf.filled().len() == before {
            if this.pass_ahead(buf) {
                break;
            }
            if this.reading == Reading::Open
                && let Some(stopped) = this.stopped.take()
            {
                this.reading = stopped;
            }
            if this.reading != Reading::Open {
                return this.poll_stopped(cx);
            }
            if this.awaits_upgrade() {
                // The waker first: the decision may come while we read.
                this.turn.wait(cx.waker());
                return this.poll_ahead(cx);
            }
            if this.ahead.is_empty() {
                ready!(this.poll_straight(cx, buf))?;
                continue;
            }
            if !this.unseen {
                ready!(this.poll_more(cx))?;
            }
            this.show_ahead();
        }
        this.turn.take(buf.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl<IO: Cut> AsyncWrite for VisitorIo<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.flushed {
            ready!(self.poll_interim(cx))?;
        }
        self.flushed = false;
        let result = Pin::new(&mut self.io).poll_write(cx, buf);
        self.count_sent(&[io::IoSlice::new(buf)], &result);
        self.written(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.flushed {
            ready!(self.poll_interim(cx))?;
        }
        self.flushed = false;
        let result = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.count_sent(bufs, &result);
        self.written(cx, result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Hyper flushes when it has nothing left to write: between responses, where an interim one may stand.
        if self.flushed {
            ready!(self.poll_interim(cx))?;
        }
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        if !self.flushed {
            self.flushed = true;
            if self.reading == Reading::Refused {
                self.turn.wake();
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Of HTTP does nothing but flush: whoever owns the connection ends it.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.raw { Pin::new(&mut self.io).poll_shutdown(cx) } else { self.poll_flush(cx) }
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

impl<IO: Cut> VisitorIo<IO> {
    /// What stands behind the last response when the visitor was refused.
    pub(super) fn farewell(&mut self) -> Option<Bytes> {
        if !matches!(self.reading, Reading::Refused | Reading::Flooded) {
            return None;
        }
        match &self.frames {
            Some(frames) => frames.goodbye(),
            None => self.refusal.take().map(|error| page::raw(&error)),
        }
    }

    /// Whether the visitor sent more frames than it may.
    pub(super) fn is_flooded(&self) -> bool {
        self.reading == Reading::Flooded
    }

    /// The connection itself, behind everything that was HTTP.
    pub(super) fn get_mut(&mut self) -> &mut IO {
        &mut self.io
    }

    /// The visitor knows that it has got everything.
    pub(super) fn told_end(&mut self) {
        self.told_end = true;
    }
}

impl<IO: Cut> Drop for VisitorIo<IO> {
    fn drop(&mut self) {
        if !self.told_end && (self.raw || self.turn.is_unframed()) {
            self.io.reset_on_close();
        }
    }
}
