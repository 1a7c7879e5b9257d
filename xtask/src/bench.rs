//! `cargo xtask bench`: Portway against a raw copy, nginx and the other tunnels that are installed, in one run.
//!
//! Figures of a machine mean little by themselves, so every system is measured in every round, one after the other, and
//! what counts are ratios inside one round. Everything runs on loopback and ends with the bench.

mod api;
mod goals;
mod load;
mod measure;
mod metric;
mod names;
mod peers;
mod portway;
mod report;
mod sdk;
mod system;
mod upstream;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use self::load::Load;
use self::measure::{Dose, Figures, Probe};
use self::metric::Values;
use self::portway::{Portway, Shape};
use self::sdk::Sdks;
use self::system::{Running, Site, System};
use self::upstream::{BULK, KeyPair, Nginx};
use crate::program;
use crate::workspace::Workspace;

/// Idle agents held to learn what one of them takes.
const IDLE_AGENTS: u32 = 1000;
/// The same of an SDK, whose program has to hold them as well.
const IDLE_SDK_SESSIONS: u32 = 200;
/// What is measured beside SDKs when nothing else is named: what their figures are compared with.
const BESIDE_SDKS: &[&str] = &["direct", "portway-tcp", "portway-http"];

const EXAMPLES: &str = "\
Examples:
  cargo xtask bench --quick
  cargo xtask bench --only direct,portway-tcp,rathole --rounds 3
  cargo xtask bench api
      calls of the REST API in a second on SQLite and PostgreSQL, and the time until the edge does what they say
  cargo xtask bench names
      DNS answers and TLS handshakes in a second of CPU, with 10 and with 100,000 certificates
  cargo xtask bench --agent node,go --rounds 3 --seconds 1
      the table for ngrok's SDKs of Node.js and Go, with ratios to Portway's own agent";

/// Options of `cargo xtask bench`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// What to measure instead of the way of visitors' bytes
    #[arg(value_enum)]
    subject: Option<Subject>,
    /// Rounds; each measures every system once
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each measurement of requests and connections
    #[arg(long, default_value_t = 2)]
    seconds: u64,
    /// One round, one second, a quarter of the bulk: to see that everything runs
    #[arg(long)]
    quick: bool,
    /// Measure these systems only (repeatable, or separated by commas); the beginning of a name is enough
    #[arg(long, value_name = "SYSTEM", value_delimiter = ',')]
    only: Vec<String>,
    /// Measure an official ngrok SDK as the agent (repeatable, or separated by commas), beside direct, portway-tcp and
    /// portway-http unless --only names others
    #[arg(long, value_name = "SDK", value_delimiter = ',', value_parser = ["node", "python", "rust", "go", "ssh"])]
    agent: Vec<String>,
    /// Write everything that was measured to a file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Use programs that are built already
    #[arg(long)]
    no_build: bool,
    /// Folder of the programs to measure [default: target/release]
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
}

/// What can be measured by itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Subject {
    /// The REST API: calls in a second, and the time until the edge does what they say
    Api,
    /// DNS answers and TLS handshakes, and what many certificates cost
    Names,
}

