//! One stream to an endpoint's upstream that speaks HTTP/1.1, kept alive over the requests of one visitor's connection.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Method, Request, Response};
use hyper::body::{Body, Incoming};
use hyper::client::conn::{TrySendError, http1};

use super::body::{Gate, RequestBody};
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
    driver: http1::Connection<UpstreamIo, RequestBody>,
    /// The driver has ended and must not be polled again.
    ended: bool,
    /// Requests answered on it.
    served: u64,
    gate: Option<Arc<Gate>>,
}

impl Upstream {
    /// HTTP/1.1 over a stream just opened.
    pub(super) async fn new(endpoint: Arc<Endpoint>, io: UpstreamIo) -> hyper::Result<Box<Upstream>> {
        let link = io.link();
        let (sender, driver) = http1::Builder::new().max_buf_size(RESPONSE_HEAD_MAX).handshake(io).await?;
        Ok(Box::new(Upstream { endpoint, link, sender, driver, ended: false, served: 0, gate: None }))
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
        let response = pin!(self.sender.try_send_request(request));
        let (driver, ended) = (&mut self.driver, &mut self.ended);
        let mut response = response;
        let answer = poll_fn(|cx| {
            if !*ended {
                *ended = driver.poll_without_shutdown(cx).is_ready();
            }
            response.as_mut().poll(cx)
        })
        .await;
        self.served += 1;
        answer
    }

    /// Moves bytes both ways as far as it goes without waiting.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) {
        if !self.ended {
            // Its error reaches whoever waits for a response or a body; without one there is nobody to tell.
            self.ended = self.driver.poll_without_shutdown(cx).is_ready();
        }
    }

    /// Ends the exchange: whether the stream may be kept. One that said more than its response is not.
    pub(super) fn settle(&mut self, cx: &mut Context<'_>) -> bool {
        self.link.end();
        let continued = self.gate.take().is_none_or(|gate| gate.is_open());
        self.drive(cx);
        continued && !self.is_dead()
    }

    /// Whether it is finished for good.
    pub(super) fn is_dead(&self) -> bool {
        self.ended || self.sender.is_closed()
    }

    /// Whether a request can be sent now: the one before is sent and answered in full.
    pub(super) fn poll_idle(&mut self, cx: &mut Context<'_>) -> bool {
        self.drive(cx);
        !self.is_dead() && matches!(self.sender.poll_ready(cx), Poll::Ready(Ok(())))
    }

    /// Whether a request was answered on it before.
    pub(super) fn is_used(&self) -> bool {
        self.served > 0
    }

    /// The stream behind an answer that changed the protocol, and what came behind its head.
    pub(super) async fn into_raw(mut self: Box<Self>) -> (UpstreamIo, bytes::Bytes) {
        poll_fn(|cx| {
            self.drive(cx);
            if self.ended { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        let parts = self.driver.into_parts();
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
