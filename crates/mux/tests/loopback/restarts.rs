//! Peers that are killed: nothing says so but their silence, and the resets of a successor.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use portway_mux::{Carrier, CloseReason, Dialer, QuicKeys, QuicListener, Role, Session, SessionConfig, over_tls};
use portway_tls::{ALPN_PORTWAY, server_config};
use tokio::io::duplex;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::support::{BOTH, Pki, pair, pair_with};

/// Longer than anything here takes, idle timeouts included.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a living peer may take to answer a probe on a machine that is busy with other tests.
const ANSWER: Duration = Duration::from_secs(20);

/// A runtime whose end is that of a process which was killed: sockets close, and nothing is said.
fn process() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

async fn kill(process: Runtime) {
    tokio::task::spawn_blocking(move || drop(process)).await.unwrap();
}

fn listen(pki: &Pki, address: SocketAddr, keys: &QuicKeys) -> QuicListener {
    let tls = server_config(&pki.store, &[ALPN_PORTWAY]);
    QuicListener::new(UdpSocket::bind(address).unwrap(), tls, SessionConfig::edge(), keys).unwrap()
}

/// Establishes one session and keeps it.
async fn hold_one(listener: QuicListener) {
    let _session = listener.accept().await.unwrap().establish().await.unwrap();
    std::future::pending::<()>().await;
}

fn dialer(pki: &Pki, address: SocketAddr) -> Dialer {
    let target = format!("localhost:{}", address.port()).parse().unwrap();
    Dialer::new(target, &pki.roots()).unwrap().addresses(vec![address])
}

#[tokio::test]
async fn a_restarted_listener_resets_the_sessions_of_the_killed_one() {
    let pki = Pki::new();
    let secret = [7; 32];
    let first = process();
    let listener = {
        let _inside = first.enter();
        listen(&pki, (Ipv4Addr::LOCALHOST, 0).into(), &QuicKeys::from_secret(&secret))
    };
    let address = listener.local_addr();
    first.spawn(hold_one(listener));
    let config = SessionConfig { quic_keep_alive: Duration::from_millis(200), ..SessionConfig::agent() };
    let agent = dialer(&pki, address).session(config).dial_carrier(Carrier::Quic).await.unwrap();
    kill(first).await;
    assert!(agent.close_reason().is_none(), "nobody told it");
    let _second = listen(&pki, address, &QuicKeys::from_secret(&secret));
    let reason = timeout(PATIENCE, agent.closed()).await.unwrap();
    // Without a reset the idle timeout would end it, as `HeartbeatLost`.
    assert!(matches!(&reason, CloseReason::TransportLost(_)), "{reason}");
}

#[tokio::test]
async fn a_living_peer_answers_probes_even_when_it_never_accepts() {
    for carrier in BOTH {
        let pair = pair(carrier).await;
        for _ in 0..3 {
            assert!(pair.edge.probe(ANSWER).await, "{carrier}");
            assert!(pair.agent.probe(ANSWER).await, "{carrier}");
        }
        assert_eq!((pair.agent.open_streams(), pair.edge.open_streams()), (0, 0));
        pair.edge.close("done");
        assert!(!pair.edge.probe(ANSWER).await, "{carrier}: a closed session does not answer");
    }
}

#[tokio::test]
async fn many_probes_at_once_are_all_answered() {
    for carrier in BOTH {
        let pair = pair(carrier).await;
        let probes = (0..50).map(|_| pair.edge.probe(ANSWER));
        assert!(futures_util::future::join_all(probes).await.into_iter().all(|answered| answered), "{carrier}");
    }
}

#[tokio::test]
async fn a_session_without_a_stream_left_for_pings_is_not_blamed() {
    let edge = SessionConfig { max_streams: 0, ..SessionConfig::edge() };
    let pair = pair_with(Carrier::Tcp, SessionConfig::agent(), edge).await;
    assert!(pair.edge.probe(ANSWER).await);
}

#[tokio::test]
async fn a_killed_peer_does_not_answer_a_probe_over_quic() {
    let pki = Pki::new();
    let listener = listen(&pki, (Ipv4Addr::LOCALHOST, 0).into(), &QuicKeys::random());
    let agent = process();
    let dialer = dialer(&pki, listener.local_addr());
    agent.spawn(async move {
        let _session = dialer.dial_carrier(Carrier::Quic).await.unwrap();
        std::future::pending::<()>().await;
    });
    let (session, _) = listener.accept().await.unwrap().establish().await.unwrap();
    assert!(session.probe(ANSWER).await);
    kill(agent).await;
    assert!(!session.probe(Duration::from_millis(500)).await);
    assert!(session.close_reason().is_none(), "a probe judges nobody");
}

#[tokio::test]
async fn a_black_hole_does_not_answer_a_probe_over_tcp() {
    let (near, _black_hole) = duplex(1 << 20);
    let address = (Ipv4Addr::LOCALHOST, 1).into();
    let session: Session = over_tls(near, Role::Edge, SessionConfig::edge(), address, address);
    assert!(!session.probe(Duration::from_millis(200)).await);
}
