//! Webhooks: verified, forwarded as they came, and the questions of their providers.

use std::time::Duration;

use portway_traffic::Phase::HttpRequest;
use portway_traffic::WEBHOOK_BODY_MAX;
use serde_json::json;

use super::fixture::{Site, acting, field, status};
use crate::endpoint::EndpointOptions;
use crate::testing::soon;

/// HMAC-SHA256 of `Hello, World!` under `It's a Secret to Everybody`, from GitHub's documentation.
const SIGNED: &str = "X-Hub-Signature-256: sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17\r\n";
const START: &str = "POST /hook HTTP/1.1\r\nHost: app.example.com\r\n";

fn github() -> EndpointOptions {
    let config = json!({"provider": "github", "secret": "It's a Secret to Everybody"});
    acting(&[(HttpRequest, "verify-webhook", config)])
}

#[tokio::test]
async fn a_signed_request_is_forwarded_as_it_came() {
    let site = Site::new();
    let upstream = site.endpoint_with("http://app.example.com", github(), |mut peer, _| async move {
        while let Some(head) = peer.head().await {
            assert_eq!(field(&head, "expect"), None);
            assert_eq!(
                (field(&head, "content-length"), field(&head, "transfer-encoding")),
                (Some("13"), None),
                "{head}"
            );
            assert_eq!(peer.exactly(13).await, "Hello, World!");
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        }
    });
    let mut visitor = site.visit().await;
    visitor.send(format!("{START}{SIGNED}Content-Length: 13\r\n\r\nHello, World!")).await;
    assert_eq!(visitor.response().await.1, "ok");
    let chunked = "Transfer-Encoding: chunked\r\n\r\n5\r\nHello\r\n8\r\n, World!\r\n0\r\n\r\n";
    visitor.send(format!("{START}{SIGNED}{chunked}")).await;
    assert_eq!(visitor.response().await.1, "ok");
    visitor.send(format!("{START}{SIGNED}Expect: 100-continue\r\nContent-Length: 13\r\n\r\n")).await;
    assert_eq!(status(&visitor.head().await.expect("an interim response")), 100);
    visitor.send("Hello, World!").await;
    assert_eq!(visitor.response().await.1, "ok");
    assert_eq!(upstream.streams(), 1);
}

#[tokio::test]
async fn what_is_not_signed_goes_no_further() {
    let site = Site::new();
    let upstream = site.endpoint_with("http://app.example.com", github(), |_, _| async {});
    let mut visitor = site.visit().await;
    for request in [
        format!("{START}Content-Length: 13\r\n\r\nHello, World!"),
        format!("{START}{SIGNED}Content-Length: 13\r\n\r\nHello, World?"),
        format!("{START}{SIGNED}{SIGNED}Content-Length: 13\r\n\r\nHello, World!"),
        "GET /hook HTTP/1.1\r\nHost: app.example.com\r\n\r\n".to_owned(),
    ] {
        visitor.send(request).await;
        let (head, _) = visitor.response().await;
        assert_eq!((status(&head), field(&head, "ngrok-error-code")), (403, Some("ERR_NGROK_3204")));
    }
    assert_eq!(upstream.streams(), 0);
}

#[tokio::test]
async fn a_request_without_a_signature_is_refused_unread() {
    let site = Site::new();
    site.endpoint_with("http://app.example.com", github(), |_, _| async {});
    let mut visitor = site.visit().await;
    // The body never comes.
    visitor.send(format!("{START}Content-Length: 4000000\r\n\r\n")).await;
    let (head, _) = soon(visitor.response()).await;
    assert_eq!((status(&head), field(&head, "ngrok-error-code")), (403, Some("ERR_NGROK_3204")));
}

