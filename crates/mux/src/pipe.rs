//! Bytes between a local connection and a stream.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use portway_muxado::ErrorCode;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::io::poll_read_buf;

use crate::blocks::{give_reading, make_room, take_reading};
use crate::{RecvStream, SendStream, Stream, StreamError};

/// Limits of one [`pipe`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PipeLimits {
    /// Ends the pipe when neither direction has moved a byte for this long. `None`: never.
    pub idle_timeout: Option<Duration>,
}

/// Bytes that a [`pipe`] has moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PipeStats {
    /// From the local side into the stream.
    pub sent: u64,
    /// From the stream to the local side.
    pub received: u64,
    /// The stream ended well and the local side was told so: it has got everything there was, whatever became of the other direction.
    pub told_end: bool,
}

/// Which side ended a [`pipe`] early, and what had been moved by then.
#[derive(Debug, thiserror::Error)]
pub enum PipeError {
    /// The local connection failed; the stream was reset.
    #[error("local connection failed: {source}")]
    Local {
        /// How.
        #[source]
        source: io::Error,
        /// Bytes moved.
        stats: PipeStats,
    },
    /// The stream was reset or its session is over.
    #[error("{source}")]
    Stream {
        /// How.
        #[source]
        source: StreamError,
        /// Bytes moved.
        stats: PipeStats,
    },
    /// Nothing moved for too long; the stream was reset.
    #[error("no byte moved within the idle timeout")]
    Idle {
        /// Bytes moved.
        stats: PipeStats,
    },
}

impl PipeError {
    /// Bytes that had been moved.
    pub fn stats(&self) -> PipeStats {
        match self {
            Self::Local { stats, .. } | Self::Stream { stats, .. } | Self::Idle { stats } => *stats,
        }
    }
}

/// Moves bytes both ways until both directions have ended, on the calling task and with few copies: chunks of the stream are written to
/// `local` as they are, and what `local` gives goes into the stream without another copy.
///
/// The end of one direction is passed on (`shutdown` of `local`, finish of the stream) while the other goes on. `local` is not closed.
///
/// # Cancel safety
/// Not cancel safe: when the future is dropped, the stream is reset and bytes in flight are lost.
///
/// # Errors
/// [`PipeError`]: which side failed. A failure of one side ends both directions.
pub async fn pipe<T>(local: &mut T, stream: Stream, limits: PipeLimits) -> Result<PipeStats, PipeError>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    pipe_with(local, stream, Bytes::new(), limits).await
}

/// As [`pipe`], with bytes that were read from the local side before: they go into the stream first.
///
/// # Cancel safety
/// As [`pipe`].
///
/// # Errors
/// As [`pipe`].
pub async fn pipe_with<T>(
    local: &mut T,
    stream: Stream,
    initial: Bytes,
    limits: PipeLimits,
) -> Result<PipeStats, PipeError>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let (recv, send) = stream.split();
    let mut up = Up { send, chunk: initial, phase: Phase::Moving, moved: 0 };
    let mut down = Down { recv, batch: Batch::default(), failure: None, phase: Phase::Moving, moved: 0 };
    let mut idle = limits.idle_timeout.map(IdleClock::new);
    let ended = poll_fn(|cx| {
        let before = (up.moved, down.moved);
        // Down first: its writes let the local side answer while the other direction is looked at.
        let received = down.poll(cx, local);
        let sent = up.poll(cx, local);
        match (received, sent) {
            (Poll::Ready(Err(fault)), _) | (_, Poll::Ready(Err(fault))) => return Poll::Ready(Err(fault)),
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => return Poll::Ready(Ok(())),
            _ => {}
        }
        match &mut idle {
            Some(clock) => clock.poll(cx, before != (up.moved, down.moved)).map(|()| Err(Fault::Idle)),
            None => Poll::Pending,
        }
    })
    .await;
    let stats = PipeStats { sent: up.moved, received: down.moved, told_end: down.phase == Phase::Done };
    ended.map(|()| stats).map_err(|fault| fault.with(stats, &mut up.send))
}

/// Most bytes taken out of the stream at once: a full frame.
const CHUNK: usize = 64 * 1024;

/// Chunks written to the local side by one call: small frames that came together leave together.
const BATCH: usize = 16;

/// Bytes moved in one direction before the task lets others run.
const POLL_BYTES: u64 = 512 * 1024;

/// From the local side into the stream.
struct Up {
    send: SendStream,
    /// Read, and not taken by the stream yet.
    chunk: Bytes,
    phase: Phase,
    moved: u64,
}

/// From the stream to the local side.
struct Down {
    recv: RecvStream,
    batch: Batch,
    /// Came after what is in `batch`.
    failure: Option<StreamError>,
    phase: Phase,
    moved: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Moving,
    /// The end was read and is to be passed on.
    Ending,
    Done,
}

enum Fault {
    Local(io::Error),
    Stream(StreamError),
    Idle,
}

impl Fault {
    fn with(self, stats: PipeStats, send: &mut SendStream) -> PipeError {
        match self {
            Self::Local(source) => {
                send.reset(ErrorCode::STREAM_CANCELLED);
                PipeError::Local { source, stats }
            }
            Self::Stream(source) => PipeError::Stream { source, stats },
            Self::Idle => {
                send.reset(ErrorCode::STREAM_CANCELLED);
                PipeError::Idle { stats }
            }
        }
    }
}

