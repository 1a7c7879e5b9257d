//! The transport under a session, which can be cut from outside and does not wait for ever.
//!
//! The session task of russh cannot be stopped, and while it writes it does nothing else. So its transport fails instead: when it is cut, and
//! when the client takes no byte for too long.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// Bytes that a client may send before it has logged in: key exchange, and six keys with their signatures, have under 30 KiB. A packet may be
/// four times as long, and russh holds what has come of one.
const STRANGERS_BYTES: usize = 64 * 1024;

/// A transport for one session.
pub(crate) struct Line<IO> {
    io: IO,
    cut: Cut,
    stall: Duration,
    /// Bytes that came before the login.
    received: usize,
    /// Runs while a write waits.
    timer: Option<Pin<Box<Sleep>>>,
}

/// Cuts a [`Line`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Cut {
    inner: Arc<CutInner>,
}

#[derive(Debug, Default)]
struct CutInner {
    cut: AtomicBool,
    /// The client has logged in.
    known: AtomicBool,
    /// The session's task: it reads and writes both.
    waker: AtomicWaker,
}

impl Cut {
    /// Makes all reads and writes fail from now on.
    pub(crate) fn cut(&self) {
        self.inner.cut.store(true, Ordering::Release);
        self.inner.waker.wake();
    }

    /// The client has logged in and may send as much as it likes.
    pub(crate) fn trust(&self) {
        self.inner.known.store(true, Ordering::Relaxed);
    }

    fn check(&self, cx: &Context<'_>) -> io::Result<()> {
        self.inner.waker.register(cx.waker());
        if self.inner.cut.load(Ordering::Acquire) { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }
}

impl<IO> Line<IO> {
    pub(crate) fn new(io: IO, stall: Duration) -> (Self, Cut) {
        let cut = Cut::default();
        (Self { io, cut: cut.clone(), stall, received: 0, timer: None }, cut)
    }

    /// Passes a result of writing on, and fails when none comes for too long.
    fn timed<T>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.timer = None;
            return result;
        }
        let stall = self.stall;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(stall)));
        if timer.as_mut().poll(cx).is_ready() {
            timer.as_mut().reset(Instant::now() + stall);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes no more bytes")));
        }
        Poll::Pending
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Line<IO> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.cut.check(cx)?;
        if this.cut.inner.known.load(Ordering::Relaxed) {
            return Pin::new(&mut this.io).poll_read(cx, buf);
        }
        if this.received >= STRANGERS_BYTES {
            return Poll::Ready(Err(io::Error::other("too many bytes before the login")));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut this.io).poll_read(cx, buf);
        this.received += buf.filled().len() - before;
        read
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Line<IO> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.cut.check(cx)?;
        let written = Pin::new(&mut this.io).poll_write(cx, buf);
        this.timed(cx, written)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.cut.check(cx)?;
        let flushed = Pin::new(&mut this.io).poll_flush(cx);
        this.timed(cx, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.cut.check(cx)?;
        let closed = Pin::new(&mut this.io).poll_shutdown(cx);
        this.timed(cx, closed)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn a_cut_wakes_who_reads() {
        let (near, _far) = duplex(64);
        let (mut line, cut) = Line::new(near, HOUR);
        let reading = tokio::spawn(async move { line.read_u8().await });
        tokio::task::yield_now().await;
        cut.cut();
        assert_eq!(reading.await.unwrap().unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    }

    #[tokio::test]
    async fn a_stranger_sends_little_and_a_user_what_they_like() {
        for (trusted, most) in [(false, STRANGERS_BYTES), (true, 4 * STRANGERS_BYTES)] {
            let (near, mut far) = duplex(1024);
            let (mut line, cut) = Line::new(near, HOUR);
            if trusted {
                cut.trust();
            }
            let sending = tokio::spawn(async move { far.write_all(&[0; 4 * STRANGERS_BYTES]).await });
            let mut received = Vec::new();
            assert_eq!(line.read_to_end(&mut received).await.is_ok(), trusted);
            assert!((most..most + 1024).contains(&received.len()), "{}", received.len());
            drop(line);
            assert_eq!(sending.await.unwrap().is_ok(), trusted);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_stalls_fails() {
        let (near, mut far) = duplex(4);
        let (mut line, _cut) = Line::new(near, Duration::from_secs(5));
        line.write_all(b"1234").await.unwrap();
        let slow = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(4)).await;
            far.read_exact(&mut [0; 4]).await.unwrap();
            far
        });
        line.write_all(b"5678").await.unwrap();
        let _far = slow.await.unwrap();
        assert_eq!(line.write_all(b"9").await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
