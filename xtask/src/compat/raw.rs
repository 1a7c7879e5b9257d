//! Endpoints that carry bytes: TCP, TLS, and the PROXY header.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::endpoints::HELLO;
use super::stage::{Online, Outcome, Stage};
use crate::program::wait_for;

/// How long a connection may stay silent.
const SILENCE: Duration = Duration::from_secs(10);
/// What is sent, and comes back.
const WORDS: &[u8] = b"some words\n";
/// The first bytes of a PROXY header of version 2.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

pub(super) fn tcp(stage: &Stage<'_>) -> Result<Outcome> {
    let Some(Online { client, url, .. }) = stage.online("tcp")? else { return Ok(Outcome::Missing) };
    let (_, came) = talk(&url)?;
    ensure!(came == WORDS, "instead of what was sent: {:?}", String::from_utf8_lossy(&came));
    client.finish()?;
    Ok(Outcome::Passed)
}

pub(super) fn proxy_text(stage: &Stage<'_>) -> Result<Outcome> {
    let Some(Online { client, url, .. }) = stage.online("proxy-proto-1")? else { return Ok(Outcome::Missing) };
    let (port, came) = talk(&url)?;
    let came = String::from_utf8_lossy(&came).into_owned();
    let (head, rest) = came.split_once("\r\n").with_context(|| format!("no header: {came:?}"))?;
    let words: Vec<&str> = head.split(' ').collect();
    ensure!(words.len() == 6 && words[..3] == ["PROXY", "TCP4", "127.0.0.1"], "an odd header: {head:?}");
    ensure!(words[4] == port.to_string(), "the visitor's port is {port}, told was {head:?}");
    ensure!(rest.as_bytes() == WORDS, "after the header: {rest:?}");
    client.finish()?;
    Ok(Outcome::Passed)
}

pub(super) fn proxy_binary(stage: &Stage<'_>) -> Result<Outcome> {
    let Some(Online { client, url, .. }) = stage.online("proxy-proto-2")? else { return Ok(Outcome::Missing) };
    let (port, came) = talk(&url)?;
    // Version 2, PROXY, TCP over IPv4 (the PROXY protocol, section 2.2).
    ensure!(came.starts_with(SIGNATURE) && came.get(12..14) == Some(&[0x21, 0x11]), "no header: {came:?}");
    let length = came.get(14..16).map_or(0, |bytes| usize::from(bytes[0]) << 8 | usize::from(bytes[1]));
    ensure!(came.get(16..20) == Some(&[127, 0, 0, 1]), "an odd address: {came:?}");
    ensure!(came.get(24..26) == Some(&port.to_be_bytes()), "the visitor's port is {port}: {came:?}");
    ensure!(came.get(16 + length..) == Some(WORDS), "after the header: {came:?}");
    client.finish()?;
    Ok(Outcome::Passed)
}

pub(super) fn tls(stage: &Stage<'_>) -> Result<Outcome> {
    let Some(Online { client, url, .. }) = stage.online("tls")? else { return Ok(Outcome::Missing) };
    own_certificate(stage, &url)?;
    client.finish()?;
    Ok(Outcome::Passed)
}

pub(super) fn tls_edge(stage: &Stage<'_>) -> Result<Outcome> {
    let Some(Online { client, url, .. }) = stage.online("tls-edge")? else { return Ok(Outcome::Missing) };
    own_certificate(stage, &url)?;
    client.finish()?;
    Ok(Outcome::Passed)
}

pub(super) fn tls_agent(stage: &Stage<'_>) -> Result<Outcome> {
    let Some(Online { client, url, .. }) = stage.online("tls-agent")? else { return Ok(Outcome::Missing) };
    own_certificate(stage, &url)?;
    client.finish()?;
    Ok(Outcome::Passed)
}

/// Visits a TLS endpoint, trusting nobody but the small CA.
fn own_certificate(stage: &Stage<'_>, url: &str) -> Result<()> {
    ensure!(url.starts_with("tls://"), "an odd URL: {url}");
    let ca = stage.world.upstream.key("ca.pem");
    let visitor = stage.visitor();
    let mut last = String::new();
    let came = wait_for("the TLS endpoint", SILENCE, || {
        match visitor.get_trusting(&ca, url, "/", &["--max-time", "10"]) {
            Ok(answer) => return Ok(Some(answer)),
            Err(error) => last = format!("{error:#}"),
        }
        Ok(None)
    });
    let answer = came.with_context(|| last.clone())?;
    ensure!(answer.text() == HELLO, "an odd answer: {answer:?}");
    Ok(())
}

/// Sends some words and reads until they have come back, with whatever came before; returns the own port too.
///
/// The end comes last: forwarders of the Go family close both directions as soon as one has ended.
fn talk(url: &str) -> Result<(u16, Vec<u8>)> {
    let port =
        url.strip_prefix("tcp://").and_then(|rest| rest.rsplit_once(':')).and_then(|(_, port)| port.parse().ok());
    let port: u16 = port.with_context(|| format!("an odd URL: {url}"))?;
    let mut stream = TcpStream::connect(("127.0.0.1", port)).context("connecting to the TCP endpoint")?;
    stream.set_read_timeout(Some(SILENCE)).context("setting a limit")?;
    stream.write_all(WORDS).context("sending")?;
    let (mut came, mut block) = (Vec::new(), [0; 4096]);
    while !came.ends_with(WORDS) {
        let count = stream.read(&mut block).with_context(|| format!("reading, after {came:?}"))?;
        ensure!(count > 0, "the connection ended after {came:?}");
        came.extend_from_slice(&block[..count]);
    }
    stream.shutdown(Shutdown::Write).context("ending")?;
    ensure!(stream.read(&mut block).context("reading the end")? == 0, "more came than was sent");
    Ok((stream.local_addr().context("asking for the own address")?.port(), came))
}
