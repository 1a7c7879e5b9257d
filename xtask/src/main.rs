//! The project's own tasks: the gate, its parts, generated code, fuzzing, speed and packaging. `cargo xtask` lists them.
//!
//! Nothing here is shipped, and nothing a shipped crate needs to build is made here.

mod bench;
mod codegen;
mod compat;
mod dist;
mod fuzz;
mod gate;
mod layers;
mod program;
mod sdk;
mod setup;
mod tidy;
mod walkthroughs;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};

use crate::workspace::Workspace;

/// The project's own tasks.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 110)]
struct Arguments {
    #[command(subcommand)]
    task: Option<Task>,
}

#[derive(Subcommand)]
enum Task {
    /// Run the whole gate: style, layers, lints, tests, SDKs, walkthroughs, docs
    Test(gate::Options),
    /// Check the crates' dependencies against layers.toml
    Layers,
    /// Check the rules of style that compilers do not hold: lengths, names, docs, links
    Tidy,
    /// Write the Rust made from proto/
    Codegen {
        /// Compare instead of writing, and fail on a difference
        #[arg(long)]
        check: bool,
    },
    /// Fuzz the parsers and machines of fuzz/ with libFuzzer
    Fuzz(fuzz::Options),
    /// Measure Portway against a raw copy, nginx and other tunnels in one run
    Bench(bench::Options),
    /// Run the official ngrok SDKs and API clients against a real server
    Compat(compat::Options),
    /// Run the commands of docs/walkthroughs, or of these files
    Walkthroughs(walkthroughs::Options),
    /// Build the release archive and its checksum
    Dist,
    /// Install the programs that tests, benchmarks and fuzzing use (by apt, when root)
    Setup,
}

fn main() -> ExitCode {
    let Some(task) = Arguments::parse().task else {
        print!("{}", Arguments::command().render_help());
        return ExitCode::SUCCESS;
    };
    match run(task) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<ExitCode> {
    let workspace = Workspace::here()?;
    match task {
        Task::Test(options) => return Ok(gate::run(&workspace, &options)),
        Task::Layers => layers::run(&workspace)?,
        Task::Tidy => tidy::run(&workspace)?,
        Task::Codegen { check } => codegen::run(workspace.root(), check)?,
        Task::Fuzz(options) => fuzz::run(&workspace, &options)?,
        Task::Bench(options) => bench::run(&workspace, &options)?,
        Task::Compat(options) => return compat::run(&workspace, &options),
        Task::Walkthroughs(options) => return walkthroughs::run(&workspace, &options),
        Task::Dist => dist::run(&workspace)?,
        Task::Setup => setup::run()?,
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_task_has_a_line_of_help() {
        for task in Arguments::command().get_subcommands() {
            let about = task.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(!about.is_empty() && about.len() <= 80, "{}: {about:?}", task.get_name());
        }
    }
}
