//! `cargo xtask compat`: the official ngrok SDKs and API clients, unmodified, against a real server.
//!
//! `compat/` has one small program for each SDK; all of them take the same settings and scenario names and print the same
//! events ([compat/README.md](../../compat/README.md)). Here they are installed, run, visited and judged. So are the programs
//! of the API clients, which share a table of resources.

mod api;
mod document;
mod endpoints;
mod middleware;
mod raw;
mod refusals;
mod restarts;
mod scenario;
mod server;
mod stage;
mod table;
mod upstream;
mod visitor;

use std::collections::VecDeque;
use std::env;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context, Result, bail};
use clap::Args;

use self::scenario::{Check, SCENARIOS, Scenario};
use self::server::Server;
use self::stage::{Stage, World};
use self::table::Table;
use self::upstream::Upstream;
use crate::program::end_on_signals;
use crate::sdk::{API_CLIENTS, Build, Installed, SCHEMATHESIS, SDKS, Sdk, install};
use crate::setup;
use crate::workspace::Workspace;

/// SDKs that run at the same time; they mostly wait.
const WORKERS: usize = 4;

/// What all API clients are called together, and the scenario that they have.
const API: &str = "api";

/// Options of `cargo xtask compat`.
#[derive(Args, Default)]
pub(crate) struct Options {
    /// Languages, SDKs or API clients to run, such as python, go-v2-oldest, api, api-node or schemathesis; all of them when left out
    languages: Vec<String>,
    /// List SDKs, API clients and scenarios, and run nothing
    #[arg(long)]
    list: bool,
    /// Run this scenario only (repeatable)
    #[arg(long, value_name = "NAME")]
    scenario: Vec<String>,
    /// Let schemathesis look for differences between the API and its description for so long, instead of with a few calls of each kind
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u32>,
    /// Keep the folder with logs and the server's data, and say where it is
    #[arg(long)]
    keep: bool,
}

/// What came out.
pub(crate) struct Counts {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    /// Why something was not run.
    pub(crate) skipped: Vec<String>,
}

/// Runs the suite as a command of its own.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    if options.list {
        list();
        return Ok(ExitCode::SUCCESS);
    }
    let counts = check(workspace, options)?;
    let installable = counts.skipped.iter().filter(|reason| reason.contains("install")).count();
    // Where everything can be installed, not to have done it is a failure.
    let failed = if env::var("CI").as_deref() == Ok("true") { counts.failed + installable } else { counts.failed };
    println!("\n{} passed, {failed} failed, {} skipped", counts.passed, counts.skipped.len());
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Counts {
    fn add(&mut self, other: Counts) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped.extend(other.skipped);
    }
}

/// Installs, runs, and prints the tables.
pub(crate) fn check(workspace: &Workspace, options: &Options) -> Result<Counts> {
    let (sdks, clients, scenarios) = (chosen_sdks(options)?, chosen_clients(options), chosen_scenarios(options)?);
    setup::ensure(setup::Purpose::Compat)?;
    let folder = tempfile::Builder::new().prefix("compat-").tempdir().context("creating a folder")?;
    let program = workspace.program()?;
    end_on_signals(folder.path().to_path_buf())?;
    let mut counts = Counts { passed: 0, failed: 0, skipped: Vec::new() };
    let ran = check_in(workspace, folder.path(), &program, (&sdks, &clients, &scenarios), &mut counts);
    let ran = ran.and_then(|()| check_document(workspace, folder.path(), &program, options, &mut counts));
    if options.keep {
        println!("logs and data are in {}", folder.keep().display());
    }
    ran.map(|()| counts)
}

