//! Who may ask, what changes on the way, and an upstream that is left alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use portway_traffic::Phase::{HttpRequest, HttpResponse, TcpConnect};
use portway_traffic::{Action, Actions};
use serde_json::json;

use super::fixture::{Site, acting, field, mirror, status};
use crate::actions::EndpointActions;
use crate::endpoint::EndpointOptions;
use crate::replica::Replica;
use crate::testing::account;

const GET: &str = "GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n";

#[tokio::test]
async fn visitors_from_elsewhere_are_refused_before_the_upstream_hears_of_them() {
    let site = Site::new();
    let denied = acting(&[(TcpConnect, "restrict-ips", json!({"deny": ["127.0.0.0/8"]}))]);
    let allowed = acting(&[(HttpRequest, "restrict-ips", json!({"allow": ["::ffff:127.0.0.1"]}))]);
    let upstream = site.endpoint_with("http://app.example.com", denied, mirror);
    site.endpoint_with("http://other.example.com", allowed, mirror);
    let mut visitor = site.visit().await;
    // What visitors say themselves of where they come from decides nothing.
    visitor.send("GET / HTTP/1.1\r\nHost: app.example.com\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n").await;
    let (head, body) = visitor.response().await;
    assert_eq!((status(&head), field(&head, "ngrok-error-code")), (403, Some("ERR_NGROK_3205")), "{body}");
    visitor.send(GET.replace("app", "other")).await;
    assert_eq!(status(&visitor.response().await.0), 200);
    assert_eq!(upstream.streams(), 0);
}

#[tokio::test]
async fn programs_are_told_apart_by_their_name() {
    let site = Site::new();
    let options = acting(&[(HttpRequest, "user-agent-filter", json!({"deny": ["(?i)bot"]}))]);
    site.endpoint_with("http://app.example.com", options, mirror);
    let mut visitor = site.visit().await;
    for (line, expected) in [("User-Agent: curl/8\r\n", 200), ("User-Agent: Robot/1\r\n", 403), ("", 403)] {
        visitor.send(format!("GET / HTTP/1.1\r\nHost: app.example.com\r\n{line}\r\n")).await;
        let (head, _) = visitor.response().await;
        assert_eq!(status(&head), expected, "{line}");
        let code = (expected == 403).then_some("ERR_NGROK_3211");
        assert_eq!(field(&head, "ngrok-error-code"), code);
    }
}

#[tokio::test]
async fn a_login_is_asked_for_until_it_is_right() {
    let site = Site::new();
    let config = json!({"credentials": ["user:password"], "realm": "Back \"office\""});
    let upstream = site.endpoint_with("http://app.example.com", acting(&[(HttpRequest, "basic-auth", config)]), mirror);
    let mut visitor = site.visit().await;
    // The body of a request that is refused does not become the next request.
    let post = "POST / HTTP/1.1\r\nHost: app.example.com\r\nAccept: application/json\r\nContent-Length: 19\r\n\r\n";
    visitor.send(format!("{post}GET / HTTP/1.1\r\n\r\n ")).await;
    let (head, body) = visitor.response().await;
    assert_eq!((status(&head), field(&head, "ngrok-error-code")), (401, Some("ERR_PORTWAY_40101")));
    assert_eq!(field(&head, "www-authenticate"), Some("Basic realm=\"Back \\\"office\\\"\", charset=\"UTF-8\""));
    assert!(body.starts_with("{\"error_code\""), "{body}");
    for (credentials, expected) in [("dXNlcjpwYXNzd29yZA==", 200), ("dXNlcjpwYXNzd29yZQ==", 401)] {
        let mut visitor = site.visit().await;
        let line = format!("Authorization: Basic {credentials}\r\n\r\n");
        visitor.send(format!("GET / HTTP/1.1\r\nHost: app.example.com\r\n{line}")).await;
        assert_eq!(status(&visitor.response().await.0), expected);
    }
    assert_eq!(upstream.streams(), 1);
}

