//! Large reads under a TLS session.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes asked from the socket at once while a transfer is in bulk: four full TLS records.
const BULK_READ: usize = 64 * 1024;

/// A socket that replays bytes read before it was wrapped, and reads far ahead while a lot is coming.
///
/// rustls asks for 4 KiB at a time, which makes five system calls of a full TLS record. A caller's read that is filled to the brim tells
/// that more is waiting: from then on 64 KiB are read at once and handed out from memory, until a read comes back short.
/// Outside such a phase there is no buffer, so an idle connection costs nothing.
#[derive(Debug)]
pub struct ReadAhead<IO> {
    io: IO,
    /// Read and not handed out: first the replayed prefix, later what was read ahead.
    ahead: Bytes,
    /// Spare memory of the current bulk phase.
    spare: BytesMut,
    bulk: bool,
}

impl<IO> ReadAhead<IO> {
    /// Wraps a fresh socket.
    pub fn new(io: IO) -> Self {
        Self::with_prefix(io, Bytes::new())
    }

    /// Wraps a socket from which `prefix` was read already (a ClientHello that was looked at): those bytes are read again first.
    pub fn with_prefix(io: IO, prefix: Bytes) -> Self {
        Self { io, ahead: prefix, spare: BytesMut::new(), bulk: false }
    }

    /// The socket.
    pub fn get_ref(&self) -> &IO {
        &self.io
    }

    /// The socket and the bytes that were read from it and not handed out.
    pub fn into_parts(self) -> (IO, Bytes) {
        (self.io, self.ahead)
    }

    fn hand_out(&mut self, buf: &mut ReadBuf<'_>) {
        let count = self.ahead.len().min(buf.remaining());
        buf.put_slice(&self.ahead[..count]);
        self.ahead.advance(count);
        if self.ahead.is_empty() {
            // Lets `spare` take its memory back.
            self.ahead = Bytes::new();
        }
    }
}

impl<IO: AsyncRead + Unpin> ReadAhead<IO> {
    fn poll_read_direct(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let room = buf.remaining();
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        self.bulk = room >= 1024 && buf.filled().len() - before == room;
        Poll::Ready(Ok(()))
    }

    fn poll_read_bulk(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.spare.reserve(BULK_READ);
        let read = tokio_util::io::poll_read_buf(Pin::new(&mut self.io), cx, &mut self.spare);
        match read {
            Poll::Ready(Ok(count)) => {
                self.ahead = self.spare.split().freeze();
                if count < BULK_READ / 8 {
                    self.leave_bulk();
                }
                self.hand_out(buf);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                self.leave_bulk();
                Poll::Pending
            }
        }
    }

    fn leave_bulk(&mut self) {
        self.bulk = false;
        self.spare = BytesMut::new();
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for ReadAhead<IO> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.ahead.is_empty() {
            this.hand_out(buf);
            return Poll::Ready(Ok(()));
        }
        if this.bulk && buf.remaining() < BULK_READ {
            this.poll_read_bulk(cx, buf)
        } else {
            this.poll_read_direct(cx, buf)
        }
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for ReadAhead<IO> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn prefix_comes_first_then_everything_in_order() {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        let sent: Vec<u8> = (0..300_000u32).map(|i| (i % 251) as u8).collect();
        far.write_all(&sent).await.unwrap();
        drop(far);
        let mut ahead = ReadAhead::with_prefix(near, Bytes::from_static(b"hello"));
        let mut got = Vec::new();
        let mut piece = [0u8; 4096];
        loop {
            let count = ahead.read(&mut piece).await.unwrap();
            if count == 0 {
                break;
            }
            got.extend_from_slice(&piece[..count]);
        }
        assert_eq!(&got[..5], b"hello");
        assert!(got[5..] == sent[..]);
    }

    #[tokio::test]
    async fn no_buffer_is_kept_when_nothing_comes() {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        let mut ahead = ReadAhead::new(near);
        far.write_all(&[7; 100_000]).await.unwrap();
        let mut left = 100_000;
        let mut piece = [0u8; 4096];
        while left > 0 {
            left -= ahead.read(&mut piece).await.unwrap();
        }
        let waiting = futures_util::poll!(std::pin::pin!(ahead.read(&mut piece)));
        assert!(waiting.is_pending());
        assert_eq!((ahead.spare.capacity(), ahead.ahead.len(), ahead.bulk), (0, 0, false));
    }
}