/// Runs the bench.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let chosen = choose(&options.only, &options.agent)?;
    let programs = match &options.programs {
        Some(folder) => folder.clone(),
        None => workspace.target()?.join("release"),
    };
    if !options.no_build && options.programs.is_none() {
        build(workspace);
    }
    allow_many_files();
    let scratch = tempfile::Builder::new().prefix("portway-bench-").tempdir().context("making a folder")?;
    let scratch = scratch.path();
    program::end_on_signals(scratch.to_path_buf())?;
    match options.subject {
        Some(Subject::Api) => return api::run(workspace, options, &programs, scratch),
        Some(Subject::Names) => return names::run(workspace, options, &programs, scratch),
        None => {}
    }
    let agents = chosen.iter().filter_map(|system| if let System::Sdk(agent) = system { Some(*agent) } else { None });
    let sdks = Sdks::install(workspace, agents);
    let load = Load::new(scratch)?;
    let nginx = Nginx::new(scratch)?;
    let keys = KeyPair::make(scratch)?;
    let (_upstream, upstream) = nginx.upstream()?;

    let program = programs.join("portway");
    let raw = programs.join("examples/raw_copy");
    let raw = raw.is_file().then_some(raw.as_path());
    let mut bench = Bench { load, values: Values::default(), running: Vec::new() };
    let mut site = Site { scratch, nginx: &nginx, keys: &keys, upstream, raw, portway: None, sdks: &sdks };
    let behind = chosen.iter().filter(|system| system.is_behind_portway() && program.is_file());
    let behind: Vec<System> = behind.copied().collect();
    for system in &behind {
        bench.at_rest(*system, &program, &programs.join("examples/idle_agents"), site);
    }
    let portway = (!behind.is_empty()).then(|| Portway::start(&program, scratch)).transpose()?;
    site.portway = portway.as_ref();
    for system in chosen {
        bench.start(system, &site);
    }
    let rounds = if options.quick { 1 } else { options.rounds };
    let dose = if options.quick {
        Dose { time: Duration::from_secs(1), bytes: BULK / 4 }
    } else {
        Dose { time: Duration::from_secs(options.seconds), bytes: BULK }
    };
    bench.warm_up(&site, dose)?;
    for round in 0..rounds {
        let start = Instant::now();
        bench.round(&site, round, dose);
        println!("round {} of {rounds}: {:.0} s", round + 1, start.elapsed().as_secs_f64());
    }
    let systems: Vec<System> = bench.running.iter().map(|running| running.system).collect();
    report::print(&bench.values, &systems);
    if let Some(file) = &options.json {
        let document = report::json(workspace, &bench.values, &systems, rounds);
        fs::write(file, format!("{document:#}\n")).with_context(|| format!("writing {}", file.display()))?;
        println!("all values are in {}", file.display());
    }
    Ok(())
}

/// A run in progress.
struct Bench {
    load: Load,
    values: Values,
    running: Vec<Running>,
}

impl Bench {
    /// Looks at Portway before any load, on servers of their own: memory that load leaves behind would hide what is asked.
    fn at_rest(&mut self, system: System, program: &Path, agents: &Path, site: Site<'_>) {
        let fresh = |what: &str| -> Result<(PathBuf, Portway)> {
            let folder = site.scratch.join(format!("{}-{what}", system.name()));
            fs::create_dir(&folder).context("making a folder")?;
            let server = Portway::start(program, &folder)?;
            Ok((folder, server))
        };
        let idle = fresh("idle").and_then(|(folder, server)| {
            let site = Site { scratch: &folder, portway: Some(&server), ..site };
            measure::measure_idle(&Running::start(system, &site, &self.load)?, Some(&server))
        });
        self.note(system, 0, "idle", idle);
        let held = match system {
            System::Portway(shape @ (Shape::Tcp | Shape::TcpOverQuic)) => fresh("agents").and_then(|(_, server)| {
                let hold = || server.hold(agents, shape.carrier(), IDLE_AGENTS);
                measure::measure_agents(&server.server, IDLE_AGENTS, hold)
            }),
            System::Sdk(agent) if agent.counts_sessions() => fresh("agents").and_then(|(folder, server)| {
                let hold = || agent.hold(site.sdks, &server, &folder, IDLE_SDK_SESSIONS);
                measure::measure_agents(&server.server, IDLE_SDK_SESSIONS, hold)
            }),
            _ => return,
        };
        self.note(system, 0, "idle agents", held);
    }

    /// Starts a system, and looks at it before any load unless that is done; one that does not start is skipped with the reason.
    fn start(&mut self, system: System, site: &Site<'_>) {
        let running = match Running::start(system, site, &self.load) {
            Ok(running) => running,
            Err(error) => return println!("skipped: {}: {error:#}", system.name()),
        };
        println!("started: {}: {}", system.name(), system.title());
        if system.is_tunnel() && !system.is_behind_portway() {
            let figures = measure::measure_idle(&running, None);
            self.note(system, 0, "idle", figures);
        }
        self.running.push(running);
    }

    /// Fills caches and pools.
    fn warm_up(&self, site: &Site<'_>, dose: Dose) -> Result<()> {
        let dose = Dose { time: Duration::from_secs(1), bytes: dose.bytes / 8 };
        if self.running.is_empty() {
            bail!("no system runs");
        }
        for running in &self.running {
            for probe in [Probe::Small(8), Probe::Bulk(1)] {
                measure::measure(running, site.portway, &self.load, probe, dose)
                    .with_context(|| format!("warming up {}", running.system.name()))?;
            }
        }
        Ok(())
    }

