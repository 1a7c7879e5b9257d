//! One request and its response.

use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use http::header::{ACCEPT, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, TRANSFER_ENCODING};
use http::{HeaderValue, Request, Response, StatusCode, Version};
use hyper::body::{Body, Incoming};
use portway_codes::{Code, PublicError};
use portway_names::Scheme;

use super::body::{Gate, RequestBody, ResponseBody};
use super::connection::{Connection, InFlight, Upgraded};
use super::fault;
use super::guarded;
use super::headers::strip_response;
use super::outgoing::{self, Outgoing};
use super::page::{self, Form};
use super::rules;
use super::target::{self, Asked, Target};
use super::upstream::Upstream;
use super::upstream_h2::UpstreamH2;
use crate::endpoint::{Address, Endpoint};
use crate::{reserved, restriction, returning};

/// Where an authority looks for proofs.
const CHALLENGES: &str = "/.well-known/acme-challenge/";

/// Answers a request: by the endpoint's upstream, or by a page that says why not. `in_flight` began when the request was read.
pub(super) async fn answer(
    connection: Arc<Connection>,
    mut in_flight: InFlight,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    let accept = request.headers().get(ACCEPT).cloned();
    let version = request.version();
    if version == Version::HTTP_10 {
        connection.turn.unframed();
    }
    let mut response = match forward(&connection, &mut in_flight, request).await {
        Ok(response) => response,
        Err(error) => {
            // What the visitor sent wrongly in the middle of its body is why the exchange failed.
            let error = connection.turn.take_broken_body().unwrap_or(error);
            let mut response = page::respond(&error, Form::of(accept.as_ref()));
            if response.status() == StatusCode::BAD_REQUEST && version != Version::HTTP_2 {
                // Whoever sends what can be read in two ways may mean what follows in two ways, too.
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            response
        }
    };
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        connection.turn.decide_upgrade(false);
    }
    in_flight.answered(response.status());
    if !response.body().is_end_stream() {
        response.body_mut().keep(in_flight);
    }
    Ok(response)
}

