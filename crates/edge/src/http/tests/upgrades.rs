//! WebSocket and every other change of protocol.

use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::fixture::{Site, field, mirror, status};

const ASK: &str = "GET /ws HTTP/1.1\r\nHost: app.example.com\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Key: x\r\n\r\n";
const AGREE: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: y\r\n\r\n";

#[tokio::test]
async fn bytes_pass_raw_both_ways_and_each_way_ends_by_itself() {
    let site = Site::with(|config| {
        config.limits.http_head_timeout = Duration::from_millis(20);
        config.limits.http_idle_timeout = Duration::from_millis(20);
    });
    site.endpoint("http://app.example.com", |mut peer, _| async move {
        let head = peer.head().await.expect("a request");
        assert_eq!((field(&head, "connection"), field(&head, "upgrade")), (Some("upgrade"), Some("websocket")));
        assert_eq!(field(&head, "sec-websocket-key"), Some("x"));
        // The first words of the new protocol come with the answer.
        peer.send(format!("{AGREE}welcome")).await;
        assert_eq!(peer.exactly(19).await, "GET / not HTTP\r\n\r\n\x00");
        // The limits of HTTP do not hold for the new protocol.
        tokio::time::sleep(Duration::from_millis(60)).await;
        peer.send("echo").await;
        assert_eq!(peer.rest().await, (String::new(), true));
        peer.send("after your end").await;
        peer.io.shutdown().await.expect("end");
    });
    let mut visitor = site.visit().await;
    visitor.send(ASK).await;
    let head = visitor.head().await.expect("an answer");
    assert_eq!(
        (status(&head), field(&head, "upgrade"), field(&head, "connection")),
        (101, Some("websocket"), Some("upgrade"))
    );
    assert_eq!(field(&head, "sec-websocket-accept"), Some("y"));
    assert_eq!(visitor.exactly(7).await, "welcome");
    visitor.send("GET / not HTTP\r\n\r\n\x00").await;
    assert_eq!(visitor.exactly(4).await, "echo");
    visitor.io.shutdown().await.expect("end");
    assert_eq!(visitor.rest().await, ("after your end".to_owned(), true));
}

#[tokio::test]
async fn bytes_sent_before_the_answer_belong_to_whoever_it_decides() {
    let site = Site::new();
    site.endpoint("http://app.example.com", |mut peer, _| async move {
        let head = peer.head().await.expect("a request");
        if head.starts_with("GET /ws") {
            peer.send(AGREE).await;
            let ahead = peer.exactly(4).await;
            peer.send(ahead).await;
            peer.rest().await;
            return;
        }
        peer.send("HTTP/1.1 426 No\r\nContent-Length: 0\r\n\r\n").await;
        let head = peer.head().await.expect("the next request");
        assert!(head.starts_with("GET /next HTTP/1.1\r\n"), "{head}");
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext").await;
        peer.head().await;
    });
    let mut visitor = site.visit().await;
    visitor.send(format!("{ASK}ping")).await;
    assert_eq!(status(&visitor.head().await.expect("an answer")), 101);
    assert_eq!(visitor.exactly(4).await, "ping");

    let mut visitor = site.visit().await;
    let refused = ASK.replace("/ws", "/no");
    visitor.send(format!("{refused}GET /next HTTP/1.1\r\nHost: app.example.com\r\n\r\n")).await;
    assert_eq!(status(&visitor.response().await.0), 426);
    assert_eq!(visitor.response().await.1, "next");
}

#[tokio::test]
async fn http2_in_the_clear_is_no_upgrade() {
    let site = Site::new();
    site.endpoint("http://app.example.com", mirror);
    let mut visitor = site.visit().await;
    let fields = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__";
    for _ in 0..2 {
        visitor.send(format!("GET / HTTP/1.1\r\nHost: app.example.com\r\n{fields}\r\n\r\n")).await;
        let (head, body) = visitor.response().await;
        assert_eq!(status(&head), 200);
        assert_eq!(
            (field(&body, "upgrade"), field(&body, "http2-settings"), field(&body, "connection")),
            (None, None, None)
        );
    }
}

#[tokio::test]
async fn a_visitor_who_leaves_an_open_upgrade_resets_the_stream() {
    let site = Site::new();
    let (left, mut seen) = tokio::sync::mpsc::channel(1);
    site.endpoint("http://app.example.com", move |mut peer, _| {
        let left = left.clone();
        async move {
            peer.head().await.expect("a request");
            left.send("asked").await.expect("test");
            let (_, clean) = peer.rest().await;
            assert!(!clean);
            left.send("gone").await.expect("test");
        }
    });
    let mut visitor = site.visit().await;
    visitor.send(ASK).await;
    assert_eq!(seen.recv().await, Some("asked"));
    drop(visitor);
    assert_eq!(seen.recv().await, Some("gone"));
}

#[tokio::test]
async fn an_upstream_that_breaks_off_an_open_upgrade_cuts_the_visitor() {
    let site = Site::new();
    site.endpoint("http://app.example.com", |mut peer, _| async move {
        peer.head().await.expect("a request");
        peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nabc").await;
        peer.exactly(3).await;
        // Dropped: a reset.
    });
    let mut visitor = site.visit().await;
    visitor.send(ASK).await;
    visitor.head().await.expect("a 101");
    assert_eq!(visitor.exactly(3).await, "abc");
    visitor.send("xyz").await;
    let (_, clean) = visitor.rest().await;
    assert!(!clean, "what broke off looks whole");
}