fn check_in(
    workspace: &Workspace,
    folder: &Path,
    program: &Path,
    (sdks, clients, scenarios): (&[&'static Sdk], &[&'static Sdk], &[&'static Scenario]),
    counts: &mut Counts,
) -> Result<()> {
    if !sdks.is_empty() && !scenarios.is_empty() {
        let names = scenarios.iter().map(|scenario| scenario.name);
        let mut table = Table::new(sdks.iter().map(|sdk| sdk.name), names);
        let installed = install_all(workspace, sdks, &mut table);
        if !installed.is_empty() {
            run_all(workspace, folder, program, &installed, scenarios, &mut table)?;
        }
        counts.add(finish(table));
    }
    if !clients.is_empty() {
        let resources = api::Resources::read(workspace)?;
        let mut table = Table::new(clients.iter().map(|sdk| sdk.name), resources.names());
        let installed = install_all(workspace, clients, &mut table);
        if !installed.is_empty() {
            api::run_all(folder, program, &resources, &installed, &mut table)?;
        }
        counts.add(finish(table));
    }
    Ok(())
}

fn check_document(
    workspace: &Workspace,
    folder: &Path,
    program: &Path,
    options: &Options,
    counts: &mut Counts,
) -> Result<()> {
    if !is_document_chosen(options) {
        return Ok(());
    }
    let mut table = Table::new([SCHEMATHESIS.name].into_iter(), [document::ROW].into_iter());
    if let [tool] = &install_all(workspace, &[SCHEMATHESIS], &mut table)[..] {
        document::run(folder, program, tool, options.seconds, &mut table)?;
    }
    counts.add(finish(table));
    Ok(())
}

fn install_all(workspace: &Workspace, sdks: &[&'static Sdk], table: &mut Table) -> Vec<Installed> {
    let mut installed = Vec::new();
    for sdk in sdks {
        match install(workspace, sdk, Build::Debug) {
            Ok(Ok(ready)) => installed.push(ready),
            Ok(Err(why)) => table.skip(sdk.name, &why),
            Err(error) => table.unprepared(sdk.name, &error),
        }
    }
    installed
}

fn finish(table: Table) -> Counts {
    let (text, counts) = table.finish();
    print!("\n{text}");
    counts
}

fn run_all(
    workspace: &Workspace,
    folder: &Path,
    program: &Path,
    installed: &[Installed],
    scenarios: &[&'static Scenario],
    table: &mut Table,
) -> Result<()> {
    let mut server = Server::start(program, folder)?;
    let upstream = Upstream::start(workspace, folder, server.base_domain()?)?;
    let (alone, together): (Vec<&Scenario>, Vec<&Scenario>) =
        scenarios.iter().copied().partition(|scenario| matches!(scenario.check, Check::Alone(_)));
    let waiting = Mutex::new(installed.iter().collect::<VecDeque<_>>());
    let results = Mutex::new(table);
    let world = World { workspace, folder, server: &server, upstream: &upstream };
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(installed) = lock(&waiting).pop_front() {
                    for scenario in &alone {
                        let outcome = Stage::perform(world, installed, scenario);
                        lock(&results).enter(installed.sdk.name, scenario.name, outcome);
                    }
                    println!("{} is done", installed.sdk.name);
                }
            });
        }
    });
    for scenario in together {
        for (sdk, outcome) in restarts::perform(workspace, folder, &mut server, &upstream, installed, scenario) {
            lock(&results).enter(sdk, scenario.name, outcome);
        }
        println!("{} is done", scenario.name);
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn chosen_sdks(options: &Options) -> Result<Vec<&'static Sdk>> {
    let named = |name: &String, sdk: &Sdk| sdk.language.name() == name || sdk.name == name;
    for name in &options.languages {
        let is_other = name == SCHEMATHESIS.name || API_CLIENTS.iter().any(|sdk| is_client(name, sdk));
        if !is_other && !SDKS.iter().any(|sdk| named(name, sdk)) {
            let names: Vec<_> = SDKS.iter().chain(API_CLIENTS).chain([SCHEMATHESIS]).map(|sdk| sdk.name).collect();
            bail!("there is no SDK {name}; there are: {}", names.join(", "));
        }
    }
    let wanted = |sdk: &&Sdk| options.languages.is_empty() || options.languages.iter().any(|name| named(name, sdk));
    Ok(SDKS.iter().filter(wanted).collect())
}

fn chosen_clients(options: &Options) -> Vec<&'static Sdk> {
    if !options.scenario.is_empty() && !options.scenario.iter().any(|name| name == API) {
        return Vec::new();
    }
    let wanted = |sdk: &&Sdk| options.languages.is_empty() || options.languages.iter().any(|name| is_client(name, sdk));
    API_CLIENTS.iter().filter(wanted).collect()
}

fn is_document_chosen(options: &Options) -> bool {
    let by_scenario = options.scenario.is_empty() || options.scenario.iter().any(|name| name == API);
    let named = |name: &String| name == API || name == SCHEMATHESIS.name;
    by_scenario && (options.languages.is_empty() || options.languages.iter().any(named))
}

fn is_client(name: &str, sdk: &Sdk) -> bool {
    name == API || name == sdk.name
}

fn chosen_scenarios(options: &Options) -> Result<Vec<&'static Scenario>> {
    for name in &options.scenario {
        if name != API && !SCENARIOS.iter().any(|scenario| scenario.name == name) {
            bail!("there is no scenario {name}; cargo xtask compat --list names them");
        }
    }
    let wanted =
        |scenario: &&Scenario| options.scenario.is_empty() || options.scenario.iter().any(|name| name == scenario.name);
    Ok(SCENARIOS.iter().filter(wanted).collect())
}

fn list() {
    let groups = [
        ("SDKs", SDKS),
        ("API clients", API_CLIENTS),
        ("the API against its description", std::slice::from_ref(SCHEMATHESIS)),
    ];
    for (title, sdks) in groups {
        println!("{title}");
        for sdk in sdks {
            println!("  {:<14} {} {}", sdk.name, sdk.package, sdk.version);
        }
        println!();
    }
    println!("scenarios");
    for scenario in SCENARIOS {
        println!("  {:<16} {}", scenario.name, scenario.promise);
    }
    println!("  {API:<16} API clients make, read, change, list and delete every resource, and understand refusals");
}
