//! Draining, and what a successor finds.

use std::sync::Arc;
use std::time::Duration;

use portway_mux::Stream;
use portway_proto::agent::v1::{agent_message, edge_message};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::https_port;
use crate::native::{self, Arrival};
use crate::testing::{TOKEN, TestAgent, TestEdge, TestSdk, eventually, soon};

/// Binds a TCP endpoint and visits it: the visitor, and its stream at the agent.
async fn visit(agent: &mut TestAgent) -> (TcpStream, Stream) {
    let bound = agent.bind("tcp://").await.unwrap();
    let port: u16 = bound.url.rsplit_once(':').unwrap().1.parse().unwrap();
    let mut visitor = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    visitor.write_all(b"a").await.unwrap();
    let (_, _, stream) = soon(agent.accept()).await.unwrap();
    (visitor, stream)
}

#[tokio::test]
async fn a_drain_lets_streams_finish_and_then_closes() {
    let mut edge = TestEdge::start().await;
    let mut agent = edge.agent().await;
    let (mut visitor, mut upstream) = visit(&mut agent).await;

    let running = edge.edge.take().unwrap();
    let control = edge.control.clone();
    let draining = tokio::spawn(running.drain());
    let Some(edge_message::Message::GoAway(_)) = agent.next().await else { panic!("no GoAway") };
    assert!(TcpStream::connect(edge.http).await.is_err(), "nothing is accepted any more");
    assert!(!draining.is_finished());
    assert!(agent.session.close_reason().is_none());

    upstream.write_chunk(b"last words".to_vec().into()).await.unwrap();
    upstream.finish().await.unwrap();
    let mut got = Vec::new();
    visitor.shutdown().await.unwrap();
    soon(visitor.read_to_end(&mut got)).await.unwrap();
    assert_eq!(got, b"last words");
    soon(draining).await.unwrap();
    soon(agent.session.closed()).await;
    assert_eq!(control.releases(), 0, "the successor finds the leases");
}

#[tokio::test]
async fn a_drain_ends_when_the_grace_is_over() {
    let mut edge = TestEdge::start_with(|config| config.drain_grace = Duration::from_millis(100)).await;
    let mut agent = edge.agent().await;
    let (mut visitor, _open) = visit(&mut agent).await;
    soon(edge.drain()).await;
    let mut got = Vec::new();
    let _ = soon(visitor.read_to_end(&mut got)).await;
    soon(agent.session.closed()).await;
}

