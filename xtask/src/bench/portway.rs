//! Portway as an operator starts it: one server, and an agent for each endpoint that is measured.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::upstream::free_port;
use crate::program::{Program, wait_for};

/// How long the server may take until its ready line.
const START: Duration = Duration::from_secs(30);
/// How long idle agents may take until all of them are connected.
const HELD: Duration = Duration::from_secs(120);
/// Ports the server may use for TCP endpoints.
const TCP_PORTS: u16 = 400;

/// An endpoint, and what carries it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Shape {
    Tcp,
    TcpOverQuic,
    Http,
    HttpOverQuic,
    Https,
}

impl Shape {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tcp => "portway-tcp",
            Self::TcpOverQuic => "portway-tcp-quic",
            Self::Http => "portway-http",
            Self::HttpOverQuic => "portway-http-quic",
            Self::Https => "portway-https",
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Tcp => "Portway, TCP endpoint, TCP carrier",
            Self::TcpOverQuic => "Portway, TCP endpoint, QUIC carrier",
            Self::Http => "Portway, HTTP endpoint, TCP carrier",
            Self::HttpOverQuic => "Portway, HTTP endpoint, QUIC carrier",
            Self::Https => "Portway, HTTPS endpoint, TCP carrier",
        }
    }

    /// What carries the session, as the agent's flag says it.
    pub(super) fn carrier(self) -> &'static str {
        match self {
            Self::Tcp | Self::Http | Self::Https => "tcp",
            Self::TcpOverQuic | Self::HttpOverQuic => "quic",
        }
    }
}

/// A running server.
pub(super) struct Portway {
    program: PathBuf,
    scratch: PathBuf,
    pub(super) server: Program,
    /// What `bootstrap.json` and the ready line say.
    facts: Value,
    ca: PathBuf,
    first_tcp_port: u16,
}

impl Portway {
    /// Starts `program server` on a data directory of its own and waits for the ready line.
    pub(super) fn start(program: &Path, scratch: &Path) -> Result<Self> {
        Self::start_with(program, scratch, &[])
    }

    /// The same with its state in the database at `url`.
    pub(super) fn start_on(program: &Path, scratch: &Path, url: &str) -> Result<Self> {
        Self::start_with(program, scratch, &["--database-url", url])
    }

    fn start_with(program: &Path, scratch: &Path, flags: &[&str]) -> Result<Self> {
        let data = scratch.join("data");
        let first_tcp_port = free_range()?;
        let mut command = Self::command(program, scratch);
        command.arg("server").arg("--data-dir").arg(&data);
        for flag in ["--https-addr", "--http-addr", "--api-addr", "--admin-addr", "--dns-addr", "--ssh-addr"] {
            command.args([flag, "127.0.0.1:0"]);
        }
        command.arg("--tcp-ports").arg(format!("{first_tcp_port}-{}", first_tcp_port + TCP_PORTS - 1));
        command.args(["--log-level", "warn"]).args(flags);
        let mut server = Program::start("portway-server", scratch, &mut command)?;
        let ready = wait_for("the server of portway", START, || {
            server.alive()?;
            let output = server.output();
            let lines = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            Ok(lines.into_iter().find(|line| line["event"] == "ready"))
        })?;
        let bootstrap = fs::read_to_string(data.join("bootstrap.json")).context("reading bootstrap.json")?;
        let mut facts: Value = serde_json::from_str(&bootstrap).context("reading bootstrap.json")?;
        for (key, value) in ready.as_object().into_iter().flatten() {
            facts[key] = value.clone();
        }
        let ca = data.join("ca.pem");
        Ok(Self { program: program.to_path_buf(), scratch: scratch.to_path_buf(), server, facts, ca, first_tcp_port })
    }

    /// Starts an agent that publishes the port `upstream`; returns it, the URL and the port to connect to.
    pub(super) fn publish(&self, shape: Shape, upstream: u16) -> Result<(Program, String, u16)> {
        let base = self.fact("base_domain")?;
        let (kind, url, port) = match shape {
            Shape::Tcp => ("tcp", None, self.first_tcp_port),
            Shape::TcpOverQuic => ("tcp", None, self.first_tcp_port + 1),
            Shape::Http | Shape::HttpOverQuic => {
                ("http", Some(format!("http://{}.{base}", shape.name())), self.port("http_addr")?)
            }
            Shape::Https => ("http", Some(format!("https://{}.{base}", shape.name())), self.port("https_addr")?),
        };
        let wanted = url.clone().unwrap_or_else(|| format!("tcp://:{port}"));
        let mut command = self.agent();
        command.args([kind, &format!("127.0.0.1:{upstream}"), "--url", &wanted, "--carrier", shape.carrier()]);
        self.log_in(&mut command)?;
        let agent = Program::start(shape.name(), &self.scratch, &mut command)?;
        let public = url.map_or_else(|| format!("http://127.0.0.1:{port}"), |url| format!("{url}:{port}"));
        Ok((agent, public, port))
    }

