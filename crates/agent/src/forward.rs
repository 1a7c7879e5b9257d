//! One visitor's stream: head, endpoint, upstream, bytes.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use portway_mux::{ErrorCode, PipeLimits, Stream};
use portway_proto::agent::v1::ConnectionHead;
use portway_wire::head::{HeadDecoder, StreamHead};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc::error::TrySendError;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::agent::Core;
use crate::binding::{Handles, Served, Target};
use crate::listener::Connection;
use crate::promised::{FirstLook, Promised};
use crate::sniff::Sniffed;
use crate::status::Event;
use crate::upstream::{Upstream, UpstreamIo};

/// Time for a stream's head, which leaves the edge in one piece with the first bytes.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);
/// Bytes taken with the head. What is beyond the head goes to the upstream first; so little fits into any new socket's buffer, so that
/// an upstream that speaks first cannot block it.
const HEAD_READ: usize = 1024;

/// Stands for an address that the edge did not give.
const UNKNOWN: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));

/// Serves one stream to its end.
pub(crate) async fn serve(mut stream: Stream, core: Arc<Core>, handles: Arc<Handles>, running: TaskTrackerToken) {
    let (head, early) = match tokio::time::timeout(HEAD_PATIENCE, read_head(&mut stream)).await {
        Ok(Ok(start)) => start,
        Ok(Err(error)) => {
            tracing::debug!(%error, "a stream without a usable head was reset");
            return stream.reset(ErrorCode::PROTOCOL);
        }
        Err(_) => {
            tracing::debug!("a stream without a head was reset");
            return stream.reset(ErrorCode::PROTOCOL);
        }
    };
    let Some(served) = handles.wait_for(head.endpoint).await else {
        tracing::debug!(handle = head.endpoint, "a stream for an unknown endpoint was reset");
        return stream.reset(ErrorCode::UNKNOWN_ENDPOINT);
    };
    let client = head.client().unwrap_or(UNKNOWN);
    match &served.target {
        Target::Forward(upstream) => {
            let visit = Visit { core: &core, served: &served, client };
            visit.forward(upstream, stream, early).await;
        }
        Target::Listen(queue) => {
            let server = head.server().unwrap_or(UNKNOWN);
            match queue.try_reserve() {
                Ok(place) => place.send(Connection::new(early, stream, client, server, served.clone(), running)),
                Err(TrySendError::Full(())) => {
                    served.counters.failed();
                    if let Some(held_back) = served.failure_log.ready(Instant::now()) {
                        let left_out = (held_back > 0).then_some(held_back);
                        tracing::warn!(
                            left_out,
                            "connections are turned away: the program does not accept them fast enough"
                        );
                    }
                    stream.reset(ErrorCode::AGENT_BUSY);
                }
                Err(TrySendError::Closed(())) => stream.reset(ErrorCode::UNKNOWN_ENDPOINT),
            }
        }
    }
}

/// One visitor's connection to a forwarding endpoint.
struct Visit<'a> {
    core: &'a Core,
    served: &'a Served,
    client: SocketAddr,
}

