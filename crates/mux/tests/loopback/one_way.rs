//! Links over UDP of which one direction is dead.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use portway_mux::{Carrier, CloseReason, SessionConfig};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::support::Server;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Carries datagrams of one client to a server and back.
struct UdpLink {
    address: SocketAddr,
    /// Datagrams of the client, and those of the server, vanish.
    deaf: [Arc<AtomicBool>; 2],
    _tasks: JoinSet<()>,
}

impl UdpLink {
    async fn to(server: SocketAddr) -> Self {
        let near = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap());
        let far = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap());
        far.connect(server).await.unwrap();
        let address = near.local_addr().unwrap();
        let deaf: [Arc<AtomicBool>; 2] = Default::default();
        let mut tasks = JoinSet::new();
        let (client, [to_server, to_client]) = (Arc::new(std::sync::Mutex::new(None)), deaf.clone());
        let (near_up, far_up, client_up) = (near.clone(), far.clone(), client.clone());
        tasks.spawn(async move {
            let mut buffer = [0; 2048];
            while let Ok((length, from)) = near_up.recv_from(&mut buffer).await {
                *client_up.lock().unwrap() = Some(from);
                if !to_server.load(Ordering::SeqCst) {
                    let _ = far_up.send(&buffer[..length]).await;
                }
            }
        });
        tasks.spawn(async move {
            let mut buffer = [0; 2048];
            while let Ok(length) = far.recv(&mut buffer).await {
                let to = *client.lock().unwrap();
                if let (false, Some(to)) = (to_client.load(Ordering::SeqCst), to) {
                    let _ = near.send_to(&buffer[..length], to).await;
                }
            }
        });
        Self { address, deaf, _tasks: tasks }
    }
}

/// The side that hears nothing any more, or whose packets nobody hears, has the quick heartbeat; the other one has to be told, or waits
/// for its idle timeout once the first one's is over.
#[tokio::test]
async fn a_side_that_gives_up_tells_the_other() {
    let quick = |config| SessionConfig {
        heartbeat_interval: Duration::from_secs(1),
        heartbeat_tolerance: Duration::from_secs(1),
        quic_keep_alive: Duration::from_secs(1),
        ..config
    };
    let slow = |config| SessionConfig {
        heartbeat_interval: Duration::from_secs(60),
        heartbeat_tolerance: Duration::from_secs(60),
        quic_keep_alive: Duration::from_millis(200),
        ..config
    };
    for edge_is_quick in [true, false] {
        let (agent, edge) = (SessionConfig::agent(), SessionConfig::edge());
        let (agent, edge) = if edge_is_quick { (slow(agent), quick(edge)) } else { (quick(agent), slow(edge)) };
        let mut server = Server::start(edge).await;
        let link = UdpLink::to(server.address).await;
        let dialer = server.dialer().addresses(vec![link.address]).session(agent);
        let agent = dialer.dial_carrier(Carrier::Quic).await.unwrap();
        let edge = server.next().await;
        let (quick, slow) = if edge_is_quick { (edge, agent) } else { (agent, edge) };
        // What the quick side says still arrives.
        link.deaf[usize::from(!edge_is_quick)].store(true, Ordering::SeqCst);
        let reason = timeout(PATIENCE, slow.closed()).await.unwrap();
        assert!(matches!(&reason, CloseReason::PeerClosed { text, .. } if text.contains("heartbeat")), "{reason}");
        let reason = timeout(PATIENCE, quick.closed()).await.unwrap();
        assert!(matches!(reason, CloseReason::HeartbeatLost), "{reason}");
    }
}

#[tokio::test]
async fn a_living_session_with_a_quick_heartbeat_goes_on() {
    let quick = |config| SessionConfig {
        heartbeat_interval: Duration::from_millis(100),
        heartbeat_tolerance: Duration::from_millis(900),
        quic_keep_alive: Duration::from_secs(60),
        ..config
    };
    let mut server = Server::start(quick(SessionConfig::edge())).await;
    let dialer = server.dialer().session(quick(SessionConfig::agent()));
    let agent = dialer.dial_carrier(Carrier::Quic).await.unwrap();
    let edge = server.next().await;
    // Only heartbeats keep it: the keep-alives of quinn come later than its idle timeout.
    tokio::select! {
        reason = agent.closed() => panic!("{reason}"),
        reason = edge.closed() => panic!("{reason}"),
        () = tokio::time::sleep(Duration::from_secs(4)) => {}
    }
}
