//! What a call of the REST interface changes takes effect: at the edge, for agents and visitors, without a restart.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use portway_agent::{Agent, BindError, ConnectError, Endpoint};
use portway_testkit::{Client, Cluster, HttpUpstream};
use serde_json::{Value, json};

/// Longest wait for something that must happen. No test asserts how fast.
const PATIENCE: Duration = Duration::from_secs(30);

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

/// A server, a service behind it, and the visitor's client.
struct World {
    cluster: Cluster,
    upstream: HttpUpstream,
    client: Client,
}

impl World {
    async fn start() -> Result<World> {
        let cluster = Cluster::start().await?;
        let client = cluster.client();
        Ok(World { cluster, upstream: HttpUpstream::start().await?, client })
    }

    async fn agent(&self, authtoken: &str) -> Result<Agent, ConnectError> {
        self.cluster.agent().authtoken(authtoken).connect().await
    }

    async fn serve(&self, agent: &Agent, url: &str) -> Result<Endpoint, BindError> {
        agent.http().url(url).forward_to(&self.upstream.url()).await
    }

    /// An authtoken: its text and its path.
    async fn authtoken(&self, body: Value) -> Result<(String, String)> {
        let made = self.cluster.done("POST", "/credentials", body).await?;
        Ok((text(&made, "token"), format!("/credentials/{}", text(&made, "id"))))
    }

    /// An API key: its text and its path.
    async fn key(&self, body: Value) -> Result<(String, String)> {
        let made = self.cluster.done("POST", "/api_keys", body).await?;
        Ok((text(&made, "token"), format!("/api_keys/{}", text(&made, "id"))))
    }

    /// The status of a call with this key.
    async fn status_of(&self, key: &str) -> Result<u16> {
        Ok(self.cluster.api_as(key, "GET", "/self", Value::Null).await?.0)
    }

    /// Another account, with a user, an API key and an authtoken of its own: path of the account, key, token.
    async fn tenant(&self) -> Result<(String, String, String)> {
        let made = self.cluster.done("POST", "/portway/v1/accounts", json!({"name": "acme"})).await?;
        let (account, key) = (text(&made, "id"), text(&made, "token"));
        let (status, token) = self.cluster.api_as(&key, "POST", "/credentials", json!({})).await?;
        ensure!(status == 201, "{token}");
        Ok((format!("/portway/v1/accounts/{account}"), key, text(&token, "token")))
    }
}

fn text(object: &Value, member: &str) -> String {
    object[member].as_str().unwrap_or_else(|| panic!("{member} in {object}")).to_owned()
}

#[tokio::test]
async fn a_deleted_authtoken_ends_its_sessions_and_a_deleted_key_its_calls() -> Result<()> {
    let world = World::start().await?;
    let (token, path) = world.authtoken(json!({"description": "machine 1"})).await?;
    let agent = world.agent(&token).await?;
    let url = world.cluster.url("https", "app");
    let _endpoint = world.serve(&agent, &url).await?;
    until(&world.client, &url, 200).await?;
    world.cluster.done("DELETE", &path, Value::Null).await?;
    until(&world.client, &url, 404).await?;
    assert!(matches!(world.agent(&token).await, Err(ConnectError::Refused { .. })));

    let (key, path) = world.key(json!({})).await?;
    assert_eq!(world.status_of(&key).await?, 200);
    world.cluster.done("DELETE", &path, Value::Null).await?;
    assert_eq!(world.status_of(&key).await?, 401);
    Ok(())
}

#[tokio::test]
async fn what_a_service_user_owns_works_while_they_are_active() -> Result<()> {
    let world = World::start().await?;
    let user = text(&world.cluster.done("POST", "/service_users", json!({"name": "factory"})).await?, "id");
    let (token, _) = world.authtoken(json!({"owner_id": user})).await?;
    let (key, _) = world.key(json!({"owner_id": user})).await?;
    let (path, url) = (format!("/service_users/{user}"), world.cluster.url("https", "app"));
    let agent = world.agent(&token).await?;
    let _endpoint = world.serve(&agent, &url).await?;
    until(&world.client, &url, 200).await?;

    world.cluster.done("PATCH", &path, json!({"active": false})).await?;
    until(&world.client, &url, 404).await?;
    assert!(matches!(world.agent(&token).await, Err(ConnectError::Refused { .. })));
    assert_eq!(world.status_of(&key).await?, 401);
    let (status, error) = world.cluster.api("POST", "/credentials", json!({"owner_id": user})).await?;
    assert_eq!((status, error["error_code"].as_str()), (403, Some("ERR_NGROK_636")));

    world.cluster.done("PATCH", &path, json!({"active": true})).await?;
    let again = world.agent(&token).await?;
    let other = world.cluster.url("https", "again");
    let _endpoint = world.serve(&again, &other).await?;
    until(&world.client, &other, 200).await?;
    assert_eq!(world.status_of(&key).await?, 200);

    world.cluster.done("DELETE", &path, Value::Null).await?;
    until(&world.client, &other, 404).await?;
    assert_eq!(world.status_of(&key).await?, 401);
    Ok(())
}

