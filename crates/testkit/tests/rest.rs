//! The REST interface of a whole server: how it is reached, and that what it keeps takes effect.

use std::time::Duration;

use anyhow::Result;
use portway_server::{DomainPolicy, Settings};
use portway_testkit::{Client, Cluster, HttpUpstream};
use serde_json::{Value, json};

#[tokio::test]
async fn it_is_reached_at_its_address_and_by_name() -> Result<()> {
    let cluster = Cluster::start().await?;
    let policy = cluster.done("POST", "/ip_policies", json!({"description": "office"})).await?;
    let path = format!("/ip_policies/{}", policy["id"].as_str().unwrap());
    let base = format!("https://api.portway.localhost:{}", cluster.ready().https_addr.port());
    let (status, by_name) = cluster.api_at(&base, "GET", &path, Value::Null).await?;
    assert_eq!((status, &by_name["id"]), (200, &policy["id"]));
    // Each caller is given back the way it came.
    assert_eq!(policy["uri"], format!("{}{path}", cluster.ready().api_url));
    assert_eq!(by_name["uri"], format!("{base}{path}"));
    Ok(())
}

#[tokio::test]
async fn api_url_stands_in_every_address() -> Result<()> {
    let settings = Settings { api_url: Some("https://api.example.com".parse()?), ..Settings::default() };
    let cluster = Cluster::with(settings).await?;
    let page = cluster.done("GET", "/ip_policies", Value::Null).await?;
    assert_eq!(page["uri"], "https://api.example.com/ip_policies");
    Ok(())
}

#[tokio::test]
async fn a_body_without_end_is_refused() -> Result<()> {
    let cluster = Cluster::start().await?;
    let long = json!({"description": "x".repeat(300_000)});
    let (status, error) = cluster.api("POST", "/ip_policies", long).await?;
    assert_eq!((status, error["error_code"].as_str()), (413, Some("ERR_PORTWAY_41302")));
    Ok(())
}

#[tokio::test]
async fn calls_go_on_through_an_upgrade() -> Result<()> {
    let mut cluster = Cluster::start().await?;
    let policy = cluster.done("POST", "/ip_policies", json!({})).await?;
    let predecessor = cluster.upgrade().await?;
    let page = cluster.done("GET", "/ip_policies", Value::Null).await?;
    assert_eq!(page["ip_policies"][0]["id"], policy["id"]);
    predecessor.ended().await?;
    Ok(())
}

#[tokio::test]
async fn the_document_needs_no_key() -> Result<()> {
    let cluster = Cluster::start().await?;
    let at = cluster.ready().api_url.trim_start_matches("http://").parse()?;
    let response = Client::plain(at).get(&format!("{}/openapi.json", cluster.ready().api_url)).await?;
    let document: Value = serde_json::from_slice(&response.body)?;
    assert_eq!(
        (response.status, document["servers"][0]["url"].as_str()),
        (200, Some(cluster.ready().api_url.as_str()))
    );
    Ok(())
}

/// Asks until the answer can be trusted by this client.
async fn trusted(client: &Client, url: &str) -> Result<()> {
    let asking = async {
        loop {
            match client.get(url).await {
                Ok(response) => return response.status,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    anyhow::ensure!(tokio::time::timeout(Duration::from_secs(10), asking).await? == 200);
    Ok(())
}

#[tokio::test]
async fn an_uploaded_certificate_is_served_while_a_domain_refers_to_it() -> Result<()> {
    let settings = Settings { domain_policy: Some(DomainPolicy::AnyDomain), ..Settings::default() };
    let cluster = Cluster::with(settings).await?;
    let upstream = HttpUpstream::start().await?;
    let agent = cluster.agent().connect().await?;
    let url = "https://shop.example.com";
    let _endpoint = agent.http().url(url).forward_to(&upstream.url()).await?;
    // Until now the server's own authority vouches for the name.
    trusted(&cluster.client(), url).await?;
    let own = rcgen::generate_simple_self_signed(["shop.example.com".to_owned()])?;
    let (chain, key) = (own.cert.pem(), own.signing_key.serialize_pem());
    let body = json!({"certificate_pem": chain, "private_key_pem": key});
    let certificate = cluster.done("POST", "/tls_certificates", body).await?["id"].clone();
    let body = json!({"domain": "shop.example.com", "certificate_id": certificate});
    let domain = cluster.done("POST", "/reserved_domains", body).await?["id"].clone();
    let visitor = Client::new(chain.as_bytes(), cluster.ready().https_addr, cluster.ready().http_addr);
    trusted(&visitor, url).await?;
    assert!(cluster.client().get(url).await.is_err());
    let path = format!("/reserved_domains/{}/certificate", domain.as_str().unwrap());
    cluster.done("DELETE", &path, Value::Null).await?;
    trusted(&cluster.client(), url).await?;
    assert!(visitor.get(url).await.is_err());
    Ok(())
}

#[tokio::test]
async fn a_reserved_domain_outside_is_served_without_a_certificate_of_the_internal_authority() -> Result<()> {
    let cluster = Cluster::start().await?;
    let upstream = HttpUpstream::start().await?;
    let agent = cluster.agent().connect().await?;
    let url = "https://shop.example.com";
    let refused = agent.http().url(url).forward_to(&upstream.url()).await.unwrap_err();
    assert!(refused.to_string().contains("ERR_NGROK_319"), "{refused}");
    cluster.done("POST", "/reserved_domains", json!({"domain": "shop.example.com"})).await?;
    let _endpoint = agent.http().url(url).forward_to(&upstream.url()).await?;
    // The server's own certificate, which is for another name.
    let error = cluster.client().get(url).await.unwrap_err();
    assert!(format!("{error:#}").contains("not valid for name"), "{error:#}");
    let page = cluster.done("GET", "/endpoints", Value::Null).await?;
    let endpoint = &page["endpoints"][0];
    assert_eq!((endpoint["host"].as_str(), endpoint["domain"]["id"].is_string()), (Some("shop.example.com"), true));
    Ok(())
}
