//! Bytes of visitors through TCP and TLS endpoints.

use std::net::SocketAddr;

use portway_tls::{CertStore, CertifiedKey, server_config};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::testing::{TestEdge, pki, soon};

fn tcp_address(url: &str) -> SocketAddr {
    let port = url.rsplit_once(':').unwrap().1;
    format!("127.0.0.1:{port}").parse().unwrap()
}

#[tokio::test]
async fn a_tcp_endpoint_echoes_and_half_closes() {
    let edge = TestEdge::start().await;
    let mut agent = edge.agent().await;
    let bound = agent.bind("tcp://").await.unwrap();
    assert!(bound.url.starts_with("tcp://portway.test:"), "{}", bound.url);
    let echoing = agent.echo_all();
    edge.edge().status();

    let mut visitor = TcpStream::connect(tcp_address(&bound.url)).await.unwrap();
    let sent: Vec<u8> = (0..300_000u32).map(|n| n as u8).collect();
    let (mut read, mut write) = visitor.split();
    let (_, got) = soon(async {
        tokio::join!(
            async {
                write.write_all(&sent).await.unwrap();
                write.shutdown().await.unwrap();
            },
            async {
                let mut got = Vec::new();
                read.read_to_end(&mut got).await.unwrap();
                got
            }
        )
    })
    .await;
    assert_eq!(got, sent);
    assert_eq!(edge.edge().status().recent.len(), 1);
    echoing.abort();
}

