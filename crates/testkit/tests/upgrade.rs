//! A server that is replaced while agents and visitors are connected.

use std::time::Duration;

use anyhow::Result;
use portway_agent::CarrierChoice;
use portway_testkit::{Cluster, EchoUpstream, HttpUpstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longest wait for something that must happen. No test asserts how fast.
const PATIENCE: Duration = Duration::from_secs(20);

/// One turn of an echo.
async fn ping(visitor: &mut TcpStream) -> Result<()> {
    visitor.write_all(b"ping").await?;
    let mut back = [0; 4];
    timeout(PATIENCE, visitor.read_exact(&mut back)).await??;
    assert_eq!(&back, b"ping");
    Ok(())
}

/// A visitor of a TCP endpoint, whose connection works.
async fn visit(url: &str) -> Result<TcpStream> {
    let port: u16 = url.rsplit(':').next().unwrap_or_default().parse()?;
    let mut visitor = TcpStream::connect(("127.0.0.1", port)).await?;
    ping(&mut visitor).await?;
    Ok(visitor)
}

/// While an old connection runs, on this carrier, agents over QUIC must be reachable at the new server.
async fn quic_agents_move_beside_a_connection_on(carrier: CarrierChoice) -> Result<()> {
    // The connection is never cut for being too slow to end.
    let settings = portway_server::Settings { drain_grace: Some("1h".parse()?), ..Default::default() };
    let mut cluster = Cluster::with(settings).await?;
    let (echo, web) = (EchoUpstream::start().await?, HttpUpstream::start().await?);
    let other = cluster.agent().carrier(carrier).connect().await?;
    let endpoint = other.tcp().url("tcp://").forward_to(&echo.address().to_string()).await?;
    let mut visitor = visit(&endpoint.url()).await?;
    let agent = cluster.agent().carrier(CarrierChoice::Quic).connect().await?;
    let url = cluster.url("https", "app");
    let _endpoint = agent.http().url(&url).forward_to(&web.url()).await?;

    let predecessor = cluster.upgrade().await?;
    // Visitors of a name that was online wait for its agent.
    let response = timeout(PATIENCE, cluster.client().get(&url)).await??;
    assert_eq!(response.status, 200);
    assert!(predecessor.is_draining());
    ping(&mut visitor).await?;

    // A newcomer, and one that was there, over and over: none of their packets gets lost between the two.
    let late = cluster.agent().carrier(CarrierChoice::Quic).connect().await?;
    let late_url = cluster.url("https", "late");
    let _late = late.http().url(&late_url).forward_to(&web.url()).await?;
    for _ in 0..20 {
        assert_eq!(timeout(PATIENCE, cluster.client().get(&late_url)).await??.status, 200);
        ping(&mut visitor).await?;
    }
    drop(visitor);
    timeout(PATIENCE, predecessor.ended()).await??;
    for url in [&url, &late_url] {
        assert_eq!(timeout(PATIENCE, cluster.client().get(url)).await??.status, 200);
    }
    Ok(())
}

/// A connection on the first of three servers: the second has nothing to do but to pass packets on.
#[tokio::test]
async fn quic_agents_move_on_in_a_second_upgrade_beside_an_old_connection() -> Result<()> {
    let settings = portway_server::Settings { drain_grace: Some("1h".parse()?), ..Default::default() };
    let mut cluster = Cluster::with(settings).await?;
    let (echo, web) = (EchoUpstream::start().await?, HttpUpstream::start().await?);
    let other = cluster.agent().carrier(CarrierChoice::Quic).connect().await?;
    let endpoint = other.tcp().url("tcp://").forward_to(&echo.address().to_string()).await?;
    let mut visitor = visit(&endpoint.url()).await?;
    let agent = cluster.agent().carrier(CarrierChoice::Quic).connect().await?;
    let url = cluster.url("https", "app");
    let _endpoint = agent.http().url(&url).forward_to(&web.url()).await?;

    let first = cluster.upgrade().await?;
    assert_eq!(timeout(PATIENCE, cluster.client().get(&url)).await??.status, 200);
    assert!(first.is_draining());
    let second = cluster.upgrade().await?;
    // An agent that was turned away in the middle of it dials once more.
    let back = async {
        while cluster.client().get(&url).await?.status != 200 {}
        anyhow::Ok(())
    };
    timeout(PATIENCE, back).await??;
    assert!(second.is_draining());
    let late = cluster.agent().carrier(CarrierChoice::Quic).connect().await?;
    let late_url = cluster.url("https", "late");
    let _late = late.http().url(&late_url).forward_to(&web.url()).await?;
    for _ in 0..20 {
        assert_eq!(timeout(PATIENCE, cluster.client().get(&late_url)).await??.status, 200);
        ping(&mut visitor).await?;
    }
    drop(visitor);
    timeout(PATIENCE, first.ended()).await??;
    timeout(PATIENCE, second.ended()).await??;
    assert_eq!(timeout(PATIENCE, cluster.client().get(&late_url)).await??.status, 200);
    Ok(())
}

#[tokio::test]
async fn quic_agents_move_beside_an_old_connection_over_tcp() -> Result<()> {
    quic_agents_move_beside_a_connection_on(CarrierChoice::Tcp).await
}

#[tokio::test]
async fn quic_agents_move_beside_an_old_connection_over_quic() -> Result<()> {
    quic_agents_move_beside_a_connection_on(CarrierChoice::Quic).await
}
