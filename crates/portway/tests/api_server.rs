//! `portway api` against a server as a process: resources are created, listed, read, changed and deleted.

mod server;

use std::collections::BTreeMap;
use std::process::Output;

use anyhow::{Context, Result};
use serde_json::Value;

use server::{Server, portway};

impl Server {
    fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// `portway api` with what the data directory says.
    fn api(&self, words: &[&str]) -> Result<Output> {
        Ok(portway(self.dir.path()).arg("api").args(words).args(["--data-dir", "data"]).output()?)
    }

    fn said(&self, words: &[&str]) -> Result<Value> {
        let output = self.api(words)?;
        let errors = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "{words:?}: {errors}");
        Ok(if output.stdout.is_empty() { Value::Null } else { serde_json::from_slice(&output.stdout)? })
    }

    fn refused(&self, words: &[&str]) -> Result<String> {
        let output = self.api(words)?;
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        anyhow::ensure!(output.status.code() == Some(1), "{words:?}: {:?} {errors}", output.status);
        Ok(errors)
    }
}

#[test]
fn a_resource_lives_from_create_to_delete() -> Result<()> {
    let server = Server::start()?;
    let created = server.said(&["ip-policies", "create", "--description", "the office"])?;
    let id = created["id"].as_str().context("an id")?;
    assert_eq!(created["description"], "the office");
    let rule = server.said(&[
        "ip-policy-rules",
        "create",
        "--ip-policy-id",
        id,
        "--cidr",
        "203.0.113.0/24",
        "--action",
        "allow",
    ])?;
    assert_eq!(rule["ip_policy"]["id"], id);
    assert_eq!(server.said(&["ip-policies", "get", id])?, created);
    let updated = server.said(&["ip-policies", "update", id, "--metadata", "{\"floor\": 3}"])?;
    assert_eq!((&updated["metadata"], &updated["description"]), (&"{\"floor\": 3}".into(), &"the office".into()));
    let table = server.api(&["ip-policies", "list", "--output", "table"])?;
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(table.starts_with("ID") && table.contains(id) && table.contains("the office"), "{table}");

    assert!(server.refused(&["ip-policies", "get", "ipp_0ujtsYcgvSTl8PAuAdqWYSMnLOv"])?.contains("ip-policies list"));
    let said = server.refused(&[
        "ip-policy-rules",
        "update",
        rule["id"].as_str().context("an id")?,
        "--cidr",
        "everything",
    ])?;
    assert!(said.contains("cidr") && said.contains("ERR_"), "{said}");
    let rule = rule["id"].as_str().context("an id")?;
    assert_eq!(server.said(&["ip-policy-rules", "delete", rule])?, Value::Null);
    assert_eq!(server.said(&["ip-policies", "delete", id])?, Value::Null);
    assert_eq!(server.said(&["ip-policies", "list"])?["ip_policies"], Value::Array(Vec::new()));
    Ok(())
}

#[test]
fn lists_come_whole_and_filtered() -> Result<()> {
    let server = Server::start()?;
    let mut ids = BTreeMap::new();
    for number in 0..5 {
        let name = format!("shop-{number}.portway.localhost");
        let domain = server.said(&["reserved-domains", "create", "--domain", &name, "--description", &name])?;
        ids.insert(domain["id"].as_str().context("an id")?.to_owned(), name);
    }
    let page = server.said(&["reserved-domains", "list", "--limit", "2"])?;
    assert_eq!(page["reserved_domains"].as_array().map(Vec::len), Some(2));
    assert!(page["next_page_uri"].is_string(), "{page}");
    let quiet = server.api(&["reserved-domains", "list", "--limit", "2", "--all", "--quiet"])?;
    let quiet = String::from_utf8(quiet.stdout)?;
    assert_eq!(quiet.lines().collect::<Vec<_>>(), ids.keys().rev().collect::<Vec<_>>(), "newest first, none twice");
    let found = server.said(&["reserved-domains", "list", "--filter", "obj.domain == \"shop-3.portway.localhost\""])?;
    assert_eq!(found["reserved_domains"].as_array().map(Vec::len), Some(1));
    let id = found["reserved_domains"][0]["id"].as_str().context("an id")?;
    assert_eq!(ids[id], "shop-3.portway.localhost");
    Ok(())
}

