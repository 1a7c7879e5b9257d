//! A stream as hyper reads and writes it: with a memory for one retry, an idle limit, and the reason why it ended.

use std::fmt;
use std::future::Future;
use std::io;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::rt::{Read, ReadBufCursor, Write};
use portway_mux::StreamError;
use prometheus_client::metrics::counter::Counter;
use tokio::time::Instant;

use super::idle_timer::IdleTimer;
use crate::endpoint::{Endpoint, OpenFault};
use crate::shares::VisitorStream;

/// Bytes taken from hyper at once: the largest frame of a session.
const WRITE_MAX: usize = 64 * 1024;

/// Bytes of a request that are remembered to send it again on a new stream. A request without a body that is larger is not repeated.
const REPLAY_MAX: usize = 64 * 1024;

/// What a stream's user and its IO tell each other.
#[derive(Debug, Default)]
pub(super) struct Link {
    /// Requests under way: only then can the stream be idle for too long.
    exchanges: AtomicU32,
    /// The request may be sent again on a new stream as long as nothing was answered.
    repeatable: AtomicBool,
    fault: Mutex<Option<LinkFault>>,
}

/// Why a stream ended before its time.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum LinkFault {
    /// The agent gave up on it, or its session broke.
    #[error("the stream broke")]
    Broken(#[source] StreamError),
    /// No byte moved for too long.
    #[error("no byte moved within the idle limit")]
    Idle,
    /// The stream was dead and no other could be opened.
    #[error("no new stream could be opened")]
    Reopen(#[source] OpenFault),
}

impl Link {
    /// A request begins.
    pub(super) fn begin(&self, repeatable: bool) {
        self.exchanges.fetch_add(1, Ordering::Relaxed);
        self.repeatable.store(repeatable, Ordering::Relaxed);
    }

    /// A request is answered in full.
    pub(super) fn end(&self) {
        self.exchanges.fetch_sub(1, Ordering::Relaxed);
        self.repeatable.store(false, Ordering::Relaxed);
    }

    /// Why the stream ended, when it did not end well.
    pub(super) fn fault(&self) -> Option<LinkFault> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn fail(&self, fault: LinkFault) -> io::Error {
        let error = io::Error::other(fault.clone());
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
        error
    }
}

/// How to open a stream, and what to count on it.
#[derive(Debug, Clone)]
pub(super) struct Opener {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) client: std::net::SocketAddr,
    pub(super) server: std::net::SocketAddr,
    pub(super) idle_limit: Option<Duration>,
    pub(super) to_agent: Counter,
    pub(super) to_visitor: Counter,
}

impl Opener {
    /// Opens a stream. Cancel safety: dropped, the stream is reset or never was.
    pub(super) async fn open(self) -> Result<UpstreamIo, OpenFault> {
        let stream = self.endpoint.open(self.client, self.server).await?;
        let link = Arc::default();
        Ok(UpstreamIo {
            stream: Tidy { stream: Some(stream), link: Arc::clone(&link) },
            opener: self,
            link,
            unsent: Bytes::new(),
            replay: BytesMut::new(),
            reopening: None,
            write_ended: false,
            timer: IdleTimer::default(),
            moved: Instant::now(),
        })
    }
}

/// A stream to an upstream.
pub(super) struct UpstreamIo {
    stream: Tidy,
    opener: Opener,
    link: Arc<Link>,
    /// Taken from hyper, not yet by the session.
    unsent: Bytes,
    /// What the request under way consists of, while it may be sent again.
    replay: BytesMut,
    reopening: Option<Reopening>,
    /// The upstream takes no more. What it still says counts: an early answer must not be lost over a failed write.
    write_ended: bool,
    timer: IdleTimer,
    /// When a byte moved last.
    moved: Instant,
}

/// A stream that is dropped between requests ends in good order: the upstream must not take the end of a kept connection for a broken one.
/// With a request under way it is reset.
#[derive(Debug)]
struct Tidy {
    stream: Option<VisitorStream>,
    link: Arc<Link>,
}

type Reopening = Pin<Box<dyn Future<Output = Result<VisitorStream, OpenFault>> + Send>>;

impl UpstreamIo {
    /// What the user of the stream keeps.
    pub(super) fn link(&self) -> Arc<Link> {
        Arc::clone(&self.link)
    }

    /// The bare stream. What hyper wrote has left by then.
    pub(super) fn into_stream(mut self) -> VisitorStream {
        self.stream.stream.take().expect("taken here only, and with it all of this")
    }

