//! Scenarios in which something happens to the server while the programs of all SDKs are online.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::endpoints::HELLO;
use super::scenario::{Check, Scenario};
use super::server::Server;
use super::stage::{Outcome, Stage, World};
use super::upstream::Upstream;
use super::visitor::Visitor;
use crate::program::wait_for;
use crate::sdk::{Client, Installed};
use crate::workspace::Workspace;

/// How long SDKs may take to come back. The Rust family tries at once, after 50 ms, after 2.5 s, and then after two minutes:
/// one that had to wait for that has failed.
const BACK: Duration = Duration::from_secs(40);

/// A program that was online before.
struct Witness<'a> {
    installed: &'a Installed,
    client: Client,
    url: String,
}

/// Does what the scenario does and returns what became of every SDK.
pub(super) fn perform(
    workspace: &Workspace,
    folder: &Path,
    server: &mut Server,
    upstream: &Upstream,
    installed: &[Installed],
    scenario: &Scenario,
) -> Vec<(&'static str, Outcome)> {
    let mut outcomes = Vec::new();
    let mut witnesses = Vec::new();
    for installed in installed {
        let world = World { workspace, folder, server, upstream };
        let outcome = match witness(world, installed, scenario) {
            Ok(Ok(witness)) => {
                witnesses.push(witness);
                continue;
            }
            Ok(Err(outcome)) => outcome,
            Err(error) => Outcome::Failed(format!("before: {error:#}")),
        };
        outcomes.push((installed.sdk.name, outcome));
    }
    let Check::Together(change) = scenario.check else { return outcomes };
    let changed = if witnesses.is_empty() { Ok(()) } else { change(server) };
    for witness in witnesses {
        let name = witness.installed.sdk.name;
        let outcome = match &changed {
            Ok(()) => returned(server, folder, witness),
            Err(error) => Err(anyhow::anyhow!("{error:#}")),
        };
        outcomes.push((name, outcome.map_or_else(|error| Outcome::Failed(format!("{error:#}")), |()| Outcome::Passed)));
    }
    outcomes
}

fn witness<'a>(
    world: World<'_>,
    installed: &'a Installed,
    scenario: &Scenario,
) -> Result<Result<Witness<'a>, Outcome>> {
    if let Some(why) = Stage::impossible(world, installed) {
        return Ok(Err(Outcome::Skipped(why)));
    }
    // OpenSSH does not reconnect.
    if installed.sdk.name == "ssh" {
        return Ok(Err(Outcome::Missing));
    }
    let stage = Stage::new(world, installed, scenario.name)?;
    let Some(online) = stage.online("http-named")? else { return Ok(Err(Outcome::Missing)) };
    stage.visitor().until(&online.url, "/", |answer| answer.text() == HELLO)?;
    Ok(Ok(Witness { installed, client: online.client, url: online.url }))
}

fn returned(server: &Server, folder: &Path, witness: Witness<'_>) -> Result<()> {
    let visitor = Visitor::new(server, folder);
    let mut last = String::new();
    let answered = wait_for("the endpoint", BACK, || {
        match visitor.get(&witness.url, "/", &["--max-time", "5"]) {
            Ok(answer) if answer.text() == HELLO => return Ok(Some(())),
            Ok(answer) => last = answer.summary(),
            Err(error) => last = format!("{error:#}"),
        }
        Ok(None)
    });
    answered.with_context(|| format!("the last answer was: {last}"))?;
    witness.client.finish()
}
