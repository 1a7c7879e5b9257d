//! IP policies from the REST interface to the agents and visitors that they are about. Everybody here comes from 127.0.0.1.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use portway_agent::ConnectError;
use portway_testkit::{Client, Cluster, HttpUpstream};
use serde_json::{Value, json};

/// Longest wait for something that must happen. No test asserts how fast.
const PATIENCE: Duration = Duration::from_secs(30);

/// The REST interface, as a program of the first account calls it.
struct Api {
    client: Client,
    url: String,
    key: String,
}

impl Api {
    fn of(cluster: &Cluster) -> Result<Api> {
        let bootstrap = std::fs::read(cluster.data_dir().join("bootstrap.json"))?;
        let bootstrap: Value = serde_json::from_slice(&bootstrap)?;
        let key = bootstrap["api_key"].as_str().context("bootstrap.json has an API key")?.to_owned();
        let url = cluster.ready().api_url.clone();
        let address = url.strip_prefix("http://").context("a plain URL")?.parse()?;
        Ok(Api { client: Client::plain(address), url, key })
    }

    /// A call that succeeds; the id of its resource.
    async fn call(&self, method: &str, path: &str, body: Value) -> Result<String> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("authorization", format!("Bearer {}", self.key))
            .header("ngrok-version", "2")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body.to_string())))?;
        let response = self.client.send(request).await?;
        ensure!((200..300).contains(&response.status), "{method} {path}: {} {}", response.status, response.text());
        let reply: Value = serde_json::from_slice(&response.body)?;
        Ok(reply["id"].as_str().context("a resource with an id")?.to_owned())
    }

    /// A policy with one rule; its id.
    async fn policy(&self, action: &str, network: &str) -> Result<String> {
        let policy = self.call("POST", "/ip_policies", json!({})).await?;
        self.rule(&policy, action, network).await?;
        Ok(policy)
    }

    async fn rule(&self, policy: &str, action: &str, network: &str) -> Result<String> {
        let rule = json!({"ip_policy_id": policy, "action": action, "cidr": network});
        self.call("POST", "/ip_policy_rules", rule).await
    }

    /// An enforced restriction to a policy; its path.
    async fn restrict(&self, kind: &str, policy: &str) -> Result<String> {
        let restriction = json!({"type": kind, "enforced": true, "ip_policy_ids": [policy]});
        Ok(format!("/ip_restrictions/{}", self.call("POST", "/ip_restrictions", restriction).await?))
    }
}

/// Asks until the answer has this status; its body.
async fn until(client: &Client, url: &str, status: u16) -> Result<String> {
    let asking = async {
        loop {
            if let Ok(response) = client.get(url).await
                && response.status == status
            {
                return response.text();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.with_context(|| format!("{url} never answered {status}"))
}

#[tokio::test]
async fn visitors_are_refused_as_the_rules_say_now() -> Result<()> {
    let cluster = Cluster::start().await?;
    let (api, upstream) = (Api::of(&cluster)?, HttpUpstream::start().await?);
    let agent = cluster.agent().connect().await?;
    let (client, url) = (cluster.client(), cluster.url("https", "app"));
    let _endpoint = agent.http().url(&url).forward_to(&upstream.url()).await?;
    until(&client, &url, 200).await?;

    let policy = api.policy("allow", "192.0.2.0/24").await?;
    let restriction = api.restrict("endpoints", &policy).await?;
    assert!(until(&client, &url, 403).await?.contains("ERR_NGROK_3205"));
    api.rule(&policy, "allow", "127.0.0.0/8").await?;
    until(&client, &url, 200).await?;
    api.rule(&policy, "deny", "127.0.0.1/32").await?;
    until(&client, &url, 403).await?;
    api.call("PATCH", &restriction, json!({"enforced": false})).await?;
    until(&client, &url, 200).await?;
    let (_, metrics) = cluster.admin("/metrics").await?;
    let warned = "portway_edge_ip_restricted_total{restriction=\"endpoints\",outcome=\"Warned\"}";
    assert!(metrics.contains(warned), "{metrics}");
    Ok(())
}

#[tokio::test]
async fn agents_are_refused_and_sent_away_as_the_rules_say_now() -> Result<()> {
    let cluster = Cluster::start().await?;
    let (api, upstream) = (Api::of(&cluster)?, HttpUpstream::start().await?);
    let policy = api.policy("allow", "127.0.0.0/8").await?;
    let restriction = api.restrict("agent", &policy).await?;
    let agent = cluster.agent().connect().await?;
    let (client, url) = (cluster.client(), cluster.url("https", "app"));
    let _endpoint = agent.http().url(&url).forward_to(&upstream.url()).await?;
    until(&client, &url, 200).await?;

    let elsewhere = api.policy("allow", "192.0.2.0/24").await?;
    api.call("PATCH", &restriction, json!({"ip_policy_ids": [elsewhere]})).await?;
    until(&client, &url, 404).await?;
    let error = cluster.agent().connect().await.unwrap_err();
    assert!(matches!(&error, ConnectError::Refused { code, .. } if code == "ERR_NGROK_115"), "{error}");
    Ok(())
}