/// The clock moves when nothing else can.
#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_gives_its_room_back() {
    let site = Site::new();
    let options = github();
    let actions = options.actions.clone().expect("actions");
    site.endpoint_with("https://app.example.com", options, |_, _| async {});
    let mut visitor = site.visit_in_memory("app.example.com", 16 * 1024);
    visitor.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    // POST / with the field of the signature (RFC 7541 section 6.2.2), and a piece of the body.
    let head = [&[0x83, 0x87, 0x84, 0x41, 15][..], b"app.example.com", b"\0\x13x-hub-signature-256\x01x"].concat();
    visitor.send([&[0, 0, head.len() as u8, 1, 4, 0, 0, 0, 1], &head[..]].concat()).await;
    visitor.send(b"\0\0\x02\0\0\0\0\0\x01ab").await;
    tokio::time::sleep(Duration::from_secs(14)).await;
    assert!(actions.room(8 * WEBHOOK_BODY_MAX).is_none(), "it is being read");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(actions.room(8 * WEBHOOK_BODY_MAX).is_some());
}

#[tokio::test]
async fn bodies_are_limited() {
    let site = Site::new();
    site.endpoint_with("http://app.example.com", github(), |_, _| async {});
    let mut visitor = site.visit().await;
    visitor.send(format!("{START}{SIGNED}Content-Length: {}\r\n\r\n", WEBHOOK_BODY_MAX + 1)).await;
    let (head, _) = visitor.response().await;
    assert_eq!((status(&head), field(&head, "ngrok-error-code")), (413, Some("ERR_PORTWAY_41301")));

    let visitor = site.visit().await;
    let (mut read, mut write) = tokio::io::split(visitor.io);
    let sending = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        let _ = write.write_all(format!("{START}{SIGNED}Transfer-Encoding: chunked\r\n\r\n").as_bytes()).await;
        let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
        while write.write_all(chunk.as_bytes()).await.is_ok() {}
    });
    let mut got = Vec::new();
    while !got.windows(4).any(|window| window == b"\r\n\r\n") {
        assert!(tokio::io::AsyncReadExt::read_buf(&mut read, &mut got).await.expect("an answer") > 0);
    }
    assert!(got.starts_with(b"HTTP/1.1 413 "), "{}", String::from_utf8_lossy(&got));
    sending.abort();
}

#[tokio::test]
async fn room_for_bodies_is_limited_and_given_back() {
    let site = Site::new();
    let options = github();
    let actions = options.actions.clone().expect("actions");
    site.endpoint_with("http://app.example.com", options, |mut peer, _| async move {
        while peer.head().await.is_some() {
            peer.exactly(13).await;
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        }
    });
    let request = format!("{START}{SIGNED}Content-Length: 13\r\n\r\nHello, World!");
    let mut visitor = site.visit().await;
    let all = actions.room(8 * WEBHOOK_BODY_MAX).expect("all the room");
    visitor.send(&request).await;
    let (head, _) = visitor.response().await;
    assert_eq!((status(&head), field(&head, "ngrok-error-code")), (503, Some("ERR_PORTWAY_50304")));
    drop(all);
    visitor.send(&request).await;
    assert_eq!(visitor.response().await.1, "ok");
    assert!(actions.room(8 * WEBHOOK_BODY_MAX).is_some());
}

#[tokio::test]
async fn a_providers_question_is_answered_without_the_upstream() {
    let site = Site::new();
    let config = json!({"provider": "twitter", "secret": "It is a secret 123"});
    let options = acting(&[(HttpRequest, "verify-webhook", config)]);
    let upstream = site.endpoint_with("http://app.example.com", options, |_, _| async {});
    let mut visitor = site.visit().await;
    visitor.send("GET /hook?crc_token=OTgzMTc0OTM1 HTTP/1.1\r\nHost: app.example.com\r\n\r\n").await;
    let (head, body) = visitor.response().await;
    assert_eq!((status(&head), field(&head, "content-type")), (200, Some("application/json")));
    // Computed with Python's hmac.
    assert_eq!(body, "{\"response_token\":\"sha256=2X8dj7+vEv2rGK2ih4p9/7nSZBPqf+MLEu+vEHvKXbM=\"}");
    assert_eq!(upstream.streams(), 0);
}
