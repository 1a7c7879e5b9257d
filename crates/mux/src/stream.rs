//! A stream, whatever carries its session.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use portway_muxado::ErrorCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{StreamError, foreign, framed, quic};

/// Most bytes that one `poll_write` copies: a full frame.
const COPY_MAX: usize = 64 * 1024;

/// One ordered byte pipe in a session, with two directions that end separately.
///
/// Bytes move as [`Bytes`] by [`Stream::read_chunk`] and [`Stream::write_chunk`] without a copy; `AsyncRead` and `AsyncWrite` work too, at
/// the price of one. A stream that is dropped before both directions have ended is reset with `STREAM_CANCELLED`.
#[derive(Debug)]
pub struct Stream {
    recv: RecvStream,
    send: SendStream,
}

/// The receiving direction of a [`Stream`]. Dropped before the end was read, it resets the stream (over QUIC: this direction of it).
#[derive(Debug)]
pub struct RecvStream {
    half: RecvHalf,
}

/// The sending direction of a [`Stream`]. Dropped before [`SendStream::finish`], it resets the stream (over QUIC: this direction of it).
#[derive(Debug)]
pub struct SendStream {
    half: SendHalf,
    /// Copied by `poll_write` and not taken yet; at most [`COPY_MAX`] bytes.
    copied: Bytes,
}

#[derive(Debug)]
enum RecvHalf {
    Framed(framed::RecvHalf),
    Quic(quic::RecvHalf),
    Foreign(foreign::RecvHalf),
}

#[derive(Debug)]
enum SendHalf {
    Framed(framed::SendHalf),
    Quic(quic::SendHalf),
    Foreign(foreign::SendHalf),
}

impl Stream {
    pub(crate) fn framed(recv: framed::RecvHalf, send: framed::SendHalf) -> Self {
        Self {
            recv: RecvStream { half: RecvHalf::Framed(recv) },
            send: SendStream { half: SendHalf::Framed(send), copied: Bytes::new() },
        }
    }

    pub(crate) fn quic(recv: quic::RecvHalf, send: quic::SendHalf) -> Self {
        Self {
            recv: RecvStream { half: RecvHalf::Quic(recv) },
            send: SendStream { half: SendHalf::Quic(send), copied: Bytes::new() },
        }
    }

    /// Wraps a byte pipe that no session of this crate carries, so that it can be used wherever a stream can.
    ///
    /// The end that `io` reads and its `shutdown` are the ends of the two directions. Errors of `io` that carry a [`StreamError`] stay what
    /// they are, `ConnectionReset` and `BrokenPipe` are a reset, all others mean that the session is lost. A stream that is reset, or
    /// dropped before its ends, drops `io`: it is given up as a whole, as on the TCP carrier, and the code of the reset goes no further.
    pub fn foreign<T>(io: T) -> Self
    where
        T: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (recv, send) = foreign::halves(io);
        Self {
            recv: RecvStream { half: RecvHalf::Foreign(recv) },
            send: SendStream { half: SendHalf::Foreign(send), copied: Bytes::new() },
        }
    }

    /// As [`RecvStream::poll_read_chunk`].
    pub fn poll_read_chunk(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<Result<Option<Bytes>, StreamError>> {
        self.recv.poll_read_chunk(cx, max)
    }

    /// As [`RecvStream::read_chunk`].
    ///
    /// # Errors
    /// [`StreamError`].
    pub async fn read_chunk(&mut self, max: usize) -> Result<Option<Bytes>, StreamError> {
        self.recv.read_chunk(max).await
    }

    /// As [`SendStream::poll_write_chunk`].
    pub fn poll_write_chunk(&mut self, cx: &mut Context<'_>, data: &mut Bytes) -> Poll<Result<(), StreamError>> {
        self.send.poll_write_chunk(cx, data)
    }

    /// As [`SendStream::write_chunk`].
    ///
    /// # Errors
    /// [`StreamError`].
    pub async fn write_chunk(&mut self, data: Bytes) -> Result<(), StreamError> {
        self.send.write_chunk(data).await
    }

    /// As [`SendStream::poll_finish`].
    pub fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        self.send.poll_finish(cx)
    }

    /// As [`SendStream::finish`].
    ///
    /// # Errors
    /// [`StreamError`].
    pub async fn finish(&mut self) -> Result<(), StreamError> {
        self.send.finish().await
    }

    /// Gives both directions up at once and tells the peer why.
    pub fn reset(&mut self, code: ErrorCode) {
        self.recv.stop(code);
        self.send.reset(code);
    }

    /// The two directions, for two tasks.
    pub fn split(self) -> (RecvStream, SendStream) {
        (self.recv, self.send)
    }

    /// Both directions at once, borrowed.
    pub fn halves(&mut self) -> (&mut RecvStream, &mut SendStream) {
        (&mut self.recv, &mut self.send)
    }
}