#[tokio::test]
async fn a_member_who_leaves_takes_their_tokens_along() -> Result<()> {
    let world = World::start().await?;
    let person = json!({"email": "b@example.com", "name": "B"});
    let user = text(&world.cluster.done("POST", "/portway/v1/users", person).await?, "id");
    let member = world.cluster.done("POST", "/portway/v1/memberships", json!({"user_id": user})).await?;
    let (token, _) = world.authtoken(json!({"owner_id": user})).await?;
    let (key, _) = world.key(json!({"owner_id": user})).await?;
    let (agent, url) = (world.agent(&token).await?, world.cluster.url("https", "app"));
    let _endpoint = world.serve(&agent, &url).await?;
    until(&world.client, &url, 200).await?;
    world.cluster.done("PATCH", &format!("/portway/v1/users/{user}"), json!({"active": false})).await?;
    until(&world.client, &url, 404).await?;
    assert_eq!(world.status_of(&key).await?, 401);
    world.cluster.done("PATCH", &format!("/portway/v1/users/{user}"), json!({"active": true})).await?;
    assert_eq!(world.status_of(&key).await?, 200);
    let (again, url) = (world.agent(&token).await?, world.cluster.url("https", "again"));
    let _endpoint = world.serve(&again, &url).await?;
    until(&world.client, &url, 200).await?;
    world.cluster.done("DELETE", &format!("/portway/v1/memberships/{}", text(&member, "id")), Value::Null).await?;
    until(&world.client, &url, 404).await?;
    assert_eq!(world.status_of(&key).await?, 401);
    Ok(())
}

#[tokio::test]
async fn a_suspended_account_is_offline_until_it_is_not() -> Result<()> {
    let world = World::start().await?;
    let (account, key, token) = world.tenant().await?;
    let (agent, url) = (world.agent(&token).await?, world.cluster.url("https", "acme"));
    let _endpoint = world.serve(&agent, &url).await?;
    until(&world.client, &url, 200).await?;
    world.cluster.done("PATCH", &account, json!({"suspended": true})).await?;
    until(&world.client, &url, 404).await?;
    assert_eq!(world.status_of(&key).await?, 401);
    world.cluster.done("PATCH", &account, json!({"suspended": false})).await?;
    let (again, url) = (world.agent(&token).await?, world.cluster.url("https", "again"));
    let _endpoint = world.serve(&again, &url).await?;
    until(&world.client, &url, 200).await?;
    assert_eq!(world.status_of(&key).await?, 200);
    world.cluster.done("DELETE", &account, Value::Null).await?;
    until(&world.client, &url, 404).await?;
    assert_eq!(world.status_of(&key).await?, 401);
    Ok(())
}

#[tokio::test]
async fn narrower_rules_end_only_the_endpoints_that_they_no_longer_permit() -> Result<()> {
    let world = World::start().await?;
    let (token, path) = world.authtoken(json!({})).await?;
    let agent = world.agent(&token).await?;
    let (kept, ended) = (world.cluster.url("https", "kept"), world.cluster.url("https", "ended"));
    let _endpoints = (world.serve(&agent, &kept).await?, world.serve(&agent, &ended).await?);
    until(&world.client, &ended, 200).await?;
    world.cluster.done("PATCH", &path, json!({"acl": ["bind:kept.portway.localhost"]})).await?;
    until(&world.client, &ended, 404).await?;
    until(&world.client, &kept, 200).await?;
    let refused = world.serve(&agent, &world.cluster.url("https", "third")).await.unwrap_err();
    assert!(refused.to_string().contains("ERR_NGROK_316"), "{refused}");
    Ok(())
}

