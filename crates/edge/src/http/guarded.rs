//! A request to an endpoint with actions: who may ask, what changes on the way, what comes back.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_TYPE, EXPECT, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use portway_codes::{Code, PublicError};
use portway_traffic::{
    Challenge, CompressResponse, Compression, VerifyWebhook, WEBHOOK_BODY_MAX, WebhookRequest, WebhookVerdict,
    adapt_headers,
};
use tokio::time::timeout;

use super::body::{Buffered, RequestBody, ResponseBody};
use super::connection::Connection;
use super::exchange;
use super::page::{self, Form};
use super::target::Asked;
use super::websocket;
use crate::actions::EndpointActions;
use crate::endpoint::Endpoint;

/// Time for a body that is read whole to arrive: it occupies room that the endpoint's other webhooks need. Providers give up themselves after
/// 3 to 30 seconds, most after 10.
const BODY_TIME: Duration = Duration::from_secs(15);

/// Answers a request of a visitor whose address may come, under the endpoint's actions, in their order: program, login, webhook, circuit breaker; then it is forwarded, and
/// its response changed and compressed.
pub(super) async fn serve(
    connection: &Arc<Connection>,
    endpoint: Arc<Endpoint>,
    asked: &Asked,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, PublicError> {
    let Some(actions) = endpoint.options.actions.clone() else {
        return exchange::over(connection, endpoint, asked, RequestBody::of(request)).await;
    };
    let actions = &*actions;
    if let Some(login) = refuse(actions, &request)? {
        return Ok(login);
    }
    let mut request = match &actions.rules.verify_webhook {
        None => RequestBody::of(request),
        Some(webhook) => match verify(connection, actions, webhook, asked, request).await? {
            Verified::Forward(request) => request,
            Verified::Answer(response) => return Ok(response),
        },
    };
    let admitted = actions.admit(connection.edge.started)?;
    let whole = request.body_mut().watch();
    let wish = actions.rules.compress_response.as_ref().map(|action| Wish::of(action, &request));
    let answer = if actions.rules.websocket_tcp_converter {
        websocket::accept(connection, &endpoint, &request).await
    } else {
        exchange::over(connection, endpoint, asked, request).await
    };
    let whole = whole.load(Ordering::Relaxed);
    match &answer {
        Ok(response) if whole || !response.status().is_server_error() => admitted.answered(response.status()),
        Err(error) if is_failure(error.code, whole) => admitted.failed(),
        Ok(_) | Err(_) => drop(admitted),
    }
    let mut response = answer?;
    for change in &actions.rules.response_headers {
        change.apply(response.headers_mut());
    }
    Ok(match wish {
        Some(wish) => wish.compress(response),
        None => response,
    })
}

/// Whether an exchange without an answer is the upstream's failure. With a body that does not come, breaks off or is not as long as announced,
/// a visitor makes any exchange fail, so that then only counts what cannot be its doing: that the upstream was not reached. Neither can it be
/// told apart who uses all streams of a session.
fn is_failure(code: Code, whole: bool) -> bool {
    match code {
        Code::ERR_PORTWAY_50301 => false,
        Code::ERR_NGROK_8012 | Code::ERR_NGROK_3002 | Code::ERR_NGROK_3005 | Code::ERR_NGROK_3210 => true,
        code => whole && code.status() >= 500,
    }
}

/// Refuses those who may not ask, before anything of the body is read: with an error, or with a page that asks for a login.
fn refuse(
    actions: &EndpointActions,
    request: &Request<Incoming>,
) -> Result<Option<Response<ResponseBody>>, PublicError> {
    let rules = &actions.rules;
    if rules.user_agent_filter.as_ref().is_some_and(|filter| !filter.permits(request.headers())) {
        return Err(Code::ERR_NGROK_3211.plain());
    }
    let Some(auth) = rules.basic_auth.as_ref().filter(|auth| !auth.permits(request.headers())) else { return Ok(None) };
    let mut page = page::respond(&Code::ERR_PORTWAY_40101.plain(), Form::of(request.headers().get(ACCEPT)));
    page.headers_mut().insert(WWW_AUTHENTICATE, auth.challenge().clone());
    Ok(Some(page))
}

/// What became of a request that claims to be a webhook.
enum Verified {
    Forward(Request<RequestBody>),
    Answer(Response<ResponseBody>),
}

async fn verify(
    connection: &Connection,
    actions: &EndpointActions,
    webhook: &VerifyWebhook,
    asked: &Asked,
    request: Request<Incoming>,
) -> Result<Verified, PublicError> {
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let url = format!("{}://{}{target}", connection.visitor.scheme, asked.raw.to_str().unwrap_or_default());
    let unread = webhook.decide_unread(&seen(&request, &url, b""));
    let (request, verdict) = match unread {
        Some(verdict) => (RequestBody::of(request), verdict),
        None => {
            let (mut head, incoming) = request.into_parts();
            let buffered = timeout(BODY_TIME, read_whole(actions, incoming)).await;
            let buffered = buffered.map_err(|_| {
                Code::ERR_PORTWAY_40801
                    .with("The body of the request did not arrive in time. Check the connection and try again.")
            })??;
            // It was asked for by reading it.
            head.headers.remove(EXPECT);
            let whole = Request::from_parts(head, buffered);
            let verdict = webhook.decide(&seen(&whole, &url, whole.body().data()));
            (whole.map(RequestBody::buffered), verdict)
        }
    };
    match verdict {
        WebhookVerdict::Pass => Ok(Verified::Forward(request)),
        WebhookVerdict::Answer(challenge) => Ok(Verified::Answer(answer(challenge))),
        WebhookVerdict::Refuse { status } => {
            let mut page = page::respond(&Code::ERR_NGROK_3204.plain(), Form::of(request.headers().get(ACCEPT)));
            *page.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN);
            Ok(Verified::Answer(page))
        }
    }
}