#[test]
fn the_key_decides_who_is_let_in() -> Result<()> {
    let server = Server::start()?;
    let url = server.ready["api_url"].as_str().context("an address")?;
    let bootstrap: Value = serde_json::from_slice(&std::fs::read(server.dir.path().join("data/bootstrap.json"))?)?;
    let key = bootstrap["api_key"].as_str().context("a key")?;
    let call = |key: &str| {
        let mut command = portway(server.dir.path());
        command.args(["api", "ip-policies", "list", "--api-url", url]).env("NGROK_API_KEY", key).output()
    };
    assert_eq!(call(key)?.status.code(), Some(0));
    let https = server.ready["https_addr"].as_str().and_then(|address| address.rsplit(':').next()).context("a port")?;
    let by_name = format!("https://api.portway.localhost:{https}");
    assert!(server.said(&["ip-policies", "list", "--api-url", &by_name])?["ip_policies"].is_array());
    let refused = call("0ujtsYcgvSTl8PAuAdqWYSMnLOv_2abcdefghijklmnopqrstu")?;
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("Check --api-key") && said.ends_with("ERR_NGROK_203\n"), "{said}");
    Ok(())
}

#[test]
fn the_records_that_dns_needs_are_printed_and_checked() -> Result<()> {
    let server = Server::start_with(&["--domain", "tunnel.example"])?;
    let url = server.said(&["agent-ingresses", "create", "--domain", "connect.acme.example"])?;
    let domain = server.said(&["reserved-domains", "create", "--domain", "*.shop.example"])?;
    let admin = |words: &[&str]| {
        let mut command = portway(server.dir.path());
        command.args(["admin", "dns"]).args(words).args(["--data-dir", "data", "--public-ip", "127.0.0.1"]).output()
    };
    let printed = admin(&["print"])?;
    assert!(printed.status.success(), "{printed:?}");
    let printed = String::from_utf8(printed.stdout)?;
    let lines: Vec<Vec<&str>> = printed.lines().map(|line| line.split_whitespace().collect()).collect();
    let target = |field: &str| Ok::<_, anyhow::Error>(format!("{}.", domain[field].as_str().context("a target")?));
    let (own, challenges) = (target("cname_target")?, target("acme_challenge_cname_target")?);
    for (at, wanted) in [
        ["tunnel.example.", "NS", "connect.tunnel.example.", ";"],
        ["connect.tunnel.example.", "A", "127.0.0.1", ";"],
        ["connect.acme.example.", "NS", "connect.tunnel.example.", ";"],
        ["*.shop.example.", "CNAME", own.as_str(), ";"],
        ["_acme-challenge.shop.example.", "CNAME", challenges.as_str(), ";"],
    ]
    .iter()
    .enumerate()
    {
        assert_eq!(lines[at][..4], *wanted, "{printed}");
    }
    assert_eq!(lines[2][4], url["id"]);

    // The server itself knows its own zones, and refuses the others.
    let resolver = server.ready["dns_addr"].as_str().context("an address")?;
    let checked = admin(&["check", "--resolver", resolver, "--json"])?;
    let report: Value = serde_json::from_slice(&checked.stdout)?;
    let states: Vec<&str> =
        report["records"].as_array().context("records")?.iter().filter_map(|record| record["state"].as_str()).collect();
    let expected = vec!["there", "there", "there", "unknown", "unknown"];
    assert_eq!((checked.status.code(), states), (Some(1), expected), "{report}");
    let table = admin(&["check", "--resolver", resolver])?;
    let table = String::from_utf8(table.stdout)?;
    assert!(table.starts_with("RECORD") && table.contains("not known: *.shop.example cannot be looked up"), "{table}");
    Ok(())
}
