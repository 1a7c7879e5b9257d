//! A service behind an agent is reached through the edge, on each carrier, for each kind of endpoint.

use anyhow::Result;
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use portway_agent::CarrierChoice;
use portway_testkit::{Cluster, EchoUpstream, HttpUpstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const CARRIERS: [CarrierChoice; 2] = [CarrierChoice::Tcp, CarrierChoice::Quic];

#[tokio::test]
async fn https_endpoint_on_both_carriers() -> Result<()> {
    let cluster = Cluster::start().await?;
    for carrier in CARRIERS {
        let upstream = HttpUpstream::start().await?;
        let agent = cluster.agent().carrier(carrier).connect().await?;
        let endpoint = agent.http().url(cluster.url("https", "app")).forward_to(&upstream.url()).await?;
        assert_eq!(endpoint.url(), format!("{}:{}", cluster.url("https", "app"), cluster.ready().https_addr.port()));

        let request = Request::post(format!("{}/path?x=1", cluster.url("https", "app")))
            .header("x-forwarded-for", "203.0.113.9")
            .body(Full::new(Bytes::from_static(b"hello")))?;
        let response = cluster.client().send(request).await?;
        assert_eq!((response.status, response.text()), (200, "hello".to_owned()));
        let seen = upstream.requests().remove(0);
        assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", "/path?x=1"));
        assert_eq!(seen.headers["x-forwarded-for"], "127.0.0.1");
        assert_eq!(seen.headers["x-forwarded-proto"], "https");
        agent.close().await;
    }
    cluster.stop().await?;
    Ok(())
}

#[tokio::test]
async fn http2_with_trailers_reaches_an_http2_upstream() -> Result<()> {
    let cluster = Cluster::start().await?;
    let upstream = HttpUpstream::start().await?;
    let agent = cluster.agent().connect().await?;
    let _endpoint =
        agent.http().url(cluster.url("https", "grpc")).upstream_http2(true).forward_to(&upstream.url()).await?;
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse()?);
    let body = Full::new(Bytes::from_static(b"message")).with_trailers(std::future::ready(Some(Ok(trailers.clone()))));
    let request = Request::post(format!("{}/svc/Method", cluster.url("https", "grpc")))
        .header("te", "trailers")
        .header("content-type", "application/grpc")
        .body(body.boxed())?;
    let response = cluster.client().send_h2(request).await?;
    assert_eq!((response.status, response.trailers.as_ref()), (200, Some(&trailers)));
    assert_eq!(upstream.requests()[0].headers["te"], "trailers");
    Ok(())
}

#[tokio::test]
async fn tcp_endpoint_carries_bytes_and_half_close() -> Result<()> {
    let cluster = Cluster::start().await?;
    for carrier in CARRIERS {
        let upstream = EchoUpstream::start().await?;
        let agent = cluster.agent().carrier(carrier).connect().await?;
        let endpoint = agent.tcp().url("tcp://").forward_to(&upstream.address().to_string()).await?;
        let port: u16 = endpoint.url().rsplit(':').next().unwrap_or_default().parse()?;

        let mut visitor = TcpStream::connect(("127.0.0.1", port)).await?;
        let sent: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
        let (mut read, mut write) = visitor.split();
        let writing = async {
            write.write_all(&sent).await?;
            write.shutdown().await
        };
        let mut received = Vec::new();
        let (written, read) = tokio::join!(writing, read.read_to_end(&mut received));
        written?;
        read?;
        assert_eq!(received.len(), sent.len());
        assert!(received == sent, "bytes changed on the way");
        agent.close().await;
    }
    Ok(())
}

#[tokio::test]
async fn unknown_name_is_a_page_with_a_code() -> Result<()> {
    let cluster = Cluster::start().await?;
    let response = cluster.client().get(&cluster.url("https", "nobody")).await?;
    assert_eq!((response.status, response.header("ngrok-error-code")), (404, "ERR_NGROK_3200"));
    let url = cluster.url("https", "nobody");
    assert!(response.text().contains(&url), "the page names {url} as the visitor wrote it: {}", response.text());
    let response = cluster.client().get(&cluster.url("https", "dashboard")).await?;
    assert_eq!((response.status, response.header("ngrok-error-code")), (404, "ERR_NGROK_3209"));
    assert!(response.text().contains("keeps for itself"), "{}", response.text());
    Ok(())
}

#[tokio::test]
async fn upstream_down_is_a_502_and_comes_back() -> Result<()> {
    let cluster = Cluster::start().await?;
    let port = {
        let free = std::net::TcpListener::bind("127.0.0.1:0")?;
        free.local_addr()?.port()
    };
    let agent = cluster.agent().connect().await?;
    let _endpoint =
        agent.http().url(cluster.url("https", "down")).forward_to(&format!("http://127.0.0.1:{port}")).await?;
    let response = cluster.client().get(&cluster.url("https", "down")).await?;
    assert_eq!((response.status, response.header("ngrok-error-code")), (502, "ERR_NGROK_8012"));
    Ok(())
}
