//! Visitors' streams: channels that the server opens to the client.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use portway_mux::{CloseReason, Stream, StreamError};
use russh::ChannelId;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;

use crate::SshSession;
use crate::inflow::{Incoming, Writable};
use crate::session::Core;

/// One `-R` of a session: where its visitors go.
#[derive(Clone, Debug)]
pub struct Forwarded {
    core: Arc<Core>,
    /// Exactly what the client asked for: it compares (RFC 4254 section 7.2).
    address: Arc<str>,
    port: u32,
}

/// Why no stream was opened.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OpenError {
    /// The session's streams are all in use; try again when one has ended.
    #[error("all {limit} streams of the session are in use")]
    TooManyStreams {
        /// The limit that was reached.
        limit: usize,
    },
    /// The client did not take the connection: its service is not reachable, or it does not forward any more.
    #[error("the SSH client refused the connection: {0}")]
    Refused(String),
    /// The session is over.
    #[error("session closed: {0}")]
    Closed(#[source] CloseReason),
}

impl Forwarded {
    pub(crate) fn new(core: Arc<Core>, address: &str, port: u32) -> Self {
        Self { core, address: address.into(), port }
    }

    /// The session that it is part of.
    pub fn session(&self) -> SshSession {
        SshSession::new(Arc::clone(&self.core))
    }

    /// Opens a stream for a visitor at `client`. It takes a round trip, in which the client connects to its service. There is no limit in time
    /// here: a client that does not answer at all is noticed by keep-alive, one whose service does not answer is the caller's to give up.
    ///
    /// The end of the client's direction is the clean end; a channel that the client closes without an end, as it does when it is stopped,
    /// is a reset. SSH has no reset of its own: a stream that is given up here is closed, and the service sees its connection end.
    ///
    /// # Cancel safety
    /// When the future is dropped, the channel is closed as soon as the client has answered; until then it counts as a stream.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(&self, client: SocketAddr) -> Result<Stream, OpenError> {
        let shared = &self.core.shared;
        if let Some(reason) = shared.close_reason() {
            return Err(OpenError::Closed(reason));
        }
        let Ok(permit) = Arc::clone(&shared.streams).try_acquire_owned() else {
            return Err(OpenError::TooManyStreams { limit: shared.limits.streams });
        };
        let forwarded = self.clone();
        // In a task of its own, which ends with the answer or the session: russh ends the session when the answer finds nobody.
        let opening = tokio::spawn(async move { forwarded.open_channel(client, permit).await });
        match opening.await {
            Ok(opened) => opened,
            Err(_) => Err(OpenError::Closed(shared.close_reason().unwrap_or(CloseReason::LocalClosed))),
        }
    }

    async fn open_channel(&self, client: SocketAddr, permit: OwnedSemaphorePermit) -> Result<Stream, OpenError> {
        let shared = &self.core.shared;
        let lost = || OpenError::Closed(shared.close_reason().unwrap_or(CloseReason::LocalClosed));
        let handle = shared.handle.get().ok_or_else(lost)?;
        let originator = client.ip().to_canonical().to_string();
        let port = u32::from(client.port());
        let opened = handle.channel_open_forwarded_tcpip(&*self.address, self.port, originator, port).await;
        let channel = match opened {
            Ok(channel) => channel,
            Err(russh::Error::ChannelOpenFailure(failure)) => {
                return Err(OpenError::Refused(failure.description().to_owned()));
            }
            Err(_) => return Err(OpenError::Closed(shared.closed().await)),
        };
        let (_, writing) = channel.split();
        let id = writing.id();
        let incoming = shared.inflow.add(id);
        let writer = Box::pin(writing.make_writer());
        Ok(Stream::foreign(ChannelPipe { core: Arc::clone(&self.core), id, incoming, writer, _permit: permit }))
    }
}

/// A channel as a byte pipe. Dropped, it is closed.
struct ChannelPipe {
    core: Arc<Core>,
    id: ChannelId,
    incoming: Arc<Incoming>,
    writer: Pin<Box<dyn AsyncWrite + Send>>,
    _permit: OwnedSemaphorePermit,
}

impl ChannelPipe {
    /// An error of the writer: the session is over.
    fn lost(&self) -> io::Error {
        let reason = self.core.shared.close_reason().unwrap_or(CloseReason::LocalClosed);
        StreamError::SessionLost(reason).into()
    }
}

impl AsyncRead for ChannelPipe {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.incoming.poll_read(cx, buf).map_err(Into::into)
    }
}

impl AsyncWrite for ChannelPipe {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        match self.incoming.writable(cx) {
            Writable::Yes => self.writer.as_mut().poll_write(cx, buf).map_err(|_| self.lost()),
            Writable::Discard => Poll::Ready(Ok(buf.len())),
            Writable::No(error) => Poll::Ready(Err(error.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The session sends what it has by itself.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.incoming.writable(cx) {
            Writable::Yes => self.writer.as_mut().poll_shutdown(cx).map_err(|_| self.lost()),
            Writable::Discard => Poll::Ready(Ok(())),
            Writable::No(error) => Poll::Ready(Err(error.into())),
        }
    }
}

impl Drop for ChannelPipe {
    fn drop(&mut self) {
        self.core.shared.inflow.remove(self.id);
        self.core.shared.close_channel(self.id);
    }
}
