//! Kills a server while it orders a certificate: the certificate comes all the same, and only one.

mod server;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use portway_testkit::{Behaviour, Client, Pebble, Resolver, free_ports};
use serde_json::{Value, json};

use server::Server;

/// Longest wait for something that must happen. No test asserts how fast.
const PATIENCE: Duration = Duration::from_secs(120);
/// An order takes some seconds: the lives of the servers end at all of its steps.
const LIVES: [u64; 12] = [100, 700, 1300, 400, 1000, 200, 1600, 500, 2200, 900, 2800, 300];

#[tokio::test]
async fn an_order_survives_kills_at_every_step() -> Result<()> {
    let Some(mut pebble) = Pebble::plan()? else { return Ok(()) };
    let resolver = Resolver::start().await?;
    let [http, tls, dns, api, admin, ssh] = free_ports()?;
    let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    let flags = [
        ("domain", "portway.test".to_owned()),
        ("http-addr", at(http).to_string()),
        ("https-addr", at(tls).to_string()),
        ("dns-addr", at(dns).to_string()),
        ("api-addr", at(api).to_string()),
        ("admin-addr", at(admin).to_string()),
        ("ssh-addr", at(ssh).to_string()),
        ("dns-resolver", resolver.address().to_string()),
        ("acme-directory", pebble.directory()),
        ("acme-roots", pebble.own_root_file().display().to_string()),
    ]
    .map(|(name, value)| format!("--{name}={value}"));
    resolver.delegate("portway.test", at(dns))?;
    let validity = Duration::from_secs(90 * 24 * 60 * 60);
    let dns = resolver.address();
    pebble.start(&Behaviour { http, tls, dns, refused_nonces: 0, validity, external_accounts: false }).await?;

    let flags = flags.each_ref().map(String::as_str);
    let mut server = Server::start_with(&flags)?;
    let dir = Arc::clone(&server.dir);
    let bootstrap: Value = serde_json::from_slice(&std::fs::read(dir.path().join("data/bootstrap.json"))?)?;
    let (key, client) = (bootstrap["api_key"].as_str().context("a key")?, Client::plain(at(api)));
    let call = async |method: &str, path: &str, body: Value| {
        let (status, reply) = client.call_api(key, &format!("http://{}{path}", at(api)), method, body).await?;
        ensure!((200..300).contains(&status), "{method} {path}: {status} {reply}");
        Ok(reply)
    };
    let made = call("POST", "/reserved_domains", json!({"domain": "app.customer.test"})).await?;
    resolver.alias("app.customer.test", made["cname_target"].as_str().context("a target")?)?;
    for life in LIVES {
        tokio::time::sleep(Duration::from_millis(life)).await;
        drop(server);
        server = Server::start_in(Arc::clone(&dir), &flags)?;
    }
    let path = format!("/reserved_domains/{}", made["id"].as_str().context("an id")?);
    let issued = async {
        loop {
            let domain = call("GET", &path, Value::Null).await?;
            let status = &domain["certificate_management_status"];
            if status["provisioning_job"].is_null() && status["renews_at"].is_string() {
                return Ok::<_, anyhow::Error>(domain);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let domain = tokio::time::timeout(PATIENCE, issued).await.context("it is never issued")??;
    let all = call("GET", "/tls_certificates", Value::Null).await?;
    let ids: Vec<&Value> = all["tls_certificates"].as_array().context("a list")?.iter().map(|one| &one["id"]).collect();
    assert_eq!(ids, [&domain["certificate"]["id"]]);
    let log = call("GET", "/portway/v1/audit_log?limit=100", Value::Null).await?;
    let written = log["audit_log"].as_array().context("a list")?.iter();
    assert_eq!(written.filter(|entry| entry["operation"] == "certificate issued").count(), 1, "{log}");
    Ok(())
}
