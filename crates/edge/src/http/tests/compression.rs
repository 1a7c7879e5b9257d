//! Responses that are compressed on their way.

use std::io::Read;

use portway_traffic::Phase::HttpResponse;
use serde_json::json;
use tokio::sync::mpsc;

use super::fixture::{Peer, Site, acting, field, status};

type Visitor = Peer<tokio::net::TcpStream>;

/// Data of the chunks up to the last one.
async fn chunks(visitor: &mut Visitor) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(chunk) = chunk(visitor).await {
        all.extend(chunk);
    }
    all
}

/// The next chunk; none at the last one.
async fn chunk(visitor: &mut Visitor) -> Option<Vec<u8>> {
    let size = visitor.until("\r\n").await;
    let size = usize::from_str_radix(size.trim(), 16).expect("a size");
    let data = visitor.exactly(size + 2).await;
    (size > 0).then(|| data[..size].to_vec())
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).expect("gzip");
    plain
}

async fn ask(visitor: &mut Visitor, method: &str, path: &str, accept: &str) -> String {
    let line = if accept.is_empty() { String::new() } else { format!("Accept-Encoding: {accept}\r\n") };
    visitor.send(format!("{method} {path} HTTP/1.1\r\nHost: app.example.com\r\n{line}\r\n")).await;
    visitor.head().await.expect("a response")
}

fn site() -> Site {
    let site = Site::new();
    let options = acting(&[(HttpResponse, "compress-response", json!({}))]);
    site.endpoint_with("http://app.example.com", options, |mut peer, _| async move {
        while let Some(head) = peer.head().await {
            let (fields, body) = match head.split(' ').nth(1).expect("a path") {
                "/plain" => ("ETag: \"1\"\r\n", "hello ".repeat(20_000)),
                "/encoded" => ("Content-Encoding: br\r\n", "encoded".to_owned()),
                "/fixed" => ("Cache-Control: no-transform\r\n", "fixed".to_owned()),
                path => panic!("{path}"),
            };
            let text = if head.starts_with("HEAD") { "" } else { &body };
            peer.send(format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\n\r\n{text}", body.len())).await;
        }
    });
    site
}

#[tokio::test]
async fn a_response_is_compressed_as_the_visitor_likes_it() {
    let site = site();
    let mut visitor = site.visit().await;
    let plain = "hello ".repeat(20_000);
    for (accept, coding) in [("gzip", "gzip"), ("deflate, gzip;q=0.1", "deflate"), ("gzip, br", "br")] {
        let head = ask(&mut visitor, "GET", "/plain", accept).await;
        assert_eq!(field(&head, "content-encoding"), Some(coding), "{head}");
        assert_eq!((field(&head, "content-length"), field(&head, "vary")), (None, Some("Accept-Encoding")));
        assert_eq!(field(&head, "etag"), Some("W/\"1\""));
        let body = chunks(&mut visitor).await;
        assert!(body.len() < 5_000, "{}", body.len());
        let mut decoded = Vec::new();
        match coding {
            "gzip" => decoded = gunzip(&body),
            "deflate" => drop(flate2::read::ZlibDecoder::new(&body[..]).read_to_end(&mut decoded).expect("zlib")),
            _ => drop(brotli::Decompressor::new(&body[..], 4096).read_to_end(&mut decoded).expect("brotli")),
        }
        assert_eq!(decoded, plain.as_bytes());
    }
    let head = ask(&mut visitor, "GET", "/plain", "").await;
    assert_eq!((field(&head, "content-encoding"), field(&head, "vary")), (None, Some("Accept-Encoding")));
    assert_eq!(visitor.exactly(plain.len()).await, plain);
}

#[tokio::test]
async fn what_must_not_change_does_not() {
    let site = site();
    let mut visitor = site.visit().await;
    for (path, coding) in [("/encoded", Some("br")), ("/fixed", None)] {
        let head = ask(&mut visitor, "GET", path, "gzip").await;
        assert_eq!((field(&head, "content-encoding"), field(&head, "vary")), (coding, None));
        assert_eq!(visitor.exactly(path.len() - 1).await, path[1..]);
    }
    let head = ask(&mut visitor, "HEAD", "/plain", "gzip").await;
    assert_eq!((field(&head, "content-length"), field(&head, "content-encoding")), (Some("120000"), None));
    // Pages of the edge are not compressed.
    visitor.send("GET / HTTP/1.1\r\nHost: no.example.com\r\nAccept-Encoding: gzip\r\n\r\n").await;
    let (head, body) = visitor.response().await;
    assert_eq!((status(&head), field(&head, "content-encoding")), (404, None));
    assert!(body.contains("ERR_NGROK_3200"));
}

#[tokio::test]
async fn each_event_arrives_before_the_next_is_sent() {
    let site = Site::new();
    let options = acting(&[(HttpResponse, "compress-response", json!({"algorithms": ["gzip"]}))]);
    let (next, events) = mpsc::channel::<String>(1);
    let events = std::sync::Arc::new(tokio::sync::Mutex::new(events));
    site.endpoint_with("http://app.example.com", options, move |mut peer, _| {
        let events = std::sync::Arc::clone(&events);
        async move {
            peer.head().await.expect("a request");
            let fields = "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked";
            peer.send(format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n")).await;
            while let Some(event) = events.lock().await.recv().await {
                peer.send(format!("{:x}\r\n{event}\r\n", event.len())).await;
            }
            peer.send("0\r\n\r\n").await;
            peer.head().await;
        }
    });
    let mut visitor = site.visit().await;
    let head = ask(&mut visitor, "GET", "/", "gzip").await;
    assert_eq!(field(&head, "content-encoding"), Some("gzip"));
    let mut decoder = flate2::write::GzDecoder::new(Vec::new());
    for number in 0..5 {
        let event = format!("data: {number}\n\n");
        next.send(event.clone()).await.expect("an upstream");
        while !decoder.get_ref().ends_with(event.as_bytes()) {
            let chunk = chunk(&mut visitor).await.expect("a chunk");
            std::io::Write::write_all(&mut decoder, &chunk).expect("gzip");
            std::io::Write::flush(&mut decoder).expect("gzip");
        }
    }
    drop(next);
    while let Some(chunk) = chunk(&mut visitor).await {
        std::io::Write::write_all(&mut decoder, &chunk).expect("gzip");
    }
    let all: String = (0..5).map(|number| format!("data: {number}\n\n")).collect();
    assert_eq!(decoder.finish().expect("a whole encoding"), all.as_bytes());
}

#[tokio::test]
async fn a_response_that_breaks_off_is_no_whole_one() {
    let site = Site::new();
    let options = acting(&[(HttpResponse, "compress-response", json!({}))]);
    let seen = std::sync::Arc::new(tokio::sync::Notify::new());
    let wait = std::sync::Arc::clone(&seen);
    site.endpoint_with("http://app.example.com", options, move |mut peer, _| {
        let wait = std::sync::Arc::clone(&wait);
        async move {
            peer.head().await.expect("a request");
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await;
            wait.notified().await;
            peer.io.reset(portway_mux::ErrorCode::INTERNAL);
        }
    });
    let mut visitor = site.visit().await;
    let head = ask(&mut visitor, "GET", "/", "gzip").await;
    assert_eq!(field(&head, "content-encoding"), Some("gzip"));
    seen.notify_one();
    let (rest, clean) = visitor.rest().await;
    assert!(!clean || !rest.ends_with("0\r\n\r\n"), "{rest:?}");
}
