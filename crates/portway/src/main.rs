//! The `portway` program: a thin command line over the server and agent crates.
//!
//! It parses arguments, chooses a runtime and prints; it holds no logic of sessions, routing or storage.

mod admin_command;
mod cli;
mod quickstart;
mod server_command;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Command};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Server(args) => on_all_cores(server_command::run(*args)),
        Command::Quickstart(args) => on_all_cores(quickstart::run(*args)),
        Command::Admin(args) => on_one_core(admin_command::run(*args)),
        Command::Http(_) | Command::Https(_) | Command::Tcp(_) | Command::Tls(_) | Command::Start(_) => ExitCode::FAILURE,
        Command::Config(_) | Command::Completion(_) => ExitCode::FAILURE,
        Command::Version => {
            println!("portway {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
    }
}

/// Runs a command whose work is spread over threads.
fn on_all_cores(work: impl Future<Output = ExitCode>) -> ExitCode {
    block_on(tokio::runtime::Builder::new_multi_thread(), work)
}

/// Runs a command whose work is one thread's: the agent is faster so, see `docs/performance.md`.
fn on_one_core(work: impl Future<Output = ExitCode>) -> ExitCode {
    block_on(tokio::runtime::Builder::new_current_thread(), work)
}

fn block_on(mut builder: tokio::runtime::Builder, work: impl Future<Output = ExitCode>) -> ExitCode {
    match builder.enable_all().build() {
        Ok(runtime) => runtime.block_on(work),
        Err(error) => {
            eprintln!("portway: the runtime cannot start: {error}");
            ExitCode::FAILURE
        }
    }
}
