//! Connect URLs of an account's own, and the names that DNS answers for: real agents, real queries.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use portway_agent::{Agent, AgentBuilder, ConnectError, Status};
use portway_testkit::{Cluster, HttpUpstream};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// Longest wait for something that must happen. No test asserts how fast.
const PATIENCE: Duration = Duration::from_secs(30);

/// An agent of the first account that dials the server under another name.
fn dialling(cluster: &Cluster, host: &str) -> AgentBuilder {
    let ready = cluster.ready();
    let url = format!("{host}:{}", ready.https_addr.port());
    cluster.agent().connect_url(url).addresses([ready.connect_addr])
}

/// The same, connected: its certificate may take a moment longer to the edge than its name.
async fn dialled(cluster: &Cluster, host: &str) -> Result<Agent> {
    let dialling = async {
        loop {
            match dialling(cluster, host).connect().await {
                Err(ConnectError::Dial(_)) => tokio::time::sleep(Duration::from_millis(20)).await,
                connected => return connected,
            }
        }
    };
    Ok(timeout(PATIENCE, dialling).await.with_context(|| format!("{host} is never served"))??)
}

/// Asks over UDP: the code, and the records of the answer as texts.
async fn ask(cluster: &Cluster, name: &str, kind: RecordType) -> Result<(ResponseCode, Vec<String>)> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    socket.connect(cluster.ready().dns_addr).await?;
    socket.send(&query(name, kind)?).await?;
    let mut reply = [0; 4096];
    let len = timeout(PATIENCE, socket.recv(&mut reply)).await.context("no reply")??;
    read(&reply[..len])
}

/// The same over TCP.
async fn ask_tcp(cluster: &Cluster, name: &str, kind: RecordType) -> Result<(ResponseCode, Vec<String>)> {
    let mut stream = TcpStream::connect(cluster.ready().dns_addr).await?;
    let query = query(name, kind)?;
    stream.write_u16(query.len().try_into()?).await?;
    stream.write_all(&query).await?;
    let mut reply = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut reply).await?;
    read(&reply)
}

fn query(name: &str, kind: RecordType) -> Result<Vec<u8>> {
    let mut message = Message::query();
    message.add_query(Query::query(Name::from_ascii(name)?, kind));
    Ok(message.to_vec()?)
}

fn read(reply: &[u8]) -> Result<(ResponseCode, Vec<String>)> {
    let message = Message::from_vec(reply)?;
    let records = message.answers.iter().map(|record| record.data.to_string()).collect();
    Ok((message.metadata.response_code, records))
}

