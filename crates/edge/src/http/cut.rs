//! Closing a visitor's connection in a way that cannot pass for the end of a response.

use portway_tls::ReadAhead;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::tcp;

/// A visitor's connection that can end by a reset.
pub(crate) trait Cut {
    /// Makes its close a reset.
    fn reset_on_close(&self);
}

impl Cut for TcpStream {
    fn reset_on_close(&self) {
        tcp::reset(self);
    }
}

/// Dropped, it says no close_notify either.
impl Cut for TlsStream<ReadAhead<TcpStream>> {
    fn reset_on_close(&self) {
        tcp::reset(self.get_ref().0.get_ref());
    }
}