impl Up {
    fn poll<T: AsyncRead + Unpin>(&mut self, cx: &mut Context<'_>, local: &mut T) -> Poll<Result<(), Fault>> {
        let start = self.moved;
        while self.phase == Phase::Moving {
            let offered = self.chunk.len();
            let sent = self.send.poll_write_chunk(cx, &mut self.chunk);
            self.moved += (offered - self.chunk.len()) as u64;
            ready!(sent).map_err(Fault::Stream)?;
            self.chunk = Bytes::new();
            if self.moved - start >= POLL_BYTES {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            ready!(self.poll_local(cx, local)).map_err(Fault::Local)?;
        }
        if self.phase == Phase::Ending {
            ready!(self.send.poll_finish(cx)).map_err(Fault::Stream)?;
            self.phase = Phase::Done;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_local<T: AsyncRead + Unpin>(&mut self, cx: &mut Context<'_>, local: &mut T) -> Poll<io::Result<()>> {
        let mut block = take_reading();
        make_room(&mut block);
        let read = poll_read_buf(Pin::new(local), cx, &mut block);
        match read {
            Poll::Ready(Ok(0)) => self.phase = Phase::Ending,
            Poll::Ready(Ok(_)) => self.chunk = block.split().freeze(),
            Poll::Ready(Err(_)) | Poll::Pending => {}
        }
        give_reading(block);
        read.map_ok(drop)
    }
}

impl Down {
    fn poll<T: AsyncWrite + Unpin>(&mut self, cx: &mut Context<'_>, local: &mut T) -> Poll<Result<(), Fault>> {
        let start = self.moved;
        while self.phase == Phase::Moving {
            self.fill(cx)?;
            if self.batch.is_empty() {
                break;
            }
            let written = ready!(self.batch.poll_write(cx, local)).map_err(Fault::Local)?;
            self.moved += written as u64;
            if self.moved - start >= POLL_BYTES {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        match self.phase {
            Phase::Moving => {
                // Nothing more to write for now; a buffered local side (TLS) must not keep the last bytes.
                ready!(Pin::new(local).poll_flush(cx)).map_err(Fault::Local)?;
                Poll::Pending
            }
            Phase::Ending => {
                ready!(Pin::new(local).poll_shutdown(cx)).map_err(Fault::Local)?;
                self.phase = Phase::Done;
                Poll::Ready(Ok(()))
            }
            Phase::Done => Poll::Ready(Ok(())),
        }
    }

    /// Takes chunks that are there already. Waits (registers the waker) only for the first.
    fn fill(&mut self, cx: &mut Context<'_>) -> Result<(), Fault> {
        while self.batch.has_room() && self.failure.is_none() {
            match self.recv.poll_read_chunk(cx, CHUNK) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(Some(chunk))) => self.batch.push(chunk),
                Poll::Ready(Ok(None)) => {
                    if self.batch.is_empty() {
                        self.phase = Phase::Ending;
                    }
                    return Ok(());
                }
                // What came before a reset is still passed on.
                Poll::Ready(Err(error)) => self.failure = Some(error),
            }
        }
        match self.failure.take_if(|_| self.batch.is_empty()) {
            Some(error) => Err(Fault::Stream(error)),
            None => Ok(()),
        }
    }
}

/// Chunks that wait for the local side.
#[derive(Default)]
struct Batch {
    chunks: VecDeque<Bytes>,
    bytes: usize,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    fn has_room(&self) -> bool {
        self.chunks.len() < BATCH && self.bytes < CHUNK
    }

    fn push(&mut self, chunk: Bytes) {
        self.bytes += chunk.len();
        self.chunks.push_back(chunk);
    }

    fn poll_write<T: AsyncWrite + Unpin>(&mut self, cx: &mut Context<'_>, local: &mut T) -> Poll<io::Result<usize>> {
        let written = if self.chunks.len() > 1 && local.is_write_vectored() {
            let mut slices = [IoSlice::new(&[]); BATCH];
            for (slice, chunk) in slices.iter_mut().zip(&self.chunks) {
                *slice = IoSlice::new(chunk);
            }
            let count = self.chunks.len().min(BATCH);
            ready!(Pin::new(local).poll_write_vectored(cx, &slices[..count]))?
        } else {
            let first = self.chunks.front().map_or(&[][..], |chunk| chunk);
            ready!(Pin::new(local).poll_write(cx, first))?
        };
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.advance(written);
        Poll::Ready(Ok(written))
    }

    fn advance(&mut self, written: usize) {
        self.bytes -= written;
        let mut left = written;
        while let Some(chunk) = self.chunks.front_mut() {
            if left < chunk.len() {
                chunk.advance(left);
                return;
            }
            left -= chunk.len();
            self.chunks.pop_front();
        }
    }
}

/// Watches for silence. The timer is set anew only when it fires, not for each byte.
struct IdleClock {
    limit: Duration,
    last: Instant,
    timer: Pin<Box<Sleep>>,
}

impl IdleClock {
    fn new(limit: Duration) -> Self {
        let last = Instant::now();
        Self { limit, last, timer: Box::pin(sleep_until(last + limit)) }
    }

    /// Ready when nothing has moved for the limit.
    fn poll(&mut self, cx: &mut Context<'_>, moved: bool) -> Poll<()> {
        if moved {
            self.last = Instant::now();
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            let due = self.last + self.limit;
            if due <= Instant::now() {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(due);
        }
        Poll::Pending
    }
}
