//! A connection that is cut on one side is cut on the other: what came through never passes for everything.

use std::io::ErrorKind;
use std::time::Duration;

use anyhow::{Context as _, Result};
use portway_agent::CarrierChoice;
use portway_testkit::{Cluster, Link};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const CARRIERS: [CarrierChoice; 2] = [CarrierChoice::Tcp, CarrierChoice::Quic];
/// Longest wait for something that must happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// Makes the close of a socket a reset.
fn cut(socket: TcpStream) -> Result<()> {
    SockRef::from(&socket).set_linger(Some(Duration::ZERO))?;
    Ok(())
}

/// Reads to the end and tells what kind of end it was.
async fn end_of(stream: &mut (impl AsyncRead + Unpin)) -> Result<std::io::Result<Vec<u8>>> {
    let mut got = Vec::new();
    let end = timeout(PATIENCE, stream.read_to_end(&mut got)).await.context("the connection did not end")?;
    Ok(end.map(|_| got))
}

fn port(url: &str) -> Result<u16> {
    Ok(url.rsplit(':').next().unwrap_or_default().parse()?)
}

#[tokio::test]
async fn a_visitor_that_is_cut_is_cut_at_the_upstream() -> Result<()> {
    let cluster = Cluster::start().await?;
    for carrier in CARRIERS {
        let upstream = TcpListener::bind("127.0.0.1:0").await?;
        let agent = cluster.agent().carrier(carrier).connect().await?;
        let endpoint = agent.tcp().url("tcp://").forward_to(&upstream.local_addr()?.to_string()).await?;
        let mut visitor = TcpStream::connect(("127.0.0.1", port(&endpoint.url())?)).await?;
        visitor.write_all(b"the first half").await?;
        let mut accepted = timeout(PATIENCE, upstream.accept()).await??.0;
        accepted.read_exact(&mut [0; 14]).await?;
        cut(visitor)?;
        let error = end_of(&mut accepted).await?.expect_err("a cut must not look like an end");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{carrier:?}");
        agent.close().await;
    }
    Ok(())
}

#[tokio::test]
async fn a_visitor_that_ends_is_ended_at_the_upstream() -> Result<()> {
    let cluster = Cluster::start().await?;
    for carrier in CARRIERS {
        let upstream = TcpListener::bind("127.0.0.1:0").await?;
        let agent = cluster.agent().carrier(carrier).connect().await?;
        let endpoint = agent.tcp().url("tcp://").forward_to(&upstream.local_addr()?.to_string()).await?;
        let mut visitor = TcpStream::connect(("127.0.0.1", port(&endpoint.url())?)).await?;
        visitor.write_all(b"all of it").await?;
        drop(visitor);
        let mut accepted = timeout(PATIENCE, upstream.accept()).await??.0;
        assert_eq!(end_of(&mut accepted).await??, b"all of it", "{carrier:?}");
        drop(accepted);
        agent.close().await;
    }
    Ok(())
}

#[tokio::test]
async fn a_lost_session_cuts_the_upstream() -> Result<()> {
    let cluster = Cluster::start().await?;
    let link = Link::to(cluster.ready().connect_addr).await?;
    let upstream = TcpListener::bind("127.0.0.1:0").await?;
    let agent = cluster.agent_via(link.address()).carrier(CarrierChoice::Tcp).connect().await?;
    let endpoint = agent.tcp().url("tcp://").forward_to(&upstream.local_addr()?.to_string()).await?;
    let mut visitor = TcpStream::connect(("127.0.0.1", port(&endpoint.url())?)).await?;
    visitor.write_all(b"the first half").await?;
    let mut accepted = timeout(PATIENCE, upstream.accept()).await??.0;
    accepted.read_exact(&mut [0; 14]).await?;
    link.cut();
    let error = end_of(&mut accepted).await?.expect_err("a cut must not look like an end");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    Ok(())
}

#[tokio::test]
async fn a_program_that_listens_sees_the_cut() -> Result<()> {
    let cluster = Cluster::start().await?;
    for carrier in CARRIERS {
        let agent = cluster.agent().carrier(carrier).connect().await?;
        let mut listener = agent.tcp().url("tcp://").listen().await?;
        let mut visitor = TcpStream::connect(("127.0.0.1", port(&listener.url())?)).await?;
        visitor.write_all(b"the first half").await?;
        let mut accepted = timeout(PATIENCE, listener.accept()).await?.context("a connection")?;
        accepted.read_exact(&mut [0; 14]).await?;
        cut(visitor)?;
        end_of(&mut accepted).await?.expect_err("a cut must not look like an end");
        drop(accepted);
        agent.close().await;
    }
    Ok(())
}

#[tokio::test]
async fn kept_connections_to_an_http_upstream_end_in_good_order() -> Result<()> {
    let cluster = Cluster::start().await?;
    for carrier in CARRIERS {
        let upstream = TcpListener::bind("127.0.0.1:0").await?;
        let agent = cluster.agent().carrier(carrier).connect().await?;
        let url = cluster.url("https", "kept");
        let _endpoint = agent.http().url(&url).forward_to(&format!("http://{}", upstream.local_addr()?)).await?;
        let client = cluster.client();
        let visit = tokio::spawn(async move { client.get(&url).await });
        let mut accepted = timeout(PATIENCE, upstream.accept()).await??.0;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(accepted.read_u8().await?);
        }
        accepted.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await?;
        assert_eq!(visit.await??.text(), "ok");
        // The visitor's connection is gone, and with it the one that was kept for it.
        assert_eq!(end_of(&mut accepted).await??, b"", "{carrier:?}");
        drop(accepted);
        agent.close().await;
    }
    Ok(())
}