#[tokio::test]
async fn headers_change_both_ways() {
    let site = Site::new();
    let options = acting(&[
        (HttpRequest, "remove-headers", json!({"headers": ["cookie", "x-forwarded-for", "forwarded"]})),
        (HttpRequest, "add-headers", json!({"headers": {"X-Added": "${req.host}", "accept": "b", "host": "inner:81"}})),
        (HttpResponse, "remove-headers", json!({"headers": ["server"]})),
        (HttpResponse, "add-headers", json!({"headers": {"x-out": "1", "set-cookie": "b=2"}})),
    ]);
    site.endpoint_with("http://app.example.com", options, |mut peer, _| async move {
        while let Some(head) = peer.head().await {
            let length = head.len();
            peer.send(format!(
                "HTTP/1.1 200 OK\r\nServer: x\r\nSet-Cookie: a=1\r\nContent-Length: {length}\r\n\r\n{head}"
            ))
            .await;
        }
    });
    let mut visitor = site.visit().await;
    visitor.send("GET / HTTP/1.1\r\nHost: app.example.com\r\nAccept: a\r\nCookie: x=y\r\n\r\n").await;
    let (head, seen) = visitor.response().await;
    assert!(head.contains("\r\nset-cookie: a=1\r\n") && head.contains("\r\nset-cookie: b=2\r\n"), "{head}");
    assert_eq!((field(&head, "server"), field(&head, "x-out")), (None, Some("1")));
    assert_eq!((field(&seen, "host"), field(&seen, "x-added")), (Some("inner:81"), Some("${req.host}")));
    assert!(seen.contains("\r\naccept: a\r\n") && seen.contains("\r\naccept: b\r\n"), "{seen}");
    assert_eq!(field(&seen, "x-forwarded-host"), Some("app.example.com"));
    for gone in ["cookie", "x-forwarded-for", "forwarded"] {
        assert_eq!(field(&seen, gone), None, "{seen}");
    }
    // Pages of the edge are no responses of the upstream.
    visitor.send("GET / HTTP/1.1\r\nHost: nobody.example.com\r\n\r\n").await;
    assert_eq!(field(&visitor.response().await.0, "x-out"), None);
}

#[tokio::test]
async fn what_is_removed_from_requests_comes_in_no_other_way() {
    let site = Site::new();
    let options = acting(&[(HttpRequest, "remove-headers", json!({"headers": ["x-edge-auth"]}))]);
    site.endpoint_with("http://app.example.com", options, |mut peer, _| async move {
        let Some(head) = peer.head().await else { return };
        let body = peer.until("x-other: 1\r\n\r\n").await;
        let all = (head + &body).to_ascii_lowercase();
        let what = if all.contains("forged") { all } else { "clean".to_owned() };
        peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{what}", what.len())).await;
        peer.rest().await;
    });
    let mut visitor = site.visit().await;
    let head =
        "POST / HTTP/1.1\r\nHost: app.example.com\r\nX-Edge-Auth: forged\r\nX_Edge_Auth: forged\r\nTE: trailers\r\n";
    let trailers = "X-Edge-Auth: forged\r\nX_Edge-Auth: forged\r\nX-Other: 1\r\n";
    visitor
        .send(format!(
            "{head}Trailer: x-other, x-edge-auth, x_edge-auth\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n{trailers}\r\n"
        ))
        .await;
    assert_eq!(visitor.response().await.1, "clean");
}

#[tokio::test]
async fn the_host_changes_for_http2_upstreams_as_well() {
    let site = Site::new();
    let mut options = acting(&[
        (HttpRequest, "add-headers", json!({"headers": {"host": "inner:81", "x-a": "1"}})),
        (HttpResponse, "compress-response", json!({})),
    ]);
    options.upstream_http2 = true;
    site.endpoint_with("https://app.example.com", options, |peer, _| async move {
        let service = hyper::service::service_fn(|request: Request<hyper::body::Incoming>| async move {
            let text = format!("{} {:?}", request.uri(), request.headers().get("x-a"));
            Ok::<_, std::convert::Infallible>(http::Response::new(text))
        });
        let io = TokioIo::new(peer.into_io());
        let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await;
    });
    let io = TokioIo::new(site.visit_tls("app.example.com", true).await.into_io());
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await;
    let (mut sender, connection) = handshake.expect("handshake");
    tokio::spawn(connection);
    let request = Request::get("https://app.example.com/a").header("accept-encoding", "gzip");
    let request = request.body(Empty::<bytes::Bytes>::new()).expect("request");
    let response = sender.send_request(request).await.expect("response");
    assert_eq!(response.headers()["content-encoding"], "gzip");
    let body = response.into_body().collect().await.expect("body").to_bytes();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&body[..]), &mut text).expect("gzip");
    assert_eq!(text, "http://inner:81/a Some(\"1\")");
}