#[tokio::test]
async fn heads_tell_the_visitors_address_and_proxy_headers_go_first() {
    let edge = TestEdge::start().await;
    let mut agent = edge.agent().await;
    let bound = agent.bind_with("tcp://", |bind| bind.proxy_protocol = 1).await.unwrap();
    let target = tcp_address(&bound.url);
    let mut visitor = TcpStream::connect(target).await.unwrap();
    visitor.write_all(b"hello").await.unwrap();
    let (head, first, mut stream) = soon(agent.accept()).await.unwrap();
    let client = visitor.local_addr().unwrap();
    assert_eq!((head.endpoint, head.client().unwrap(), head.server().unwrap()), (bound.endpoint, client, target));
    let mut got = first.to_vec();
    let expected = format!("PROXY TCP4 127.0.0.1 127.0.0.1 {} {}\r\nhello", client.port(), target.port());
    while got.len() < expected.len() {
        got.extend_from_slice(&soon(stream.read_chunk(4096)).await.unwrap().unwrap());
    }
    assert_eq!(String::from_utf8(got).unwrap(), expected);
    // A reset of the agent is a reset for the visitor, not an end.
    stream.reset(portway_mux::ErrorCode::UPSTREAM_REFUSED);
    let mut rest = Vec::new();
    let error = soon(visitor.read_to_end(&mut rest)).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_chosen_port_is_kept_and_a_full_range_refused() {
    let edge = TestEdge::start_with(|config| {
        let low = *config.tcp_ports.start();
        config.tcp_ports = low..=low + 1;
    })
    .await;
    let mut agent = edge.agent().await;
    let first = agent.bind("tcp://").await.unwrap().url;
    agent.bind("tcp://").await.unwrap();
    let refused = agent.bind("tcp://").await.unwrap_err();
    assert_eq!((refused.code.as_str(), refused.retryable), ("ERR_PORTWAY_50302", true));
    assert!(edge.metrics().contains("limit=\"tcp_ports\""));
    agent.session.abort();
    let mut back = crate::testing::TestAgent::connect(&edge, crate::testing::TOKEN, [1; 16], 2).await.unwrap();
    assert_eq!(back.bind(&first).await.unwrap().url, first);
}

#[tokio::test]
async fn a_tls_endpoint_passes_the_visitors_tls_through() {
    let edge = TestEdge::start_with(|config| config.shards = 3).await;
    let mut agent = edge.agent().await;
    let bound = agent.bind("tls://secret.portway.test").await.unwrap();
    assert_eq!(bound.url, format!("tls://secret.portway.test:{}", edge.https.port()));
    // The agent ends the TLS: it has the certificate, the edge only sees the name.
    let store = Arc::new(CertStore::new());
    let (chain, key) = pki().visitors.clone();
    let key = CertifiedKey::from_der(vec![chain], &key).unwrap();
    store.upsert("own", vec!["*.portway.test".parse().unwrap()], key);
    let acceptor = TlsAcceptor::from(server_config(&store, &[b"own/1"]));
    for _ in 0..8 {
        let upstream = async {
            let (_, first, stream) = agent.accept().await.unwrap();
            let io = portway_tls::ReadAhead::with_prefix(stream, first.freeze());
            let mut tls = acceptor.accept(io).await.unwrap();
            let mut buffer = [0; 5];
            tls.read_exact(&mut buffer).await.unwrap();
            tls.write_all(&buffer).await.unwrap();
            tls.shutdown().await.unwrap();
            assert_eq!(tls.read(&mut buffer).await.unwrap(), 0);
        };
        let visitor = async {
            let mut tls = edge.tls("secret.portway.test", &[b"own/1"]).await.unwrap();
            tls.write_all(b"hello").await.unwrap();
            let mut got = Vec::new();
            tls.read_to_end(&mut got).await.unwrap();
            assert_eq!(got, b"hello");
            tls.shutdown().await.unwrap();
        };
        soon(Box::pin(async { tokio::join!(upstream, visitor) })).await;
    }
}

#[tokio::test]
async fn a_tls_endpoint_can_end_at_the_edge() {
    let edge = TestEdge::start().await;
    let mut agent = edge.agent().await;
    agent.bind_with("tls://ended.portway.test", |bind| bind.tls_termination = 2).await.unwrap();
    let echoing = agent.echo_all();
    let mut tls = soon(edge.tls("ended.portway.test", &[])).await.unwrap();
    tls.write_all(b"in the clear").await.unwrap();
    let mut got = [0; 12];
    soon(tls.read_exact(&mut got)).await.unwrap();
    assert_eq!(&got, b"in the clear");
    echoing.abort();
}

#[tokio::test]
async fn a_cut_is_no_end_where_tls_ends_at_the_edge() {
    let edge = TestEdge::start().await;
    let mut agent = edge.agent().await;
    agent.bind_with("tls://ended.portway.test", |bind| bind.tls_termination = 2).await.unwrap();
    let mut tls = soon(edge.tls("ended.portway.test", &[])).await.unwrap();
    tls.write_all(b"hello").await.unwrap();
    let (_, _, mut stream) = soon(agent.accept()).await.unwrap();
    stream.write_chunk(b"half of".to_vec().into()).await.unwrap();
    let mut got = [0; 7];
    soon(tls.read_exact(&mut got)).await.unwrap();
    stream.reset(portway_mux::ErrorCode::STREAM_CANCELLED);
    let error = soon(tls.read(&mut got)).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

/// The status line of the answer to a request for `host`, and the page's error code.
async fn asked(mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin, host: &str) -> (String, String) {
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // Whoever ends TLS without a word is no matter here.
    let _ = soon(stream.read_to_end(&mut answer)).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let code = answer.lines().find_map(|line| line.strip_prefix("ngrok-error-code: ")).unwrap_or_default().to_owned();
    (answer.lines().next().unwrap_or_default().to_owned(), code)
}

#[tokio::test]
async fn a_wildcard_takes_in_no_name_of_the_installation() {
    let edge = TestEdge::start().await;
    let mut agent = edge.agent().await;
    // Whatever reaches the agent is answered by it, in the clear, also where it would be TLS.
    let session = agent.session.clone();
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    for url in ["https://*.portway.test", "http://*.portway.test", "tls://*.portway.test"] {
        let Ok(bound) = agent.bind(url).await else { continue };
        assert!(bound.url.starts_with(url), "{}", bound.url);
    }
    let noted = Arc::clone(&seen);
    let answering = tokio::spawn(async move {
        while let Some(mut stream) = session.accept().await {
            let bytes = stream.read_chunk(65_536).await.unwrap().unwrap_or_default();
            noted.lock().unwrap().push(String::from_utf8_lossy(&bytes).into_owned());
            let answer = "HTTP/1.1 299 Mine\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            let _ = stream.write_chunk(answer.into()).await;
            let _ = stream.finish().await;
        }
    });
    for label in ["dashboard", "api", "www", "admin", "v2.api", "connect"] {
        let host = format!("{label}.portway.test");
        let plain = TcpStream::connect(edge.http).await.unwrap();
        let (status, code) = asked(plain, &host).await;
        assert_eq!((status.as_str(), code.as_str()), ("HTTP/1.1 404 Not Found", "ERR_NGROK_3209"), "http, {host}");
        // Deeper names and the connect name have no visitors' certificate.
        if label.contains('.') || label == "connect" {
            continue;
        }
        let (status, code) = asked(edge.tls(&host, &[b"http/1.1"]).await.unwrap(), &host).await;
        assert_eq!((status.as_str(), code.as_str()), ("HTTP/1.1 404 Not Found", "ERR_NGROK_3209"), "https, {host}");
    }
    assert_eq!(*seen.lock().unwrap(), Vec::<String>::new());
    let plain = TcpStream::connect(edge.http).await.unwrap();
    assert_eq!(asked(plain, "any.portway.test").await.0, "HTTP/1.1 299 Mine");
    let tls = edge.tls("any.portway.test", &[b"http/1.1"]).await.unwrap();
    assert_eq!(asked(tls, "any.portway.test").await.0, "HTTP/1.1 299 Mine");
    answering.abort();
}

#[tokio::test]
async fn every_version_of_http_is_agreed_on_by_its_name() {
    let edge = TestEdge::start().await;
    for name in [&b"h2"[..], b"http/1.1", b"http/1.0"] {
        let tls = edge.tls("app.portway.test", &[name]).await.unwrap();
        assert_eq!(tls.get_ref().1.alpn_protocol(), Some(name));
    }
}