impl RecvStream {
    /// Takes up to `max` received bytes, without a copy. `None` is the clean end; a reset is an error.
    pub fn poll_read_chunk(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<Result<Option<Bytes>, StreamError>> {
        match &mut self.half {
            RecvHalf::Framed(half) => half.poll_read(cx, max),
            RecvHalf::Quic(half) => half.poll_read(cx, max),
            RecvHalf::Foreign(half) => half.poll_read(cx, max),
        }
    }

    /// Waits for bytes and takes up to `max` of them, without a copy. `None` is the clean end.
    ///
    /// # Cancel safety
    /// No bytes are lost when the future is dropped.
    ///
    /// # Errors
    /// [`StreamError`]: the stream was reset or its session is over.
    pub async fn read_chunk(&mut self, max: usize) -> Result<Option<Bytes>, StreamError> {
        poll_fn(|cx| self.poll_read_chunk(cx, max)).await
    }

    /// Wants no more bytes, and tells the peer why. On the TCP carrier the stream is given up as a whole.
    pub fn stop(&mut self, code: ErrorCode) {
        match &mut self.half {
            RecvHalf::Framed(half) => half.stop(code),
            RecvHalf::Quic(half) => half.stop(code),
            RecvHalf::Foreign(half) => half.stop(code),
        }
    }
}

impl SendStream {
    /// Sends `data` without a copy and leaves it empty. When the peer or the session takes no more at present, it advances `data` past what
    /// was taken and is pending; call it again with the rest.
    pub fn poll_write_chunk(&mut self, cx: &mut Context<'_>, data: &mut Bytes) -> Poll<Result<(), StreamError>> {
        ready!(self.poll_copied(cx))?;
        self.poll_half(cx, data)
    }

    /// Sends all of `data` without a copy: it returns when the session has taken the bytes over, not when the peer has read them.
    ///
    /// # Cancel safety
    /// Not cancel safe: when the future is dropped, a part may have been sent. [`SendStream::poll_write_chunk`] keeps the rest.
    ///
    /// # Errors
    /// [`StreamError`]: the stream was reset, finished, or its session is over.
    pub async fn write_chunk(&mut self, data: Bytes) -> Result<(), StreamError> {
        let mut data = data;
        poll_fn(|cx| self.poll_write_chunk(cx, &mut data)).await
    }

    /// Ends this direction after what was written. The other one goes on.
    pub fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        ready!(self.poll_copied(cx))?;
        match &mut self.half {
            SendHalf::Framed(half) => half.finish(),
            SendHalf::Quic(half) => half.finish(),
            SendHalf::Foreign(half) => return half.poll_finish(cx),
        }
        Poll::Ready(Ok(()))
    }

    /// Ends this direction after what was written. The other one goes on.
    ///
    /// # Cancel safety
    /// May be called again when the future was dropped.
    ///
    /// # Errors
    /// [`StreamError`]: the stream was reset or its session is over.
    pub async fn finish(&mut self) -> Result<(), StreamError> {
        poll_fn(|cx| self.poll_finish(cx)).await
    }

    /// Gives this direction up and tells the peer why. On the TCP carrier the stream is given up as a whole.
    pub fn reset(&mut self, code: ErrorCode) {
        match &mut self.half {
            SendHalf::Framed(half) => half.reset(code),
            SendHalf::Quic(half) => half.reset(code),
            SendHalf::Foreign(half) => half.reset(code),
        }
    }

    fn poll_half(&mut self, cx: &mut Context<'_>, data: &mut Bytes) -> Poll<Result<(), StreamError>> {
        match &mut self.half {
            SendHalf::Framed(half) => half.poll_write(cx, data),
            SendHalf::Quic(half) => half.poll_write(cx, data),
            SendHalf::Foreign(half) => half.poll_write(cx, data),
        }
    }

    fn poll_copied(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        if self.copied.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let mut copied = std::mem::take(&mut self.copied);
        let sent = self.poll_half(cx, &mut copied);
        self.copied = copied;
        sent
    }
}

impl AsyncRead for RecvStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if let Some(chunk) = ready!(self.get_mut().poll_read_chunk(cx, buf.remaining()))? {
            buf.put_slice(&chunk);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for SendStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_copied(cx))?;
        let count = buf.len().min(COPY_MAX);
        let mut data = Bytes::copy_from_slice(&buf[..count]);
        // Taken into `copied` when the session has no room: the next call waits, this one has accepted the bytes.
        if let Poll::Ready(Err(error)) = this.poll_half(cx, &mut data) {
            return Poll::Ready(Err(error.into()));
        }
        this.copied = data;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_copied(cx))?;
        match &mut this.half {
            SendHalf::Framed(half) => {
                // A stream that was opened and not written yet sends its head now.
                half.flush();
                Poll::Ready(Ok(()))
            }
            SendHalf::Quic(_) => Poll::Ready(Ok(())),
            SendHalf::Foreign(half) => half.poll_flush(cx).map_err(Into::into),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_finish(cx).map_err(Into::into)
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().recv).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().send).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().send).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().send).poll_shutdown(cx)
    }
}
