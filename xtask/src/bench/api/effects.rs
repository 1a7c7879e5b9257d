//! From the answer of a call to the edge that does what it says.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::Row;
use super::caller::Caller;
use crate::bench::portway::Portway;
use crate::program::{Program, pause};

/// How long the edge may take at most.
const LATEST: Duration = Duration::from_secs(20);
/// The goal for the 99th of 100, in milliseconds.
const WANTED: f64 = 1000.0;
/// Nothing listens there: it is enough that the edge tries.
const NOBODY: u16 = 1;
/// Agents that are started and lose their endpoint, for each kind of loss: a start takes longer than what is measured.
const LOSSES: usize = 50;

/// Watches the edge for so many changes of each kind.
pub(super) fn measure(server: &Portway, changes: usize, rows: &mut Vec<Row>) -> Result<()> {
    let mut caller = Caller::new(server)?;
    println!("changing a restriction {changes} times");
    rows.push(row("edge: IP restriction on or off", restrictions(server, &mut caller, changes)?));
    let losses = changes.min(LOSSES);
    println!("deleting {losses} domains and {losses} authtokens that are in use");
    rows.push(row("edge: domain in use deleted", domains(server, &mut caller, losses)?));
    rows.push(row("edge: authtoken in use deleted", authtokens(server, &mut caller, losses)?));
    Ok(())
}

fn row(what: &str, times: Vec<Duration>) -> Row {
    Row { wanted: Some(WANTED), ..Row::of_times(what.to_owned(), times) }
}

/// A restriction that admits nobody here is put in force and out of force.
fn restrictions(server: &Portway, caller: &mut Caller, changes: usize) -> Result<Vec<Duration>> {
    let (agent, host) = publish(server, "restricted", server.fact("authtoken")?)?;
    let policy = created(caller, "/ip_policies", &json!({}))?;
    let rule = json!({"ip_policy_id": policy, "cidr": "203.0.113.0/24", "action": "allow"});
    created(caller, "/ip_policy_rules", &rule)?;
    let restriction = json!({"type": "endpoints", "enforced": false, "ip_policy_ids": [policy]});
    let path = format!("/ip_restrictions/{}", created(caller, "/ip_restrictions", &restriction)?);
    let mut times = Vec::new();
    for change in 0..changes {
        let enforced = change % 2 == 0;
        caller.call("PATCH", &path, Some(&json!({"enforced": enforced})))?;
        times.push(until(server, &host, |status| (status == 403) == enforced)?);
    }
    caller.call("DELETE", &path, None)?;
    drop(agent);
    Ok(times)
}

fn domains(server: &Portway, caller: &mut Caller, count: usize) -> Result<Vec<Duration>> {
    let base = server.fact("base_domain")?.to_owned();
    let lose = |number: usize| {
        let name = format!("domain-{number}");
        let id = created(caller, "/reserved_domains", &json!({"domain": format!("{name}.{base}")}))?;
        let (_agent, host) = publish(server, &name, server.fact("authtoken")?)?;
        caller.call("DELETE", &format!("/reserved_domains/{id}"), None)?;
        until(server, &host, |status| status == 404)
    };
    (0..count).map(lose).collect()
}

fn authtokens(server: &Portway, caller: &mut Caller, count: usize) -> Result<Vec<Duration>> {
    let lose = |number: usize| {
        let credential = caller.call("POST", "/credentials", Some(&json!({})))?;
        let (_agent, host) = publish(server, &format!("authtoken-{number}"), text(&credential, "token")?)?;
        caller.call("DELETE", &format!("/credentials/{}", text(&credential, "id")?), None)?;
        until(server, &host, |status| status == 404)
    };
    (0..count).map(lose).collect()
}

fn created(caller: &mut Caller, collection: &str, body: &Value) -> Result<String> {
    Ok(text(&caller.call("POST", collection, Some(body))?, "id")?.to_owned())
}

fn text<'a>(object: &'a Value, member: &str) -> Result<&'a str> {
    object[member].as_str().with_context(|| format!("an answer has no {member}"))
}

/// An agent with an endpoint that is online, and its host.
fn publish(server: &Portway, name: &str, authtoken: &str) -> Result<(Program, String)> {
    let host = format!("{name}.{}", server.fact("base_domain")?);
    let agent = server.agent_of(name, authtoken, &format!("http://{host}"), NOBODY)?;
    until(server, &host, |status| status != 404)?;
    Ok((agent, host))
}

/// How long it takes until a visitor gets such a status.
fn until(server: &Portway, host: &str, wanted: impl Fn(u16) -> bool) -> Result<Duration> {
    let (start, port) = (Instant::now(), server.port("http_addr")?);
    loop {
        let status = visit(port, host)?;
        if wanted(status) {
            return Ok(start.elapsed());
        }
        if start.elapsed() > LATEST {
            bail!("{host} still answers {status} after {} s", LATEST.as_secs());
        }
        pause();
    }
}

fn visit(port: u16, host: &str) -> Result<u16> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(LATEST))?;
    stream.write_all(format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut answer = [0_u8; 12];
    stream.read_exact(&mut answer).context("the edge does not answer")?;
    let status = std::str::from_utf8(&answer).ok().and_then(|text| text.strip_prefix("HTTP/1.1 ")?.parse().ok());
    status.context("the edge answers something else than HTTP")
}
