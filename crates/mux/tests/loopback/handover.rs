//! A listener whose socket a successor takes over while sessions run.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use bytes::Bytes;
use portway_mux::{Carrier, Dialer, QuicKeys, QuicListener, Session, SessionConfig};
use portway_tls::{ALPN_PORTWAY, server_config};
use tokio::time::timeout;

use crate::support::{Pki, pattern, read_to_end};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn dialer(pki: &Pki, address: SocketAddr) -> Dialer {
    let target = format!("localhost:{}", address.port()).parse().unwrap();
    Dialer::new(target, &pki.roots()).unwrap().addresses(vec![address])
}

/// Dials, and accepts on `listener`.
async fn establish(dialer: &Dialer, listener: &QuicListener) -> (Session, Session) {
    let accept = async { listener.accept().await.unwrap().establish().await.unwrap().0 };
    let (agent, edge) = tokio::join!(timeout(PATIENCE, dialer.dial_carrier(Carrier::Quic)), timeout(PATIENCE, accept));
    (agent.unwrap().unwrap(), edge.unwrap())
}

/// A megabyte from the edge to the agent, and another one back.
async fn exchange(edge: &Session, agent: &Session) {
    let there = pattern(1_000_000, 1);
    let back = pattern(1_000_000, 2);
    let near = async {
        let mut stream = edge.open(Bytes::from_static(b"head")).await.unwrap();
        stream.write_chunk(there.clone()).await.unwrap();
        stream.finish().await.unwrap();
        assert!(read_to_end(&mut stream).await == back);
    };
    let far = async {
        let mut stream = agent.accept().await.unwrap();
        stream.write_chunk(back.clone()).await.unwrap();
        stream.finish().await.unwrap();
        assert!(read_to_end(&mut stream).await == [b"head", &there[..]].concat());
    };
    timeout(PATIENCE, async { tokio::join!(near, far) }).await.unwrap();
}

#[tokio::test]
async fn newcomers_reach_the_successor_while_sessions_of_the_predecessor_run() {
    let pki = Pki::new();
    let keys = QuicKeys::random();
    let tls = server_config(&pki.store, &[ALPN_PORTWAY]);
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let duplicate = socket.try_clone().unwrap();
    let first = QuicListener::new(socket, tls.clone(), SessionConfig::edge(), &keys).unwrap();
    let dialer = dialer(&pki, first.local_addr());
    let (old_agent, old_edge) = establish(&dialer, &first).await;

    let (here, there) = UnixDatagram::pair().unwrap();
    first.refuse_new();
    first.socket().pass_on(here).unwrap();
    let second = QuicListener::succeed(duplicate, Some(there), tls, SessionConfig::edge(), &keys).unwrap();
    let (new_agent, new_edge) = establish(&dialer, &second).await;
    exchange(&old_edge, &old_agent).await;
    exchange(&new_edge, &new_agent).await;

    old_edge.close("moved");
    timeout(PATIENCE, old_agent.closed()).await.unwrap();
    timeout(PATIENCE, first.close()).await.unwrap();
    drop((first, old_edge));
    second.socket().take_over();
    exchange(&new_edge, &new_agent).await;
    let (newest_agent, newest_edge) = establish(&dialer, &second).await;
    exchange(&newest_edge, &newest_agent).await;
    assert!(new_agent.close_reason().is_none() && new_edge.close_reason().is_none());
}
