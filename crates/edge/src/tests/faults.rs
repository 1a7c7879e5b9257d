//! Garbage, silence and floods at every listener.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::testing::{TestAgent, TestEdge, eventually, soon};

/// Reads until the other side ends; a reset is an end too.
async fn read_all(stream: &mut TcpStream) -> Vec<u8> {
    let mut got = Vec::new();
    let _ = soon(stream.read_to_end(&mut got)).await;
    got
}

fn impatient(config: &mut crate::EdgeConfig) {
    config.limits.handshake_timeout = Duration::from_millis(200);
    config.limits.hello_timeout = Duration::from_millis(200);
}

#[tokio::test]
async fn garbage_silence_and_truncation_on_the_https_port_end_soon() {
    let edge = TestEdge::start_with(impatient).await;
    let truncated = &client_hello("app.portway.test")[..100];
    let endless = vec![0x16; 100_000];
    for bytes in [&b"\x00\x01\x02garbage"[..], b"", truncated, &endless, b"SSH-2.0-x\r\n"] {
        let mut stream = TcpStream::connect(edge.https).await.unwrap();
        let _ = stream.write_all(bytes).await;
        assert!(!read_all(&mut stream).await.starts_with(b"HTTP"));
    }
    eventually("every one is counted", || edge.metrics().contains("handshake_failures_total{stage=\"ClientHello\"} 5"))
        .await;
    edge.agent().await;
}

#[tokio::test]
async fn plain_http_on_the_https_port_is_told_so() {
    let edge = TestEdge::start().await;
    let mut stream = TcpStream::connect(edge.https).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: app.portway.test\r\n\r\n").await.unwrap();
    stream.shutdown().await.unwrap();
    let answer = String::from_utf8(read_all(&mut stream).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n") && answer.contains("https://"), "{answer}");
}

#[tokio::test]
async fn a_browser_on_the_agents_address_is_told_so() {
    let edge = TestEdge::start().await;
    let mut tls = edge.tls("connect.portway.test", &[b"http/1.1"]).await.unwrap();
    tls.write_all(b"GET / HTTP/1.1\r\nhost: connect.portway.test\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    soon(tls.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.contains("address for agents"), "{answer}");
}

#[tokio::test]
async fn an_unknown_name_gets_the_alert_for_it() {
    let edge = TestEdge::start().await;
    let error = soon(edge.tls("app.elsewhere.test", &[])).await.unwrap_err();
    assert!(error.to_string().contains("UnrecognisedName"), "{error}");
    assert!(edge.metrics().contains("handshake_failures_total{stage=\"UnknownName\"} 1"));
}

#[tokio::test]
async fn a_client_hello_in_single_bytes_is_understood() {
    let edge = TestEdge::start().await;
    let mut agent = edge.agent().await;
    agent.bind("tls://app.portway.test").await.unwrap();
    let hello = client_hello("app.portway.test");
    let mut stream = TcpStream::connect(edge.https).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for byte in &hello {
        stream.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let (_, first, mut upstream) = soon(agent.accept()).await.unwrap();
    let mut got = first.to_vec();
    while got.len() < hello.len() {
        got.extend_from_slice(&soon(upstream.read_chunk(4096)).await.unwrap().unwrap());
    }
    assert_eq!(got, hello);
}

#[tokio::test]
async fn a_session_without_hello_or_with_garbage_is_ended() {
    let edge = TestEdge::start_with(impatient).await;
    let silent = edge.session().await;
    soon(silent.closed()).await;

    let mut wordless = TestAgent::silent(edge.session().await).await;
    wordless.control.write_chunk(vec![0xFF; 64].into()).await.unwrap();
    soon(wordless.session.closed()).await;

    let long = TestAgent::silent(edge.session().await).await;
    let mut control = long.control;
    // A message of 4 MiB is announced.
    control.write_chunk(vec![0x80, 0x80, 0x80, 0x02].into()).await.unwrap();
    soon(long.session.closed()).await;
    eventually("all are counted", || edge.metrics().contains("handshake_failures_total{stage=\"AgentHello\"} 3")).await;
    edge.agent().await;
}

#[tokio::test]
async fn garbage_datagrams_harm_nobody() {
    let edge = TestEdge::start().await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for length in [0usize, 1, 20, 1200, 1500] {
        socket.send_to(&vec![0xC3; length], edge.https).await.unwrap();
    }
    edge.agent().await;
}

#[tokio::test]
async fn connections_of_one_address_are_limited_and_told() {
    let edge = TestEdge::start_with(|config| {
        config.limits.loopback_exempt = false;
        config.limits.connections_per_address = 2;
    })
    .await;
    let _first = TcpStream::connect(edge.http).await.unwrap();
    let _second = TcpStream::connect(edge.http).await.unwrap();
    eventually("both are counted", || edge.edge().status().connections_open == 2).await;
    let mut third = TcpStream::connect(edge.http).await.unwrap();
    let answer = String::from_utf8(read_all(&mut third).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 429 ") && answer.contains("ERR_PORTWAY_42901"), "{answer}");
    let mut fourth = TcpStream::connect(edge.https).await.unwrap();
    assert!(read_all(&mut fourth).await.is_empty());
    assert!(edge.metrics().contains("limits_reached_total{limit=\"connections_per_address\"} 2"));
}

#[tokio::test]
async fn handshakes_of_one_address_are_limited() {
    let edge = TestEdge::start_with(|config| {
        config.limits.loopback_exempt = false;
        config.limits.handshakes_per_address = 1;
    })
    .await;
    edge.tls("app.portway.test", &[]).await.unwrap();
    edge.tls("app.portway.test", &[]).await.unwrap();
    soon(edge.tls("app.portway.test", &[])).await.unwrap_err();
    assert!(edge.metrics().contains("limits_reached_total{limit=\"handshakes_per_address\"}"));
}

/// The ClientHello of a real client.
fn client_hello(name: &str) -> Vec<u8> {
    let roots = portway_tls::Roots::Webpki;
    let config = portway_tls::client_config(&roots, &[b"h2"]).unwrap();
    let name = rustls_pki_types::ServerName::try_from(name.to_owned()).unwrap();
    let mut client = rustls::ClientConnection::new(config, name).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    hello
}
