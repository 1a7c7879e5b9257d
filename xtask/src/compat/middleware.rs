//! What SDKs let the server do to requests on their way.

use anyhow::{Result, bail, ensure};
use serde_json::Value;

use super::endpoints::HELLO;
use super::stage::{Online, Outcome, Stage};
use super::visitor::Answer;

/// The body of the signed request, and its HMAC with SHA-256 under the key `compat-secret`.
const SIGNED: &str = "{\"compat\":true}";
const SIGNATURE: &str = "X-Hub-Signature-256: sha256=e9c66c03e2b2d402fe616abbd118df7f0f5a3146027bf95527f701ee85ec0138";
/// Requests after which a circuit breaker has seen enough.
const ENOUGH: usize = 100;

pub(super) fn basic_auth(stage: &Stage<'_>) -> Result<Outcome> {
    let Some(Online { client, url, .. }) = stage.online("basic-auth")? else { return Ok(Outcome::Missing) };
    let visitor = stage.visitor();
    visitor.until(&url, "/", |answer| answer.status == 401)?;
    let answer = visitor.get(&url, "/", &["--user", "compat:wrong"])?;
    ensure!(answer.status == 401, "a wrong password: {answer:?}");
    let answer = visitor.get(&url, "/", &["--user", "compat:correct-horse"])?;
    ensure!(answer.text() == HELLO, "the right password: {answer:?}");
    client.finish()?;
    Ok(Outcome::Passed)
}

pub(super) fn compression(stage: &Stage<'_>) -> Result<Outcome> {
    let Some(Online { client, url, .. }) = stage.online("compression")? else { return Ok(Outcome::Missing) };
    let visitor = stage.visitor();
    let plain = visitor.until(&url, "/text", |answer| answer.status == 200)?;
    ensure!(
        plain.field("content-encoding").is_none(),
        "compressed for who did not ask: {:?}",
        plain.field("content-encoding")
    );
    let answer = visitor.get(&url, "/text", &["--header", "Accept-Encoding: gzip"])?;
    ensure!(answer.field("content-encoding") == Some("gzip"), "not compressed: {} bytes", answer.body.len());
    ensure!(answer.body.starts_with(&[0x1f, 0x8b]) && answer.body.len() < plain.body.len() / 4, "not gzip");
    let answer = visitor.get(&url, "/text", &["--compressed"])?;
    ensure!(answer.body == plain.body, "unpacked, it is not what the upstream sent");
    client.finish()?;
    Ok(Outcome::Passed)
}

pub(super) fn headers(stage: &Stage<'_>) -> Result<Outcome> {
    let Some(Online { client, url, .. }) = stage.online("headers")? else { return Ok(Outcome::Missing) };
    let visitor = stage.visitor();
    visitor.until(&url, "/", |answer| answer.text() == HELLO)?;
    let answer = visitor.get(&url, "/echo", &["--header", "X-Compat-Secret: s"])?;
    let told: Value = serde_json::from_slice(&answer.body)?;
    ensure!(told["headers"]["x-compat-added"] == "yes", "not added to the request: {told}");
    ensure!(told["headers"]["x-compat-secret"].is_null(), "not removed from the request: {told}");
    ensure!(answer.field("x-compat-answer") == Some("yes"), "not added to the answer: {answer:?}");
    ensure!(answer.field("x-upstream").is_none(), "not removed from the answer: {answer:?}");
    client.finish()?;
    Ok(Outcome::Passed)
}

pub(super) fn ip_allow(stage: &Stage<'_>) -> Result<Outcome> {
    let Some(Online { client, url, .. }) = stage.online("ip-allow")? else { return Ok(Outcome::Missing) };
    stage.visitor().until(&url, "/", |answer| answer.text() == HELLO)?;
    client.finish()?;
    Ok(Outcome::Passed)
}

pub(super) fn ip_deny(stage: &Stage<'_>) -> Result<Outcome> {
    let Some(Online { client, url, .. }) = stage.online("ip-deny")? else { return Ok(Outcome::Missing) };
    stage.visitor().until(&url, "/", |answer| answer.status == 403 && from_the_server(answer))?;
    client.finish()?;
    Ok(Outcome::Passed)
}