#[tokio::test]
async fn a_failing_upstream_is_left_alone() {
    let site = Site::new();
    let config = json!({"volume_threshold": 3, "tripped_duration": "2m", "window_duration": "2m"});
    let options = acting(&[(HttpRequest, "circuit-breaker", config)]);
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    site.endpoint_with("http://app.example.com", options, move |mut peer, _| {
        let counted = Arc::clone(&counted);
        async move {
            while let Some(head) = peer.head().await {
                counted.fetch_add(1, Ordering::SeqCst);
                if head.starts_with("GET /hang") {
                    peer.rest().await;
                    return;
                }
                let status = if head.starts_with("GET /good") { "404 Not Found" } else { "500 No" };
                peer.send(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n")).await;
            }
        }
    });
    let mut visitor = site.visit().await;
    // A visitor that leaves does not count.
    let mut hasty = site.visit().await;
    hasty.send(GET.replace("GET /", "GET /hang")).await;
    while asked.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    drop(hasty);
    let mut seen = Vec::new();
    for path in ["good", "bad", "good", "good", "bad", "bad", "good", "good"] {
        visitor.send(format!("GET /{path} HTTP/1.1\r\nHost: app.example.com\r\n\r\n")).await;
        let (head, _) = visitor.response().await;
        seen.push(field(&head, "ngrok-error-code").map_or(status(&head), |_| status(&head) + 1_000));
    }
    assert_eq!(&seen[..6], [404, 500, 404, 404, 500, 500]);
    assert_eq!(&seen[6..], [1_503, 1_503], "three of six failed");
    assert_eq!(asked.load(Ordering::SeqCst), 7);
}

#[tokio::test]
async fn an_unreachable_upstream_counts_as_failing() {
    let site = Site::new();
    let options = acting(&[(HttpRequest, "circuit-breaker", json!({"volume_threshold": 2}))]);
    let upstream = site.endpoint_with("http://app.example.com", options, |peer, _| async move {
        let mut peer = peer;
        peer.io.reset(portway_mux::ErrorCode::UPSTREAM_REFUSED);
    });
    let mut visitor = site.visit().await;
    let mut codes = Vec::new();
    for _ in 0..3 {
        visitor.send(GET).await;
        codes.push(field(&visitor.response().await.0, "ngrok-error-code").map(str::to_owned));
    }
    let codes: Vec<_> = codes.iter().flatten().map(String::as_str).collect();
    assert_eq!(codes, ["ERR_NGROK_8012", "ERR_NGROK_8012", "ERR_NGROK_3202"]);
    assert_eq!(upstream.streams(), 2);
}

#[tokio::test]
async fn a_connection_without_a_certificate_reaches_no_endpoint_that_asks_for_one() {
    let site = Site::new();
    let authorities = rcgen::generate_simple_self_signed(["ca".to_owned()]).expect("certificate").cert.pem();
    let mut rules = Actions::default();
    let config = json!({"mutual_tls_certificate_authorities": [authorities]});
    rules.add(TcpConnect, Action::new("terminate-tls", &config).expect("action")).expect("phase");
    let actions =
        EndpointActions::prepare(rules, portway_names::Scheme::Https, account(1), &Replica::new()).expect("actions");
    let options = EndpointOptions { actions, ..EndpointOptions::default() };
    // The handshake was made when the name led elsewhere: before this registration, or when nobody had the name.
    site.endpoint("https://app.example.com", mirror);
    let mut visitor = site.visit_tls("app.example.com", false).await;
    visitor.send(GET).await;
    assert_eq!(status(&visitor.response().await.0), 200);
    let closed = site.endpoint_with("https://app.example.com", options, mirror);
    visitor.send(GET).await;
    let (head, _) = visitor.response().await;
    assert_eq!((status(&head), field(&head, "ngrok-error-code")), (421, Some("ERR_PORTWAY_42101")));
    // Nor by the name of another endpoint on a connection that was made for one without.
    site.endpoint("https://open.example.com", mirror);
    let mut visitor = site.visit_tls("open.example.com", false).await;
    visitor.send(GET).await;
    assert_eq!(status(&visitor.response().await.0), 421);
    assert_eq!(closed.streams(), 0);
}
