//! Bodies of every kind, both ways, and how they break.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;

use super::fixture::{Site, field, status};

/// Enough to fill every buffer and window on the way many times.
const LARGE: usize = 64 * 1024 * 1024;

#[tokio::test]
async fn large_bodies_pass_both_ways_unchanged() {
    let site = Site::new();
    site.endpoint("http://app.example.com", |mut peer, _| async move {
        let head = peer.head().await.expect("a request");
        peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n")).await;
        assert_eq!(field(&head, "content-length"), Some(LARGE.to_string().as_str()));
        let mut left = LARGE;
        while left > 0 {
            let chunk = peer.exactly(left.min(256 * 1024)).await;
            left -= chunk.len();
            peer.send(chunk).await;
        }
        peer.head().await;
    });
    let visitor = site.visit().await;
    let (mut read, mut write) = tokio::io::split(visitor.io);
    let sent = tokio::spawn(async move {
        let mut hash = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        write
            .write_all(format!("PUT / HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: {LARGE}\r\n\r\n").as_bytes())
            .await?;
        for round in 0..LARGE / 65_536 {
            let chunk: Vec<u8> = (0..65_536).map(|at| (at * 31 + round * 7 + at / 251) as u8).collect();
            hash.update(&chunk);
            write.write_all(&chunk).await?;
        }
        std::io::Result::Ok((hash.finish(), write))
    });
    let mut buffer = Vec::new();
    while !buffer.windows(4).any(|window| window == b"\r\n\r\n") {
        tokio::io::AsyncReadExt::read_buf(&mut read, &mut buffer).await.expect("head");
    }
    let end = buffer.windows(4).position(|window| window == b"\r\n\r\n").expect("head") + 4;
    let mut hash = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    let mut got = buffer.len() - end;
    hash.update(&buffer[end..]);
    let mut chunk = vec![0; 256 * 1024];
    while got < LARGE {
        let read = tokio::io::AsyncReadExt::read(&mut read, &mut chunk).await.expect("body");
        assert!(read > 0, "the end came after {got}");
        hash.update(&chunk[..read]);
        got += read;
    }
    let (expected, _write) = sent.await.expect("writer").expect("write");
    assert_eq!(hash.finish().as_ref(), expected.as_ref());
}

#[tokio::test]
async fn chunked_bodies_and_trailers_pass() {
    let site = Site::new();
    let upstream = site.endpoint("http://app.example.com", |mut peer, _| async move {
        for _ in 0..2 {
            let head = peer.head().await.expect("a request");
            assert_eq!(field(&head, "transfer-encoding"), Some("chunked"));
            assert_eq!(field(&head, "te"), Some("trailers"));
            let body = peer.until("0\r\nx-sum: 5\r\n\r\n").await;
            assert!(body.contains("hello"), "{body}");
            peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, Content-Length\r\n\r\n").await;
            peer.send("2\r\nab\r\n0\r\nX-Sum: 9\r\nngrok-error-code: x\r\n\r\n").await;
        }
        peer.head().await;
    });
    let mut visitor = site.visit().await;
    for method in ["POST", "GET"] {
        let fields =
            "Host: app.example.com\r\nTE: trailers\r\nConnection: TE\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum";
        visitor.send(format!("{method} / HTTP/1.1\r\n{fields}\r\n\r\n5;ext=1\r\nhello\r\n0\r\nX-Sum: 5\r\n\r\n")).await;
        let all = visitor.until("x-sum: 9\r\n\r\n").await;
        assert!(all.starts_with("HTTP/1.1 200 OK\r\n") && all.contains("2\r\nab\r\n0\r\n"), "{all}");
        assert!(!all.contains("ngrok"), "{all}");
    }
    assert_eq!(upstream.streams(), 1);
}

#[tokio::test]
async fn events_arrive_one_by_one() {
    let site = Site::new();
    let seen = Arc::new(Notify::new());
    let wait = Arc::clone(&seen);
    site.endpoint("http://app.example.com", move |mut peer, _| {
        let wait = Arc::clone(&wait);
        async move {
            peer.head().await;
            peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n").await;
            // The second is sent only after the visitor has the first.
            wait.notified().await;
            peer.send("data: 2\n\n").await;
            peer.io.shutdown().await.expect("end");
            peer.rest().await;
        }
    });
    let mut visitor = site.visit().await;
    visitor.send("GET /events HTTP/1.1\r\nHost: app.example.com\r\n\r\n").await;
    visitor.until("data: 1\n\n").await;
    seen.notify_one();
    visitor.until("data: 2\n\n\r\n0\r\n\r\n").await;
}

