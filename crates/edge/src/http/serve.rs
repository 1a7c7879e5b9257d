//! One visitor's connection from its first byte to its last.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use portway_names::Scheme;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Sleep, sleep, timeout};

use super::connection::{Connection, InFlight};
use super::exchange::answer;
use super::guard::Guard;
use super::lent_io::Lent;
use super::tasks::{Signal, Tasks};
use super::upgrade;
use super::visitor_io::VisitorIo;
use crate::cut::Cut;
use crate::metrics::LimitLabel;
use crate::state::EdgeShared;
use crate::visitor::Visitor;

/// What an HTTP/2 client says first (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Window of one request body over HTTP/2: 100 Mbit/s at 80 ms.
const H2_STREAM_WINDOW: u32 = 1024 * 1024;

/// Window of all request bodies of an HTTP/2 connection together. What is unread of them is held here, so it bounds memory.
const H2_CONNECTION_WINDOW: u32 = 2 * 1024 * 1024;

/// Bytes of one response that may wait in an HTTP/2 connection for the visitor to take them: one of the largest chunks that come from a
/// session. With two of them more than half of the session's window of 256 KiB is read before the visitor has taken anything, so that the
/// window grows: of a visitor that reads nothing that held 760 KiB a response in place of 320. Less costs one fast response processor time.
const H2_SEND_BUFFER: usize = 64 * 1024;

/// Requests of an HTTP/2 connection that may be reset before they were looked at (rapid reset, CVE-2023-44487): more end it.
const H2_PENDING_RESETS: usize = 20;

/// Streams of an HTTP/2 connection that may be reset over the peer's own faults (CVE-2025-8671): more end it.
const H2_ERROR_RESETS: usize = 64;

/// Bytes that hyper may read ahead of a request head or hold of a response: at least what it asks for itself.
const HYPER_BUFFER_MIN: usize = 16 * 1024;

/// Hyper reads so many fields into memory it has; for more it allocates for each request.
const HYPER_FIELDS: usize = 100;

/// How long a drain waits for the first request of a connection: a visitor sends it with the end of its handshake.
const FIRST_REQUEST: Duration = Duration::from_secs(1);

/// How long and how much is read from a visitor after the last response, so that it reads that response before it learns that its
/// connection is closed (RFC 9112 section 9.6).
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 256 * 1024;

/// Serves one visitor's connection until it ends, or the edge stops.
///
/// Cancel safety: dropped, the connection is cut, which never looks like the end of a response, and every stream that belongs to it is reset.
pub(crate) async fn serve<IO>(mut io: IO, visitor: Visitor, edge: Arc<EdgeShared>)
where
    IO: Cut + Send + 'static,
{
    let mut stopped = Signal::new(edge.stopped.clone());
    let mut run = pin!(async move {
        let mut first = BytesMut::new();
        let http2 = match visitor.scheme {
            Scheme::Https => visitor.alpn_h2,
            _ => {
                let wait = edge.limits().http_head_timeout;
                match timeout(wait, starts_with_preface(&mut io, &mut first)).await {
                    Ok(Ok(http2)) => http2,
                    Ok(Err(_)) | Err(_) => return,
                }
            }
        };
        let connection = Connection::new(edge, visitor);
        if http2 {
            Box::pin(serve_http2(io, first, connection)).await
        } else {
            serve_http1(io, first, connection).await
        }
    });
    poll_fn(|cx| if stopped.poll(cx).is_ready() { Poll::Ready(()) } else { run.as_mut().poll(cx) }).await;
}

