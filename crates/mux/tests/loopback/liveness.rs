//! Dead links, noticed by heartbeats that are a hundred times faster than usual.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use portway_mux::{CloseReason, ErrorCode, Role, Session, SessionConfig, over_tls};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::Instant;

const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

fn session(io: DuplexStream, role: Role) -> Session {
    let config = SessionConfig {
        heartbeat_interval: Duration::from_millis(100),
        heartbeat_tolerance: Duration::from_millis(150),
        ..SessionConfig::agent()
    };
    over_tls(io, role, config, ADDRESS, ADDRESS)
}

#[tokio::test]
async fn a_silent_link_is_given_up() {
    let (near, _black_hole) = duplex(1 << 20);
    let session = session(near, Role::Edge);
    assert!(matches!(session.closed().await, CloseReason::HeartbeatLost));
}

#[tokio::test]
async fn a_link_that_dies_later_is_given_up_on_both_sides() {
    let (near, middle_near) = duplex(1 << 16);
    let (middle_far, far) = duplex(1 << 16);
    let (edge, agent) = (session(near, Role::Edge), session(far, Role::Agent));
    let link = tokio::spawn(async move {
        let (mut one, mut two) = (middle_near, middle_far);
        let relay = tokio::io::copy_bidirectional(&mut one, &mut two);
        let _ = tokio::time::timeout(Duration::from_secs(1), relay).await;
        // Both ends stay open and silent.
        std::future::pending::<()>().await;
    });
    let start = Instant::now();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(edge.close_reason().is_none() && agent.close_reason().is_none());
    assert!(edge.rtt().is_some() && agent.rtt().is_some());
    assert_eq!((edge.open_streams(), agent.open_streams()), (0, 0));
    let mut stream = edge.open(Bytes::from_static(b"head")).await.unwrap();
    let (one, two) = tokio::join!(edge.closed(), agent.closed());
    assert!(matches!((one, two), (CloseReason::HeartbeatLost, CloseReason::HeartbeatLost)));
    assert!(start.elapsed() >= Duration::from_secs(1), "not before the link died");
    assert!(stream.read_chunk(1).await.is_err());
    link.abort();
}

/// What an ngrok SDK does: opens a heartbeat stream, sends four bytes at a time and expects exactly those back in one frame.
#[tokio::test]
async fn pings_of_the_peer_are_echoed_and_its_stream_is_not_ended() {
    let (near, mut peer) = duplex(1 << 16);
    let session = session(near, Role::Edge);
    // SYN on stream 3 with the type word, then two pings in frames of their own.
    peer.write_all(&[0, 0, 4, 0x12, 0, 0, 0, 3, 0xFF, 0xFF, 0xFF, 0xFF]).await.unwrap();
    for ping in [*b"ping", *b"pong"] {
        peer.write_all(&[0, 0, 4, 0x10, 0, 0, 0, 3]).await.unwrap();
        peer.write_all(&ping).await.unwrap();
        let payload = loop {
            let mut header = [0; 8];
            peer.read_exact(&mut header).await.unwrap();
            let length = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
            let mut payload = vec![0; length];
            peer.read_exact(&mut payload).await.unwrap();
            if header[7] == 3 && header[3] >> 4 == 1 {
                assert_eq!(header[3], 0x10, "plain data, no FIN");
                break payload;
            }
        };
        assert_eq!(payload, ping);
    }
    assert_eq!(session.open_streams(), 0);
}

#[tokio::test]
async fn garbage_ends_the_session_with_a_reason() {
    let (near, mut peer) = duplex(1 << 16);
    let session = session(near, Role::Edge);
    peer.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    peer.read_to_end(&mut rest).await.unwrap();
    drop(peer);
    assert!(matches!(session.closed().await, CloseReason::PeerFault(_)));
}

#[tokio::test]
async fn the_end_of_the_transport_is_not_a_polite_close() {
    let (near, far) = duplex(1 << 16);
    let session = session(near, Role::Edge);
    drop(far);
    let reason = session.closed().await;
    assert!(matches!(&reason, CloseReason::TransportLost(_)), "{reason}");
    assert!(session.accept().await.is_none());
}

#[tokio::test]
async fn a_driver_whose_runtime_ends_leaves_nobody_waiting() {
    let (near, _far) = duplex(1 << 16);
    let other = tokio::task::spawn_blocking(|| tokio::runtime::Builder::new_current_thread().enable_all().build())
        .await
        .unwrap()
        .unwrap();
    let session = {
        let _inside = other.enter();
        session(near, Role::Agent)
    };
    let mut stream = session.open(Bytes::from_static(b"head")).await.unwrap();
    tokio::task::spawn_blocking(move || drop(other)).await.unwrap();
    assert!(matches!(session.closed().await, CloseReason::TransportLost(_)));
    assert!(stream.read_chunk(1).await.is_err());
    stream.reset(ErrorCode::STREAM_CANCELLED);
}
