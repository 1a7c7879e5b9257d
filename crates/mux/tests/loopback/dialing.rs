//! Dials that succeed, and dials that fail in each way that a person can do something about.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use portway_mux::{
    Carrier, CarrierChoice, DialCause, DialError, Dialer, ErrorCode, ProxyError, ProxyUrl, Session, SessionConfig,
};
use portway_tls::{ALPN_PORTWAY, Roots, TlsProblem};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::support::{BOTH, Pki, Server, echo, read_to_end};

/// Sends something and gets it back.
async fn works(agent: Session, edge: Session) {
    let echoing = tokio::spawn(echo(agent));
    let mut stream = edge.open(Bytes::from_static(b"hello")).await.unwrap();
    stream.finish().await.unwrap();
    assert_eq!(read_to_end(&mut stream).await, b"hello");
    edge.abort();
    echoing.await.unwrap();
}

async fn cause(dialer: &Dialer, carrier: Carrier) -> DialError {
    dialer.dial_carrier(carrier).await.expect_err("must fail")
}

#[tokio::test]
async fn auto_connects_by_either_carrier() {
    let mut server = Server::start(SessionConfig::edge()).await;
    let agent = server.dialer().dial().await.unwrap();
    // The slower carrier may have got as far as a session at the server, too.
    let edge = loop {
        let edge = server.next().await;
        if edge.carrier() == agent.carrier() {
            break edge;
        }
    };
    works(agent, edge).await;
}

#[tokio::test]
async fn auto_falls_back_to_tcp_when_udp_is_blocked() {
    let mut server = Server::with(SessionConfig::edge(), false, &[ALPN_PORTWAY]).await;
    // Takes packets and says nothing.
    let _silent = std::net::UdpSocket::bind(server.address);
    let agent = server.dialer().dial().await.unwrap();
    assert_eq!(agent.carrier(), Carrier::Tcp);
    works(agent, server.next().await).await;
    let quic = server.dialer().carrier(CarrierChoice::Quic).connect_timeout(Duration::from_millis(200));
    let error = quic.dial().await.unwrap_err();
    assert!(matches!(error.cause(), Some(DialCause::TimedOut(_))), "{error}");
}

#[tokio::test]
async fn a_server_that_is_down_refuses_within_seconds() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let dialer = Dialer::new(address.to_string().parse().unwrap(), &Roots::Webpki).unwrap();
    let start = std::time::Instant::now();
    let error = dialer.dial().await.unwrap_err();
    assert!(matches!(error.cause(), Some(DialCause::Refused)), "{error}");
    assert!(start.elapsed() < Duration::from_secs(8), "the dial ends long before its timeout");
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("cannot connect to {address}: ")) && text.contains("connection refused"),
        "{text}"
    );
}

#[tokio::test]
async fn a_dead_address_does_not_hold_up_a_living_one() {
    let mut server = Server::start(SessionConfig::edge()).await;
    for carrier in BOTH {
        // Nobody has this address (RFC 5737 section 3).
        let dead: SocketAddr = "192.0.2.1:9".parse().unwrap();
        let dialer = server.dialer().addresses(vec![dead, server.address]);
        let agent = dialer.dial_carrier(carrier).await.unwrap();
        works(agent, server.next().await).await;
    }
}

#[tokio::test]
async fn an_unknown_name_is_a_matter_of_dns() {
    let dialer = Dialer::new("no-such-host.invalid:443".parse().unwrap(), &Roots::Webpki).unwrap();
    let error = dialer.dial().await.unwrap_err();
    assert!(matches!(error.cause(), Some(DialCause::Dns(_) | DialCause::NoAddress)), "{error}");
}

#[tokio::test]
async fn certificates_that_do_not_fit_are_explained() {
    let server = Server::start(SessionConfig::edge()).await;
    for carrier in BOTH {
        let stranger = server.dialer_to("localhost", Pki::new().roots());
        let error = cause(&stranger, carrier).await;
        assert!(matches!(error.cause(), Some(DialCause::Tls(TlsProblem::CaNotTrusted))), "{error}");

        // The store serves the certificate for *.test, but it is good for example.test only.
        let error = cause(&server.dialer_to("other.test", server.pki.roots()), carrier).await;
        let Some(DialCause::Tls(TlsProblem::WrongName { expected, .. })) = error.cause() else { panic!("{error}") };
        assert_eq!(expected, "other.test");

        let error = cause(&server.dialer_to("unknown.example", server.pki.roots()), carrier).await;
        assert!(matches!(error.cause(), Some(DialCause::Tls(TlsProblem::NameUnknown))), "{carrier} {error}");
    }
}

