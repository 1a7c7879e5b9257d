//! HTTP/2 on either side.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use portway_mux::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::fixture::{Peer, Site, field, mirror};
use crate::endpoint::EndpointOptions;

type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;

async fn client(visitor: Peer<TcpStream>) -> SendRequest<Body> {
    let io = TokioIo::new(visitor.into_io());
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.expect("handshake");
    tokio::spawn(connection);
    sender
}

fn get(uri: &str) -> Request<Body> {
    Request::get(uri).body(Empty::new().boxed_unsync()).expect("request")
}

async fn text(response: Response<Incoming>) -> String {
    String::from_utf8(response.into_body().collect().await.expect("body").to_bytes().to_vec()).expect("text")
}

#[tokio::test]
async fn http2_visitors_reach_http1_upstreams_each_request_on_its_own_stream() {
    let site = Site::new();
    let gate = std::sync::Arc::new(tokio::sync::Barrier::new(3));
    let wait = std::sync::Arc::clone(&gate);
    let upstream = site.endpoint("https://app.example.com", move |mut peer, _| {
        let wait = std::sync::Arc::clone(&wait);
        async move {
            // Three requests are under way at once, or none is answered.
            let mut head = peer.head().await.expect("a request");
            wait.wait().await;
            loop {
                peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{head}", head.len())).await;
                let Some(next) = peer.head().await else { return };
                head = next;
            }
        }
    });
    let mut sender = client(site.visit_tls("app.example.com", true).await).await;
    let answers = [0, 1, 2].map(|number| {
        let request = Request::get(format!("https://app.example.com/{number}?q"))
            .header("cookie", "a=1")
            .header("cookie", "b=2")
            .header("x-forwarded-for", "6.6.6.6")
            .body(Empty::new().boxed_unsync())
            .expect("request");
        sender.send_request(request)
    });
    for (number, answer) in answers.into_iter().enumerate() {
        let response = answer.await.expect("response");
        assert_eq!((response.status(), response.version()), (StatusCode::OK, Version::HTTP_2));
        let head = text(response).await;
        assert!(head.starts_with(&format!("GET /{number}?q HTTP/1.1\r\n")), "{head}");
        assert_eq!((field(&head, "host"), field(&head, "cookie")), (Some("app.example.com"), Some("a=1; b=2")));
        assert_eq!(field(&head, "x-forwarded-for"), Some("127.0.0.1"));
    }
    assert_eq!(upstream.streams(), 3);
    // Streams are kept for the requests to come.
    for _ in 0..5 {
        text(sender.send_request(get("https://app.example.com/")).await.expect("response")).await;
    }
    assert_eq!(upstream.streams(), 3);
}

