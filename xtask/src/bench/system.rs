//! Systems under test: how each is started in front of the upstream.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::load::Load;
use super::peers;
use super::portway::{Portway, Shape};
use super::sdk::{AGENTS, Agent, Sdks};
use super::upstream::{KeyPair, Nginx, SMALL_PATH, free_port};
use crate::program::{Program, wait_for};

/// How long a system may take until it answers.
const START: Duration = Duration::from_secs(20);

/// A system that can be measured, by name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum System {
    Direct,
    RawOneHop,
    Raw,
    NginxHttp,
    NginxHttps,
    Portway(Shape),
    Sdk(&'static Agent),
    RatholeTcp,
    RatholeTls,
    Bore,
    Chisel,
    FrpTls,
    FrpHttp,
}

impl System {
    /// All but the SDKs, in the order of the report.
    const ALL: &[Self] = &[
        Self::Direct,
        Self::RawOneHop,
        Self::Raw,
        Self::NginxHttp,
        Self::NginxHttps,
        Self::Portway(Shape::Tcp),
        Self::Portway(Shape::TcpOverQuic),
        Self::Portway(Shape::Http),
        Self::Portway(Shape::HttpOverQuic),
        Self::Portway(Shape::Https),
        Self::RatholeTcp,
        Self::RatholeTls,
        Self::Bore,
        Self::Chisel,
        Self::FrpTls,
        Self::FrpHttp,
    ];

    /// All of them, in the order of the report.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().chain(AGENTS.iter().map(Self::Sdk))
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::RawOneHop => "raw-one-hop",
            Self::Raw => "raw",
            Self::NginxHttp => "nginx-http",
            Self::NginxHttps => "nginx-https",
            Self::Portway(shape) => shape.name(),
            Self::Sdk(agent) => agent.name,
            Self::RatholeTcp => "rathole-tcp",
            Self::RatholeTls => "rathole-tls",
            Self::Bore => "bore",
            Self::Chisel => "chisel",
            Self::FrpTls => "frp-tls",
            Self::FrpHttp => "frp-http",
        }
    }

    /// What it is, for the report.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Direct => "no system: the load goes to the upstream",
            Self::RawOneHop => "one hop that copies bytes, without encryption",
            Self::Raw => "two hops that copy bytes, without encryption",
            Self::NginxHttp => "nginx as HTTP proxy, one hop",
            Self::NginxHttps => "nginx ending TLS, one hop",
            Self::Portway(shape) => shape.title(),
            Self::Sdk(agent) => agent.title,
            Self::RatholeTcp => "rathole without encryption",
            Self::RatholeTls => "rathole over TLS",
            Self::Bore => "bore (does not encrypt)",
            Self::Chisel => "chisel (SSH over WebSocket)",
            Self::FrpTls => "frp, tcp type, over TLS",
            Self::FrpHttp => "frp, http type",
        }
    }

    /// Whether Portway's server is the side that faces visitors.
    pub(super) fn is_behind_portway(self) -> bool {
        matches!(self, Self::Portway(_) | Self::Sdk(_))
    }

    /// The same endpoint with Portway's own agent, for an SDK.
    pub(super) fn native(self) -> Option<&'static str> {
        if let Self::Sdk(agent) = self { Some(agent.native()) } else { None }
    }

    /// Whether it has a server and an agent, so that memory per tunnelled connection means something.
    pub(super) fn is_tunnel(self) -> bool {
        !matches!(self, Self::Direct | Self::RawOneHop | Self::Raw | Self::NginxHttp | Self::NginxHttps)
    }
}

/// What systems are made from.
#[derive(Clone, Copy)]
pub(super) struct Site<'a> {
    pub(super) scratch: &'a Path,
    pub(super) nginx: &'a Nginx<'a>,
    pub(super) keys: &'a KeyPair,
    pub(super) upstream: u16,
    /// The two-hop copy, when it is built.
    pub(super) raw: Option<&'a Path>,
    /// The server of Portway, when it runs.
    pub(super) portway: Option<&'a Portway>,
    pub(super) sdks: &'a Sdks,
}

