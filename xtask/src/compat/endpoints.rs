//! Endpoints that carry HTTP: names, requests, the end.

use anyhow::{Result, ensure};
use serde_json::Value;

use super::stage::{Online, Outcome, Stage};
use crate::sdk::{First, Language};

/// Bytes of a large download.
const LARGE: u64 = 200_000_000;
/// Bytes of a download for versions that are not the newest.
const SMALLER: u64 = 20_000_000;
/// What the upstream answers to anything it does not know better.
pub(super) const HELLO: &str = "hello from the upstream\n";

pub(super) fn random(stage: &Stage<'_>) -> Result<Outcome> {
    let Some(Online { client, url, .. }) = stage.online("http-random")? else { return Ok(Outcome::Missing) };
    let domain = stage.world.server.base_domain()?;
    ensure!(url.starts_with("https://") && url.contains(&format!(".{domain}")), "an odd URL: {url}");
    stage.visitor().until(&url, "/", |answer| answer.text() == HELLO)?;
    client.finish()?;
    Ok(Outcome::Passed)
}

pub(super) fn named(stage: &Stage<'_>) -> Result<Outcome> {
    let Some(Online { client, url, .. }) = stage.online("http-named")? else { return Ok(Outcome::Missing) };
    let host = stage.host()?;
    ensure!(url.starts_with(&format!("https://{host}")), "asked for {host}, got {url}");
    let visitor = stage.visitor();
    visitor.until(&url, "/", |answer| answer.text() == HELLO)?;
    let arguments = ["--data-binary", "some words", "--header", "X-Compat: 1", "--header", "Content-Type: text/plain"];
    let answer = visitor.get(&url, "/echo?a=1&b=%20", &arguments)?;
    let told: Value = serde_json::from_slice(&answer.body)?;
    ensure!(answer.status == 200 && answer.field("x-upstream") == Some("compat"), "an odd answer: {answer:?}");
    ensure!(told["method"] == "POST" && told["path"] == "/echo?a=1&b=%20" && told["body"] == "some words", "{told}");
    let fields = &told["headers"];
    let name = fields["host"].as_str().unwrap_or_default();
    ensure!(fields["x-compat"] == "1" && name.starts_with(&host), "{told}");
    let answer = visitor.get(&url, "/status/503", &[])?;
    ensure!(answer.status == 503 && answer.text() == "as asked\n", "the upstream's own error: {answer:?}");
    client.finish()?;
    Ok(Outcome::Passed)
}

pub(super) fn plain(stage: &Stage<'_>) -> Result<Outcome> {
    let Some(Online { client, url, .. }) = stage.online("http-plain")? else { return Ok(Outcome::Missing) };
    ensure!(url.starts_with("http://"), "an odd URL: {url}");
    stage.visitor().until(&url, "/", |answer| answer.text() == HELLO)?;
    client.finish()?;
    Ok(Outcome::Passed)
}

pub(super) fn two(stage: &Stage<'_>) -> Result<Outcome> {
    let Some(Online { mut client, url, .. }) = stage.online("two-endpoints")? else { return Ok(Outcome::Missing) };
    let First::Bound(second) = client.first()? else { anyhow::bail!("the second endpoint was not bound") };
    let second = second["url"].as_str().unwrap_or_default();
    ensure!(second.contains(&stage.second_host()?) && !second.contains(&url), "{url} and {second}");
    for url in [url.as_str(), second] {
        stage.visitor().until(url, "/", |answer| answer.text() == HELLO)?;
    }
    client.finish()?;
    Ok(Outcome::Passed)
}

pub(super) fn metadata(stage: &Stage<'_>) -> Result<Outcome> {
    let Some(Online { client, url, event }) = stage.online("metadata")? else { return Ok(Outcome::Missing) };
    ensure!(event["metadata"] == "compat-endpoint", "{event}");
    // Not every SDK lets an application choose it.
    ensure!(event["forwards_to"].is_null() || event["forwards_to"] == "compat-upstream", "{event}");
    stage.visitor().until(&url, "/", |answer| answer.text() == HELLO)?;
    client.finish()?;
    Ok(Outcome::Passed)
}

pub(super) fn download(stage: &Stage<'_>) -> Result<Outcome> {
    let Some(Online { client, url, .. }) = stage.online("http-named")? else { return Ok(Outcome::Missing) };
    stage.visitor().until(&url, "/", |answer| answer.text() == HELLO)?;
    download_from(stage, &url)?;
    client.finish()?;
    Ok(Outcome::Passed)
}

/// Downloads much through an endpoint.
pub(super) fn download_from(stage: &Stage<'_>, url: &str) -> Result<()> {
    let size = if stage.is_newest() { LARGE } else { SMALLER };
    let came = stage.visitor().download(url, &format!("/bytes?{size}"))?;
    ensure!(came == size, "{came} bytes of {size} came");
    Ok(())
}

pub(super) fn websocket(stage: &Stage<'_>) -> Result<Outcome> {
    let Some(Online { client, url, .. }) = stage.online("http-named")? else { return Ok(Outcome::Missing) };
    stage.visitor().until(&url, "/", |answer| answer.text() == HELLO)?;
    upgrade_to_websocket(stage, &url)?;
    client.finish()?;
    Ok(Outcome::Passed)
}

/// Sends a WebSocket message through an endpoint, and has it back.
pub(super) fn upgrade_to_websocket(stage: &Stage<'_>, url: &str) -> Result<()> {
    let came = stage.visitor().websocket(stage.world.workspace, url, "/ws", "a message")?;
    ensure!(came == "a message", "instead of the message: {came:?}");
    Ok(())
}

pub(super) fn pooling(stage: &Stage<'_>) -> Result<Outcome> {
    let Some(Online { client, url, .. }) = stage.online("pooling")? else { return Ok(Outcome::Missing) };
    stage.visitor().until(&url, "/", |answer| answer.text() == HELLO)?;
    client.finish()?;
    Ok(Outcome::Passed)
}

pub(super) fn close(stage: &Stage<'_>) -> Result<Outcome> {
    // Over SSH, endpoints live as long as the connection.
    if stage.installed.sdk.language == Language::Ssh {
        return Ok(Outcome::Missing);
    }
    let Some(Online { mut client, url, .. }) = stage.online("two-endpoints")? else { return Ok(Outcome::Missing) };
    let First::Bound(second) = client.first()? else { anyhow::bail!("the second endpoint was not bound") };
    let visitor = stage.visitor();
    visitor.until(&url, "/", |answer| answer.text() == HELLO)?;
    client.close_endpoint()?;
    visitor.until(&url, "/", |answer| answer.status == 404 && answer.has_code("ERR_NGROK_3200"))?;
    // The session goes on, and with it the other endpoint.
    let second = second["url"].as_str().unwrap_or_default();
    visitor.until(second, "/", |answer| answer.text() == HELLO)?;
    client.finish()?;
    Ok(Outcome::Passed)
}

pub(super) fn quit(stage: &Stage<'_>) -> Result<Outcome> {
    let Some(Online { client, url, .. }) = stage.online("http-named")? else { return Ok(Outcome::Missing) };
    let visitor = stage.visitor();
    visitor.until(&url, "/", |answer| answer.text() == HELLO)?;
    client.finish()?;
    visitor.until(&url, "/", |answer| answer.status == 404 && answer.has_code("ERR_NGROK_3200"))?;
    Ok(Outcome::Passed)
}