    fn poll_unsent(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.unsent.is_empty() {
            if self.write_ended || self.reopening.is_some() {
                self.unsent.clear();
                break;
            }
            match ready!(self.stream.poll_write_chunk(cx, &mut self.unsent)) {
                Ok(()) => self.moved = Instant::now(),
                Err(_) => self.write_ended = true,
            }
        }
        Poll::Ready(())
    }

    fn take(&mut self, chunk: Bytes) {
        self.opener.to_agent.inc_by(chunk.len() as u64);
        if self.link.repeatable.load(Ordering::Relaxed) {
            if self.replay.len() + chunk.len() > REPLAY_MAX {
                self.link.repeatable.store(false, Ordering::Relaxed);
                self.replay = BytesMut::new();
            } else {
                self.replay.extend_from_slice(&chunk);
            }
        }
        self.unsent = chunk;
    }

    /// The stream ended without an answer: a kept one may have been dead before the request, so the request goes to a new one, once.
    fn begin_reopening(&mut self) -> bool {
        if !self.link.repeatable.swap(false, Ordering::Relaxed) || self.replay.is_empty() {
            return false;
        }
        let Opener { endpoint, client, server, .. } = self.opener.clone();
        self.reopening = Some(Box::pin(async move { endpoint.open(client, server).await }));
        true
    }

    fn poll_reopening(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(reopening) = &mut self.reopening else { return Poll::Ready(Ok(())) };
        match ready!(reopening.as_mut().poll(cx)) {
            Ok(stream) => {
                *self.stream = stream;
                self.write_ended = false;
                self.unsent = self.replay.split().freeze();
                self.reopening = None;
                Poll::Ready(Ok(()))
            }
            Err(fault) => {
                self.reopening = None;
                Poll::Ready(Err(self.link.fail(LinkFault::Reopen(fault))))
            }
        }
    }

    fn poll_idle_limit(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        match self.opener.idle_limit {
            Some(limit) if self.link.exchanges.load(Ordering::Relaxed) > 0 => {
                ready!(self.timer.poll(cx, self.moved + limit));
                Poll::Ready(self.link.fail(LinkFault::Idle))
            }
            _ => Poll::Pending,
        }
    }
}

impl Read for UpstreamIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, mut buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_reopening(cx))?;
            let _ = self.poll_unsent(cx);
            match self.stream.poll_read_chunk(cx, buf.remaining()) {
                Poll::Ready(Ok(Some(bytes))) => {
                    self.moved = Instant::now();
                    self.link.repeatable.store(false, Ordering::Relaxed);
                    self.replay.clear();
                    self.opener.to_visitor.inc_by(bytes.len() as u64);
                    buf.put_slice(&bytes);
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Ok(None)) => {
                    if !self.begin_reopening() {
                        return Poll::Ready(Ok(()));
                    }
                }
                Poll::Ready(Err(error)) => {
                    if !self.begin_reopening() {
                        return Poll::Ready(Err(self.link.fail(LinkFault::Broken(error))));
                    }
                }
                Poll::Pending => return self.poll_idle_limit(cx).map(Err),
            }
        }
    }
}

impl Write for UpstreamIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_reopening(cx))?;
        ready!(self.poll_unsent(cx));
        let wanted = bufs.iter().map(|buf| buf.len()).sum::<usize>().min(WRITE_MAX);
        let mut chunk = Vec::with_capacity(wanted);
        for buf in bufs {
            chunk.extend_from_slice(&buf[..buf.len().min(wanted - chunk.len())]);
        }
        self.take(Bytes::from(chunk));
        let _ = self.poll_unsent(cx);
        Poll::Ready(Ok(wanted))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_reopening(cx))?;
        self.poll_unsent(cx).map(Ok)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_unsent(cx));
        tokio::io::AsyncWrite::poll_shutdown(Pin::new(&mut **self.stream), cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}

impl Deref for Tidy {
    type Target = VisitorStream;

    fn deref(&self) -> &VisitorStream {
        self.stream.as_ref().expect("the stream is taken with the IO that it belongs to")
    }
}

impl DerefMut for Tidy {
    fn deref_mut(&mut self) -> &mut VisitorStream {
        self.stream.as_mut().expect("the stream is taken with the IO that it belongs to")
    }
}

impl Drop for Tidy {
    fn drop(&mut self) {
        if let Some(stream) = &mut self.stream
            && self.link.exchanges.load(Ordering::Relaxed) == 0
        {
            // Chunks are never left in the stream, so there is nothing to wait for.
            let _ = stream.poll_finish(&mut Context::from_waker(Waker::noop()));
        }
    }
}

impl fmt::Debug for UpstreamIo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamIo").field("link", &self.link).finish_non_exhaustive()
    }
}
