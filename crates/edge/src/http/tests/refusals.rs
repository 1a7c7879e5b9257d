//! What is refused: ambiguous requests, upstreams out of reach, limits.

use std::time::Duration;

use portway_mux::ErrorCode;

use super::fixture::{Site, field, mirror, status};

/// Requests that two parsers might read in two ways, or that nobody may send. `H` stands for a good Host line.
const AMBIGUOUS: &[&str] = &[
    // Two lengths.
    "POST / HTTP/1.1\r\nHContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "POST / HTTP/1.1\r\nHContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
    "POST / HTTP/1.1\r\nHContent-Length: 1, 1\r\n\r\na",
    "POST / HTTP/1.1\r\nHContent-Length: +5\r\n\r\nabcde",
    "POST / HTTP/1.1\r\nHContent-Length: 0x5\r\n\r\nabcde",
    "POST / HTTP/1.1\r\nHContent-Length: 5_0\r\n\r\nabcde",
    "POST / HTTP/1.1\r\nHContent-Length: -0\r\n\r\n",
    "POST / HTTP/1.1\r\nHContent-Length: \r\n\r\n",
    "POST / HTTP/1.1\r\nHContent-Length: 99999999999999999999\r\n\r\n",
    // Transfer codings.
    "POST / HTTP/1.1\r\nHTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHTransfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHTransfer-Encoding: identity\r\n\r\n",
    "POST / HTTP/1.1\r\nHTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHTransfer-Encoding: chunked\x0b\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.0\r\nHTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    // Lines and names.
    "GET / HTTP/1.1\nHost: app.example.com\n\n",
    "GET / HTTP/1.1\r\nHX: a\rb\r\n\r\n",
    "GET / HTTP/1.1\r\nHX: a\0b\r\n\r\n",
    "GET / HTTP/1.1\r\nH: empty\r\n\r\n",
    "GET / HTTP/1.1\r\nHX Y: z\r\n\r\n",
    "GET / HTTP/1.1\r\nHX\r\n\r\n",
    "GET / HTTP/1.1\r\nH folded: x\r\n\r\n",
    "GET / HTTP/1.1\r\nHX: y\r\n\rZ: x\r\n\r\n",
    // Hosts.
    "GET / HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.1\r\nHHost: app.example.com\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: \r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: user@app.example.com\r\n\r\n",
    "GET http://other.example.com/ HTTP/1.1\r\nH\r\n",
    "GET http://user@app.example.com/ HTTP/1.1\r\nH\r\n",
    // Methods, targets, versions.
    "CONNECT app.example.com:80 HTTP/1.1\r\nH\r\n",
    "GET app.example.com HTTP/1.1\r\nH\r\n",
    "GET  / HTTP/1.1\r\nH\r\n",
    "GET /a b HTTP/1.1\r\nH\r\n",
    "GET /a<b HTTP/1.1\r\nH\r\n",
    "GET /a`b HTTP/1.1\r\nH\r\n",
    "GET /?a=\"b\" HTTP/1.1\r\nH\r\n",
    "GET ftp://app.example.com/ HTTP/1.1\r\nH\r\n",
    "GET https://app.example.com/ HTTP/1.1\r\nH\r\n",
    "GET / HTTP/2.0\r\nH\r\n",
    "GET / HTTP/1.1x\r\nH\r\n",
    "G(T / HTTP/1.1\r\nH\r\n",
    "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n",
];

#[tokio::test]
async fn ambiguous_requests_are_refused_and_reach_nobody() {
    let site = Site::new();
    let upstream = site.endpoint("http://app.example.com", mirror);
    for request in AMBIGUOUS {
        let request = request.replacen("\r\nH\r\n", "\r\nHost: app.example.com\r\n\r\n", 1);
        let request = request.replacen("\r\nHHost: ", "\r\nHost: app.example.com\r\nHost: ", 1);
        let request = match request.split_once("\r\nH") {
            Some((line, rest)) if !rest.starts_with("ost: ") => format!("{line}\r\nHost: app.example.com\r\n{rest}"),
            _ => request,
        };
        let mut visitor = site.visit().await;
        visitor.send(&request).await;
        let (all, _) = visitor.rest().await;
        let status = if all.is_empty() { 0 } else { status(&all) };
        assert!(matches!(status, 400 | 414 | 431 | 501 | 505), "{request:?}: {all:?}");
        assert!(
            all.contains("ngrok-error-code: ERR_PORTWAY_4") || all.contains("ERR_PORTWAY_5"),
            "{request:?}: {all:?}"
        );
        assert_eq!(upstream.streams(), 0, "{request:?}");
    }
}

