//! Closing a visitor's connection in a way that cannot pass for the end of what it was to get.

use std::time::Duration;

use portway_tls::ReadAhead;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// A visitor's connection, which can end by a reset.
pub(crate) trait Cut: AsyncRead + AsyncWrite + Unpin {
    /// Makes its close a reset.
    fn reset_on_close(&self);
}

impl Cut for TcpStream {
    fn reset_on_close(&self) {
        let _ = SockRef::from(self).set_linger(Some(Duration::ZERO));
    }
}

/// Dropped, it says no close_notify either.
impl Cut for TlsStream<ReadAhead<TcpStream>> {
    fn reset_on_close(&self) {
        self.get_ref().0.get_ref().reset_on_close();
    }
}

#[cfg(test)]
impl Cut for tokio::io::DuplexStream {
    fn reset_on_close(&self) {}
}

/// A visitor's connection that is reset when it is dropped before the visitor was told the end. Whatever ends its task early, a shard that
/// stops as well, thereby looks like what it is.
pub(crate) struct CutOnDrop<IO: Cut> {
    pub(crate) io: IO,
    pub(crate) told_end: bool,
}

impl<IO: Cut> CutOnDrop<IO> {
    pub(crate) fn new(io: IO) -> CutOnDrop<IO> {
        CutOnDrop { io, told_end: false }
    }
}

impl<IO: Cut> Drop for CutOnDrop<IO> {
    fn drop(&mut self) {
        if !self.told_end {
            self.io.reset_on_close();
        }
    }
}
