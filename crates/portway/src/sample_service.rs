//! The service that `portway quickstart` publishes when it is given none: a page that shows the request it got, an echo, a WebSocket
//! echo and an event stream.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::sse::{Event, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{any, get};
use futures_util::{SinkExt, Stream, StreamExt, stream};
use http::{HeaderValue, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

/// Bytes of one WebSocket message that is echoed. It is a sample: enough to try, not enough to fill memory.
const MESSAGE_MAX: usize = 1 << 20;

/// Tells by `true` that the service stops: what would go on for ever ends then.
type Stops = watch::Receiver<bool>;

/// Serves until the listener fails or the future is dropped. Once `stops` says so, event streams and WebSockets end.
pub(crate) async fn serve(listener: TcpListener, mut stops: Stops) -> std::io::Result<()> {
    let routes = Router::new()
        .route("/", get(page))
        .route("/echo", any(echo))
        .route("/ws", get(websocket))
        .route("/events", get(events))
        .fallback(page)
        .with_state(stops.clone());
    let service = routes.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(async move { stopping(&mut stops).await }).await
}

/// The request as it arrived: a page for browsers, JSON for everyone else.
async fn page(ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request) -> Response {
    let headers: Vec<(String, String)> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let accepts_html = request
        .headers()
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    if !accepts_html {
        let headers: serde_json::Map<_, _> = headers.into_iter().map(|(name, value)| (name, value.into())).collect();
        return axum::Json(json!({
            "method": request.method().as_str(),
            "target": request.uri().to_string(),
            "version": format!("{:?}", request.version()),
            "from": peer.to_string(),
            "headers": headers,
        }))
        .into_response();
    }
    let mut rows = String::new();
    for (name, value) in &headers {
        let _ = write!(rows, "<tr><th>{}</th><td>{}</td></tr>", escape(name), escape(value));
    }
    let line = format!("{} {} {:?}", request.method(), request.uri(), request.version());
    Html(PAGE.replace("{line}", &escape(&line)).replace("{rows}", &rows)).into_response()
}

const PAGE: &str = r#"<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Portway sample service</title>
<style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 46rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100%; font-size: .9rem } th { text-align: left; white-space: nowrap; padding-right: 1rem }
td { overflow-wrap: anywhere } td, th { border-bottom: 1px solid #8884; vertical-align: top } pre { background: #8882; padding: .7rem; overflow: auto }
</style>
<h1>It works</h1>
<p>This page came from a service on your machine, through an agent and an edge. This is the request it got:</p>
<pre>{line}</pre>
<table>{rows}</table>
<p>Also here: <code>/echo</code> sends a request's body back, <code>/ws</code> echoes WebSocket messages,
<a href="/events">/events</a> is an event stream, and every other path shows its request.</p>
"#;

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Sends the body back as it comes.
async fn echo(request: Request) -> Response {
    let kind = request.headers().get(header::CONTENT_TYPE).cloned();
    let mut response = Response::new(Body::from_stream(request.into_body().into_data_stream()));
    let octets = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, kind.unwrap_or(octets));
    response
}

/// One event a second.
async fn events(State(mut stops): State<Stops>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let ticks = stream::unfold(0_u64, |count| async move {
        if count > 0 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Some((Ok(Event::default().event("tick").data(count.to_string())), count + 1))
    });
    Sse::new(ticks.take_until(async move { stopping(&mut stops).await }))
}

/// Returns when the service stops.
async fn stopping(stops: &mut Stops) {
    // An error means that nobody is left who could say so.
    let _gone = stops.wait_for(|stops| *stops).await;
}

/// RFC 6455 §4.2: the server's side of the opening handshake; the echo runs once the connection is handed over.
async fn websocket(State(mut stops): State<Stops>, mut request: Request) -> Response {
    let field = |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let asks = field(header::UPGRADE).is_some_and(|value| value.eq_ignore_ascii_case("websocket"));
    let (true, Some("13"), Some(key)) = (asks, field(header::SEC_WEBSOCKET_VERSION), field(header::SEC_WEBSOCKET_KEY))
    else {
        let hint = [(header::SEC_WEBSOCKET_VERSION, "13")];
        return (StatusCode::UPGRADE_REQUIRED, hint, "this path speaks WebSocket, version 13\n").into_response();
    };
    let accept = derive_accept_key(key.as_bytes());
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        if let Ok(connection) = upgrade.await {
            tokio::select! {
                () = echo_messages(TokioIo::new(connection)) => {}
                () = stopping(&mut stops) => {}
            }
        }
    });
    let headers = [(header::UPGRADE, "websocket"), (header::CONNECTION, "Upgrade")];
    (StatusCode::SWITCHING_PROTOCOLS, headers, [(header::SEC_WEBSOCKET_ACCEPT, accept)]).into_response()
}

async fn echo_messages(connection: TokioIo<hyper::upgrade::Upgraded>) {
    let config = WebSocketConfig::default().max_message_size(Some(MESSAGE_MAX)).max_frame_size(Some(MESSAGE_MAX));
    let mut socket = WebSocketStream::from_raw_socket(connection, Role::Server, Some(config)).await;
    while let Some(Ok(message)) = socket.next().await {
        if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn what_a_visitor_sends_is_text() {
        assert_eq!(escape("<script>\"&"), "&lt;script&gt;&quot;&amp;");
    }
}