    /// Starts `count` native agents, connected by `carrier`, that do nothing: one program, which is ready when this returns.
    pub(super) fn hold(&self, program: &Path, carrier: &str, count: u32) -> Result<Program> {
        let mut command = Command::new(program);
        command.arg(count.to_string()).arg(carrier).envs(self.environment()?);
        let mut agents = Program::start(&format!("agents-{carrier}"), &self.scratch, &mut command)?;
        wait_for("the idle agents", HELD, || {
            agents.alive()?;
            Ok(agents.output().contains("ready").then_some(()))
        })?;
        Ok(agents)
    }

    /// The program as an agent.
    fn agent(&self) -> Command {
        Self::command(&self.program, &self.scratch)
    }

    /// Starts an agent called `name` that publishes the port `upstream` at `url`.
    pub(super) fn agent_of(&self, name: &str, authtoken: &str, url: &str, upstream: u16) -> Result<Program> {
        let mut command = self.agent();
        command.args(["http", &format!("127.0.0.1:{upstream}"), "--url", url]);
        self.log_in_with(&mut command, authtoken)?;
        Program::start(name, &self.scratch, &mut command)
    }

    /// Flags that tell an agent where to go and who it is.
    fn log_in(&self, command: &mut Command) -> Result<()> {
        self.log_in_with(command, self.fact("authtoken")?)
    }

    fn log_in_with(&self, command: &mut Command, authtoken: &str) -> Result<()> {
        command.args(["--authtoken", authtoken, "--connect-url", self.fact("connect_addr")?]);
        command.arg("--ca").arg(&self.ca).args(["--log", "stdout", "--log-format", "json"]);
        Ok(())
    }

    /// Environment for programs that log in by themselves.
    fn environment(&self) -> Result<[(&'static str, &OsStr); 3]> {
        let connect = ("PORTWAY_CONNECT_URL", self.fact("connect_addr")?.as_ref());
        let authtoken = ("PORTWAY_AUTHTOKEN", self.fact("authtoken")?.as_ref());
        Ok([connect, authtoken, ("PORTWAY_CA", self.ca.as_os_str())])
    }

    /// The certificates that agents trust.
    pub(super) fn ca(&self) -> &Path {
        &self.ca
    }

    /// A text of `bootstrap.json` or of the ready line.
    pub(super) fn fact(&self, key: &str) -> Result<&str> {
        self.facts[key].as_str().with_context(|| format!("neither bootstrap.json nor the ready line has {key}"))
    }

    pub(super) fn port(&self, key: &str) -> Result<u16> {
        let address = self.fact(key)?;
        let port = address.rsplit(':').next().and_then(|port| port.parse().ok());
        port.with_context(|| format!("{key} has no port: {address}"))
    }

    /// The program without the configuration and environment of whoever runs the bench.
    fn command(program: &Path, scratch: &Path) -> Command {
        let mut command = Command::new(program);
        for (key, _) in std::env::vars_os() {
            let name = key.to_string_lossy();
            if name.starts_with("PORTWAY_") || name.starts_with("NGROK_") || name.to_lowercase().ends_with("_proxy") {
                command.env_remove(&key);
            }
        }
        command.env("HOME", scratch).env_remove("XDG_CONFIG_HOME").current_dir(scratch);
        command
    }
}

/// The first of [`TCP_PORTS`] ports below the ports that clients get, which are free at the moment.
fn free_range() -> Result<u16> {
    let free = |first: u16| {
        (first..first + TCP_PORTS).step_by(37).all(|port| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok())
    };
    let found = (12_000..30_000).step_by(usize::from(TCP_PORTS)).find(|first| free(*first));
    // Falls back to whatever the system gives, which may hold a port in use.
    found.map_or_else(free_port, Ok)
}