    /// Measures every system once with every probe. Systems alternate inside of a probe, so that a drift of the machine
    /// meets all of them.
    fn round(&mut self, site: &Site<'_>, round: usize, dose: Dose) {
        for probe in Probe::ALL {
            for index in 0..self.running.len() {
                let running = &self.running[index];
                let system = running.system;
                let figures = measure::measure(running, site.portway, &self.load, *probe, dose);
                self.note(system, round, &format!("{probe:?}"), figures);
            }
        }
    }

    fn note(&mut self, system: System, round: usize, what: &str, figures: Result<Figures>) {
        match figures {
            Ok(figures) => {
                if figures.errors > 0 {
                    println!("note: {}, {what}: {} errors", system.name(), figures.errors);
                }
                for (metric, value) in figures.values {
                    self.values.put(system.name(), metric, round, value);
                }
            }
            Err(error) => println!("not measured: {}, {what}: {error:#}", system.name()),
        }
    }
}

/// Systems that are named in `only`, in full or by the beginning of their names, and those of the SDKs `agents`; every
/// system that is no SDK when nothing is named.
fn choose(only: &[String], agents: &[String]) -> Result<Vec<System>> {
    let mut wanted = only.to_vec();
    if only.is_empty() && !agents.is_empty() {
        wanted.extend(BESIDE_SDKS.iter().map(|name| (*name).to_owned()));
    }
    wanted.extend(agents.iter().map(|language| format!("sdk-{language}-")));
    if wanted.is_empty() {
        return Ok(System::all().filter(|system| system.native().is_none()).collect());
    }
    let exists = |name: &str| System::all().any(|system| system.name() == name);
    let matches = |wanted: &str, name: &str| if exists(wanted) { name == wanted } else { name.starts_with(wanted) };
    for wanted in &wanted {
        if !System::all().any(|system| matches(wanted, system.name())) {
            let known: Vec<&str> = System::all().map(System::name).collect();
            bail!("no system is named {wanted}; there are: {}", known.join(", "));
        }
    }
    Ok(System::all().filter(|system| wanted.iter().any(|wanted| matches(wanted, system.name()))).collect())
}

/// Builds what is measured. What does not build is missing from the run, which says so.
fn build(workspace: &Workspace) {
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--release", "--package", "portway", "--package", "portway-testkit", "--bin", "portway"]);
    cargo.args(["--example", "raw_copy", "--example", "idle_agents", "--example", "handshakes"]);
    match cargo.status() {
        Ok(status) if status.success() => {}
        Ok(status) => println!("note: building ended with {status}; what was built before is measured"),
        Err(error) => println!("note: cargo does not start ({error}); what was built before is measured"),
    }
}

/// Lets this process and its children hold as many files as the system allows.
fn allow_many_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        println!("note: the limit of open files stays at {:?}: {error}", limit.current);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(only: &[&str], agents: &[&str]) -> Vec<&'static str> {
        let owned = |names: &[&str]| -> Vec<String> { names.iter().map(|name| (*name).to_owned()).collect() };
        choose(&owned(only), &owned(agents)).expect("known").iter().map(|system| system.name()).collect()
    }

    #[test]
    fn systems_are_chosen_by_the_beginning_of_their_names() {
        assert_eq!(names(&["rathole", "direct"], &[]), ["direct", "rathole-tcp", "rathole-tls"]);
        assert_eq!(names(&["portway-tcp"], &[]), ["portway-tcp"]);
        assert!(choose(&["nothing".to_owned()], &[]).is_err());
        let all = names(&[], &[]);
        assert!(all.contains(&"frp-http") && !all.iter().any(|name| name.starts_with("sdk-")), "{all:?}");
    }

    #[test]
    fn sdks_are_measured_beside_what_they_are_compared_with() {
        let node = ["sdk-node-tcp", "sdk-node-http"];
        assert_eq!(names(&[], &["node"]), [BESIDE_SDKS, &node].concat());
        assert_eq!(names(&["direct"], &["node"]), [&["direct"], &node[..]].concat());
        for language in ["node", "python", "rust", "go", "ssh"] {
            assert_eq!(names(&[], &[language]).len(), BESIDE_SDKS.len() + 2, "{language}");
        }
    }
}
