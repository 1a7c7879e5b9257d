//! The API clients: the table of resources as a client is given it, the run of its program, and what it says of each.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::server::Server;
use super::stage::Outcome;
use super::table::Table;
use super::upstream::make_keys;
use crate::program::{Program, wait_for};
use crate::sdk::{Installed, Language};
use crate::workspace::Workspace;

/// Where a program may go without an answer: all of its calls together take seconds.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long agents may take until they are online.
const ONLINE: Duration = Duration::from_secs(30);
/// Agents online while a client looks, and resources that it makes of each kind: one more than two pages of one hold.
const COUNT: usize = 3;
/// The domain of the certificates.
const DOMAIN: &str = "compat.example";
/// What the interface says of most things that are not there.
const GONE: &str = "ERR_PORTWAY_40401";
/// Longer than any text that the interface takes.
const LONG: usize = 5000;

/// The rows of `compat/api/resources.json`.
pub(super) struct Resources(Vec<Value>);

impl Resources {
    pub(super) fn read(workspace: &Workspace) -> Result<Self> {
        let text = workspace.read("compat/api/resources.json")?;
        Ok(Self(serde_json::from_str(&text).context("reading compat/api/resources.json")?))
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|row| row["resource"].as_str())
    }

    /// The table for one client, with everything in it that does not come from the server's replies.
    fn of(&self, client: Language, keys: &Path) -> Result<Value> {
        let key = |name: &str| fs::read_to_string(keys.join(name)).with_context(|| format!("reading {name}"));
        let words = [
            ("{client}", client.name().to_owned()),
            ("{certificate}", key("server.pem")?),
            ("{key}", key("server.key")?),
            ("{other key}", key("client.key")?),
            ("{ca}", key("ca.pem")?),
            ("{long}", "x".repeat(LONG)),
        ];
        let mut rows: Vec<Value> = self.0.iter().map(|row| expanded(row, &words)).collect();
        if client == Language::Terraform {
            // A plan neither lists nor calls, and asks for something that is refused in one place.
            for checks in rows.iter_mut().filter_map(|row| row["checks"].as_array_mut()) {
                checks.retain(|check| ["create", "get", "update"].contains(&text(check)));
            }
        }
        Ok(rows.into())
    }
}

/// A row with its bodies written out, and the checks that it asks for.
fn expanded(row: &Value, words: &[(&str, String)]) -> Value {
    let mut whole = row.clone();
    whole["checks"] = checks(row).into();
    whole["delete"] = has_delete(row).into();
    whole["gone"] = row.get("gone").cloned().unwrap_or_else(|| GONE.into());
    if row.get("create").is_some() {
        let bodies = (0..COUNT).map(|n| {
            let own = row["each"][n].as_object().into_iter().flatten();
            let members = row["create"].as_object().into_iter().flatten().chain(own);
            let body: Value = members.map(|(name, value)| (name.clone(), value.clone())).collect();
            written(&body, words, n)
        });
        whole["create"] = bodies.collect();
        whole["refused"] = written(&row["refused"], words, 0);
    }
    whole
}

/// What is checked of a row, apart from the end.
fn checks(row: &Value) -> Vec<&'static str> {
    let has = |member: &str| row.get(member).is_some();
    if let Some(online) = row["online"].as_u64() {
        let checks = [("list", true), ("get", online > 0), ("calls", has("calls")), ("missing", true)];
        return checks.into_iter().filter_map(|(check, wanted)| wanted.then_some(check)).collect();
    }
    let kept = has_delete(row);
    let checks = [
        ("create", true),
        ("get", true),
        ("update", has("update")),
        ("list", kept),
        ("calls", has("calls")),
        ("refused", true),
    ];
    checks.into_iter().filter_map(|(check, wanted)| wanted.then_some(check)).collect()
}

/// Reports of abuse are made and looked at, and what is online is only looked at.
fn has_delete(row: &Value) -> bool {
    row.get("online").is_none() && row["resource"] != "abuse_reports"
}

/// A value with the words that stand in braces.
fn written(value: &Value, words: &[(&str, String)], n: usize) -> Value {
    match value {
        Value::Object(object) => object.iter().map(|(name, each)| (name.clone(), written(each, words, n))).collect(),
        Value::Array(array) => array.iter().map(|each| written(each, words, n)).collect(),
        Value::String(text) => {
            let text = text.replace("{n}", &n.to_string());
            words.iter().fold(text, |text, (word, meaning)| text.replace(word, meaning)).into()
        }
        other => other.clone(),
    }
}

/// Runs the programs of all clients, one after the other: they make resources of the same names.
pub(super) fn run_all(
    folder: &Path,
    program: &Path,
    resources: &Resources,
    installed: &[Installed],
    table: &mut Table,
) -> Result<()> {
    let folder = folder.join("api");
    fs::create_dir_all(&folder).context("creating a folder")?;
    let keys = folder.join("keys");
    make_keys(&keys, DOMAIN)?;
    let server = Server::start(program, &folder)?;
    for client in installed {
        let name = client.sdk.name;
        match run(&folder, &server, resources, client, &keys) {
            Ok(outcomes) => outcomes.into_iter().for_each(|(resource, outcome)| table.enter(name, &resource, outcome)),
            Err(error) => table.unprepared(name, &error),
        }
        println!("{name} is done");
    }
    Ok(())
}