#[tokio::test]
async fn a_reserved_domain_is_its_accounts_with_everything_below() -> Result<()> {
    let world = World::start().await?;
    let (_, key, token) = world.tenant().await?;
    let body = json!({"domain": "shop.portway.localhost"});
    let domain = world.cluster.done("POST", "/reserved_domains", body.clone()).await?;
    let (owner, stranger) = (world.agent(&owner_token(&world)).await?, world.agent(&token).await?);
    for name in ["shop", "a.shop", "b.a.shop", "*.shop"] {
        let refused = world.serve(&stranger, &world.cluster.url("https", name)).await.unwrap_err();
        assert!(refused.to_string().contains("ERR_NGROK_3"), "{name}: {refused}");
    }
    for (domain, code) in [("shop", "ERR_NGROK_414"), ("a.b.shop", "ERR_NGROK_414"), ("*.shop", "ERR_NGROK_417")] {
        let body = json!({"domain": format!("{domain}.portway.localhost")});
        let (status, error) = world.cluster.api_as(&key, "POST", "/reserved_domains", body).await?;
        assert_eq!((status, error["error_code"].as_str()), (409, Some(code)), "{domain}");
    }
    let url = world.cluster.url("https", "b.a.shop");
    let _endpoint = world.serve(&owner, &url).await?;
    until(&world.client, &url, 200).await?;

    // What is served there goes offline, and may come back as a name that nobody has reserved until somebody else takes it.
    world.cluster.done("DELETE", &format!("/reserved_domains/{}", text(&domain, "id")), Value::Null).await?;
    assert!(until(&world.client, &url, 404).await?.contains("ERR_NGROK_3200"));
    let (status, _) =
        world.cluster.api_as(&key, "POST", "/reserved_domains", json!({"domain": "other.portway.localhost"})).await?;
    assert_eq!(status, 201);
    let refused = world.serve(&owner, &world.cluster.url("https", "other")).await.unwrap_err();
    assert!(refused.to_string().contains("ERR_NGROK_3"), "{refused}");
    Ok(())
}

#[tokio::test]
async fn a_domain_outside_goes_offline_with_its_reservation() -> Result<()> {
    let world = World::start().await?;
    let domain = world.cluster.done("POST", "/reserved_domains", json!({"domain": "shop.example.com"})).await?;
    let agent = world.agent(&owner_token(&world)).await?;
    let url = "http://shop.example.com";
    let _endpoint = world.serve(&agent, url).await?;
    until(&world.client, url, 200).await?;
    world.cluster.done("DELETE", &format!("/reserved_domains/{}", text(&domain, "id")), Value::Null).await?;
    assert!(until(&world.client, url, 404).await?.contains("ERR_NGROK_3200"));
    let refused = world.serve(&agent, url).await.unwrap_err();
    assert!(refused.to_string().contains("ERR_NGROK_319"), "{refused}");
    Ok(())
}

#[tokio::test]
async fn a_reserved_address_is_its_accounts() -> Result<()> {
    let world = World::start().await?;
    let (_, _, token) = world.tenant().await?;
    let made = world.cluster.done("POST", "/reserved_addrs", json!({})).await?;
    let url = format!("tcp://{}", text(&made, "addr"));
    let (owner, stranger) = (world.agent(&owner_token(&world)).await?, world.agent(&token).await?);
    let refused = stranger.tcp().url(&url).forward_to("127.0.0.1:9").await.unwrap_err();
    assert!(refused.to_string().contains("ERR_NGROK_309"), "{refused}");
    let endpoint = owner.tcp().url(&url).forward_to("127.0.0.1:9").await?;
    assert_eq!(endpoint.url(), url);
    let listed = world.cluster.done("GET", "/endpoints", Value::Null).await?;
    assert_eq!(listed["endpoints"][0]["tcp_addr"]["id"], made["id"]);
    Ok(())
}

#[tokio::test]
async fn a_session_is_stopped_by_a_call() -> Result<()> {
    let world = World::start().await?;
    let (stop, mut stopped) = tokio::sync::mpsc::channel(1);
    let agent = world.cluster.agent().on_stop(move || {
        let _ = stop.try_send(());
        Ok(())
    });
    let _agent = agent.connect().await?;
    let listing = async {
        loop {
            let page = world.cluster.done("GET", "/tunnel_sessions", Value::Null).await?;
            if let Some(session) = page["tunnel_sessions"][0]["id"].as_str() {
                return Ok::<_, anyhow::Error>(session.to_owned());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let session = tokio::time::timeout(PATIENCE, listing).await??;
    world.cluster.done("POST", &format!("/tunnel_sessions/{session}/stop"), json!({})).await?;
    tokio::time::timeout(PATIENCE, stopped.recv()).await?.context("the agent was told")?;
    let (status, error) = world.cluster.api("POST", &format!("/tunnel_sessions/{session}/update"), json!({})).await?;
    assert_eq!(error["error_code"].as_str(), Some("ERR_NGROK_806"), "{status} {error}");
    Ok(())
}

fn owner_token(world: &World) -> String {
    use secrecy::ExposeSecret;
    world.cluster.authtoken().expose_secret().to_owned()
}