/// What is still to be written keeps the pipe from seeing that its stream is gone: it is dropped with its shard.
#[tokio::test]
async fn a_visitor_who_reads_nothing_is_cut_off_by_a_reset() {
    let mut edge = TestEdge::start_with(|config| config.drain_grace = Duration::from_millis(100)).await;
    let mut agent = edge.agent().await;
    let (mut visitor, mut upstream) = visit(&mut agent).await;
    // More than the kernel takes.
    let sending = tokio::spawn(async move {
        let mut sent = 0;
        while sent < 64 * 1024 * 1024 && upstream.write_chunk(vec![0; 65_536].into()).await.is_ok() {
            sent += 65_536;
        }
        sent
    });
    soon(edge.drain()).await;
    assert!(sending.await.unwrap() < 64 * 1024 * 1024);
    let error = soon(visitor.read_to_end(&mut Vec::new())).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_successor_serves_on_the_same_sockets_and_ports() {
    let mut old = TestEdge::start().await;
    let mut agent = old.agent().await;
    let url = agent.bind("tcp://").await.unwrap().url;
    let port: u16 = url.rsplit_once(':').unwrap().1.parse().unwrap();
    let handed = old.edge().listeners().unwrap();
    assert_eq!((handed.https.len(), handed.http.len(), handed.quic.len(), handed.tcp.len()), (1, 1, 1, 1));
    let (https, tcp) = (handed.https[0].local_addr().unwrap(), handed.tcp[0].local_addr().unwrap());
    assert_eq!((https, tcp.port()), (old.https, port));
    soon(old.drain()).await;
    // Arrives when nobody accepts: it waits in the queue, and is not refused.
    let mut early = TcpStream::connect(tcp).await.unwrap();
    early.write_all(b"early").await.unwrap();

    let new = TestEdge::start_on(old.control.clone(), handed, tcp.port()).await;
    let mut agent = TestAgent::connect(&new, TOKEN, [1; 16], 2).await.unwrap();
    let claims = new.control.claims();
    assert_eq!(agent.bind(&url).await.unwrap().url, url);
    assert_eq!(new.control.claims(), claims);
    let (_, first, _stream) = soon(agent.accept()).await.unwrap();
    assert!(b"early".starts_with(&first[..]));
}

#[tokio::test]
async fn a_lost_session_is_offline_at_once_and_its_lease_waits() {
    let edge = TestEdge::start_with(|config| config.lease_grace = Duration::from_millis(50)).await;
    let mut agent = edge.agent().await;
    let bound = agent.bind("tcp://").await.unwrap();
    let port: u16 = bound.url.rsplit_once(':').unwrap().1.parse().unwrap();
    agent.session.abort();
    eventually("offline", || edge.edge().status().endpoints.is_empty()).await;
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
    eventually("given back after the grace", || edge.control.releases() == 1).await;
}

#[tokio::test]
async fn goodbye_frees_the_names_and_keeps_the_streams() {
    let edge = TestEdge::start().await;
    let mut agent = edge.agent().await;
    let (mut visitor, mut upstream) = visit(&mut agent).await;
    agent.send(agent_message::Message::Goodbye(Default::default())).await;
    eventually("offline", || edge.edge().status().endpoints.is_empty()).await;
    eventually("given back", || edge.control.releases() == 1).await;
    upstream.write_chunk(b"b".to_vec().into()).await.unwrap();
    let mut got = [0];
    soon(visitor.read_exact(&mut got)).await.unwrap();
    assert_eq!(agent.bind("tcp://").await.unwrap_err().code, "ERR_NGROK_301");
}

#[tokio::test]
async fn an_idle_session_is_closed_early_in_a_drain() {
    let mut edge = TestEdge::start().await;
    let mut idle = TestAgent::connect(&edge, TOKEN, [2; 16], 1).await.unwrap();
    let mut busy = edge.agent().await;
    let (visitor, upstream) = visit(&mut busy).await;
    let running = edge.edge.take().unwrap();
    let draining = tokio::spawn(running.drain());
    assert!(matches!(idle.next().await, Some(edge_message::Message::GoAway(_))));
    soon(idle.session.closed()).await;
    assert!(busy.session.close_reason().is_none() && !draining.is_finished());
    drop(visitor);
    drop(upstream);
    soon(draining).await.unwrap();
}

/// Busy streams of a native agent hold the drain up meanwhile.
async fn sdk_beside_a_drain(end: impl AsyncFnOnce(crate::Edge)) -> bool {
    let mut edge = TestEdge::start().await;
    let sdk = TestSdk::connect(&edge, TOKEN, None).await;
    let mut busy = edge.agent().await;
    let (visitor, upstream) = visit(&mut busy).await;
    let running = edge.edge.take().unwrap();
    let mut waited = false;
    let watch = async {
        // Longer than an idle session stays beside a successor.
        let gone = tokio::time::timeout(Duration::from_millis(2500), sdk.session.closed()).await;
        waited = gone.is_err();
        drop((visitor, upstream));
        soon(sdk.session.closed()).await;
    };
    tokio::join!(end(running), watch);
    waited
}

#[tokio::test]
async fn an_sdk_keeps_its_session_to_the_end_unless_there_is_a_successor() {
    let (stopped, succeeded) = tokio::join!(
        sdk_beside_a_drain(async |edge| edge.drain().await),
        sdk_beside_a_drain(async |edge| edge.give_way().await)
    );
    assert!(stopped, "without a successor it would dial nobody");
    assert!(!succeeded, "its names are away from the successor until it dials");
}

#[tokio::test]
async fn an_edge_that_cannot_start_says_why() {
    for (change, words) in [
        ((|config| config.shards = 0) as fn(&mut crate::EdgeConfig), "0 shards"),
        (|config| config.edge_id = "no token!".to_owned(), "edge id"),
        (|config| config.tcp_ports = 0..=4, "0-4"),
    ] {
        let error = TestEdge::try_start(change).await.err().unwrap();
        assert!(error.to_string().contains(words), "{error}");
    }
}

/// What an idle agent or visitor costs besides its buffers: the tasks must not keep what only their handshakes needed.
#[tokio::test]
async fn tasks_of_idle_connections_are_small() {
    let edge = TestEdge::start().await;
    let state = Arc::clone(edge.edge().state());
    let stream = TcpStream::connect(edge.https).await.unwrap();
    let peer = stream.peer_addr().unwrap();
    let permit = state.admission.connection(peer).unwrap();
    let visitor = https_port::serve(Arc::clone(&state), stream, peer, permit, 0);
    let size = size_of_val(&visitor);
    assert!(size <= 1_024, "{size}");
    let arrival = Arrival {
        session: edge.session().await,
        connect_name: None,
        permit: state.admission.connection(peer).unwrap(),
        shard: 0,
    };
    let agent = native::serve(state, arrival);
    let size = size_of_val(&agent);
    assert!(size <= 2_560, "{size}");
}