/// A request as signatures see it.
fn seen<'a, B>(request: &'a Request<B>, url: &'a str, body: &'a [u8]) -> WebhookRequest<'a> {
    WebhookRequest {
        method: request.method(),
        url,
        path_and_query: request.uri().path_and_query().map_or("/", |target| target.as_str()),
        headers: request.headers(),
        body,
        now: SystemTime::UNIX_EPOCH.elapsed().unwrap_or(Duration::ZERO).as_secs(),
    }
}

/// Reads a body to its end. Its size is limited, and so is that of all bodies that the endpoint reads at once.
async fn read_whole(actions: &EndpointActions, mut incoming: Incoming) -> Result<Buffered, PublicError> {
    let too_large = || Code::ERR_PORTWAY_41301.plain();
    let announced = incoming.size_hint().lower();
    if announced > WEBHOOK_BODY_MAX as u64 {
        return Err(too_large());
    }
    let (mut data, mut trailers, mut rooms) = (BytesMut::new(), None, Vec::new());
    let mut room = 0;
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|_| Code::ERR_PORTWAY_40001.with("The body of the request broke off."))?;
        match frame.into_data() {
            Ok(chunk) if data.len() + chunk.len() > WEBHOOK_BODY_MAX => return Err(too_large()),
            Ok(chunk) => {
                data.extend_from_slice(&chunk);
                if data.len() > room {
                    let more = (data.len() - room).max(room);
                    rooms.push(actions.room(more).ok_or_else(|| Code::ERR_PORTWAY_50304.plain())?);
                    room += more;
                }
            }
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    Ok(Buffered::new(data.freeze(), trailers, rooms))
}

fn answer(challenge: Challenge) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::full(Bytes::from(challenge.body)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(challenge.content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// What a visitor accepts, kept while the upstream works.
struct Wish<'a> {
    action: &'a CompressResponse,
    method: Method,
    accept: HeaderMap,
}

impl<'a> Wish<'a> {
    fn of<B>(action: &'a CompressResponse, request: &Request<B>) -> Wish<'a> {
        let accept = request.headers().get_all(ACCEPT_ENCODING).iter();
        let accept = accept.map(|value| (ACCEPT_ENCODING, value.clone())).collect();
        Wish { action, method: request.method().clone(), accept }
    }

    fn compress(self, response: Response<ResponseBody>) -> Response<ResponseBody> {
        let (mut head, body) = response.into_parts();
        let compression = match body.is_end_stream() {
            true => Compression::Leave,
            false => self.action.decide(&self.method, &self.accept, head.status, &head.headers),
        };
        adapt_headers(compression, &mut head.headers);
        let body = match compression {
            Compression::With(algorithm) => body.compressed(algorithm),
            Compression::Leave | Compression::VaryOnly => body,
        };
        Response::from_parts(head, body)
    }
}