/// Asks until the code is this one: a change takes a moment to the edge.
async fn until(cluster: &Cluster, name: &str, code: ResponseCode) -> Result<()> {
    let asking = async {
        while ask(cluster, name, RecordType::A).await?.0 != code {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    };
    timeout(PATIENCE, asking).await.with_context(|| format!("{name} never answered {code}"))?
}

/// An authtoken of another account.
async fn stranger(cluster: &Cluster) -> Result<String> {
    let made = cluster.done("POST", "/portway/v1/accounts", json!({"name": "acme"})).await?;
    let key = made["token"].as_str().context("a key")?.to_owned();
    let (status, token) = cluster.api_as(&key, "POST", "/credentials", json!({})).await?;
    ensure!(status == 201, "{token}");
    Ok(token["token"].as_str().context("a token")?.to_owned())
}

#[tokio::test]
async fn agents_of_the_account_dial_its_connect_url_until_it_is_deleted() -> Result<()> {
    let (cluster, upstream) = (Cluster::start().await?, HttpUpstream::start().await?);
    let host = "connect.acme.example";
    assert!(matches!(dialling(&cluster, host).connect().await, Err(ConnectError::Dial(_))), "nobody dials it yet");

    let made = cluster.done("POST", "/agent_ingresses", json!({"domain": host})).await?;
    let path = format!("/agent_ingresses/{}", made["id"].as_str().context("an id")?);
    until(&cluster, host, ResponseCode::NoError).await?;
    let regional = made["region_domains"][0].as_str().context("a name for the region")?.to_owned();
    for name in [host, &regional] {
        let agent = dialled(&cluster, name).await?;
        let url = cluster.url("https", "app");
        let endpoint = agent.http().url(&url).forward_to(&upstream.url()).await?;
        assert_eq!(cluster.client().get(&url).await?.status, 200);
        endpoint.close().await;
        agent.close().await;
    }

    let pinned = dialling(&cluster, host).region("local").connect().await?;
    assert!(matches!(&*pinned.status().borrow(), Status::Online(online) if online.region == "local"));
    pinned.close().await;
    match dialling(&cluster, host).region("mars").connect().await {
        Err(ConnectError::RegionNotOffered { offered, .. }) => assert_eq!(offered, ["local"]),
        other => panic!("there is no such region: {other:?}"),
    }

    let token = stranger(&cluster).await?;
    match dialling(&cluster, host).authtoken(token.as_str()).connect().await {
        Err(ConnectError::Refused { code, .. }) => assert_eq!(code, "ERR_NGROK_122"),
        other => panic!("the agent of another account: {other:?}"),
    }

    let agent = dialling(&cluster, host).connect().await?;
    cluster.done("DELETE", &path, Value::Null).await?;
    let mut status = agent.status();
    let ended = timeout(PATIENCE, status.wait_for(|status| !matches!(status, Status::Online(_)))).await??.clone();
    let Status::Reconnecting { error, .. } = ended else { panic!("{ended:?}") };
    assert!(error.contains("ERR_NGROK_118"), "{error}");
    until(&cluster, host, ResponseCode::Refused).await?;
    Ok(())
}

#[tokio::test]
async fn dns_answers_for_the_installation() -> Result<()> {
    let cluster = Cluster::start().await?;
    let base = cluster.ready().base_domain.clone();
    let ours = (ResponseCode::NoError, vec!["127.0.0.1".to_owned()]);
    for name in [base.clone(), format!("app.{base}"), format!("a.b.{base}"), format!("connect.{base}")] {
        assert_eq!(ask(&cluster, &name, RecordType::A).await?, ours, "{name}");
        assert_eq!(ask_tcp(&cluster, &name, RecordType::A).await?, ours, "{name}");
        assert_eq!(ask(&cluster, &name, RecordType::AAAA).await?, (ResponseCode::NoError, vec![]), "{name}");
    }
    assert_eq!(ask(&cluster, &base, RecordType::NS).await?.1, [format!("connect.{base}.")]);
    for (name, code) in [
        (format!("cname.{base}"), ResponseCode::NoError),
        (format!("x.cname.{base}"), ResponseCode::NoError),
        (format!("x.y.cname.{base}"), ResponseCode::NXDomain),
        (format!("x.acme-challenge.{base}"), ResponseCode::NXDomain),
        ("example.com".to_owned(), ResponseCode::Refused),
        (format!("evil{base}"), ResponseCode::Refused),
    ] {
        assert_eq!(ask(&cluster, &name, RecordType::A).await?, (code, vec![]), "{name}");
    }

    // The target of a reserved domain is there for as long as the domain is reserved.
    let made = cluster.done("POST", "/reserved_domains", json!({"domain": "shop.acme.example"})).await?;
    let target = made["cname_target"].as_str().context("a target")?.to_owned();
    until(&cluster, &target, ResponseCode::NoError).await?;
    assert_eq!(ask(&cluster, &target, RecordType::A).await?, ours);
    cluster
        .done("DELETE", &format!("/reserved_domains/{}", made["id"].as_str().context("an id")?), Value::Null)
        .await?;
    until(&cluster, &target, ResponseCode::NXDomain).await
}

#[tokio::test]
async fn a_delegated_zone_is_whole() -> Result<()> {
    let cluster = Cluster::start().await?;
    let host = "connect.acme.example";
    cluster.done("POST", "/agent_ingresses", json!({"domain": host})).await?;
    until(&cluster, host, ResponseCode::NoError).await?;
    let edge: IpAddr = SocketAddr::ip(&cluster.ready().https_addr);
    let region = format!("local.{host}");
    for name in [host, &region] {
        assert_eq!(ask(&cluster, name, RecordType::A).await?, (ResponseCode::NoError, vec![edge.to_string()]));
    }
    let ns = vec![format!("connect.{}.", cluster.ready().base_domain)];
    assert_eq!(ask(&cluster, host, RecordType::NS).await?, (ResponseCode::NoError, ns));
    let (_, soa) = ask(&cluster, host, RecordType::SOA).await?;
    assert!(soa[0].contains(&format!("hostmaster.{host}.")), "{soa:?}");
    assert_eq!(ask(&cluster, &format!("x.{host}"), RecordType::A).await?.0, ResponseCode::NXDomain);
    assert_eq!(ask(&cluster, "acme.example", RecordType::A).await?.0, ResponseCode::Refused);
    Ok(())
}