async fn forward(
    connection: &Arc<Connection>,
    in_flight: &mut InFlight,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, PublicError> {
    rules::check(&request, connection.visitor.scheme, connection.edge.limits().http_header_count)?;
    let asked = target::asked(&request, connection)?;
    if let Some(proof) = proof(connection, &asked, request.uri().path()) {
        return Ok(proof);
    }
    let mut found = target::find(connection, &asked, request.uri());
    if found.is_err() {
        let (edge, scheme) = (&connection.edge, connection.visitor.scheme);
        returning::find(edge, &[scheme], &asked.name, || reserved::http(edge, scheme, &asked.name)).await;
        found = target::find(connection, &asked, request.uri());
    }
    let found = found?;
    if let Target::Endpoint(endpoint) = &found
        && let Address::Ssh { requests, .. } = &endpoint.address
    {
        in_flight.show(requests, &request);
    }
    if let Target::Endpoint(endpoint) = &found
        && !restriction::admits_visitor(&connection.edge, endpoint, connection.visitor.peer)
    {
        return Err(Code::ERR_NGROK_3205.plain());
    }
    match found {
        Target::Https(location) => Ok(redirect(location)),
        // Boxed: the state of every HTTP/1.1 connection would be as large as that of what is rare.
        Target::Endpoint(endpoint) if endpoint.options.actions.is_some() => {
            Box::pin(guarded::serve(connection, endpoint, &asked, request)).await
        }
        Target::Endpoint(endpoint) if endpoint.options.upstream_http2 => {
            Box::pin(over_http2(connection, endpoint, &asked, RequestBody::of(request))).await
        }
        Target::Endpoint(endpoint) => over_http1(connection, endpoint, &asked, RequestBody::of(request)).await,
    }
}

/// What is answered to an authority that certificates are ordered from (RFC 8555 section 8.3). It asks in the clear.
fn proof(connection: &Connection, asked: &Asked, path: &str) -> Option<Response<ResponseBody>> {
    if connection.visitor.scheme != Scheme::Http {
        return None;
    }
    let text = connection.edge.replica.http_proof(&asked.name, path.strip_prefix(CHALLENGES)?)?;
    let mut response = Response::new(ResponseBody::full(text.into()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    Some(response)
}

/// Forwards a request in the protocol that the endpoint's upstream speaks. Not on the way of every request: its state would be in that.
pub(super) async fn over(
    connection: &Arc<Connection>,
    endpoint: Arc<Endpoint>,
    asked: &Asked,
    request: Request<RequestBody>,
) -> Result<Response<ResponseBody>, PublicError> {
    if endpoint.options.upstream_http2 {
        return Box::pin(over_http2(connection, endpoint, asked, request)).await;
    }
    over_http1(connection, endpoint, asked, request).await
}

/// RFC 9110 section 15.4.9: the method stays the same.
fn redirect(location: HeaderValue) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::empty());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    response.headers_mut().insert(LOCATION, location);
    response
}

async fn over_http1(
    connection: &Arc<Connection>,
    endpoint: Arc<Endpoint>,
    asked: &Asked,
    request: Request<RequestBody>,
) -> Result<Response<ResponseBody>, PublicError> {
    let interim = request.version() == Version::HTTP_11;
    let Outgoing { mut request, upgrade, gate } = outgoing::http1(request, asked, &endpoint)?;
    if interim {
        pass_interim(&mut request, connection, gate.clone());
    }
    let mut kept = poll_fn(|cx| Poll::Ready(connection.take_idle(&endpoint, cx))).await;
    let (upstream, response) = loop {
        let mut upstream = match kept.take() {
            Some(upstream) => upstream,
            None => Box::pin(open_http1(connection, &endpoint)).await?,
        };
        match upstream.exchange(request, gate.clone()).await {
            Ok(response) => break (upstream, response),
            Err(mut failed) => match failed.take_message() {
                // Not a byte of it was sent: a new stream may do what the kept one could not.
                Some(unsent) if upstream.is_used() => request = unsent,
                _ => {
                    return Err(fault::of_exchange(failed.error(), upstream.link.fault(), &connection.edge, &endpoint));
                }
            },
        }
    };
    check(&response)?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        if !upgrade {
            return Err(fault::bad_answer("a change of protocol that nobody asked for"));
        }
        return Box::pin(change_protocol(connection, upstream, response)).await;
    }
    let (mut head, incoming) = response.into_parts();
    strip_response(head.status, &mut head.headers);
    head.version = Version::HTTP_11;
    if gate.is_some_and(|gate| !gate.is_open()) {
        // The visitor keeps a body that nobody asked for; it may send it or not, so no request can follow.
        head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let body = if incoming.is_end_stream() {
        give_back(connection, upstream).await;
        ResponseBody::empty()
    } else {
        ResponseBody::http1(incoming, upstream, Arc::clone(connection))
    };
    Ok(Response::from_parts(head, body))
}

async fn open_http1(connection: &Arc<Connection>, endpoint: &Arc<Endpoint>) -> Result<Box<Upstream>, PublicError> {
    let io = connection.open(endpoint).await?;
    let failed = |error: hyper::Error| fault::of_exchange(&error, None, &connection.edge, endpoint);
    Upstream::new(Arc::clone(endpoint), io).await.map_err(failed)
}

async fn give_back(connection: &Connection, upstream: Box<Upstream>) {
    let mut upstream = Some(upstream);
    poll_fn(|cx| {
        if let Some(upstream) = upstream.take() {
            connection.give_back(upstream, cx);
        }
        Poll::Ready(())
    })
    .await;
}

/// Interim responses pass as they come, 100 (Continue) by letting the body through: hyper then tells the visitor.
fn pass_interim(request: &mut Request<RequestBody>, connection: &Connection, gate: Option<Arc<Gate>>) {
    let turn = Arc::clone(&connection.turn);
    hyper::ext::on_informational(request, move |interim| {
        if interim.status() == StatusCode::CONTINUE {
            if let Some(gate) = &gate {
                gate.open();
            }
            return;
        }
        let mut headers = interim.headers().clone();
        strip_response(interim.status(), &mut headers);
        turn.interim(interim.status(), &headers);
    });
}

/// Hands the two raw halves to the connection, which joins them when the 101 is written.
async fn change_protocol(
    connection: &Arc<Connection>,
    upstream: Box<Upstream>,
    response: Response<Incoming>,
) -> Result<Response<ResponseBody>, PublicError> {
    let (mut head, _) = response.into_parts();
    strip_response(head.status, &mut head.headers);
    head.extensions.clear();
    let (io, first) = upstream.into_raw().await;
    connection.upgrade(Upgraded { io, first, websocket: false });
    connection.turn.decide_upgrade(true);
    Ok(Response::from_parts(head, ResponseBody::empty()))
}

async fn over_http2(
    connection: &Arc<Connection>,
    endpoint: Arc<Endpoint>,
    asked: &Asked,
    request: Request<RequestBody>,
) -> Result<Response<ResponseBody>, PublicError> {
    let mut request = outgoing::http2(request, asked, &endpoint)?;
    let mut kept = connection.http2(&endpoint);
    let response = loop {
        let (mut upstream, used) = match kept.take() {
            Some(upstream) => (upstream, true),
            None => (open_http2(connection, &endpoint).await?, false),
        };
        match upstream.exchange(request).await {
            Ok(response) => break response,
            Err(mut failed) => match failed.take_message() {
                Some(unsent) if used => request = unsent,
                _ => {
                    return Err(fault::of_exchange(failed.error(), upstream.link.fault(), &connection.edge, &endpoint));
                }
            },
        }
    };
    let (mut head, incoming) = response.into_parts();
    strip_response(head.status, &mut head.headers);
    head.version = Version::HTTP_11;
    Ok(Response::from_parts(head, ResponseBody::http2(incoming)))
}

async fn open_http2(connection: &Arc<Connection>, endpoint: &Arc<Endpoint>) -> Result<UpstreamH2, PublicError> {
    let io = connection.open(endpoint).await?;
    let failed = |error: hyper::Error| fault::of_exchange(&error, None, &connection.edge, endpoint);
    let upstream = UpstreamH2::new(Arc::clone(endpoint), io, &connection.spawner).await.map_err(failed)?;
    connection.keep_http2(upstream.clone());
    Ok(upstream)
}

/// A response that frames itself in two ways, or in one that not everybody reads alike, is not passed on (RFC 9112 section 6.3).
fn check(response: &Response<Incoming>) -> Result<(), PublicError> {
    let headers = response.headers();
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let length = lengths.next();
    if let Some(length) = length
        && (lengths.next().is_some() || !length.as_bytes().iter().all(u8::is_ascii_digit))
    {
        return Err(fault::bad_answer("its Content-Length is not one number"));
    }
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        if length.is_some() {
            return Err(fault::bad_answer("it has both Content-Length and Transfer-Encoding"));
        }
        if codings.next().is_some() || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
            return Err(fault::bad_answer("its Transfer-Encoding is not chunked"));
        }
    }
    Ok(())
}
