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

/// A transport for one session.
pub(crate) struct Line<IO> {
    io: IO,
    cut: Cut,
    stall: Duration,
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
    /// The session's task: it reads and writes both.
    waker: AtomicWaker,
}

impl Cut {
    /// Makes all reads and writes fail from now on.
    pub(crate) fn cut(&self) {
        self.inner.cut.store(true, Ordering::Release);
        self.inner.waker.wake();
    }

    fn check(&self, cx: &Context<'_>) -> io::Result<()> {
        self.inner.waker.register(cx.waker());
        if self.inner.cut.load(Ordering::Acquire) { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }
}

impl<IO> Line<IO> {
    pub(crate) fn new(io: IO, stall: Duration) -> (Self, Cut) {
        let cut = Cut::default();
        (Self { io, cut: cut.clone(), stall, timer: None }, cut)
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
        Pin::new(&mut this.io).poll_read(cx, buf)
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
