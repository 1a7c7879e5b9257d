//! What outlives what: links, sessions, tokens, servers.

use std::time::Duration;

use anyhow::Result;
use portway_agent::{CarrierChoice, ConnectError, Status};
use portway_control::admin::Admin;
use portway_server::Settings;
use portway_testkit::{Client, Cluster, HttpUpstream, Link};

/// Longest wait for something that must happen. No test asserts how fast.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks until the answer has `status`.
async fn until(client: &Client, url: &str, status: u16) -> Result<()> {
    tokio::time::timeout(PATIENCE, async {
        loop {
            if client.get(url).await.is_ok_and(|response| response.status == status) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .map_err(|_| anyhow::anyhow!("{url} did not answer {status} within {PATIENCE:?}"))
}

#[tokio::test]
async fn wrong_token_is_refused_with_its_code() -> Result<()> {
    let cluster = Cluster::start().await?;
    let unknown = "2Yt0000000000000000000000ab_unknown";
    for (token, expected) in [("wrong", "ERR_NGROK_105"), (unknown, "ERR_NGROK_107")] {
        let error = cluster.agent().authtoken(token).connect().await.unwrap_err();
        assert!(matches!(&error, ConnectError::Refused { code, .. } if code == expected), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn agent_comes_back_after_its_link_was_cut() -> Result<()> {
    let cluster = Cluster::start().await?;
    let upstream = HttpUpstream::start().await?;
    let link = Link::to(cluster.ready().connect_addr).await?;
    let agent = cluster.agent_via(link.address()).carrier(CarrierChoice::Tcp).connect().await?;
    let url = cluster.url("https", "app");
    let _endpoint = agent.http().url(&url).forward_to(&upstream.url()).await?;
    until(&cluster.client(), &url, 200).await?;
    link.cut();
    until(&cluster.client(), &url, 404).await?;
    link.restore();
    until(&cluster.client(), &url, 200).await?;
    assert!(link.connections() >= 2);
    Ok(())
}

#[tokio::test]
async fn revoking_a_token_ends_its_sessions() -> Result<()> {
    let cluster = Cluster::start().await?;
    let upstream = HttpUpstream::start().await?;
    let admin = Admin::open(&cluster.data_dir()).await?;
    let (id, token) = admin.create_authtoken("to be revoked", &[]).await?;
    let agent = cluster.agent().authtoken(token).connect().await?;
    let url = cluster.url("https", "app");
    let _endpoint = agent.http().url(&url).forward_to(&upstream.url()).await?;
    until(&cluster.client(), &url, 200).await?;
    admin.revoke(id).await?;
    let mut status = agent.status();
    tokio::time::timeout(PATIENCE, status.wait_for(|status| !matches!(status, Status::Online(_)))).await??;
    until(&cluster.client(), &url, 404).await?;
    Ok(())
}

#[tokio::test]
async fn acl_is_enforced_at_bind() -> Result<()> {
    let cluster = Cluster::start().await?;
    let base = cluster.ready().base_domain.clone();
    let admin = Admin::open(&cluster.data_dir()).await?;
    let (_, token) = admin.create_authtoken("one name", &[format!("bind:only.{base}")]).await?;
    let agent = cluster.agent().authtoken(token).connect().await?;
    let refused = agent.http().url(cluster.url("https", "other")).forward_to("http://127.0.0.1:1").await.unwrap_err();
    assert!(refused.to_string().contains("ERR_NGROK_316"), "{refused}");
    agent.http().url(cluster.url("https", "only")).forward_to("http://127.0.0.1:1").await?;
    Ok(())
}

#[tokio::test]
async fn agent_outlives_a_restart_of_the_server() -> Result<()> {
    let cluster = Cluster::start().await?;
    let upstream = HttpUpstream::start().await?;
    let agent = cluster.agent().connect().await?;
    let url = cluster.url("https", "app");
    let _endpoint = agent.http().url(&url).forward_to(&upstream.url()).await?;
    until(&cluster.client(), &url, 200).await?;
    let settings = cluster.same_addresses();
    let data = cluster.stop().await?;
    let cluster = Cluster::restart(data, settings).await?;
    until(&cluster.client(), &url, 200).await?;
    Ok(())
}

#[tokio::test]
async fn a_second_server_on_the_data_directory_is_refused() -> Result<()> {
    let cluster = Cluster::start().await?;
    let settings = Settings { data_dir: Some(cluster.data_dir()), ..Settings::default() };
    let error = Cluster::with(settings).await.unwrap_err().to_string();
    assert!(error.contains("another server is running on the data directory"), "{error}");
    Ok(())
}

#[tokio::test]
async fn admin_address_tells_health_readiness_and_metrics() -> Result<()> {
    let cluster = Cluster::start().await?;
    assert_eq!(cluster.admin("/healthz").await?, (200, "ok\n".to_owned()));
    assert_eq!(cluster.admin("/readyz").await?, (200, "ready\n".to_owned()));
    let (status, metrics) = cluster.admin("/metrics").await?;
    assert_eq!(status, 200);
    assert!(metrics.contains("portway_") && metrics.ends_with("# EOF\n"), "{metrics}");
    Ok(())
}