#[tokio::test]
async fn an_address_instead_of_a_name_works_without_sni() {
    let mut server = Server::start(SessionConfig::edge()).await;
    for carrier in BOTH {
        let agent = server.dialer_to("127.0.0.1", server.pki.roots()).dial_carrier(carrier).await.unwrap();
        works(agent, server.next().await).await;
    }
}

#[tokio::test]
async fn a_server_of_another_protocol_is_told_apart() {
    for alpn in [&[][..], &[&b"http/1.1"[..]][..]] {
        let server = Server::with(SessionConfig::edge(), false, alpn).await;
        let error = cause(&server.dialer(), Carrier::Tcp).await;
        assert!(matches!(error.cause(), Some(DialCause::AlpnMissing)), "{error}");
    }
    let server = Server::with(SessionConfig::edge(), true, &[b"h3"]).await;
    let error = cause(&server.dialer(), Carrier::Quic).await;
    assert!(matches!(error.cause(), Some(DialCause::AlpnMissing)), "{error}");
}

#[tokio::test]
async fn something_without_tls_is_told_apart() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        socket.write_all(b"220 smtp.example ESMTP\r\n").await.unwrap();
        // Until the client has seen it.
        let _ = socket.read_to_end(&mut Vec::new()).await;
    });
    let dialer = Dialer::new(address.to_string().parse().unwrap(), &Roots::Webpki).unwrap();
    let error = cause(&dialer, Carrier::Tcp).await;
    assert!(matches!(error.cause(), Some(DialCause::Tls(TlsProblem::NotTls))), "{error}");
    serving.await.unwrap();
}

#[test]
fn the_path_decides_which_carrier_is_preferred() {
    let dialer = Dialer::new("localhost".parse().unwrap(), &Roots::Webpki).unwrap();
    assert_eq!(dialer.preferred(Duration::from_millis(1)), Carrier::Tcp);
    assert_eq!(dialer.preferred(Duration::from_millis(5)), Carrier::Quic);
    let forced = dialer.clone().carrier(CarrierChoice::Tcp);
    assert_eq!(forced.preferred(Duration::from_millis(80)), Carrier::Tcp);
    let proxied = dialer.proxy(Some("socks5://localhost".parse().unwrap()));
    assert_eq!(proxied.preferred(Duration::from_millis(80)), Carrier::Tcp);
}

