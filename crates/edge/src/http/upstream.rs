//! One stream to an endpoint's upstream that speaks HTTP/1.1, kept alive over the requests of one visitor's connection.

use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::Frame;
use hyper::body::{Body, Incoming};
use hyper::client::conn::{TrySendError, http1};
use tokio::task::unconstrained;

use super::body::{Gate, RequestBody};
use super::nudge::Nudge;
use super::upstream_io::{Link, UpstreamIo};
use crate::endpoint::Endpoint;

/// Bytes of a response head. Twice what common servers send at most; hyper's own limit is 400 KiB a connection.
const RESPONSE_HEAD_MAX: usize = 64 * 1024;

/// A stream with HTTP/1.1 on it. It belongs to one visitor's connection and is never lent to another.
///
/// Nobody drives it but who waits for it: the request that is under way, then the body of its response, then the connection it is
/// given back to. So a request costs no wake-up of another task.
pub(super) struct Upstream {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) link: Arc<Link>,
    sender: http1::SendRequest<RequestBody>,
    driver: Driver,
    /// Requests answered on it.
    served: u64,
    gate: Option<Arc<Gate>>,
}

/// What moves the bytes of an upstream.
struct Driver {
    http: http1::Connection<UpstreamIo, RequestBody>,
    nudge: Arc<Nudge>,
    /// The nudge, as what wakes `http`.
    waker: Waker,
    /// It has ended and must not be polled again.
    ended: bool,
}

impl Driver {
    fn new(http: http1::Connection<UpstreamIo, RequestBody>) -> Driver {
        let (nudge, waker) = Nudge::new();
        Driver { http, nudge, waker, ended: false }
    }

    /// Moves bytes both ways as far as it goes without waiting, when something happened since the last time. Its error reaches whoever
    /// waits for a response or a body; without one there is nobody to tell.
    fn drive(&mut self, cx: &Context<'_>) {
        self.nudge.follow(cx.waker());
        if self.ended || !self.nudge.take() {
            return;
        }
        let Driver { http, nudge, waker, .. } = self;
        self.ended = nudge.while_working(|| http.poll_without_shutdown(&mut Context::from_waker(waker))).is_ready();
        if nudge.is_woken() {
            cx.waker().wake_by_ref();
        }
    }
}

impl Upstream {
    /// HTTP/1.1 over a stream just opened.
    pub(super) async fn new(endpoint: Arc<Endpoint>, io: UpstreamIo) -> hyper::Result<Box<Upstream>> {
        let link = io.link();
        let (sender, http) = http1::Builder::new().max_buf_size(RESPONSE_HEAD_MAX).handshake(io).await?;
        Ok(Box::new(Upstream { endpoint, link, sender, driver: Driver::new(http), served: 0, gate: None }))
    }

    /// Sends a request and waits for the head of its response. `gate`: what holds its body back.
    ///
    /// Cancel safety: dropped, the upstream must be dropped too; the request may have been sent.
    pub(super) async fn exchange(
        &mut self,
        request: Request<RequestBody>,
        gate: Option<Arc<Gate>>,
    ) -> Result<Response<Incoming>, TrySendError<Request<RequestBody>>> {
        self.gate = gate;
        let repeatable = self.served > 0 && request.body().is_end_stream() && is_idempotent(request.method());
        self.link.begin(repeatable);
        let Upstream { sender, driver, .. } = self;
        let response = driver.nudge.while_working(|| sender.try_send_request(request));
        // Only the driver brings the response, and this task drives: nothing else has to wake it, but a budget of tokio would.
        let mut response = pin!(unconstrained(response));
        let answer = poll_fn(|cx| {
            driver.drive(cx);
            response.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        })
        .await;
        self.served += 1;
        answer
    }

    /// Moves bytes both ways as far as it goes without waiting.
    pub(super) fn drive(&mut self, cx: &Context<'_>) {
        self.driver.drive(cx);
    }

    /// The next piece of the body of the response under way.
    pub(super) fn poll_frame(
        &mut self,
        body: &mut Incoming,
        cx: &Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        // Only the driver brings it.
        let mut next = |driver: &Driver| {
            driver.nudge.while_working(|| Pin::new(&mut *body).poll_frame(&mut Context::from_waker(Waker::noop())))
        };
        match next(&self.driver) {
            Poll::Pending => {
                self.driver.drive(cx);
                next(&self.driver)
            }
            frame => frame,
        }
    }

    /// Ends the exchange: whether the stream may be kept. One that said more than its response is not.
    pub(super) fn settle(&mut self, cx: &Context<'_>) -> bool {
        self.link.end();
        let continued = self.gate.take().is_none_or(|gate| gate.is_open());
        self.drive(cx);
        continued && !self.is_dead()
    }

    /// Whether it is finished for good.
    pub(super) fn is_dead(&self) -> bool {
        self.driver.ended || self.sender.is_closed()
    }

    /// Whether a request can be sent now: the one before is sent and answered in full.
    pub(super) fn is_idle(&mut self, cx: &Context<'_>) -> bool {
        self.drive(cx);
        !self.is_dead() && self.sender.is_ready()
    }

    /// Whether a request was answered on it before.
    pub(super) fn is_used(&self) -> bool {
        self.served > 0
    }

    /// The stream behind an answer that changed the protocol, and what came behind its head.
    pub(super) async fn into_raw(mut self: Box<Self>) -> (UpstreamIo, bytes::Bytes) {
        poll_fn(|cx| {
            self.drive(cx);
            if self.driver.ended { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        let parts = self.driver.http.into_parts();
        (parts.io, parts.read_buf)
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("endpoint", &self.endpoint.id)
            .field("served", &self.served)
            .finish_non_exhaustive()
    }
}

/// RFC 9110 section 9.2.2: the methods that may be sent again when nobody knows whether the first time counted.
fn is_idempotent(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE | Method::TRACE)
}