impl<'a> Site<'a> {
    fn raw(&self) -> Result<&'a Path> {
        self.raw.context("the copying program is not built")
    }

    fn portway(&self) -> Result<&'a Portway> {
        self.portway.context("the server of portway does not run")
    }
}

/// A system that answers.
pub(super) struct Running {
    pub(super) system: System,
    /// Where it answers, without path.
    pub(super) url: String,
    /// Address to connect to for a bare TCP connection.
    pub(super) port: u16,
    /// Its own programs, the side that faces visitors first. Portway's server is shared and not among them.
    pub(super) programs: Vec<Program>,
    /// From the start of its last program, the agent, to the first answer.
    pub(super) first_answer: Duration,
}

impl Running {
    /// Starts `system` and waits until it answers.
    pub(super) fn start(system: System, site: &Site<'_>, load: &Load) -> Result<Self> {
        let mut running = match system {
            System::Direct => Self::plain(system, Vec::new(), site.upstream),
            System::RawOneHop => {
                let port = free_port()?;
                let copy = peers::raw_copy(site.raw()?, site.scratch, "raw-one-hop", port, site.upstream)?;
                Self::plain(system, vec![copy], port)
            }
            System::Raw => {
                let (first, second) = (free_port()?, free_port()?);
                let program = site.raw()?;
                let outer = peers::raw_copy(program, site.scratch, "raw-outer", first, second)?;
                let inner = peers::raw_copy(program, site.scratch, "raw-inner", second, site.upstream)?;
                Self::plain(system, vec![outer, inner], first)
            }
            System::NginxHttp => {
                let (program, port) = site.nginx.proxy("nginx-http", site.upstream, None)?;
                Self::plain(system, vec![program], port)
            }
            System::NginxHttps => {
                let (program, port) = site.nginx.proxy("nginx-https", site.upstream, Some(site.keys))?;
                Self {
                    system,
                    url: format!("https://localhost:{port}"),
                    port,
                    programs: vec![program],
                    first_answer: Duration::ZERO,
                }
            }
            System::Portway(shape) => {
                let (agent, url, port) = site.portway()?.publish(shape, site.upstream)?;
                Self { system, url, port, programs: vec![agent], first_answer: Duration::ZERO }
            }
            System::Sdk(agent) => {
                let (agent, url, port) = agent.publish(site.sdks, site.portway()?, site.scratch, site.upstream)?;
                Self { system, url, port, programs: vec![agent], first_answer: Duration::ZERO }
            }
            System::RatholeTcp => {
                let (programs, port) = peers::rathole(site, None)?;
                Self::plain(system, programs, port)
            }
            System::RatholeTls => {
                let (programs, port) = peers::rathole(site, Some(site.keys))?;
                Self::plain(system, programs, port)
            }
            System::Bore => {
                let (programs, port) = peers::bore(site)?;
                Self::plain(system, programs, port)
            }
            System::Chisel => {
                let (programs, port) = peers::chisel(site)?;
                Self::plain(system, programs, port)
            }
            System::FrpTls => {
                let (programs, port) = peers::frp(site, false)?;
                Self::plain(system, programs, port)
            }
            System::FrpHttp => {
                let (programs, port) = peers::frp(site, true)?;
                Self::plain(system, programs, port)
            }
        };
        running.wait(load)?;
        Ok(running)
    }

    fn plain(system: System, programs: Vec<Program>, port: u16) -> Self {
        Self { system, url: format!("http://127.0.0.1:{port}"), port, programs, first_answer: Duration::ZERO }
    }

    fn wait(&mut self, load: &Load) -> Result<()> {
        let url = format!("{}{SMALL_PATH}", self.url);
        let answered = wait_for(self.system.name(), START, || {
            for program in &mut self.programs {
                program.alive()?;
            }
            Ok(load.answers(&url, self.port).then_some(()))
        });
        answered.with_context(|| {
            let words: Vec<String> = self.programs.iter().map(Program::last_words).collect();
            format!("it does not answer at {url}; it said: {}", words.join(" || "))
        })?;
        self.first_answer = self.programs.last().map_or(Duration::ZERO, Program::age);
        Ok(())
    }
}
