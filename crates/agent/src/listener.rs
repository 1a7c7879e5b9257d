//! Connections handed to the program itself.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::{Buf as _, Bytes};
use portway_mux::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;

use crate::binding::Served;
use crate::endpoint::Endpoint;
use crate::metrics::Metrics;

/// Connections that wait to be accepted; further ones are turned away, so that a program that stopped accepting holds no memory.
pub(crate) const LISTEN_BACKLOG: usize = 128;

/// Connections of one endpoint. Dropping it closes the endpoint.
#[derive(Debug)]
pub struct Listener {
    endpoint: Endpoint,
    connections: mpsc::Receiver<Connection>,
}

impl Listener {
    pub(crate) fn new(endpoint: Endpoint, connections: mpsc::Receiver<Connection>) -> Self {
        Self { endpoint, connections }
    }

    /// The next connection; none when the agent is closed.
    ///
    /// Cancel safety: no connection is lost when the future is dropped.
    pub async fn accept(&mut self) -> Option<Connection> {
        self.connections.recv().await
    }

    /// The public URL.
    pub fn url(&self) -> String {
        self.endpoint.url()
    }

    /// The id the edge gave the endpoint.
    pub fn id(&self) -> String {
        self.endpoint.id()
    }

    /// The endpoint's counters.
    pub fn metrics(&self) -> Metrics {
        self.endpoint.metrics()
    }

    /// Gives the endpoint up. Accepted connections go on.
    pub async fn close(self) {
        self.endpoint.close().await;
    }
}

/// One visitor's connection. Dropping it before `shutdown` resets it.
#[derive(Debug)]
pub struct Connection {
    early: Bytes,
    stream: Stream,
    client: SocketAddr,
    server: SocketAddr,
    served: Arc<Served>,
    since: Instant,
    // Keeps the session's drain waiting until the connection has ended.
    _running: tokio_util::task::task_tracker::TaskTrackerToken,
}

impl Connection {
    pub(crate) fn new(
        early: Bytes,
        stream: Stream,
        client: SocketAddr,
        server: SocketAddr,
        served: Arc<Served>,
        running: tokio_util::task::task_tracker::TaskTrackerToken,
    ) -> Self {
        served.counters.opened();
        Self { early, stream, client, server, served, since: Instant::now(), _running: running }
    }

    /// The visitor.
    pub fn client_addr(&self) -> SocketAddr {
        self.client
    }

    /// The address the visitor connected to.
    pub fn server_addr(&self) -> SocketAddr {
        self.server
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.served.counters.closed(self.since.elapsed());
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.early.is_empty() {
            let length = self.early.len().min(buf.remaining());
            buf.put_slice(&self.early[..length]);
            self.early.advance(length);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
