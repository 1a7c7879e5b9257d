//! Visitors that speak WebSocket to upstreams that do not.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use portway_traffic::Phase::HttpRequest;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::fixture::{Site, acting, field, status};
use crate::endpoint::EndpointOptions;

const SOON: Duration = Duration::from_secs(20);

fn converting() -> EndpointOptions {
    acting(&[(HttpRequest, "websocket-tcp-converter", json!({}))])
}

async fn connect(site: &Site) -> WebSocketStream<TcpStream> {
    let mut request = "ws://app.example.com/any".into_client_request().expect("request");
    request.headers_mut().insert("sec-websocket-protocol", "x, binary".parse().expect("value"));
    let (socket, response) = client_async(request, site.visit().await.io).await.expect("handshake");
    assert_eq!(response.headers()["sec-websocket-protocol"], "binary");
    socket
}

async fn next(socket: &mut WebSocketStream<TcpStream>) -> Option<Message> {
    timeout(SOON, socket.next()).await.expect("in time").map(|message| message.expect("a message"))
}

#[tokio::test]
async fn bytes_pass_both_ways_without_frames() {
    let site = Site::new();
    site.endpoint_with("http://app.example.com", converting(), |mut peer, _| async move {
        peer.send("220 ready\r\n").await;
        assert_eq!(peer.exactly(11).await, "helloBinary");
        peer.send(vec![7; 100_000]).await;
        // The visitor's end is the stream's end.
        assert_eq!(peer.rest().await, (String::new(), true));
    });
    let mut socket = connect(&site).await;
    assert_eq!(next(&mut socket).await, Some(Message::Binary("220 ready\r\n".into())));
    socket.send(Message::Text("hello".into())).await.expect("send");
    socket.send(Message::Ping("p".into())).await.expect("send");
    socket.send(Message::Binary("Binary".into())).await.expect("send");
    let (mut got, mut pongs) = (0, 0);
    while got < 100_000 {
        match next(&mut socket).await.expect("more") {
            Message::Binary(bytes) => got += bytes.iter().filter(|byte| **byte == 7).count(),
            Message::Pong(_) => pongs += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((got, pongs), (100_000, 1));
    socket.close(None).await.expect("close");
    while let Some(message) = next(&mut socket).await {
        assert!(message.is_close(), "{message:?}");
    }
}

#[tokio::test]
async fn the_upstreams_end_closes_and_its_failure_says_so() {
    let site = Site::new();
    site.endpoint_with("http://app.example.com", converting(), |mut peer, number| async move {
        peer.send("bye").await;
        if number == 0 {
            tokio::io::AsyncWriteExt::shutdown(&mut peer.io).await.expect("end");
            peer.rest().await;
        } else {
            peer.io.reset(portway_mux::ErrorCode::INTERNAL);
        }
    });
    for code in [CloseCode::Normal, CloseCode::Error] {
        let mut socket = connect(&site).await;
        let mut messages = Vec::new();
        while let Some(message) = next(&mut socket).await {
            messages.push(message);
        }
        let Some(Message::Close(Some(frame))) = messages.pop() else { panic!("no close: {messages:?}") };
        assert_eq!(frame.code, code);
        if code == CloseCode::Normal {
            assert_eq!(messages, [Message::Binary("bye".into())]);
        }
    }
}

#[tokio::test]
async fn a_message_that_is_too_large_ends_the_connection() {
    let site = Site::new();
    site.endpoint_with("http://app.example.com", converting(), |mut peer, _| async move {
        let (got, _) = peer.rest().await;
        assert_eq!(got, "");
    });
    let mut socket = connect(&site).await;
    let _ = socket.send(Message::Binary(vec![0; 1024 * 1024 + 1].into())).await;
    let ended = async { while let Some(Ok(_)) = socket.next().await {} };
    timeout(SOON, ended).await.expect("an end");
}

#[tokio::test]
async fn other_requests_are_refused() {
    let site = Site::new();
    let upstream = site.endpoint_with("http://app.example.com", converting(), |_, _| async {});
    let good = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (method, fields) in [
        ("GET", String::new()),
        ("GET", good.replace("Version: 13", "Version: 8")),
        ("GET", good.replace("b25jZQ", "")),
        ("GET", good.replace("Upgrade: websocket", "Upgrade: other")),
        ("GET", format!("{good}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")),
        ("HEAD", good.to_owned()),
    ] {
        let mut visitor = site.visit().await;
        visitor.send(format!("{method} / HTTP/1.1\r\nHost: app.example.com\r\n{fields}\r\n")).await;
        let head = visitor.head().await.expect("an answer");
        assert_eq!((status(&head), field(&head, "ngrok-error-code")), (400, Some("ERR_NGROK_3206")), "{fields}");
    }
    assert_eq!(upstream.streams(), 0);
}