pub(super) fn circuit_breaker(stage: &Stage<'_>) -> Result<Outcome> {
    let Some(Online { client, url, .. }) = stage.online("circuit-breaker")? else { return Ok(Outcome::Missing) };
    let visitor = stage.visitor();
    visitor.until(&url, "/", |answer| answer.text() == HELLO)?;
    for _ in 0..ENOUGH {
        let answer = visitor.get(&url, "/status/500", &[])?;
        if answer.status == 503 && from_the_server(&answer) {
            client.finish()?;
            return Ok(Outcome::Passed);
        }
        ensure!(answer.status == 500, "an odd answer: {answer:?}");
    }
    bail!("{ENOUGH} answers were errors, and the upstream is still asked");
}

pub(super) fn webhook(stage: &Stage<'_>) -> Result<Outcome> {
    let Some(Online { client, url, .. }) = stage.online("webhook")? else { return Ok(Outcome::Missing) };
    let visitor = stage.visitor();
    visitor.until(&url, "/", |answer| answer.status == 403 && from_the_server(answer))?;
    let body = ["--data-binary", SIGNED, "--header", "Content-Type: application/json", "--header"];
    let answer = visitor.get(&url, "/echo", &[&body[..], &[SIGNATURE]].concat())?;
    let told: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    ensure!(answer.status == 200 && told["body"] == SIGNED, "a signed request: {answer:?}");
    let wrong = SIGNATURE.replace("e9c6", "0000");
    let answer = visitor.get(&url, "/echo", &[&body[..], &[&wrong]].concat())?;
    ensure!(answer.status == 403, "a wrong signature: {answer:?}");
    client.finish()?;
    Ok(Outcome::Passed)
}

pub(super) fn user_agent(stage: &Stage<'_>) -> Result<Outcome> {
    let Some(Online { client, url, .. }) = stage.online("user-agent")? else { return Ok(Outcome::Missing) };
    let visitor = stage.visitor();
    visitor.until(&url, "/", |answer| answer.text() == HELLO)?;
    let answer = visitor.get(&url, "/", &["--user-agent", "compat-bot/1.0"])?;
    ensure!(answer.status == 403 && from_the_server(&answer), "a denied program: {answer:?}");
    client.finish()?;
    Ok(Outcome::Passed)
}

pub(super) fn websocket_tcp(stage: &Stage<'_>) -> Result<Outcome> {
    // Behind this endpoint is a service that knows nothing of HTTP.
    let port = stage.world.upstream.ports.tcp.to_string();
    let online = stage.online_with("websocket-tcp", &[("UPSTREAM_PORT", &port)])?;
    let Some(Online { client, url, .. }) = online else { return Ok(Outcome::Missing) };
    let came = stage.visitor().websocket(stage.world.workspace, &url, "/", "a message")?;
    ensure!(came == "a message", "instead of the message: {came:?}");
    client.finish()?;
    Ok(Outcome::Passed)
}

pub(super) fn mutual_tls(stage: &Stage<'_>) -> Result<Outcome> {
    let Some(Online { client, url, .. }) = stage.online("mutual-tls")? else { return Ok(Outcome::Missing) };
    let visitor = stage.visitor();
    let key = |name| stage.world.upstream.key(name).display().to_string();
    let (certificate, secret) = (key("client.pem"), key("client.key"));
    let shown = ["--cert", certificate.as_str(), "--key", secret.as_str()];
    visitor.until_with(&url, "/", &shown, |answer| answer.text() == HELLO)?;
    // Without one, either the handshake fails or the request is refused.
    if let Ok(answer) = visitor.get(&url, "/", &[]) {
        ensure!(answer.status >= 400 && from_the_server(&answer), "without a certificate: {answer:?}");
    }
    client.finish()?;
    Ok(Outcome::Passed)
}

/// Whether the upstream had no part in an answer.
fn from_the_server(answer: &Answer) -> bool {
    answer.field("x-upstream").is_none()
}
