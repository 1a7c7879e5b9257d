//! Bodies on their way through the edge: one concrete type a direction, so that no frame costs an allocation of ours.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use portway_traffic::Algorithm;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Sleep, sleep};

use super::compress::Compressed;
use super::connection::{Connection, InFlight};
use super::headers::strip_trailers;
use super::upstream::Upstream;
use crate::actions::EndpointActions;

/// How long a body waits for the upstream's 100 (Continue) before it is sent regardless: some servers never answer it (RFC 9110
/// section 10.1.1 forbids to wait for ever). A second is what curl waits itself.
const CONTINUE_WAIT: Duration = Duration::from_secs(1);

/// The body of a request on its way to the upstream.
#[derive(Debug)]
pub(super) struct RequestBody {
    source: Source,
    held: Option<Held>,
    /// Told when all of it was read.
    whole: Option<Arc<AtomicBool>>,
    /// What the endpoint takes out of its trailers besides.
    actions: Option<Arc<EndpointActions>>,
}

/// Why a request's body ends before its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum BrokenBody {
    /// It cannot be read any further.
    #[error("the body of the request broke off")]
    Read(#[from] hyper::Error),
    /// The visitor reset its stream as if all were well (RFC 9113 section 8.1), which hyper takes for the end.
    #[error("the visitor took the request back")]
    Reset,
}

/// Where a request's body comes from.
#[derive(Debug)]
enum Source {
    Visitor {
        incoming: Incoming,
        http2: bool,
    },
    /// It was read already.
    Memory(Box<Buffered>),
}

/// A whole body in memory.
#[derive(Debug)]
pub(super) struct Buffered {
    data: Bytes,
    trailers: Option<HeaderMap>,
    /// What it occupies, until it is on its way.
    _room: Vec<OwnedSemaphorePermit>,
}

impl Buffered {
    pub(super) fn new(data: Bytes, trailers: Option<HeaderMap>, room: Vec<OwnedSemaphorePermit>) -> Buffered {
        Buffered { data, trailers, _room: room }
    }

    pub(super) fn data(&self) -> &[u8] {
        &self.data
    }
}

/// A body that waits for 100 (Continue).
#[derive(Debug)]
struct Held {
    gate: Arc<Gate>,
    wait: Pin<Box<Sleep>>,
}

impl RequestBody {
    /// A body that was read already.
    pub(super) fn buffered(buffered: Buffered) -> RequestBody {
        RequestBody { source: Source::Memory(Box::new(buffered)), held: None, whole: None, actions: None }
    }

    /// The body of a visitor's request.
    pub(super) fn of(request: Request<Incoming>) -> Request<RequestBody> {
        let http2 = request.version() == Version::HTTP_2;
        let source = |incoming| Source::Visitor { incoming, http2 };
        request.map(|incoming| RequestBody { source: source(incoming), held: None, whole: None, actions: None })
    }

    /// What the endpoint removes from headers goes out of the trailers, too.
    pub(super) fn change_trailers(&mut self, actions: &Arc<EndpointActions>) {
        self.actions = Some(Arc::clone(actions));
    }

    /// What says, now and later, whether all of the body was read. Of a body that breaks off it never does.
    pub(super) fn watch(&mut self) -> Arc<AtomicBool> {
        // What is in memory cannot break off.
        let there = matches!(self.source, Source::Memory(_)) || self.is_end_stream();
        Arc::clone(self.whole.insert(Arc::new(AtomicBool::new(there))))
    }