#[tokio::test]
async fn the_body_waits_for_the_upstreams_100() {
    let site = Site::new();
    let upstream = site.endpoint("http://app.example.com", |mut peer, _| async move {
        let head = peer.head().await.expect("a request");
        assert_eq!(field(&head, "expect"), Some("100-continue"));
        peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n").await;
        assert_eq!(peer.exactly(5).await, "hello");
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        peer.head().await.expect("a second request");
        peer.send("HTTP/1.1 417 No\r\nContent-Length: 2\r\n\r\nno").await;
        peer.rest().await;
    });
    let mut visitor = site.visit().await;
    let request = "PUT / HTTP/1.1\r\nHost: app.example.com\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    visitor.send(request).await;
    let hints = visitor.head().await.expect("hints");
    assert!(hints.starts_with("HTTP/1.1 103 ") && field(&hints, "link") == Some("</a.css>"), "{hints}");
    assert_eq!(visitor.head().await.as_deref(), Some("HTTP/1.1 100 Continue\r\n\r\n"));
    visitor.send("hello").await;
    assert_eq!(status(&visitor.response().await.0), 200);
    // Refused: the body is never asked for, and where the next request would begin is not known, so the connection ends.
    visitor.send(request).await;
    let (head, body) = visitor.response().await;
    assert_eq!((status(&head), body.as_str(), field(&head, "connection")), (417, "no", Some("close")));
    assert_eq!(upstream.streams(), 1);
}

#[tokio::test]
async fn an_early_response_reaches_the_visitor() {
    let site = Site::new();
    site.endpoint("http://app.example.com", |mut peer, _| async move {
        peer.head().await.expect("a request");
        peer.send("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig").await;
        peer.io.shutdown().await.expect("end");
        peer.rest().await;
    });
    let mut visitor = site.visit().await;
    visitor.send("PUT / HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: 1000000\r\n\r\nonly the beginning").await;
    let (head, body) = visitor.response().await;
    assert_eq!((status(&head), body.as_str()), (413, "big"));
}

#[tokio::test]
async fn a_body_may_outlast_its_response() {
    let site = Site::new();
    let upstream = site.endpoint("http://app.example.com", |mut peer, _| async move {
        peer.head().await.expect("a request");
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        assert_eq!(peer.exactly(10).await, "helloworld");
        peer.head().await.expect("the next request");
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext").await;
        peer.head().await;
    });
    let mut visitor = site.visit().await;
    visitor.send("PUT / HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: 10\r\n\r\nhello").await;
    assert_eq!(visitor.response().await.1, "ok");
    visitor.send("world").await;
    visitor.send("GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n").await;
    assert_eq!(visitor.response().await.1, "next");
    assert_eq!(upstream.streams(), 1);
}

#[tokio::test]
async fn a_visitor_who_leaves_resets_the_stream() {
    let site = Site::new();
    let (gone, begun) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, ready) = (Arc::clone(&gone), Arc::clone(&begun));
    site.endpoint("http://app.example.com", move |mut peer, _| {
        let (tell, ready) = (Arc::clone(&tell), Arc::clone(&ready));
        async move {
            peer.head().await.expect("a request");
            ready.notify_one();
            let (_, clean) = peer.rest().await;
            assert!(!clean, "the stream was to be reset, not ended");
            tell.notify_one();
        }
    });
    for request in [
        "GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: 9\r\n\r\nabc",
    ] {
        let mut visitor = site.visit().await;
        visitor.send(request).await;
        begun.notified().await;
        drop(visitor);
        gone.notified().await;
    }
}

#[tokio::test]
async fn a_broken_response_never_looks_whole() {
    let site = Site::new();
    site.endpoint("http://app.example.com", |mut peer, _| async move {
        let head = peer.head().await.expect("a request");
        let begin = match &head[..6] {
            "GET /l" => "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
            "GET /c" => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
            "GET /b" => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nxyz\r\n",
            _ => "HTTP/1.1 200 OK\r\n\r\nabc",
        };
        peer.send(begin).await;
        if !head.starts_with("GET /r") {
            peer.io.shutdown().await.expect("end");
            peer.rest().await;
        }
        // Dropped: a reset.
    });
    for path in ["/length", "/chunked", "/badchunk", "/reset"] {
        let mut visitor = site.visit().await;
        visitor.send(format!("GET {path} HTTP/1.1\r\nHost: app.example.com\r\nConnection: close\r\n\r\n")).await;
        let (all, _) = visitor.rest().await;
        assert!(!all.ends_with("0\r\n\r\n"), "{path}: {all}");
        assert!(
            all.contains("content-length: 10") || all.contains("chunked") || all.starts_with("HTTP/1.1 502"),
            "{path}: {all}"
        );
        // Over HTTP/1.0 the end of the connection would be the end of the body.
        let mut visitor = site.visit().await;
        visitor.send(format!("GET {path} HTTP/1.0\r\nHost: app.example.com\r\n\r\n")).await;
        let (all, clean) = visitor.rest().await;
        assert!(!clean || all.starts_with("HTTP/1.0 502"), "{path}: {all}");
    }
}

