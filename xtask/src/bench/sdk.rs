//! Official ngrok SDKs as agents: the programs of `compat/` in front of the bench's upstream.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use super::portway::{Portway, Shape};
use crate::program::Program;
use crate::sdk::{Build, Client, First, Installed, Language, Ports, SDKS, Settings, install};
use crate::workspace::Workspace;

/// An SDK as the agent of one endpoint.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Agent {
    language: Language,
    /// The endpoint; what it is compared with is the native agent over TCP, which is what carries an SDK's session.
    shape: Shape,
    pub(super) name: &'static str,
    pub(super) title: &'static str,
}

const fn agent(language: Language, shape: Shape, name: &'static str, title: &'static str) -> Agent {
    Agent { language, shape, name, title }
}

/// Every agent that can be measured, in the order of the report.
pub(super) const AGENTS: &[Agent] = &[
    agent(Language::Node, Shape::Tcp, "sdk-node-tcp", "ngrok SDK for Node.js, TCP endpoint"),
    agent(Language::Node, Shape::Http, "sdk-node-http", "ngrok SDK for Node.js, HTTP endpoint"),
    agent(Language::Python, Shape::Tcp, "sdk-python-tcp", "ngrok SDK for Python, TCP endpoint"),
    agent(Language::Python, Shape::Http, "sdk-python-http", "ngrok SDK for Python, HTTP endpoint"),
    agent(Language::Rust, Shape::Tcp, "sdk-rust-tcp", "ngrok SDK for Rust, TCP endpoint"),
    agent(Language::Rust, Shape::Http, "sdk-rust-http", "ngrok SDK for Rust, HTTP endpoint"),
    agent(Language::Go, Shape::Tcp, "sdk-go-tcp", "ngrok SDK for Go, TCP endpoint"),
    agent(Language::Go, Shape::Http, "sdk-go-http", "ngrok SDK for Go, HTTP endpoint"),
    agent(Language::Ssh, Shape::Tcp, "sdk-ssh-tcp", "ssh -R of OpenSSH, TCP endpoint"),
    agent(Language::Ssh, Shape::Http, "sdk-ssh-http", "ssh -R of OpenSSH, HTTP endpoint"),
];

/// The SDKs that are installed for a run, and why others are not.
#[derive(Default)]
pub(super) struct Sdks(Vec<(Language, Result<Installed, String>)>);

impl Sdks {
    /// Installs the newest version of what `agents` need; Rust programs are optimised.
    pub(super) fn install<'a>(workspace: &Workspace, agents: impl Iterator<Item = &'a Agent>) -> Self {
        let mut sdks = Self::default();
        for agent in agents {
            if sdks.0.iter().any(|(language, _)| *language == agent.language) {
                continue;
            }
            // The table has the newest version of each language first.
            let Some(sdk) = SDKS.iter().find(|sdk| sdk.language == agent.language) else { continue };
            println!("preparing {} {}", sdk.package, sdk.version);
            let installed = install(workspace, sdk, Build::Release).unwrap_or_else(|error| Err(format!("{error:#}")));
            sdks.0.push((agent.language, installed));
        }
        sdks
    }

    fn get(&self, language: Language) -> Result<&Installed> {
        let found = self.0.iter().find(|(installed, _)| *installed == language).map(|(_, installed)| installed);
        match found.context("its SDK is not prepared")? {
            Ok(installed) => Ok(installed),
            Err(why) => bail!("{why}"),
        }
    }
}

impl Agent {
    /// The native agent in its place.
    pub(super) fn native(&self) -> &'static str {
        self.shape.name()
    }

    /// Whether it has the endpoint that sessions are counted with: one endpoint of each SDK is enough for that.
    pub(super) fn counts_sessions(&self) -> bool {
        self.shape == Shape::Tcp && self.language != Language::Ssh
    }

    /// Publishes the port `upstream`; returns the program, the URL and the port to connect to.
    pub(super) fn publish(
        &self,
        sdks: &Sdks,
        server: &Portway,
        scratch: &Path,
        upstream: u16,
    ) -> Result<(Program, String, u16)> {
        let (client, url) = self.bind(sdks, server, scratch, upstream, 1)?;
        let port = url.trim_end_matches('/').rsplit(':').next().and_then(|port| port.parse().ok());
        let port = port.with_context(|| format!("no port in {url}"))?;
        let url = if self.shape == Shape::Http { url } else { format!("http://127.0.0.1:{port}") };
        Ok((client.into_program(), url, port))
    }

    /// A program that holds `sessions` sessions, all but the first of which have nothing.
    pub(super) fn hold(&self, sdks: &Sdks, server: &Portway, scratch: &Path, sessions: u32) -> Result<Program> {
        // Nobody comes, so nothing has to listen there.
        let (client, _) = self.bind(sdks, server, scratch, 1, sessions)?;
        Ok(client.into_program())
    }

    fn bind(
        &self,
        sdks: &Sdks,
        server: &Portway,
        scratch: &Path,
        upstream: u16,
        sessions: u32,
    ) -> Result<(Client, String)> {
        let folder = scratch.join(format!("{}-{sessions}", self.name));
        fs::create_dir_all(&folder).context("creating a folder")?;
        let host = format!("{}.{}", self.name, server.fact("base_domain")?);
        let settings = Settings {
            folder: &folder,
            connect: (server.fact("connect_url")?, server.fact("connect_addr")?),
            ca: server.ca(),
            authtoken: server.fact("authtoken")?,
            ssh: server.fact("ssh_addr")?.parse().ok(),
            names: [&host, &format!("second-{host}")],
            ports: Ports { http: upstream, tls: upstream, tcp: upstream },
        };
        let scenario = if self.shape == Shape::Http { "http-plain" } else { "tcp" };
        let mut command = sdks.get(self.language)?.command(scenario, &settings)?;
        command.env("COMPAT_SESSIONS", sessions.to_string());
        let mut client = Client::start(self.name, &folder, &mut command)?;
        if sessions > 1 {
            let connected = client.wait("connected")?;
            let held = connected["sessions"].as_u64();
            ensure!(held == Some(u64::from(sessions)), "{sessions} sessions were asked for, not {connected}");
        }
        match client.first()? {
            First::Bound(event) => {
                let url = event["url"].as_str().context("an endpoint without a URL")?.to_owned();
                Ok((client, url))
            }
            First::Refused(refusal) => bail!("refused: {} ({})", refusal.text, refusal.code),
            First::Unsupported => bail!("the SDK has no such endpoint"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_are_named_after_their_language_and_endpoint() {
        for agent in AGENTS {
            let endpoint = agent.native().strip_prefix("portway-").expect("a native agent");
            assert_eq!(agent.name, format!("sdk-{}-{endpoint}", agent.language.name()));
            let newest = SDKS.iter().find(|sdk| sdk.language == agent.language).expect("an SDK");
            assert!(!newest.needs_name && !newest.name.ends_with("oldest"), "{}", newest.name);
        }
    }
}
