//! The visitor's side as hyper holds it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::visitor_io::VisitorIo;
use crate::cut::Cut;

/// The visitor's side, lent to hyper: its owner has it back when hyper is done, however that ended.
pub(super) struct Lent<IO: Cut>(Arc<Mutex<VisitorIo<IO>>>);

impl<IO: Cut> Lent<IO> {
    /// The owner's and hyper's handle.
    pub(super) fn new(io: VisitorIo<IO>) -> (Arc<Mutex<VisitorIo<IO>>>, Lent<IO>) {
        let owned = Arc::new(Mutex::new(io));
        (Arc::clone(&owned), Lent(owned))
    }
}

impl<IO: Cut> AsyncRead for Lent<IO> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).poll_read(cx, buf)
    }
}

impl<IO: Cut> AsyncWrite for Lent<IO> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_write_vectored()
    }
}
