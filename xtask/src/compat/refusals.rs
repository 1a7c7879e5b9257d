//! What the server refuses, and how the application learns of it.

use anyhow::{Result, bail, ensure};

use super::endpoints::HELLO;
use super::stage::{Outcome, Stage};
use super::visitor::Answer;
use crate::sdk::{First, Refusal};

/// What came of a bind.
enum Answered {
    Refused(Refusal),
    Missing,
}

pub(super) fn wrong_token(stage: &Stage<'_>) -> Result<Outcome> {
    refused_token(stage, "2pNobodyKnowsThisTokenAtAll_7nUnknownUnknownUnknow", "ERR_NGROK_107")
}

pub(super) fn bad_token(stage: &Stage<'_>) -> Result<Outcome> {
    refused_token(stage, "with blanks in it", "ERR_NGROK_105")
}

pub(super) fn no_token(stage: &Stage<'_>) -> Result<Outcome> {
    if stage.installed.sdk.name != "ssh" {
        return refused_token(stage, "", "ERR_NGROK_105");
    }
    // An SSH client is asked for a key instead, and told why it failed at its next try.
    match answered(stage, "http-named", "")? {
        Answered::Missing => Ok(Outcome::Missing),
        Answered::Refused(refusal) => {
            ensure!(refusal.text.contains("Permission denied"), "no login was refused: {}", refusal.text);
            Ok(Outcome::Passed)
        }
    }
}

pub(super) fn acl(stage: &Stage<'_>) -> Result<Outcome> {
    let host = stage.host()?;
    let other = stage.world.server.token(&[format!("bind:*.elsewhere.{}", stage.world.server.base_domain()?)])?;
    match answered(stage, "http-named", &other)? {
        Answered::Missing => return Ok(Outcome::Missing),
        Answered::Refused(refusal) => expect(&refusal, "ERR_NGROK_316")?,
    }
    let right = stage.world.server.token(&[format!("bind:{host}")])?;
    let Some(online) = stage.online_with("http-named", &[("AUTHTOKEN", &right)])? else { return Ok(Outcome::Missing) };
    stage.visitor().until(&online.url, "/", |answer| answer.text() == HELLO)?;
    online.client.finish()?;
    Ok(Outcome::Passed)
}

/// What a server does with labels is its own affair, as long as the application is told clearly.
pub(super) fn labels(stage: &Stage<'_>) -> Result<Outcome> {
    let mut client = stage.start("labels", &[])?;
    match client.first()? {
        First::Unsupported => return Ok(Outcome::Missing),
        First::Refused(refusal) => expect(&refusal, "ERR_NGROK_358")?,
        First::Bound(event) => {
            let url = event["url"].as_str().unwrap_or_default();
            ensure!(url.is_empty(), "an endpoint that is found by labels has a URL: {event}");
            client.finish()?;
        }
    }
    Ok(Outcome::Passed)
}

pub(super) fn policy(stage: &Stage<'_>) -> Result<Outcome> {
    applied_or_refused(stage, "policy", &["policy"], |answer| answer.status == 418)
}

pub(super) fn oauth(stage: &Stage<'_>) -> Result<Outcome> {
    applied_or_refused(stage, "oauth", &["oauth"], |answer| (300..400).contains(&answer.status))
}

pub(super) fn oidc(stage: &Stage<'_>) -> Result<Outcome> {
    applied_or_refused(stage, "oidc", &["oidc", "openid"], |answer| (300..400).contains(&answer.status))
}

/// An option that protects must take effect or be refused by name; what never happens is that it is ignored.
fn applied_or_refused(
    stage: &Stage<'_>,
    what: &str,
    names: &[&str],
    applied: impl Fn(&Answer) -> bool,
) -> Result<Outcome> {
    let mut client = stage.start(what, &[])?;
    match client.first()? {
        First::Unsupported => Ok(Outcome::Missing),
        First::Refused(refusal) => {
            // Over SSH it is a flag that is not there.
            let code = if stage.installed.sdk.name == "ssh" { "ERR_NGROK_1109" } else { "ERR_NGROK_301" };
            expect(&refusal, code)?;
            let lower = refusal.text.to_lowercase();
            let named = names.iter().any(|name| lower.contains(name));
            ensure!(named, "the refusal does not name the option: {}", refusal.text);
            Ok(Outcome::Passed)
        }
        First::Bound(event) => {
            let url = event["url"].as_str().unwrap_or_default();
            stage.visitor().until(url, "/", applied)?;
            client.finish()?;
            Ok(Outcome::Passed)
        }
    }
}

fn refused_token(stage: &Stage<'_>, token: &str, code: &str) -> Result<Outcome> {
    match answered(stage, "http-named", token)? {
        Answered::Missing => Ok(Outcome::Missing),
        Answered::Refused(refusal) => {
            expect(&refusal, code)?;
            Ok(Outcome::Passed)
        }
    }
}

fn answered(stage: &Stage<'_>, what: &str, token: &str) -> Result<Answered> {
    let mut client = stage.start(what, &[("AUTHTOKEN", token)])?;
    match client.first()? {
        First::Unsupported => Ok(Answered::Missing),
        First::Refused(refusal) => Ok(Answered::Refused(refusal)),
        First::Bound(event) => bail!("bound, though it should have been refused: {event}"),
    }
}

fn expect(refusal: &Refusal, code: &str) -> Result<()> {
    ensure!(refusal.code == code, "expected {code}, came {:?}: {}", refusal.code, refusal.text);
    Ok(())
}
