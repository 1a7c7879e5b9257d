//! `websocket-tcp-converter`: visitors speak WebSocket (RFC 6455 section 5), the upstream gets and sends the bytes inside.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use portway_codes::{Code, PublicError};
use portway_mux::{RecvStream, SendStream, Stream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::body::{RequestBody, ResponseBody};
use super::connection::{Connection, Upgraded};
use super::headers::has_token;
use super::visitor_io::VisitorIo;
use crate::cut::Cut;
use crate::endpoint::Endpoint;

/// Bytes of a visitor's message, and of one frame of it: it is held here until it is whole.
const MESSAGE_MAX: usize = 1024 * 1024;

/// Bytes of a message to a visitor.
const CHUNK: usize = 32 * 1024;

/// Bytes that are read from a visitor at once.
const READ_AHEAD: usize = 16 * 1024;

/// How long a visitor has to answer that the connection is to end (RFC 6455 section 7.1.1).
const CLOSE_WAIT: Duration = Duration::from_secs(5);

/// Agrees to speak WebSocket with the visitor, once the upstream is there.
pub(super) async fn accept(
    connection: &Arc<Connection>,
    endpoint: &Arc<Endpoint>,
    request: &Request<RequestBody>,
) -> Result<Response<ResponseBody>, PublicError> {
    let key = asks_for_websocket(request).ok_or_else(|| Code::ERR_NGROK_3206.plain())?;
    let io = connection.open(endpoint).await?;
    let mut response = Response::new(ResponseBody::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    let accept = derive_accept_key(key.as_bytes());
    headers.insert(SEC_WEBSOCKET_ACCEPT, HeaderValue::try_from(accept).map_err(|_| Code::ERR_NGROK_3206.plain())?);
    if let Some(protocol) = protocol(request) {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    connection.upgrade(Upgraded { io, first: Bytes::new(), websocket: true });
    connection.turn.decide_upgrade(true);
    Ok(response)
}

/// The key of a request for WebSocket (RFC 6455 section 4.2.1).
fn asks_for_websocket<B>(request: &Request<B>) -> Option<&HeaderValue> {
    let headers = request.headers();
    let named = |name, token| headers.get_all(name).iter().any(|value| has_token(value, token));
    let fits = *request.method() == Method::GET
        && request.version() == Version::HTTP_11
        && named(CONNECTION, "upgrade")
        && named(UPGRADE, "websocket")
        && headers.get(SEC_WEBSOCKET_VERSION).is_some_and(|version| version == "13");
    let mut keys = headers.get_all(SEC_WEBSOCKET_KEY).iter();
    let (key, more) = (keys.next(), keys.next());
    key.filter(|key| fits && more.is_none() && key.len() == 24)
}

/// The sub-protocol to agree to: browsers that ask for some give up when they get none. `binary` is what gateways to TCP usually have.
fn protocol<B>(request: &Request<B>) -> Option<HeaderValue> {
    let offered = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL);
    if offered.iter().any(|value| has_token(value, "binary")) {
        return Some(HeaderValue::from_static("binary"));
    }
    let first = offered.iter().next()?.as_bytes().split(|byte| *byte == b',').next()?;
    HeaderValue::from_bytes(first.trim_ascii()).ok().filter(|name| !name.is_empty())
}

/// Converts until one side has ended.
///
/// Cancel safety: dropped, both sides are cut.
pub(super) async fn convert<IO: Cut>(mut visitor: VisitorIo<IO>, upstream: Stream, idle: Option<Duration>) {
    // Of WebSocket a frame is the end, not that of the connection.
    visitor.told_end();
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_AHEAD)
        .max_message_size(Some(MESSAGE_MAX))
        .max_frame_size(Some(MESSAGE_MAX));
    let socket = WebSocketStream::from_raw_socket(visitor, Role::Server, Some(config)).await;
    let (mut sink, mut source) = socket.split();
    let (mut receive, mut send) = upstream.split();
    let clock = Clock::new();
    let ended = {
        let to_upstream = inbound(&mut source, &mut send, &clock);
        let to_visitor = outbound(&mut receive, &mut sink, &clock);
        tokio::select! {
            () = clock.run_out(idle) => return,
            () = to_upstream => Ended::Visitor,
            code = to_visitor => Ended::Upstream(code),
        }
    };
    match ended {
        // Nobody is left who would read what the upstream still says. Its end was passed on.
        Ended::Visitor => {
            let _ = timeout(CLOSE_WAIT, sink.close()).await;
        }
        Ended::Upstream(code) => {
            let goodbye = async {
                sink.send(Message::Close(Some(CloseFrame { code, reason: "".into() }))).await?;
                while source.next().await.is_some_and(|message| message.is_ok()) {}
                Ok::<_, Error>(())
            };
            let _ = timeout(CLOSE_WAIT, goodbye).await;
        }
    }
}

enum Ended {
    Visitor,
    Upstream(CloseCode),
}

/// Visitor to upstream, until the visitor ends.
async fn inbound<IO>(source: &mut SplitStream<WebSocketStream<IO>>, send: &mut SendStream, clock: &Clock)
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(Ok(message)) = source.next().await {
        clock.tick();
        let bytes = match message {
            Message::Binary(bytes) => bytes,
            Message::Text(text) => text.into(),
            Message::Close(_) => break,
            // Pings are answered where they are read.
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
        };
        if !bytes.is_empty() {
            // An upstream that takes no more may still have something to say.
            let _ = send.write_chunk(bytes).await;
        }
    }
    let _ = send.finish().await;
}

/// Upstream to visitor, until the upstream ends: well, or not.
async fn outbound<IO>(
    receive: &mut RecvStream,
    sink: &mut SplitSink<WebSocketStream<IO>, Message>,
    clock: &Clock,
) -> CloseCode
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        match receive.read_chunk(CHUNK).await {
            Ok(Some(bytes)) => {
                clock.tick();
                if sink.send(Message::Binary(bytes)).await.is_err() {
                    return CloseCode::Error;
                }
            }
            Ok(None) => return CloseCode::Normal,
            Err(_) => return CloseCode::Error,
        }
    }
}

/// When something moved last.
struct Clock {
    start: Instant,
    moved_ms: AtomicU64,
}

impl Clock {
    fn new() -> Clock {
        Clock { start: Instant::now(), moved_ms: AtomicU64::new(0) }
    }

    fn tick(&self) {
        let ms = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved_ms.store(ms, Ordering::Relaxed);
    }

    /// Ready when nothing moved for so long.
    async fn run_out(&self, limit: Option<Duration>) {
        let Some(limit) = limit else { return std::future::pending().await };
        loop {
            let until = self.start + Duration::from_millis(self.moved_ms.load(Ordering::Relaxed)) + limit;
            if Instant::now() >= until {
                return;
            }
            sleep_until(until).await;
        }
    }
}