/// Reads as much as it takes to tell HTTP/2 with prior knowledge from HTTP/1: mostly one byte.
async fn starts_with_preface<IO: Cut>(io: &mut IO, first: &mut BytesMut) -> io::Result<bool> {
    loop {
        let seen = first.len().min(PREFACE.len());
        if first[..seen] != PREFACE[..seen] {
            return Ok(false);
        }
        if seen == PREFACE.len() {
            return Ok(true);
        }
        first.reserve(1024);
        if io.read_buf(first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

async fn serve_http1<IO>(io: IO, first: BytesMut, connection: Arc<Connection>)
where
    IO: Cut + Send + 'static,
{
    let limits = connection.edge.limits();
    let guard = Guard::new(limits);
    let io = VisitorIo::new(io, first, Arc::clone(&connection.turn), Some(guard), limits);
    let (owned, lent) = Lent::new(io);
    let mut builder = http1::Builder::new();
    builder.header_read_timeout(None).max_buf_size(limits.http_head_bytes.max(HYPER_BUFFER_MIN));
    if limits.http_header_count > HYPER_FIELDS {
        builder.max_headers(limits.http_header_count);
    }
    {
        let service =
            service_fn(|request| answer(Arc::clone(&connection), InFlight::begin(&connection, &request), request));
        let hyper = pin!(builder.serve_connection(TokioIo::new(lent), service));
        drive(&connection, hyper, http1::Connection::graceful_shutdown).await;
    }
    connection.close_idle();
    let Ok(io) = Arc::try_unwrap(owned).map(Mutex::into_inner) else { return };
    let mut io = io.unwrap_or_else(PoisonError::into_inner);
    if let Some(upgraded) = connection.take_upgraded() {
        io.open_up();
        // Boxed: other connections need not be as large.
        Box::pin(upgrade::join(io, upgraded, connection.edge.limits())).await;
        return;
    }
    // Without its end a response tells by its length or its chunks that it was cut, or it has none and the connection is reset.
    if !connection.turn.is_cut() {
        end(io).await;
    }
}

async fn serve_http2<IO>(io: IO, first: BytesMut, connection: Arc<Connection>)
where
    IO: Cut + Send + 'static,
{
    let limits = connection.edge.limits();
    let io = VisitorIo::new(io, first, Arc::clone(&connection.turn), None, limits);
    let (owned, lent) = Lent::new(io);
    let service =
        service_fn(|request| answer(Arc::clone(&connection), InFlight::begin(&connection, &request), request));
    let hyper = http2::Builder::new(connection.spawner.clone())
        .max_concurrent_streams(limits.http2_streams)
        .max_header_list_size(u32::try_from(limits.http_head_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(H2_STREAM_WINDOW)
        .initial_connection_window_size(H2_CONNECTION_WINDOW)
        .max_send_buf_size(H2_SEND_BUFFER)
        .max_pending_accept_reset_streams(H2_PENDING_RESETS)
        .max_local_error_reset_streams(H2_ERROR_RESETS)
        .serve_connection(TokioIo::new(lent), service);
    drive(&connection, pin!(hyper), http2::Connection::graceful_shutdown).await;
    connection.close_idle();
    let Ok(io) = Arc::try_unwrap(owned).map(Mutex::into_inner) else { return };
    let io = io.unwrap_or_else(PoisonError::into_inner);
    if io.is_flooded() {
        connection.edge.metrics.limits_reached.get_or_create(&LimitLabel { limit: "http2_frames" }).inc();
        tracing::debug!(visitor = %connection.visitor.peer, "too many HTTP/2 frames without effect; the connection is ended");
    }
    end(io).await;
}

/// Runs a connection with all that belongs to it on this task. When the edge drains, it ends after what is under way; a visitor who has only
/// just come is let ask once, as nobody has told it that it came too late.
async fn drive<C>(connection: &Connection, mut hyper: Pin<&mut C>, end: fn(Pin<&mut C>))
where
    C: Future,
{
    let mut tasks = Tasks::new(connection.spawner.clone());
    let mut draining = Signal::new(connection.edge.draining.clone());
    let mut first_request: Option<Pin<Box<Sleep>>> = None;
    poll_fn(|cx| {
        connection.turn.woken();
        if draining.poll(cx).is_ready() {
            first_request = Some(Box::pin(sleep(FIRST_REQUEST)));
        }
        if let Some(wait) = &mut first_request
            && (connection.turn.has_begun() || wait.as_mut().poll(cx).is_ready())
        {
            first_request = None;
            end(hyper.as_mut());
        }
        // How it ended does not matter: the visitor was told what could be told.
        let done = hyper.as_mut().poll(cx).is_ready();
        tasks.poll(cx);
        connection.poll_idle(cx);
        if done { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Ends a connection behind its last response: says what was refused, says goodbye, and waits until the visitor has read it.
async fn end<IO: Cut>(mut visitor: VisitorIo<IO>) {
    let farewell = visitor.farewell();
    let unread = visitor.has_unread();
    let goodbye = async {
        let io = visitor.get_mut();
        if let Some(farewell) = &farewell {
            io.write_all(farewell).await?;
        }
        io.shutdown().await?;
        visitor.told_end();
        let io = visitor.get_mut();
        if unread {
            let mut rest = BytesMut::with_capacity(4096);
            let mut left = LINGER_BYTES;
            while left > 0 {
                rest.clear();
                match io.read_buf(&mut rest).await? {
                    0 => break,
                    read => left = left.saturating_sub(read),
                }
            }
        }
        io::Result::Ok(())
    };
    // A visitor that does not wait for the end has what it wanted.
    let _ = timeout(LINGER, goodbye).await;
}