#[tokio::test]
async fn sessions_go_through_an_http_proxy() {
    let mut server = Server::start(SessionConfig::edge()).await;
    let (address, asked) = http_proxy(server.address, "HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n").await;
    let proxy: ProxyUrl = format!("http://user:pa%20ss@{address}").parse().unwrap();
    let dialer = server.dialer().addresses(Vec::new()).proxy(Some(proxy));
    let agent = dialer.dial().await.unwrap();
    assert_eq!((agent.carrier(), agent.peer_addr()), (Carrier::Tcp, address));
    works(agent, server.next().await).await;
    let head = asked.await.unwrap();
    let target = format!("localhost:{}", server.address.port());
    assert!(head.starts_with(&format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n")), "{head}");
    // "user:pa ss"
    assert!(head.contains("Proxy-Authorization: Basic dXNlcjpwYSBzcw==\r\n"), "{head}");
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_with_its_status() {
    let server = Server::start(SessionConfig::edge()).await;
    let (address, _asked) = http_proxy(server.address, "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await;
    let dialer = server.dialer().proxy(Some(format!("http://{address}").parse().unwrap()));
    let error = dialer.dial().await.unwrap_err();
    let Some(DialCause::Proxy { error: ProxyError::Status { status }, .. }) = error.cause() else { panic!("{error}") };
    assert_eq!(*status, 407);
    assert!(error.to_string().contains("it wants a login"), "{error}");
}

#[tokio::test]
async fn sessions_go_through_a_socks5_proxy_with_and_without_login() {
    let mut server = Server::start(SessionConfig::edge()).await;
    for login in [None, Some(("user", "secret"))] {
        let (address, asked) = socks_proxy(server.address, login).await;
        let url = match login {
            None => format!("socks5://{address}"),
            Some((user, password)) => format!("socks5h://{user}:{password}@{address}"),
        };
        let dialer = server.dialer().addresses(Vec::new()).proxy(Some(url.parse().unwrap()));
        let agent = dialer.dial().await.unwrap();
        works(agent, server.next().await).await;
        let mut wanted = b"\x05\x01\x00\x03\x09localhost".to_vec();
        wanted.extend_from_slice(&server.address.port().to_be_bytes());
        assert_eq!(asked.await.unwrap(), wanted);
    }
    let (address, _asked) = socks_proxy(server.address, Some(("user", "secret"))).await;
    let dialer = server.dialer().proxy(Some(format!("socks5://{address}").parse().unwrap()));
    let error = dialer.dial().await.unwrap_err();
    assert!(matches!(error.cause(), Some(DialCause::Proxy { error: ProxyError::SocksLogin, .. })), "{error}");
}

#[tokio::test]
async fn a_session_is_closed_by_its_code_and_text() {
    let mut server = Server::start(SessionConfig::edge()).await;
    for carrier in BOTH {
        let agent = server.dialer().dial_carrier(carrier).await.unwrap();
        let edge = server.next().await;
        agent.close("agent stops");
        let portway_mux::CloseReason::PeerClosed { code, text } = edge.closed().await else { panic!() };
        assert_eq!((code, text.as_str()), (ErrorCode::NONE, "agent stops"));
    }
}

#[tokio::test]
async fn a_silent_edge_is_asked_anew_over_quic() {
    let silent = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = silent.local_addr().unwrap();
    let target = format!("localhost:{}", address.port()).parse().unwrap();
    let dialer = Dialer::new(target, &Pki::new().roots()).unwrap().addresses(vec![address]);
    let dial = tokio::spawn(async move { dialer.dial_carrier(Carrier::Quic).await.map(drop) });
    // Each handshake has a connection id of its own, which it keeps when it sends its first packet again.
    let mut handshakes = std::collections::HashSet::new();
    while handshakes.len() < 3 {
        let mut packet = [0; 2048];
        assert!(silent.recv(&mut packet).await.unwrap() > 26);
        handshakes.insert(packet[6..14].to_vec());
    }
    assert!(!dial.is_finished());
    dial.abort();
}

#[tokio::test]
async fn a_proxy_of_another_kind_is_suspected() {
    let server = Server::start(SessionConfig::edge()).await;
    // An HTTP proxy that waits for a request line.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("socks5://{}", listener.local_addr().unwrap());
    let dialer = server.dialer().connect_timeout(Duration::from_millis(200));
    let error = dialer.proxy(Some(proxy.parse().unwrap())).dial().await.unwrap_err();
    assert!(matches!(error.cause(), Some(DialCause::Proxy { error: ProxyError::Silent { .. }, .. })), "{error}");
    assert!(error.to_string().contains("an HTTP proxy is written http://"), "{error}");
}

/// An HTTP proxy for one connection: gives `answer`, and connects to `target` whatever is asked when that is a 200.
async fn http_proxy(target: SocketAddr, answer: &'static str) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await.unwrap());
        }
        client.write_all(answer.as_bytes()).await.unwrap();
        if answer.contains("200") {
            relay(client, target).await;
        }
        String::from_utf8(head).unwrap()
    });
    (address, task)
}

/// A SOCKS5 proxy for one connection; gives the request back.
async fn socks_proxy(
    target: SocketAddr,
    login: Option<(&'static str, &'static str)>,
) -> (SocketAddr, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        assert_eq!(client.read_u8().await.unwrap(), 5);
        let mut methods = vec![0; client.read_u8().await.unwrap().into()];
        client.read_exact(&mut methods).await.unwrap();
        let method = if login.is_some() { 2 } else { 0 };
        if !methods.contains(&method) {
            client.write_all(&[5, 0xFF]).await.unwrap();
            return Vec::new();
        }
        client.write_all(&[5, method]).await.unwrap();
        if let Some((user, password)) = login {
            let mut wanted = vec![1, user.len() as u8];
            wanted.extend_from_slice(user.as_bytes());
            wanted.push(password.len() as u8);
            wanted.extend_from_slice(password.as_bytes());
            let mut given = vec![0; wanted.len()];
            client.read_exact(&mut given).await.unwrap();
            client.write_all(&[1, u8::from(given != wanted)]).await.unwrap();
        }
        let mut request = vec![0; 5];
        client.read_exact(&mut request).await.unwrap();
        let mut rest = vec![0; usize::from(request[4]) + 2];
        client.read_exact(&mut rest).await.unwrap();
        request.extend_from_slice(&rest);
        client.write_all(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x12\x34").await.unwrap();
        relay(client, target).await;
        request
    });
    (address, task)
}

async fn relay(client: TcpStream, target: SocketAddr) {
    let mut client = client;
    let mut server = TcpStream::connect(target).await.unwrap();
    // Ends when either side does, by a close or a reset.
    let _ = copy_bidirectional(&mut client, &mut server).await;
}
