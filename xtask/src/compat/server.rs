//! The server under test: the built program, started as an operator starts it.

use std::env;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::program::{Program, wait_for};

/// How long the server may take until its ready line.
const START: Duration = Duration::from_secs(60);
/// Ports for TCP endpoints.
const TCP_PORTS: u16 = 200;
/// Addresses that the server listens on: the flag, and the field of the ready line.
const ADDRESSES: &[(&str, &str)] = &[
    ("--https-addr", "https_addr"),
    ("--http-addr", "http_addr"),
    ("--api-addr", "api_addr"),
    ("--admin-addr", "admin_addr"),
    ("--dns-addr", "dns_addr"),
    ("--ssh-addr", "ssh_addr"),
];

/// A running server with a data directory of its own.
pub(super) struct Server {
    program: PathBuf,
    folder: PathBuf,
    /// The ready line.
    ready: Value,
    authtoken: String,
    api_key: String,
    first_tcp_port: u16,
    /// The newest is the last; after an upgrade the one before may still drain.
    running: Vec<Program>,
    starts: usize,
}

impl Server {
    /// Starts the program on ports that the system chooses.
    pub(super) fn start(program: &Path, folder: &Path) -> Result<Self> {
        let mut server = Self {
            program: program.to_path_buf(),
            folder: folder.to_path_buf(),
            ready: Value::Null,
            authtoken: String::new(),
            api_key: String::new(),
            first_tcp_port: free_range()?,
            running: Vec::new(),
            starts: 0,
        };
        server.launch(&[])?;
        let bootstrap = fs::read_to_string(server.data().join("bootstrap.json")).context("reading bootstrap.json")?;
        let bootstrap: Value = serde_json::from_str(&bootstrap).context("reading bootstrap.json")?;
        let secret = |name: &str| {
            let secret = bootstrap[name].as_str().with_context(|| format!("bootstrap.json has no {name}"));
            secret.map(str::to_owned)
        };
        (server.authtoken, server.api_key) = (secret("authtoken")?, secret("api_key")?);
        Ok(server)
    }

    /// Ends the server as an operator would, and starts it again on the same addresses.
    pub(super) fn restart(&mut self) -> Result<()> {
        self.running.clear();
        self.launch(&[])
    }

    /// Starts a successor that takes over the sockets.
    pub(super) fn upgrade(&mut self) -> Result<()> {
        self.launch(&["--upgrade"])
    }

    /// Makes an authtoken that may bind what `rules` say.
    pub(super) fn token(&self, rules: &[String]) -> Result<String> {
        let mut command = self.command();
        command.args(["admin", "authtokens", "create", "--json", "--data-dir"]).arg(self.data());
        for rule in rules {
            command.args(["--acl", rule]);
        }
        let output = command.output().context("starting portway admin")?;
        if !output.status.success() {
            bail!("portway admin: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let answer: Value = serde_json::from_slice(&output.stdout).context("reading what portway admin printed")?;
        Ok(answer["authtoken"].as_str().context("portway admin printed no authtoken")?.to_owned())
    }

    pub(super) fn authtoken(&self) -> &str {
        &self.authtoken
    }

    /// Where the REST API is, and a key for it.
    pub(super) fn api(&self) -> Result<(&str, &str)> {
        Ok((self.fact("api_url")?, &self.api_key))
    }

    /// Starts an agent of this program with one endpoint, whose service nobody visits.
    pub(super) fn agent(&self, name: &str, folder: &Path) -> Result<Program> {
        let mut command = self.command();
        command.args(["http", "1", "--url", name, "--log", "stdout", "--connect-url", self.fact("connect_addr")?]);
        command.arg("--ca").arg(self.ca()).env("PORTWAY_AUTHTOKEN", self.authtoken());
        Program::start(&format!("agent-{name}"), folder, &mut command)
    }

    pub(super) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub(super) fn ca(&self) -> PathBuf {
        self.data().join("ca.pem")
    }

    pub(super) fn base_domain(&self) -> Result<&str> {
        self.fact("base_domain")
    }

    /// What agents dial, by name and by address.
    pub(super) fn connect(&self) -> Result<(&str, &str)> {
        Ok((self.fact("connect_url")?, self.fact("connect_addr")?))
    }

    /// An address of the ready line; `None` when this server does not listen for that.
    pub(super) fn address(&self, field: &str) -> Option<SocketAddr> {
        self.ready[field].as_str()?.parse().ok()
    }

    /// How many endpoints are online, as the REST API says.
    pub(super) fn endpoints(&self) -> Result<usize> {
        let mut command = self.command();
        command.args(["api", "endpoints", "list", "--quiet", "--data-dir"]).arg(self.data());
        let output = command.output().context("starting portway api")?;
        if !output.status.success() {
            bail!("portway api: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).lines().count())
    }

    fn fact(&self, key: &str) -> Result<&str> {
        self.ready[key].as_str().with_context(|| format!("the ready line has no {key}"))
    }

    fn launch(&mut self, more: &[&str]) -> Result<()> {
        self.starts += 1;
        let mut command = self.command();
        command.arg("server").arg("--data-dir").arg(self.data());
        for (flag, field) in ADDRESSES {
            let address = self.address(field).or_else(|| self.api_address(field));
            command.arg(flag).arg(address.map_or_else(|| "127.0.0.1:0".to_owned(), |address| address.to_string()));
        }
        let last = self.first_tcp_port + TCP_PORTS - 1;
        command.arg("--tcp-ports").arg(format!("{}-{last}", self.first_tcp_port));
        command.args(["--drain-grace", "2s", "--log-level", "info"]).args(more);
        let mut program = Program::start(&format!("server-{}", self.starts), &self.folder, &mut command)?;
        self.ready = wait_for("the server", START, || {
            program.alive()?;
            let output = program.output();
            let lines = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            Ok(lines.into_iter().find(|line| line["event"] == "ready"))
        })?;
        self.running.push(program);
        Ok(())
    }

    /// The API's address, which the ready line has as a URL.
    fn api_address(&self, field: &str) -> Option<SocketAddr> {
        if field != "api_addr" {
            return None;
        }
        self.ready["api_url"].as_str()?.strip_prefix("http://")?.parse().ok()
    }

    /// The program without the configuration and environment of whoever runs the suite.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        for (key, _) in env::vars_os() {
            let name = key.to_string_lossy();
            if name.starts_with("PORTWAY_") || name.starts_with("NGROK_") {
                command.env_remove(&key);
            }
        }
        command.env("HOME", &self.folder).env_remove("XDG_CONFIG_HOME").current_dir(&self.folder);
        command
    }
}

/// The first of [`TCP_PORTS`] ports below those that clients get, free at the moment.
fn free_range() -> Result<u16> {
    let free = |first: u16| (first..first + TCP_PORTS).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok());
    let found = (10_000..32_000).step_by(usize::from(TCP_PORTS)).find(|first| free(*first));
    found.context("no range of ports is free for TCP endpoints")
}
