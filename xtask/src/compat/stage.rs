//! One SDK in one scenario: settings for its program, a visitor, and the outcome.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::scenario::{Check, Scenario};
use super::server::Server;
use super::upstream::Upstream;
use super::visitor::Visitor;
use crate::sdk::{Client, First, Installed, Language, Refusal, Settings};
use crate::workspace::Workspace;

/// A policy that refuses every request with a status that nothing else gives.
const POLICY: &str = r#"{"on_http_request":[{"actions":[{"type":"deny","config":{"status_code":418}}]}]}"#;

/// What came out of a scenario.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    Passed,
    Failed(String),
    /// The SDK has nothing for it.
    Missing,
    Skipped(String),
}

/// Everything that a scenario runs on.
#[derive(Clone, Copy)]
pub(super) struct World<'a> {
    pub(super) workspace: &'a Workspace,
    pub(super) folder: &'a Path,
    pub(super) server: &'a Server,
    pub(super) upstream: &'a Upstream,
}

/// One SDK in one scenario.
pub(super) struct Stage<'a> {
    pub(super) world: World<'a>,
    pub(super) installed: &'a Installed,
    scenario: &'static str,
    folder: PathBuf,
}

/// A bound endpoint.
pub(super) struct Online {
    pub(super) client: Client,
    pub(super) url: String,
    /// The event that told of it.
    pub(super) event: serde_json::Value,
}

impl<'a> Stage<'a> {
    /// Makes a folder for what the scenario leaves.
    pub(super) fn new(world: World<'a>, installed: &'a Installed, scenario: &'static str) -> Result<Self> {
        let folder = world.folder.join(format!("{}-{scenario}", installed.sdk.name));
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        Ok(Self { world, installed, scenario, folder })
    }

    /// Runs the scenario.
    pub(super) fn perform(world: World<'a>, installed: &'a Installed, scenario: &Scenario) -> Outcome {
        if let Some(why) = Self::impossible(world, installed) {
            return Outcome::Skipped(why);
        }
        let Check::Alone(check) = scenario.check else {
            return Outcome::Failed("this scenario is not run by itself".to_owned());
        };
        match Self::new(world, installed, scenario.name).and_then(|stage| check(&stage)) {
            Ok(outcome) => outcome,
            Err(error) => Outcome::Failed(format!("{error:#}")),
        }
    }

    /// Why the SDK can do nothing with this server.
    pub(super) fn impossible(world: World<'_>, installed: &Installed) -> Option<String> {
        let ssh = installed.sdk.language == Language::Ssh && world.server.address("ssh_addr").is_none();
        ssh.then(|| "the server has no SSH front".to_owned())
    }

    /// The name that the endpoint of this scenario asks for.
    pub(super) fn host(&self) -> Result<String> {
        Ok(format!("{}-{}.{}", self.scenario, self.installed.sdk.name, self.world.server.base_domain()?))
    }

    /// The name of the second endpoint.
    pub(super) fn second_host(&self) -> Result<String> {
        Ok(format!("second-{}", self.host()?))
    }

    pub(super) fn visitor(&self) -> Visitor<'a> {
        Visitor::new(self.world.server, &self.folder)
    }

    /// Whether this is the newest version of its language, which carries the heavy checks.
    pub(super) fn is_newest(&self) -> bool {
        !self.installed.sdk.name.ends_with("oldest")
    }

    /// Starts the SDK's program.
    pub(super) fn start(&self, what: &str, settings: &[(&str, &str)]) -> Result<Client> {
        let mut command = self.command(what)?;
        for (name, value) in settings {
            command.env(format!("COMPAT_{name}"), value);
        }
        Client::start("program", &self.folder, &mut command)
    }

    /// Starts the SDK's program and waits for its endpoint; `None` when the SDK has nothing for the scenario.
    pub(super) fn online(&self, what: &str) -> Result<Option<Online>> {
        self.online_with(what, &[])
    }

    /// Like [`Stage::online`], with settings of its own.
    pub(super) fn online_with(&self, what: &str, settings: &[(&str, &str)]) -> Result<Option<Online>> {
        let mut client = self.start(what, settings)?;
        match client.first()? {
            First::Unsupported => Ok(None),
            First::Refused(Refusal { code, text }) => bail!("refused: {text} ({code})"),
            First::Bound(event) => {
                let url = event["url"].as_str().unwrap_or_default().to_owned();
                Ok(Some(Online { client, url, event }))
            }
        }
    }

    fn command(&self, what: &str) -> Result<Command> {
        let World { server, upstream, .. } = self.world;
        let (host, second_host) = (self.host()?, self.second_host()?);
        let settings = Settings {
            folder: &self.folder,
            connect: server.connect()?,
            ca: &server.ca(),
            authtoken: server.authtoken(),
            ssh: server.address("ssh_addr"),
            names: [&host, &second_host],
            ports: upstream.ports,
        };
        let mut command = self.installed.command(what, &settings)?;
        command.env("COMPAT_POLICY", POLICY).env("COMPAT_CLIENT_CA", upstream.key("ca.pem"));
        command.env("COMPAT_CERT", upstream.key("server.pem")).env("COMPAT_KEY", upstream.key("server.key"));
        Ok(command)
    }
}