#[tokio::test]
async fn a_response_that_outlasts_the_edge_never_looks_whole() {
    let site = Site::new();
    site.endpoint("http://app.example.com", |mut peer, _| async move {
        let head = peer.head().await.expect("a request");
        let upgraded = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nabc";
        peer.send(if head.contains("upgrade") { upgraded } else { "HTTP/1.1 200 OK\r\n\r\nabc" }).await;
        peer.rest().await;
    });
    let mut visitors = Vec::new();
    for rest in ["HTTP/1.0", "HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: x"] {
        let mut visitor = site.visit().await;
        visitor.send(format!("GET / {rest}\r\nHost: app.example.com\r\n\r\n")).await;
        visitor.until("abc").await;
        visitors.push(visitor);
    }
    site.edge.stopped.cancel();
    for mut visitor in visitors {
        assert_eq!(visitor.rest().await, (String::new(), false));
    }
}

#[tokio::test]
async fn a_visitor_who_takes_nothing_for_too_long_is_not_told_an_end() {
    let site = Site::with(|config| config.limits.http_body_idle_timeout = Some(Duration::from_millis(100)));
    let given_up = Arc::new(Notify::new());
    let tell = Arc::clone(&given_up);
    site.endpoint("http://app.example.com", move |mut peer, _| {
        let tell = Arc::clone(&tell);
        async move {
            peer.head().await.expect("a request");
            peer.send("HTTP/1.1 200 OK\r\n\r\n").await;
            while peer.io.write_all(&[0; 65_536]).await.is_ok() {}
            tell.notify_one();
        }
    });
    let mut visitor = site.visit().await;
    visitor.send("GET / HTTP/1.0\r\nHost: app.example.com\r\n\r\n").await;
    given_up.notified().await;
    assert!(!visitor.rest().await.1);
}

#[tokio::test]
async fn responses_without_a_body_have_none() {
    let site = Site::new();
    let upstream = site.endpoint("http://app.example.com", |mut peer, _| async move {
        for response in
            ["200 OK\r\nContent-Length: 5", "204 No Content", "304 Not Modified\r\nETag: x\r\nContent-Length: 5"]
        {
            peer.head().await.expect("a request");
            peer.send(format!("HTTP/1.1 {response}\r\n\r\n")).await;
        }
        peer.head().await;
    });
    let mut visitor = site.visit().await;
    for (method, expected) in [("HEAD", 200), ("GET", 204), ("GET", 304)] {
        visitor.send(format!("{method} / HTTP/1.1\r\nHost: app.example.com\r\n\r\n")).await;
        let head = visitor.head().await.expect("a response");
        assert_eq!(status(&head), expected);
        if method == "HEAD" {
            assert_eq!(field(&head, "content-length"), Some("5"));
        }
    }
    assert_eq!(upstream.streams(), 1);
}

#[tokio::test]
async fn a_response_that_lies_is_not_trusted() {
    let site = Site::new();
    let upstream = site.endpoint("http://app.example.com", |mut peer, number| async move {
        let responses = [
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokk",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nok",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            "SSH-2.0-OpenSSH\r\n\r\n",
            "",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        ];
        peer.head().await.expect("a request");
        peer.send(responses[number]).await;
        if !responses[number].is_empty() {
            peer.rest().await;
        }
    });
    let mut visitor = site.visit().await;
    for expected in [200, 502, 502, 502, 502, 502, 502, 502, 502, 200] {
        visitor.send("GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n").await;
        let (head, body) = visitor.response().await;
        assert_eq!(status(&head), expected, "{head}{body}");
        assert!(!body.contains("evil"));
        if expected == 502 {
            assert_eq!(field(&head, "ngrok-error-code"), Some("ERR_NGROK_3004"), "{head}{body}");
        }
    }
    assert_eq!(upstream.streams(), 10);
}