impl Visit<'_> {
    async fn forward(&self, upstream: &Upstream, mut stream: Stream, early: Bytes) {
        let open = self.served.counters.enter();
        let url = self.served.url().unwrap_or_else(|| Arc::from(""));
        self.core.publish(|| Event::ConnectionOpened { url: url.clone(), client: self.client });
        match upstream.dial().await {
            Ok(io) => {
                tracing::debug!(obj = "join", l = upstream.display(), r = %self.client, "join connections");
                self.carry(io, stream, early, &url).await;
            }
            Err(failure) => {
                self.served.counters.failed();
                stream.reset(failure.code);
                self.upstream_failed(&url, failure.to_string(), "was not reached");
            }
        }
        let duration = open.elapsed();
        drop(open);
        self.core.publish(|| Event::ConnectionClosed { url, client: self.client, duration });
    }

    /// Tells whoever runs the agent that a visitor got an error page.
    fn upstream_failed(&self, url: &Arc<str>, error: String, what: &str) {
        if let Some(held_back) = self.served.failure_log.ready(Instant::now()) {
            let left_out = (held_back > 0).then_some(held_back);
            tracing::warn!(url = &**url, err = error, left_out, "the local service {what}");
        }
        self.core.publish(|| Event::UpstreamFailed { url: url.clone(), error });
    }

    /// Carries bytes both ways. Unless the upstream was told that the visitor has ended, it is told that the connection was cut: what it
    /// got so far must not pass for everything.
    async fn carry(&self, io: UpstreamIo, stream: Stream, early: Bytes, url: &Arc<str>) {
        match io {
            UpstreamIo::Tcp(mut io) => {
                reset_on_close(&io, true);
                if self.carry_on(&mut io, stream, early, url).await {
                    reset_on_close(&io, false);
                }
            }
            UpstreamIo::TcpTls(mut io) => {
                reset_on_close(io.get_ref().0, true);
                if self.carry_on(&mut io, stream, early, url).await {
                    reset_on_close(io.get_ref().0, false);
                }
            }
            // Unix sockets know no reset: the upstream reads an end. Over TLS it lacks the close_notify that says that all has come.
            UpstreamIo::Unix(mut io) => drop(self.carry_on(&mut io, stream, early, url).await),
            UpstreamIo::UnixTls(mut io) => drop(self.carry_on(&mut io, stream, early, url).await),
        }
    }

    /// True when the upstream was told the end of what the visitor sent.
    async fn carry_on<T>(&self, io: &mut T, stream: Stream, early: Bytes, url: &Arc<str>) -> bool
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let Some(promised) = self.served.spec.promised() else { return pipe(io, stream, early).await };
        let look = |first: &[u8]| {
            if let Some(why) = promised.broken_by(first) {
                let error = format!("{} is not what was promised: {why}", self.served.spec.forwards_to);
                self.upstream_failed(url, error, "does not speak what its endpoint promises");
            }
        };
        let mut io = FirstLook::new(io, look);
        if self.core.watch_requests && promised == Promised::Http1 {
            let publish = |event| self.core.publish(|| event);
            pipe(&mut Sniffed::new(io, url.clone(), publish), stream, early).await
        } else {
            pipe(&mut io, stream, early).await
        }
    }
}

/// True when the upstream was told the end of the stream.
async fn pipe<T>(io: &mut T, mut stream: Stream, early: Bytes) -> bool
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    if !early.is_empty() {
        let written = async {
            io.write_all(&early).await?;
            io.flush().await
        };
        if let Err(error) = written.await {
            tracing::debug!(%error, "the upstream closed at once");
            stream.reset(ErrorCode::UPSTREAM_UNREACHABLE);
            return false;
        }
    }
    match portway_mux::pipe(io, stream, PipeLimits { idle_timeout: None }).await {
        Ok(stats) => stats.told_end,
        Err(error) => {
            tracing::debug!(%error, "a connection was cut");
            error.stats().told_end
        }
    }
}

/// Makes the close of a connection a reset, or an orderly one again. It is a reset from the start, so that it is one too when this process
/// is killed.
fn reset_on_close(upstream: &TcpStream, reset: bool) {
    if let Err(error) = SockRef::from(upstream).set_linger(reset.then_some(Duration::ZERO)) {
        tracing::debug!(%error, "the upstream socket takes no SO_LINGER");
    }
}

/// The head of a visitor's stream and the bytes that came with it.
async fn read_head(stream: &mut Stream) -> Result<(ConnectionHead, Bytes), String> {
    let mut decoder = HeadDecoder::new();
    let mut buffer = BytesMut::new();
    loop {
        let chunk = stream.read_chunk(HEAD_READ).await.map_err(|error| error.to_string())?;
        let Some(chunk) = chunk else { return Err("it ended within its head".to_owned()) };
        buffer.extend_from_slice(&chunk);
        match decoder.push(&mut buffer).map_err(|error| error.to_string())? {
            None => {}
            Some(StreamHead::Connection(head)) => return Ok((head, buffer.freeze())),
            Some(other) => return Err(format!("it is no connection: {other:?}")),
        }
    }
}