/// Runs the program of one client.
fn run(
    folder: &Path,
    server: &Server,
    resources: &Resources,
    client: &Installed,
    keys: &Path,
) -> Result<BTreeMap<String, Outcome>> {
    let name = client.sdk.name;
    let own = folder.join(name);
    fs::create_dir_all(&own).context("creating a folder")?;
    let (language, table) = (client.sdk.language, own.join("resources.json"));
    let rows = resources.of(language, keys)?;
    fs::write(&table, rows.to_string()).context("writing the table of resources")?;
    let _agents = agents(server, language.name(), &own)?;
    let (url, key) = server.api()?;
    let mut command = client.bare();
    command.current_dir(&own).env("COMPAT_API_URL", url).env("COMPAT_API_KEY", key).env("COMPAT_RESOURCES", &table);
    let program = Program::start(name, &own, &mut command)?;
    let ended = program.finish(PATIENCE);
    let output = fs::read_to_string(own.join(format!("{name}.out"))).context("reading what the program said")?;
    Ok(judged(&rows, &output, ended.err().map(|error| format!("{error:#}")).as_deref()))
}

/// Agents that are online.
fn agents(server: &Server, client: &str, folder: &Path) -> Result<Vec<Program>> {
    let started: Result<Vec<Program>> = (0..COUNT).map(|n| server.agent(&format!("{client}-{n}"), folder)).collect();
    let mut agents = started?;
    // Those of the client before go offline meanwhile.
    wait_for("the endpoints of the agents", ONLINE, || {
        agents.iter_mut().try_for_each(Program::alive)?;
        Ok((server.endpoints()? == COUNT).then_some(()))
    })?;
    Ok(agents)
}

/// What a client says of each resource; `broken` is why its program did not end well.
fn judged(rows: &Value, output: &str, broken: Option<&str>) -> BTreeMap<String, Outcome> {
    let lines: Vec<Value> = output.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let mut outcomes = BTreeMap::new();
    for row in rows.as_array().into_iter().flatten() {
        let said: Vec<&Value> = lines.iter().filter(|line| line["resource"] == row["resource"]).collect();
        let mut wanted = row["checks"].as_array().cloned().unwrap_or_default();
        wanted.extend((row["delete"] == true).then(|| json!("delete")));
        let failure = said.iter().find(|line| line["failed"].is_string());
        let lost = wanted.iter().find(|check| !said.iter().any(|line| line["check"] == **check));
        let outcome = if said.iter().any(|line| line["unsupported"] == true) {
            Outcome::Missing
        } else if let Some(line) = failure {
            Outcome::Failed(format!("{}: {}", text(&line["check"]), text(&line["failed"])))
        } else if let Some(check) = lost {
            Outcome::Failed(format!("{} was never run; {}", text(check), broken.unwrap_or("the program ended well")))
        } else {
            Outcome::Passed
        };
        outcomes.insert(text(&row["resource"]).to_owned(), outcome);
    }
    outcomes
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_passes_when_every_check_was_made_and_none_failed() {
        let rows = json!([
            {"resource": "a", "checks": ["create", "get"], "delete": true},
            {"resource": "b", "checks": ["list"], "delete": false},
            {"resource": "c", "checks": ["list"], "delete": false},
        ]);
        let good = r#"{"resource": "a", "check": "create"}
            {"resource": "a", "check": "get"}
            {"resource": "b", "unsupported": true}
            {"resource": "c", "check": "list", "failed": "no list"}
            {"resource": "a", "check": "delete"}"#;
        let outcomes = judged(&rows, good, None);
        assert_eq!(outcomes["a"], Outcome::Passed);
        assert_eq!(outcomes["b"], Outcome::Missing);
        assert_eq!(outcomes["c"], Outcome::Failed("list: no list".to_owned()));
        let cut = good.replace(r#"{"resource": "a", "check": "delete"}"#, "");
        let outcomes = judged(&rows, &cut, Some("it crashed"));
        assert_eq!(outcomes["a"], Outcome::Failed("delete was never run; it crashed".to_owned()));
    }

    #[test]
    fn bodies_are_written_out() {
        let row = json!({
            "resource": "a",
            "create": {"name": "{client} {n}"},
            "each": [{}, {"name": "own"}, {}],
            "refused": {"name": "{client}"},
        });
        let row = expanded(&row, &[("{client}", "x".to_owned())]);
        assert_eq!(row["create"], json!([{"name": "x 0"}, {"name": "own"}, {"name": "x 2"}]));
        assert_eq!(row["refused"], json!({"name": "x"}));
        assert_eq!(row["checks"], json!(["create", "get", "list", "refused"]));
    }
}
