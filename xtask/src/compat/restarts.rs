//! Scenarios in which something happens to the server while the programs of all SDKs are online.

use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use super::endpoints::{HELLO, download_from, upgrade_to_websocket};
use super::scenario::{Check, Scenario};
use super::server::Server;
use super::stage::{Outcome, Stage, World};
use super::upstream::Upstream;
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

/// Does what the scenario does and returns what became of every SDK: all of them are back, and serve at the same time.
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
    if let Err(error) = if witnesses.is_empty() { Ok(()) } else { change(server) } {
        let failed = |witness: &Witness<'_>| (witness.installed.sdk.name, Outcome::Failed(format!("{error:#}")));
        outcomes.extend(witnesses.iter().map(failed));
        return outcomes;
    }
    let world = World { workspace, folder, server, upstream };
    thread::scope(|scope| {
        let serving = witnesses.into_iter().map(|witness| {
            let name = witness.installed.sdk.name;
            (name, scope.spawn(move || serves_again(world, witness, scenario)))
        });
        for (name, serving) in serving.collect::<Vec<_>>() {
            let outcome = match serving.join() {
                Ok(Ok(())) => Outcome::Passed,
                Ok(Err(error)) => Outcome::Failed(format!("{error:#}")),
                Err(_) => Outcome::Failed("the visitor panicked".to_owned()),
            };
            outcomes.push((name, outcome));
        }
    });
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
    let stage = Stage::new(world, installed, scenario.name)?;
    let Some(online) = stage.online("http-named")? else { return Ok(Err(Outcome::Missing)) };
    stage.visitor().until(&online.url, "/", |answer| answer.text() == HELLO)?;
    Ok(Ok(Witness { installed, client: online.client, url: online.url }))
}

/// Waits until the endpoint is back, and uses it as a browser would use an application.
fn serves_again(world: World<'_>, witness: Witness<'_>, scenario: &Scenario) -> Result<()> {
    let Witness { installed, client, url } = witness;
    let stage = Stage::new(world, installed, scenario.name)?;
    let visitor = stage.visitor();
    let mut last = String::new();
    let answered = wait_for("the endpoint", BACK, || {
        match visitor.get(&url, "/", &["--max-time", "5"]) {
            Ok(answer) if answer.text() == HELLO => return Ok(Some(())),
            Ok(answer) => last = answer.summary(),
            Err(error) => last = format!("{error:#}"),
        }
        Ok(None)
    });
    answered.with_context(|| format!("the last answer was: {last}"))?;
    upgrade_to_websocket(&stage, &url)?;
    download_from(&stage, &url)?;
    client.finish()
}