#[tokio::test]
async fn coalesced_connections_are_told_so() {
    let site = Site::new();
    site.endpoint("https://a.example.com", mirror);
    site.endpoint("https://b.example.com", mirror);
    let mut sender = client(site.visit_tls("a.example.com", true).await).await;
    let response = sender.send_request(get("https://b.example.com/")).await.expect("response");
    assert_eq!(response.status(), StatusCode::MISDIRECTED_REQUEST);
    let response = sender.send_request(get("https://a.example.com/")).await.expect("response");
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn http2_by_prior_knowledge_is_served_in_the_clear() {
    let site = Site::new();
    site.endpoint("http://app.example.com", mirror);
    let mut sender = client(site.visit().await).await;
    let response = sender.send_request(get("http://app.example.com/")).await.expect("response");
    assert_eq!((response.status(), response.version()), (StatusCode::OK, Version::HTTP_2));
    let mut other = get("http://app.example.com/");
    other.headers_mut().insert("host", "evil.example.com".parse().expect("value"));
    assert_eq!(sender.send_request(other).await.expect("response").status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn trailers_of_an_http1_upstream_reach_http2_visitors() {
    let site = Site::new();
    site.endpoint("https://app.example.com", |mut peer, _| async move {
        let head = peer.head().await.expect("a request");
        assert_eq!((field(&head, "te"), field(&head, "transfer-encoding")), (Some("trailers"), Some("chunked")));
        peer.until("0\r\n\r\n").await;
        peer.send("HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n").await;
        peer.send("3\r\nabc\r\n0\r\ngrpc-status: 0\r\n\r\n").await;
        peer.head().await;
    });
    let mut sender = client(site.visit_tls("app.example.com", true).await).await;
    let response = sender.send_request(grpc("https://app.example.com/s/m")).await.expect("response");
    let body = response.into_body().collect().await.expect("body");
    assert_eq!(body.trailers().expect("trailers")["grpc-status"], "0");
    assert_eq!(body.to_bytes(), "abc");
}

/// A request of unknown length, as gRPC clients send them.
fn grpc(uri: &str) -> Request<Body> {
    let frames = futures_util::stream::iter([Ok(Frame::data(Bytes::from_static(b"\0\0\0\0\x02hi")))]);
    let request = Request::post(uri).header("te", "trailers").header("content-type", "application/grpc");
    request.body(StreamBody::new(frames).boxed_unsync()).expect("request")
}

/// An HTTP/2 upstream that answers like a gRPC server, with what it saw in its trailers.
async fn grpc_server(peer: Peer<Stream>, _: usize) {
    let service = service_fn(|request: Request<Incoming>| async move {
        let mut trailers = HeaderMap::new();
        for name in ["te", "x-forwarded-for", "content-type"] {
            if let Some(value) = request.headers().get(name) {
                trailers.insert(name.replace("te", "saw-te").parse::<http::HeaderName>().expect("name"), value.clone());
            }
        }
        trailers.insert("grpc-status", "0".parse().expect("value"));
        trailers
            .insert("saw-authority", request.uri().authority().expect("authority").as_str().parse().expect("value"));
        let body = request.into_body().collect().await.expect("body").to_bytes();
        let body = Full::new(body).with_trailers(std::future::ready(Some(Ok(trailers))));
        Ok::<_, Infallible>(
            Response::builder().header("content-type", "application/grpc").body(body).expect("response"),
        )
    });
    let io = TokioIo::new(peer.into_io());
    let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await;
}

#[tokio::test]
async fn grpc_passes_from_http2_to_http2() {
    let site = Site::new();
    let options = EndpointOptions { upstream_http2: true, ..EndpointOptions::default() };
    let upstream = site.endpoint_with("https://app.example.com", options, grpc_server);
    let mut sender = client(site.visit_tls("app.example.com", true).await).await;
    for _ in 0..3 {
        let response = sender.send_request(grpc("https://app.example.com/s/m")).await.expect("response");
        assert_eq!(response.status(), StatusCode::OK);
        let body = response.into_body().collect().await.expect("body");
        let trailers = body.trailers().expect("trailers").clone();
        assert_eq!(
            (&trailers["grpc-status"], &trailers["saw-te"]),
            (&"0".parse().expect("value"), &"trailers".parse().expect("value"))
        );
        assert_eq!(trailers["saw-authority"], "app.example.com");
        assert!(!trailers.contains_key("x-forwarded-for"), "trailers cannot pose as the edge's fields");
        assert_eq!(body.to_bytes(), &b"\0\0\0\0\x02hi"[..]);
    }
    assert_eq!(upstream.streams(), 1);
}

#[tokio::test]
async fn http1_visitors_reach_http2_upstreams() {
    let site = Site::new();
    let options = EndpointOptions {
        upstream_http2: true,
        host_header: Some("inner.local".parse().expect("value")),
        ..EndpointOptions::default()
    };
    let upstream = site.endpoint_with("http://app.example.com", options, grpc_server);
    let mut visitor = site.visit().await;
    for _ in 0..2 {
        visitor
            .send(
                "POST / HTTP/1.1\r\nHost: app.example.com\r\nTE: trailers\r\nConnection: TE\r\nContent-Length: 5\r\n\
                 Expect: 100-continue\r\n\r\n",
            )
            .await;
        assert_eq!(visitor.head().await.as_deref(), Some("HTTP/1.1 100 Continue\r\n\r\n"));
        visitor.send("hello").await;
        assert_eq!(visitor.response().await.1, "hello");
    }
    assert_eq!(upstream.streams(), 1);
}

#[tokio::test]
async fn a_cancelled_request_resets_its_stream_and_nothing_else() {
    let site = Site::new();
    let (tell, mut told) = tokio::sync::mpsc::channel(4);
    site.endpoint("https://app.example.com", move |mut peer, _| {
        let tell = tell.clone();
        async move {
            let head = peer.head().await.expect("a request");
            if head.starts_with("GET /wait") {
                tell.send("waits").await.expect("test");
                assert!(!peer.rest().await.1);
                tell.send("reset").await.expect("test");
                return;
            }
            mirror(peer, 0).await;
        }
    });
    let mut sender = client(site.visit_tls("app.example.com", true).await).await;
    let waiting = tokio::spawn(sender.send_request(get("https://app.example.com/wait")));
    assert_eq!(told.recv().await, Some("waits"));
    waiting.abort();
    assert_eq!(told.recv().await, Some("reset"));
    sender.ready().await.expect("the connection lives");
}

#[tokio::test]
async fn the_limit_for_heads_does_not_end_http2_connections() {
    let site = Site::with(|config| config.limits.http_head_timeout = Duration::from_millis(20));
    site.endpoint("http://app.example.com", |mut peer, _| async move {
        while peer.head().await.is_some() {
            // Longer than the limit.
            tokio::time::sleep(Duration::from_millis(60)).await;
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        }
    });
    let mut sender = client(site.visit().await).await;
    for _ in 0..2 {
        let response = sender.send_request(get("http://app.example.com/")).await.expect("response");
        assert_eq!(response.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn idle_http2_connections_end_whatever_frames_they_send() {
    let site = Site::with(|config| config.limits.http_idle_timeout = Duration::from_millis(50));
    let mut visitor = site.visit().await;
    visitor.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    let (mut read, mut write) = tokio::io::split(visitor.io);
    let pings = async {
        while write.write_all(b"\0\0\x08\x06\0\0\0\0\0abcdefgh").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let mut end = Vec::new();
    let ended = async {
        // In good order or by a reset: what counts is that it ends.
        let _ = read.read_to_end(&mut end).await;
    };
    tokio::join!(pings, ended);
}

/// What an HTTP/2 client says before its first request.
const OPENING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Whether what the edge said ends with GOAWAY and ENHANCE_YOUR_CALM (RFC 9113 section 7).
fn is_calmed(said: &[u8]) -> bool {
    let goodbye = said.len().checked_sub(17).map(|at| &said[at..]).unwrap_or_default();
    goodbye.starts_with(&[0, 0, 8, 7]) && goodbye.ends_with(&[0, 0, 0, 0xb])
}

#[tokio::test]
async fn frames_without_effect_end_the_connection() {
    let site = Site::new();
    for frame in [
        &b"\0\0\x04\x08\0\0\0\0\0\0\0\0\x01"[..],
        b"\0\0\x08\x06\0\0\0\0\0pingping",
        b"\0\0\0\x04\0\0\0\0\0",
        b"\0\0\0\x77\0\0\0\0\0",
    ] {
        let mut visitor = site.visit_tls("app.example.com", true).await.into_io();
        visitor.write_all(OPENING).await.expect("write");
        let (mut read, mut write) = tokio::io::split(visitor);
        let flood = async {
            let many = frame.repeat(100);
            // The edge may cut us off at any point.
            while write.write_all(&many).await.is_ok() {}
        };
        let mut said = Vec::new();
        let listen = async {
            let _ = read.read_to_end(&mut said).await;
        };
        tokio::time::timeout(Duration::from_secs(20), async { tokio::join!(flood, listen) }).await.expect("an end");
        assert!(is_calmed(&said), "{frame:?}: {said:?}");
    }
}

#[tokio::test]
async fn a_head_that_does_not_come_ends_the_connection() {
    let site = Site::with(|config| config.limits.http_head_timeout = Duration::from_millis(50));
    // A frame that is announced and does not come; a block of which the last frame does not.
    for begun in [&b"\0\0\x10\x01\x04\0\0\0\x01\x82"[..], b"\0\0\x01\x01\0\0\0\0\x01\x82"] {
        let mut visitor = site.visit_tls("app.example.com", true).await.into_io();
        visitor.write_all(&[OPENING, begun].concat()).await.expect("write");
        let mut said = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(20), visitor.read_to_end(&mut said)).await;
        ended.expect("an end").expect("in good order");
        assert!(is_calmed(&said), "{said:?}");
    }
}

#[tokio::test]
async fn http2_visitors_are_held_to_the_rules_of_http1() {
    let site = Site::with(|config| config.limits.http_header_count = 20);
    let upstream = site.endpoint("https://app.example.com", mirror);
    let mut sender = client(site.visit_tls("app.example.com", true).await).await;
    let many: Vec<String> = (0..21).map(|number| format!("x-{number}")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "1")).collect();
    for (uri, fields, status) in [
        ("https://app.example.com/", &[("transfer_encoding", "chunked")][..], 400),
        ("https://app.example.com/", &[("content_length", "5")], 400),
        ("https://app.example.com/", &[("content-length", "00")], 400),
        ("ftp://app.example.com/", &[], 400),
        ("http://app.example.com/", &[], 400),
        ("https://app.example.com/", &many, 431),
    ] {
        let mut request = get(uri);
        for (name, value) in fields {
            request
                .headers_mut()
                .append(http::HeaderName::from_bytes(name.as_bytes()).expect("name"), value.parse().expect("value"));
        }
        let response = sender.send_request(request).await.expect("response");
        assert_eq!(response.status().as_u16(), status, "{uri} {fields:?}");
        let code = response.headers()["ngrok-error-code"].to_str().expect("text").to_owned();
        assert!(code.starts_with("ERR_PORTWAY_4"), "{code}");
    }
    assert_eq!(upstream.streams(), 0);
}

/// What a visitor that asks for much and reads nothing makes the edge hold, as docs/server.md says: the session's window and a chunk.
#[tokio::test(start_paused = true)]
async fn what_a_visitor_leaves_unread_is_bounded() {
    const STREAMS: usize = 16;
    const BUFFER: usize = 16 * 1024;
    let site = Site::new();
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    site.endpoint("https://app.example.com", move |mut peer, _| {
        let count = Arc::clone(&count);
        async move {
            peer.head().await.expect("a request");
            peer.send("HTTP/1.1 200 OK\r\n\r\n").await;
            let piece = vec![0; 64 * 1024];
            loop {
                count.fetch_add(peer.io.write(&piece).await.expect("write"), Ordering::SeqCst);
            }
        }
    });
    let mut visitor = site.visit_in_memory("app.example.com", BUFFER);
    // Every window as large as it can be (RFC 9113 section 6.9.2), so that it is not these that bound.
    visitor.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x06\x04\0\0\0\0\0\0\x04\x7f\xff\xff\xff").await;
    visitor.send(b"\0\0\x04\x08\0\0\0\0\0\x7f\xff\0\0").await;
    for stream in 0..STREAMS {
        let head = [&[0x82, 0x87, 0x84, 0x41, 15][..], b"app.example.com"].concat();
        visitor.send([&[0, 0, head.len() as u8, 1, 5, 0, 0, 0, 2 * stream as u8 + 1], &head[..]].concat()).await;
    }
    // The clock moves when nothing else can.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let held = (sent.load(Ordering::SeqCst) - BUFFER) / STREAMS;
    assert!((256 * 1024..=384 * 1024).contains(&held), "{held} a response");
}