    /// Holds the body back until the gate opens. Until then hyper does not tell the visitor to continue.
    pub(super) fn hold(&mut self) -> Arc<Gate> {
        let gate = Arc::new(Gate::default());
        self.held = Some(Held { gate: Arc::clone(&gate), wait: Box::pin(sleep(CONTINUE_WAIT)) });
        gate
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BrokenBody;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenBody>>> {
        if let Some(held) = &mut self.held {
            if held.gate.poll_open(cx).is_pending() {
                ready!(held.wait.as_mut().poll(cx));
                held.gate.open();
            }
            self.held = None;
        }
        let mut frame = match &mut self.source {
            Source::Visitor { incoming, http2 } => match ready!(Pin::new(&mut *incoming).poll_frame(cx)) {
                None if *http2 && !incoming.is_end_stream() => Some(Err(BrokenBody::Reset)),
                frame => frame.map(|frame| frame.map_err(BrokenBody::from)),
            },
            Source::Memory(body) if body.data.is_empty() => {
                body.trailers.take().map(|fields| Ok(Frame::trailers(fields)))
            }
            Source::Memory(body) => Some(Ok(Frame::data(std::mem::take(&mut body.data)))),
        };
        if let Some(Ok(frame)) = &mut frame
            && let Some(trailers) = frame.trailers_mut()
        {
            strip_trailers(trailers);
            if let Some(actions) = &self.actions {
                actions.rules.request_headers.apply_to_trailers(trailers);
            }
        }
        if let Some(whole) = &self.whole
            && (is_last(frame.as_ref()) || self.is_end_stream())
        {
            whole.store(true, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Visitor { incoming, .. } => incoming.is_end_stream(),
            Source::Memory(body) => body.data.is_empty() && body.trailers.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Visitor { incoming, .. } => incoming.size_hint(),
            Source::Memory(body) if body.trailers.is_none() => SizeHint::with_exact(body.data.len() as u64),
            // Trailers need a body in chunks.
            Source::Memory(_) => SizeHint::default(),
        }
    }
}

/// Whether a frame is behind all data: trailers, or the end itself.
fn is_last<E>(frame: Option<&Result<Frame<Bytes>, E>>) -> bool {
    match frame {
        Some(Ok(frame)) => frame.is_trailers(),
        Some(Err(_)) => false,
        None => true,
    }
}

/// Opened by the upstream's 100 (Continue).
#[derive(Debug, Default)]
pub(super) struct Gate {
    open: AtomicBool,
    waiting: Mutex<Option<Waker>>,
}

impl Gate {
    /// Lets the body through.
    pub(super) fn open(&self) {
        self.open.store(true, Ordering::Release);
        if let Some(waker) = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take() {
            waker.wake();
        }
    }

    /// Whether the body may pass.
    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    fn poll_open(&self, cx: &Context<'_>) -> Poll<()> {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        if self.is_open() { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// The body of a response on its way to the visitor.
#[derive(Debug)]
pub(super) struct ResponseBody {
    kind: Kind,
    /// The request is under way until its response is out of the edge's hands.
    in_flight: Option<InFlight>,
}

#[derive(Debug)]
enum Kind {
    Empty,
    Full(Bytes),
    /// From an HTTP/1.1 upstream. Whoever waits for the body drives the stream.
    Http1 {
        incoming: Incoming,
        upstream: Box<Upstream>,
        connection: Arc<Connection>,
    },
    /// From an HTTP/2 upstream, which the connection drives.
    Http2(Incoming),
    /// Compressed on its way.
    Compressed(Box<Compressed>),
    Broken(Option<hyper::Error>),
}

impl ResponseBody {
    /// A body that is there.
    pub(super) fn full(bytes: Bytes) -> ResponseBody {
        ResponseBody { kind: Kind::Full(bytes), in_flight: None }
    }

    /// No body.
    pub(super) fn empty() -> ResponseBody {
        ResponseBody { kind: Kind::Empty, in_flight: None }
    }

    /// The body that comes over an upstream's stream. At its end the stream goes back to the connection.
    pub(super) fn http1(incoming: Incoming, upstream: Box<Upstream>, connection: Arc<Connection>) -> ResponseBody {
        ResponseBody { kind: Kind::Http1 { incoming, upstream, connection }, in_flight: None }
    }

    /// The body that comes from an HTTP/2 upstream.
    pub(super) fn http2(incoming: Incoming) -> ResponseBody {
        ResponseBody { kind: Kind::Http2(incoming), in_flight: None }
    }

    /// The same body, compressed.
    pub(super) fn compressed(self, algorithm: Algorithm) -> ResponseBody {
        ResponseBody { kind: Kind::Compressed(Box::new(Compressed::new(self, algorithm))), in_flight: None }
    }

    /// Keeps the request under way as long as its body.
    pub(super) fn keep(&mut self, in_flight: InFlight) {
        if let Kind::Compressed(compressed) = &mut self.kind {
            // Where a broken body is noticed.
            return compressed.inner().keep(in_flight);
        }
        self.in_flight = Some(in_flight);
    }

    /// The upstream answered in full: its stream may serve the next request.
    fn complete(&mut self, cx: &Context<'_>) {
        if let Kind::Http1 { upstream, connection, .. } = std::mem::replace(&mut self.kind, Kind::Empty) {
            connection.give_back(upstream, cx);
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = match &mut self.kind {
            Kind::Empty => None,
            Kind::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                if bytes.is_empty() { None } else { Some(Ok(Frame::data(bytes))) }
            }
            Kind::Http1 { incoming, upstream, .. } => ready!(upstream.poll_frame(incoming, cx)),
            Kind::Http2(incoming) => ready!(Pin::new(incoming).poll_frame(cx)),
            Kind::Compressed(compressed) => return compressed.poll_frame(cx),
            Kind::Broken(error) => return Poll::Ready(error.take().map(Err)),
        };
        let ended = match &mut self.kind {
            Kind::Http1 { incoming, .. } | Kind::Http2(incoming) => incoming.is_end_stream() || is_last(frame.as_ref()),
            Kind::Empty | Kind::Full(_) | Kind::Compressed(_) | Kind::Broken(_) => true,
        };
        let frame = frame.map(|frame| {
            frame.map(|mut frame| {
                if let Some(trailers) = frame.trailers_mut() {
                    strip_trailers(trailers);
                }
                frame
            })
        });
        match frame {
            Some(Err(error)) => {
                // The stream goes, and is reset by that. The error waits for one turn: hyper drops what it has not written when it
                // sees it, and the visitor should have what came before.
                self.kind = Kind::Broken(Some(error));
                if let Some(in_flight) = &self.in_flight {
                    in_flight.cut();
                }
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            frame => {
                if ended {
                    self.complete(cx);
                }
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Empty => true,
            Kind::Broken(_) => false,
            Kind::Full(bytes) => bytes.is_empty(),
            Kind::Http1 { incoming, .. } | Kind::Http2(incoming) => incoming.is_end_stream(),
            Kind::Compressed(compressed) => compressed.is_end(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Http1 { incoming, .. } | Kind::Http2(incoming) => incoming.size_hint(),
            Kind::Compressed(_) | Kind::Broken(_) => SizeHint::default(),
        }
    }
}
