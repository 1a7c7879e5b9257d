//! The `portway` program: a thin command line over the server and agent crates.
//!
//! It parses arguments, chooses a runtime and prints; it holds no logic of sessions, routing or storage.

#![deny(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a closed pipe is no reason to panic; write and ignore the error"
)]

mod admin_command;
mod agent_command;
mod agent_settings;
mod api_command;
mod cli;
mod config_command;
mod explain;
mod quickstart;
mod sample_service;
mod server_command;
mod view;

use std::io::{Write as _, stderr, stdout};
use std::process::ExitCode;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, Parser as _};
use clap_complete::Shell;

use crate::cli::{Cli, Command};

/// How long the program waits at its end for work that cannot be interrupted: a start that was stopped may wait for the disk.
const LAST_WORK: Duration = Duration::from_secs(2);

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    small_pages();
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(error) => return not_parsed(&error),
    };
    match command {
        Command::Server(args) => beside_shards(server_command::run(*args)),
        Command::Quickstart(args) => on_all_cores(quickstart::run(*args)),
        Command::Admin(args) => on_one_core(admin_command::run(*args)),
        Command::Api(args) => on_one_core(api_command::run(*args)),
        Command::Http(args) | Command::Https(args) => on_one_core(agent_command::http(*args)),
        Command::Tcp(args) => on_one_core(agent_command::tcp(*args)),
        Command::Tls(args) => on_one_core(agent_command::tls(*args)),
        Command::Start(args) => on_one_core(agent_command::start(*args)),
        Command::Config(args) => config_command::run(args),
        Command::Completion(args) => completion(args.shell),
        Command::Version => {
            let _ = writeln!(stdout(), "portway {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
    }
}

/// Says what is wrong with the arguments, or prints the help that was asked for.
fn not_parsed(error: &clap::Error) -> ExitCode {
    let flag = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(flag)) if error.kind() == ErrorKind::UnknownArgument => flag.as_str(),
        _ => "",
    };
    // Commands of the API have flags of their own, and no endpoint that could do without one.
    let about_endpoints = std::env::args_os().nth(1).is_none_or(|command| command != "api");
    if about_endpoints && cli::NOT_BUILT.contains(&flag) {
        let _ = writeln!(
            stderr(),
            "portway: {flag} is not built in this version: visitors would get something else than it promises; leave it out to go on"
        );
        return ExitCode::from(2);
    }
    // A closed pipe is no failure.
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS }
}

/// Keeps the heap on pages of 4 KiB also where the system gives huge ones unasked, which makes an agent at rest hold 15 MiB instead of 6.
fn small_pages() {
    // Where the kernel has no such switch, memory is all that is lost.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

/// Runs a command whose work is spread over threads.
fn on_all_cores(work: impl Future<Output = ExitCode>) -> ExitCode {
    block_on(tokio::runtime::Builder::new_multi_thread(), work)
}

/// Runs the server: its shards have threads of their own, so what is left, the control plane above all, gets one.
fn beside_shards(work: impl Future<Output = ExitCode>) -> ExitCode {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1);
    block_on(builder, work)
}

/// Runs a command whose work is one thread's: the agent is faster so, see `docs/performance.md`.
fn on_one_core(work: impl Future<Output = ExitCode>) -> ExitCode {
    block_on(tokio::runtime::Builder::new_current_thread(), work)
}

fn block_on(mut builder: tokio::runtime::Builder, work: impl Future<Output = ExitCode>) -> ExitCode {
    match builder.enable_all().build() {
        Ok(runtime) => {
            let code = runtime.block_on(work);
            runtime.shutdown_timeout(LAST_WORK);
            code
        }
        Err(error) => {
            let _ = writeln!(stderr(), "portway: the runtime cannot start: {error}");
            ExitCode::FAILURE
        }
    }
}

fn completion(shell: Option<Shell>) -> ExitCode {
    let Some(shell) = shell.or_else(Shell::from_env) else {
        let _ = writeln!(stderr(), "portway: SHELL names no known shell; say which: portway completion bash");
        return ExitCode::from(2);
    };
    // Into memory first: the generator panics when its output is closed.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "portway", &mut script);
    let _ = stdout().write_all(&script);
    ExitCode::SUCCESS
}
