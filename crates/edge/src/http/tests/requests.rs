//! Routing, fields, kept streams, pages.

use super::fixture::{Site, field, mirror, status};
use crate::endpoint::EndpointOptions;

#[tokio::test]
async fn requests_of_a_connection_share_a_stream_and_visitors_do_not() {
    let site = Site::new();
    let upstream = site.endpoint("http://app.example.com", mirror);
    let mut visitor = site.visit().await;
    for path in ["/one", "/two?x=1", "/three"] {
        visitor.send(format!("GET {path} HTTP/1.1\r\nHost: App.Example.com.:80\r\nX-Mine: 1\r\n\r\n")).await;
        let (head, body) = visitor.response().await;
        assert_eq!(status(&head), 200);
        assert!(body.starts_with(&format!("GET {path} HTTP/1.1\r\n")), "{body}");
        assert_eq!(field(&body, "host"), Some("App.Example.com.:80"));
        assert_eq!(field(&body, "x-mine"), Some("1"));
    }
    assert_eq!(upstream.streams(), 1);
    let mut other = site.visit().await;
    other.send("GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n").await;
    other.response().await;
    assert_eq!(upstream.streams(), 2);
}

#[tokio::test]
async fn the_edge_says_who_the_visitor_is_and_nobody_else_does() {
    let site = Site::new();
    site.endpoint("https://app.example.com", mirror);
    let mut visitor = site.visit_tls("app.example.com", false).await;
    visitor
        .send(
            "GET / HTTP/1.1\r\nHost: app.example.com\r\nX-Forwarded-For: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\n\
             Forwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nConnection: x-forwarded-for, x-forwarded-proto, x-gone\r\n\
             X-Gone: 1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: evil\r\n\r\n",
        )
        .await;
    let (_, body) = visitor.response().await;
    assert!(!body.contains("6.6.6.6") && !body.contains("evil") && !body.contains("x-gone"), "{body}");
    assert_eq!(field(&body, "x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(field(&body, "x-forwarded-proto"), Some("https"));
    assert_eq!(field(&body, "x-forwarded-host"), Some("app.example.com"));
    assert_eq!(field(&body, "forwarded"), Some("for=127.0.0.1;host=\"app.example.com\";proto=https"));
}

#[tokio::test]
async fn the_host_can_be_rewritten() {
    let site = Site::new();
    let options =
        EndpointOptions { host_header: Some("inner.local".parse().expect("value")), ..EndpointOptions::default() };
    site.endpoint_with("http://app.example.com", options, mirror);
    let mut visitor = site.visit().await;
    visitor.send("GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n").await;
    let (_, body) = visitor.response().await;
    assert_eq!(field(&body, "host"), Some("inner.local"));
    assert_eq!(field(&body, "x-forwarded-host"), Some("app.example.com"));
}

#[tokio::test]
async fn unknown_hosts_get_a_page_in_the_form_they_accept() {
    let site = Site::new();
    let mut visitor = site.visit().await;
    for (accept, content_type, part) in [
        ("*/*", "text/plain; charset=utf-8", "ERR_NGROK_3200\n"),
        ("text/html,*/*;q=0.8", "text/html; charset=utf-8", "<!doctype html>"),
        ("application/json", "application/json", "\"error_code\":\"ERR_NGROK_3200\""),
    ] {
        visitor.send(format!("GET / HTTP/1.1\r\nHost: nobody.example.com\r\nAccept: {accept}\r\n\r\n")).await;
        let (head, body) = visitor.response().await;
        assert_eq!(status(&head), 404);
        assert_eq!(field(&head, "ngrok-error-code"), Some("ERR_NGROK_3200"));
        assert_eq!(field(&head, "content-type"), Some(content_type));
        assert!(body.contains(part), "{body}");
    }
}

#[tokio::test]
async fn an_https_endpoint_sends_plain_visitors_there() {
    let site = Site::new();
    site.endpoint("https://app.example.com", mirror);
    let mut visitor = site.visit().await;
    visitor.send("POST /a?b=c HTTP/1.1\r\nHost: app.example.com:8080\r\nContent-Length: 0\r\n\r\n").await;
    let (head, _) = visitor.response().await;
    assert_eq!(status(&head), 308);
    assert_eq!(field(&head, "location"), Some("https://app.example.com:8443/a?b=c"));
}

#[tokio::test]
async fn a_name_of_another_endpoint_is_misdirected() {
    let site = Site::new();
    site.endpoint("https://a.example.com", mirror);
    site.endpoint("https://b.example.com", mirror);
    site.endpoint("https://*.wild.example.com", mirror);
    for (sni, host, expected) in [
        ("a.example.com", "a.example.com", 200),
        ("a.example.com", "A.EXAMPLE.COM.:443", 200),
        ("a.example.com", "b.example.com", 421),
        ("a.example.com", "nobody.example.com", 421),
        ("nobody.example.com", "a.example.com", 421),
        ("nobody.example.com", "nobody.example.com", 404),
        ("x.wild.example.com", "y.wild.example.com", 200),
        ("x.wild.example.com", "a.example.com", 421),
    ] {
        let mut visitor = site.visit_tls(sni, false).await;
        visitor.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        let (head, _) = visitor.response().await;
        assert_eq!(status(&head), expected, "{sni} {host}");
    }
}

#[tokio::test]
async fn absolute_targets_become_paths() {
    let site = Site::new();
    site.endpoint("http://app.example.com", mirror);
    let mut visitor = site.visit().await;
    for (target, line) in [
        ("http://app.example.com/x?y", "GET /x?y HTTP/1.1"),
        ("http://app.example.com", "GET / HTTP/1.1"),
        ("HTTP://APP.example.com:80/", "GET / HTTP/1.1"),
    ] {
        let host = if target.contains(":80") { "APP.example.com:80" } else { "app.example.com" };
        visitor.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        let (_, body) = visitor.response().await;
        assert_eq!(body.lines().next(), Some(line), "{target}");
    }
    visitor.send("OPTIONS * HTTP/1.1\r\nHost: app.example.com\r\n\r\n").await;
    assert!(visitor.response().await.1.starts_with("OPTIONS * HTTP/1.1\r\n"));
}

#[tokio::test]
async fn an_upstream_cannot_pose_as_the_edge() {
    let site = Site::new();
    site.endpoint("http://app.example.com", |mut peer, _| async move {
        peer.head().await;
        let fields = "ngrok-error-code: ERR_NGROK_3200\r\nKeep-Alive: timeout=5\r\nConnection: x-hop\r\nX-Hop: 1\r\nServer: mine";
        peer.send(format!("HTTP/1.1 200 Fine\r\n{fields}\r\nContent-Length: 2\r\n\r\nok")).await;
        peer.head().await;
    });
    let mut visitor = site.visit().await;
    visitor.send("GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n").await;
    let (head, body) = visitor.response().await;
    assert!(head.starts_with("HTTP/1.1 200 Fine\r\n"), "{head}");
    assert_eq!((field(&head, "server"), body.as_str()), (Some("mine"), "ok"));
    for gone in ["ngrok-error-code", "keep-alive", "x-hop", "connection"] {
        assert_eq!(field(&head, gone), None, "{head}");
    }
}

#[tokio::test]
async fn a_replaced_registration_gets_the_next_request() {
    let site = Site::new();
    let old = site.endpoint("http://app.example.com", mirror);
    let mut visitor = site.visit().await;
    visitor.send("GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n").await;
    visitor.response().await;
    let new = site.endpoint("http://app.example.com", mirror);
    visitor.send("GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n").await;
    visitor.response().await;
    assert_eq!((old.streams(), new.streams()), (1, 1));
    old.session.abort();
    visitor.send("GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n").await;
    visitor.response().await;
    assert_eq!(new.streams(), 1);
}

#[tokio::test]
async fn http10_is_served_and_closed() {
    let site = Site::new();
    site.endpoint("http://app.example.com", |mut peer, _| async move {
        let head = peer.head().await.expect("a request");
        assert!(head.starts_with("GET / HTTP/1.1\r\n"), "{head}");
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n").await;
        peer.head().await;
    });
    let mut visitor = site.visit().await;
    visitor.send("GET / HTTP/1.0\r\nHost: app.example.com\r\n\r\n").await;
    let (all, clean) = visitor.rest().await;
    assert!(clean && all.starts_with("HTTP/1.0 200 OK\r\n") && all.ends_with("\r\n\r\nabc"), "{all}");
}

#[tokio::test]
async fn a_kept_stream_that_died_is_replaced_once() {
    let site = Site::new();
    // The first stream answers one request, and dies when it gets the next.
    let upstream = site.endpoint("http://app.example.com", |mut peer, number| async move {
        while let Some(head) = peer.head().await {
            if number == 0 && head.starts_with("GET /2") {
                return;
            }
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        }
    });
    let mut visitor = site.visit().await;
    for path in ["/1", "/2", "/3"] {
        visitor.send(format!("GET {path} HTTP/1.1\r\nHost: app.example.com\r\n\r\n")).await;
        assert_eq!(status(&visitor.response().await.0), 200, "{path}");
    }
    assert_eq!(upstream.streams(), 2);
}

#[tokio::test]
async fn a_request_with_effects_is_not_repeated() {
    let site = Site::new();
    let upstream = site.endpoint("http://app.example.com", |mut peer, _| async move {
        peer.head().await;
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        peer.head().await;
    });
    let mut visitor = site.visit().await;
    visitor.send("GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n").await;
    visitor.response().await;
    visitor.send("POST / HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: 1\r\n\r\nx").await;
    let (head, _) = visitor.response().await;
    assert_eq!((status(&head), field(&head, "ngrok-error-code")), (502, Some("ERR_NGROK_3004")));
    assert_eq!(upstream.streams(), 1);
}

#[tokio::test]
async fn requests_are_noted_only_while_somebody_looks() {
    let site = Site::new();
    site.endpoint("http://app.example.com", mirror);
    let mut visitor = site.visit().await;
    for _ in 0..2 {
        visitor.send("GET /a/b?secret=1 HTTP/1.1\r\nHost: app.example.com\r\n\r\n").await;
        visitor.response().await;
        // The second request is looked for; the first was before anybody looked.
        assert!(site.edge.requests.look().len() <= 1);
    }
    visitor.send("GET / HTTP/1.1\r\nHost: nobody.example.com\r\n\r\n").await;
    visitor.response().await;
    let seen = site.edge.requests.look();
    let seen: Vec<_> = seen.iter().map(|r| (r.method.as_str(), r.host.as_str(), r.path.as_str(), r.status)).collect();
    assert_eq!(seen, [("GET", "app.example.com", "/a/b", 200), ("GET", "nobody.example.com", "/", 404)]);
}