#[tokio::test]
async fn a_broken_body_is_refused_after_its_head() {
    let site = Site::new();
    site.endpoint("http://app.example.com", |mut peer, _| async move {
        peer.head().await.expect("a request");
        let (_, clean) = peer.rest().await;
        assert!(!clean, "the upstream must not take the request for whole");
    });
    for body in [
        "0x3\r\nabc\r\n0\r\n\r\n",
        "+3\r\nabc\r\n0\r\n\r\n",
        "3 \r\nabc\r\n0\r\n\r\n",
        "3\nabc\n0\n\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "11111111111111111\r\n",
        "3\r\nabc\r\n0\r\nContent-Length: 3\r\n\r\n",
        "3;a\rb\r\nabc\r\n0\r\n\r\n",
        "\0\r\n",
    ] {
        let mut visitor = site.visit().await;
        visitor
            .send(format!("POST / HTTP/1.1\r\nHost: app.example.com\r\nTransfer-Encoding: chunked\r\n\r\n{body}"))
            .await;
        let (all, _) = visitor.rest().await;
        assert!(all.starts_with("HTTP/1.1 400 ") && all.contains("ERR_PORTWAY_40001"), "{body:?}: {all:?}");
    }
}

#[tokio::test]
async fn requests_before_a_refused_one_are_answered() {
    let site = Site::new();
    let upstream = site.endpoint("http://app.example.com", mirror);
    for good in [
        "GET /good HTTP/1.1\r\nHost: app.example.com\r\n\r\n",
        "POST /good HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: 3\r\n\r\nabc",
    ] {
        let before = upstream.streams();
        let mut visitor = site.visit().await;
        visitor.send(format!("{good}{good}GET /bad HTTP/1.1\r\nHost: app.example.com\r\nX : y\r\n\r\n{good}")).await;
        for _ in 0..2 {
            let (head, body) = visitor.response().await;
            assert_eq!(status(&head), 200);
            assert!(body.contains("/good HTTP/1.1"), "{body}");
        }
        let (all, clean) = visitor.rest().await;
        assert!(clean && all.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{all:?}");
        assert_eq!(upstream.streams(), before + 1);
    }
}

#[tokio::test]
async fn requests_in_pieces_are_the_same_requests() {
    let site = Site::new();
    site.endpoint("http://app.example.com", mirror);
    let mut visitor = site.visit().await;
    let text = "POST /pieces HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: 3\r\n\r\nabcGET /two HTTP/1.1\r\nHost: app.example.com\r\n\r\n";
    for byte in text.as_bytes() {
        visitor.send([*byte]).await;
    }
    assert!(visitor.response().await.1.starts_with("POST /pieces "));
    assert!(visitor.response().await.1.starts_with("GET /two "));
}

#[tokio::test]
async fn heads_have_limits() {
    let site = Site::with(|config| config.limits.http_head_bytes = 32 * 1024);
    site.endpoint("http://app.example.com", mirror);
    for (request, expected) in [
        (format!("GET / HTTP/1.1\r\nHost: app.example.com\r\nX: {}\r\n\r\n", "x".repeat(40_000)), 431),
        (format!("GET / HTTP/1.1\r\nHost: app.example.com\r\n{}\r\n", "a: b\r\n".repeat(1000)), 431),
        (format!("GET /{} HTTP/1.1\r\nHost: app.example.com\r\n\r\n", "x".repeat(17_000)), 414),
        (format!("GET /{} HTTP/1.1\r\nHost: app.example.com\r\n\r\n", "x".repeat(15_000)), 200),
    ] {
        let mut visitor = site.visit().await;
        visitor.send(&request).await;
        assert_eq!(status(&visitor.response().await.0), expected);
    }
}

#[tokio::test]
async fn slow_heads_and_idle_connections_end() {
    let site = Site::with(|config| {
        config.limits.http_head_timeout = Duration::from_millis(50);
        config.limits.http_idle_timeout = Duration::from_millis(50);
    });
    site.endpoint("http://app.example.com", mirror);
    let mut slow = site.visit().await;
    slow.send("GET / HTTP/1.1\r\nHost: app.exa").await;
    let (all, clean) = slow.rest().await;
    assert!(clean && all.starts_with("HTTP/1.1 408 "), "{all:?}");
    let mut idle = site.visit().await;
    idle.send("GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n").await;
    idle.response().await;
    assert_eq!(idle.rest().await, (String::new(), true));
}

#[tokio::test]
async fn a_silent_upstream_is_given_up() {
    let site = Site::with(|config| config.limits.http_body_idle_timeout = Some(Duration::from_millis(50)));
    site.endpoint("http://app.example.com", |mut peer, _| async move {
        peer.head().await;
        peer.rest().await;
    });
    let mut visitor = site.visit().await;
    visitor.send("GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n").await;
    let (head, _) = visitor.response().await;
    assert_eq!((status(&head), field(&head, "ngrok-error-code")), (504, Some("ERR_NGROK_3008")));
}

#[tokio::test]
async fn the_agents_reason_is_told() {
    let site = Site::with(|config| config.http_port = 8080);
    const CODES: [(ErrorCode, u16, &str); 6] = [
        (ErrorCode::UPSTREAM_REFUSED, 502, "ERR_NGROK_8012"),
        (ErrorCode::UPSTREAM_TIMEOUT, 502, "ERR_NGROK_8012"),
        (ErrorCode::UPSTREAM_NAME, 502, "ERR_NGROK_8012"),
        (ErrorCode::UPSTREAM_TLS, 502, "ERR_NGROK_3002"),
        (ErrorCode::UNKNOWN_ENDPOINT, 502, "ERR_NGROK_3210"),
        (ErrorCode::AGENT_BUSY, 503, "ERR_PORTWAY_50301"),
    ];
    site.endpoint("http://app.example.com", |mut peer, number| async move {
        peer.io.reset(CODES[number].0);
    });
    let mut visitor = site.visit().await;
    for (_, expected, code) in CODES {
        visitor.send("GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n").await;
        let (head, body) = visitor.response().await;
        assert_eq!((status(&head), field(&head, "ngrok-error-code")), (expected, Some(code)), "{body}");
        assert_eq!(
            code == "ERR_NGROK_8012",
            body.contains("The agent of http://app.example.com:8080 is online"),
            "{body}"
        );
    }
}

#[tokio::test]
async fn an_agent_that_went_is_offline() {
    let site = Site::new();
    let upstream = site.endpoint("http://app.example.com", mirror);
    upstream.session.abort();
    upstream.session.closed().await;
    let mut visitor = site.visit().await;
    visitor.send("GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n").await;
    let (head, _) = visitor.response().await;
    assert_eq!((status(&head), field(&head, "ngrok-error-code")), (404, Some("ERR_NGROK_3200")));
}

#[tokio::test]
async fn a_draining_edge_ends_connections_between_requests() {
    let site = Site::new();
    let draining = site.edge.draining.clone();
    site.endpoint("http://app.example.com", move |mut peer, _| {
        let draining = draining.clone();
        async move {
            peer.head().await;
            draining.cancel();
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone").await;
            peer.head().await;
        }
    });
    let mut idle = site.visit().await;
    idle.send("GET / HTTP/1.1\r\nHost: nobody.example.com\r\n\r\n").await;
    idle.response().await;
    let mut visitor = site.visit().await;
    visitor.send("GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n").await;
    assert_eq!(visitor.response().await.1, "done");
    assert_eq!(visitor.rest().await, (String::new(), true));
    assert_eq!(idle.rest().await, (String::new(), true));
}

#[tokio::test]
async fn a_draining_edge_answers_those_who_have_just_come() {
    let site = Site::new();
    site.endpoint("http://app.example.com", mirror);
    let mut served = site.visit().await;
    served.send("GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n").await;
    served.response().await;
    let (mut visitor, mut silent) = (site.visit().await, site.visit().await);
    // One byte, so that it is being served.
    visitor.send("G").await;
    silent.send("G").await;
    site.edge.draining.cancel();
    assert_eq!(served.rest().await, (String::new(), true));
    visitor.send("ET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n").await;
    assert_eq!(status(&visitor.response().await.0), 200);
    assert_eq!(visitor.rest().await, (String::new(), true));
    silent.rest().await;
}
