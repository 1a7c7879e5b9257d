//! A visitor's request as the upstream gets it.

use std::sync::Arc;

use http::header::{CONTENT_LENGTH, COOKIE, EXPECT, TRANSFER_ENCODING};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version};
use hyper::body::Body;
use portway_codes::{Code, PublicError};

use super::body::{Gate, RequestBody};
use super::headers::{Hop, extend_request, strip_request};
use super::target::Asked;
use crate::endpoint::Endpoint;

/// A request for an HTTP/1.1 upstream.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) request: Request<RequestBody>,
    /// It asks for another protocol.
    pub(super) upgrade: bool,
    /// What holds its body back until the upstream says to continue.
    pub(super) gate: Option<Arc<Gate>>,
}

/// The request for an HTTP/1.1 upstream.
pub(super) fn http1(
    request: Request<RequestBody>,
    asked: &Asked,
    endpoint: &Endpoint,
) -> Result<Outgoing, PublicError> {
    let (mut head, mut body) = request.into_parts();
    let version = head.version;
    let wishes = strip_request(&mut head.headers, version == Version::HTTP_11);
    if version == Version::HTTP_2 {
        check_length(&head.headers)?;
        join_cookies(&mut head.headers);
    }
    extend_request(&mut head.headers, &asked.provenance, &asked.raw, endpoint.host_header(), &wishes, Hop::Http1);
    change_headers(&mut head.headers, &mut body, endpoint);
    if head.uri.authority().is_some() {
        head.uri = Uri::from(path_of(&head.uri, &head.method));
    }
    head.version = Version::HTTP_11;
    head.extensions.clear();
    frame(&mut head.headers, &head.method, &body);
    let gate = expects_continue(&mut head.headers, version, &body).then(|| body.hold());
    Ok(Outgoing { request: Request::from_parts(head, body), upgrade: wishes.upgrade.is_some(), gate })
}

/// The request for an HTTP/2 upstream.
pub(super) fn http2(
    request: Request<RequestBody>,
    asked: &Asked,
    endpoint: &Endpoint,
) -> Result<Request<RequestBody>, PublicError> {
    let (mut head, mut body) = request.into_parts();
    check_length(&head.headers)?;
    let wishes = strip_request(&mut head.headers, false);
    extend_request(&mut head.headers, &asked.provenance, &asked.raw, None, &wishes, Hop::Http2);
    change_headers(&mut head.headers, &mut body, endpoint);
    let authority = match endpoint.host_header() {
        Some(host) => Authority::try_from(host.as_bytes()).map_err(|_| Code::ERR_PORTWAY_40004.plain())?,
        None => asked.authority.clone(),
    };
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority);
    parts.path_and_query = Some(path_of(&head.uri, &head.method));
    head.uri = Uri::from_parts(parts).map_err(|_| Code::ERR_PORTWAY_40001.plain())?;
    head.version = Version::HTTP_2;
    head.extensions.clear();
    Ok(Request::from_parts(head, body))
}

/// What the endpoint changes stands behind what the edge says, so that it can take that away as well.
fn change_headers(headers: &mut HeaderMap, body: &mut RequestBody, endpoint: &Endpoint) {
    if let Some(actions) = &endpoint.options.actions {
        actions.rules.request_headers.apply(headers);
        body.change_trailers(actions);
    }
}

/// The origin form of a target (RFC 9112 section 3.2).
fn path_of(uri: &Uri, method: &Method) -> PathAndQuery {
    match uri.path_and_query() {
        // RFC 9112 section 3.2.4: an absolute target without a path, of OPTIONS, means the server as a whole.
        _ if uri.path().is_empty() && *method == Method::OPTIONS => PathAndQuery::from_static("*"),
        Some(path) => path.clone(),
        None => PathAndQuery::from_static("/"),
    }
}

/// A length given twice reaches no HTTP/1.1 upstream. (Of HTTP/1.1 visitors the guard has seen to it.)
fn check_length(headers: &HeaderMap) -> Result<(), PublicError> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    match (lengths.next(), lengths.next()) {
        (Some(one), None) if !one.is_empty() && one.as_bytes().iter().all(u8::is_ascii_digit) => Ok(()),
        (None, _) => Ok(()),
        _ => Err(Code::ERR_PORTWAY_40001.with("The Content-Length of the request is not one number.")),
    }
}

/// RFC 9113 section 8.2.3: HTTP/2 may split the Cookie field; HTTP/1.1 has it once.
fn join_cookies(headers: &mut HeaderMap) {
    let mut cookies = headers.get_all(COOKIE).iter();
    if cookies.next().is_none() || cookies.next().is_none() {
        return;
    }
    let joined = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect::<Vec<_>>().join(&b"; "[..]);
    if let Ok(joined) = HeaderValue::from_bytes(&joined) {
        headers.insert(COOKIE, joined);
    }
}

/// Says how long the body is where hyper would leave it out.
fn frame(headers: &mut HeaderMap, method: &Method, body: &RequestBody) {
    if body.is_end_stream() {
        let expects_body = matches!(*method, Method::POST | Method::PUT | Method::PATCH);
        if expects_body && !headers.contains_key(CONTENT_LENGTH) {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
    } else if body.size_hint().exact().is_none() {
        // Hyper drops a GET's body of unknown length unless it is told.
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}

/// Whether the visitor waits for 100 (Continue). The field goes where nobody could answer it.
fn expects_continue(headers: &mut HeaderMap, version: Version, body: &RequestBody) -> bool {
    let Some(expect) = headers.get(EXPECT) else { return false };
    let waits = expect.as_bytes().eq_ignore_ascii_case(b"100-continue");
    if waits && version == Version::HTTP_11 && !body.is_end_stream() {
        return true;
    }
    if waits {
        headers.remove(EXPECT);
    }
    false
}
