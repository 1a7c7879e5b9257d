//! What counts as a failure of the upstream, and what is its visitors' doing.

use portway_mux::{ErrorCode, Stream};
use portway_traffic::Phase::HttpRequest;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use super::fixture::{Peer, Site, acting, field, status};
use crate::endpoint::EndpointOptions;
use crate::testing::soon;

const GET: &str = "GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n";

/// A circuit breaker that one failure among two requests opens.
fn fragile() -> EndpointOptions {
    let config =
        json!({"volume_threshold": 2, "error_threshold": 0.1, "window_duration": "2m", "tripped_duration": "2m"});
    acting(&[(HttpRequest, "circuit-breaker", config)])
}

/// Puts an endpoint online that answers requests without a body; of those with one it tells when they begin and when they end.
fn uploads(site: &Site) -> mpsc::Receiver<&'static str> {
    let (tell, told) = mpsc::channel(4);
    site.endpoint_with("https://app.example.com", fragile(), move |peer: Peer<Stream>, _| {
        let (tell, mut peer) = (tell.clone(), peer);
        async move {
            while let Some(head) = peer.head().await {
                if head.starts_with("POST") {
                    tell.send("begun").await.expect("test");
                    assert!(!peer.rest().await.1, "a reset, not an end");
                    tell.send("over").await.expect("test");
                    return;
                }
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            }
        }
    });
    told
}

async fn is_closed(site: &Site) -> bool {
    let mut visitor = site.visit_tls("app.example.com", false).await;
    visitor.send(GET).await;
    let answers = [visitor.response().await, {
        visitor.send(GET).await;
        visitor.response().await
    }];
    answers.iter().all(|(head, _)| status(head) == 200)
}

#[tokio::test]
async fn http1_visitors_that_break_their_requests_do_not_open_it() {
    let site = Site::new();
    let mut told = uploads(&site);
    for (begin, end) in [
        ("Content-Length: 10\r\n\r\nab", ""),
        ("Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", ""),
        ("Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", "zz\r\n"),
    ] {
        let mut visitor = site.visit_tls("app.example.com", false).await;
        visitor.send(format!("POST / HTTP/1.1\r\nHost: app.example.com\r\n{begin}")).await;
        assert_eq!(soon(told.recv()).await, Some("begun"));
        visitor.send(end).await;
        visitor.io.shutdown().await.expect("the other half");
        assert_eq!(soon(told.recv()).await, Some("over"));
    }
    assert!(is_closed(&site).await);
}

#[tokio::test]
async fn http2_visitors_that_break_their_requests_do_not_open_it() {
    let site = Site::new();
    let mut told = uploads(&site);
    let mut visitor = site.visit_tls("app.example.com", true).await;
    visitor.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    let reset = |code: u8| (3, 0, vec![0, 0, 0, code]);
    for (stream, (kind, flags, payload)) in [
        // NO_ERROR, CANCEL, PROTOCOL_ERROR; an end before what was announced; more than that.
        (1, reset(0)),
        (3, reset(8)),
        (5, reset(1)),
        (7, (0, 1, b"cd".to_vec())),
        (9, (0, 1, b"0123456789".to_vec())),
    ] {
        let frame = |kind: u8, flags: u8, payload: &[u8]| {
            [&[0, 0, payload.len() as u8, kind, flags, 0, 0, 0, stream], payload].concat()
        };
        // POST https://app.example.com/ with a Content-Length of 10 (RFC 7541 section 6.2.1).
        let head = [&[0x83, 0x87, 0x84, 0x41, 15][..], b"app.example.com", b"\x5c\x0210"].concat();
        visitor.send([frame(1, 4, &head), frame(0, 0, b"ab")].concat()).await;
        assert_eq!(soon(told.recv()).await, Some("begun"));
        visitor.send(frame(kind, flags, &payload)).await;
        assert_eq!(soon(told.recv()).await, Some("over"));
    }
    assert!(is_closed(&site).await);
}

#[tokio::test]
async fn what_comes_of_a_body_that_does_not_come_counts_neither_way() {
    let site = Site::new();
    site.endpoint_with("https://app.example.com", fragile(), |mut peer, _| async move {
        while let Some(head) = peer.head().await {
            match head.split(' ').nth(1) {
                // As services do that have waited long enough for a body.
                Some("/close") => return,
                Some("/error") => peer.send("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n").await,
                _ => peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await,
            }
        }
    });
    let ask = async |path: &str, length: usize| {
        let mut visitor = site.visit_tls("app.example.com", false).await;
        let field = format!("Content-Length: {length}");
        visitor.send(format!("POST {path} HTTP/1.1\r\nHost: app.example.com\r\n{field}\r\n\r\n")).await;
        status(&visitor.response().await.0)
    };
    for (path, expected) in [("/close", 502), ("/error", 500), ("/close", 502), ("/error", 500)] {
        assert_eq!(ask(path, 10).await, expected);
    }
    assert_eq!(ask("/", 0).await, 200);
    // With all of the request there it is the service's doing.
    assert_eq!(ask("/close", 0).await, 502);
    assert_eq!(ask("/", 0).await, 503);
}

#[tokio::test]
async fn a_full_agent_is_no_failing_one() {
    let site = Site::new();
    let upstream = site.endpoint_with("https://app.example.com", fragile(), |mut peer, _| async move {
        peer.io.reset(ErrorCode::AGENT_BUSY);
    });
    let mut visitor = site.visit_tls("app.example.com", false).await;
    for _ in 0..4 {
        visitor.send(GET).await;
        let (head, _) = visitor.response().await;
        assert_eq!(field(&head, "ngrok-error-code"), Some("ERR_PORTWAY_50301"));
    }
    assert_eq!(upstream.streams(), 4);
}
