//! The project's own tasks: the gate, its parts, generated code, fuzzing, speed and packaging. `cargo xtask` lists them.
//!
//! Nothing here is shipped, and nothing a shipped crate needs to build is made here.

mod codegen;
mod layers;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// The project's own tasks.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", arg_required_else_help = true, max_term_width = 110)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Check the crates' dependencies against layers.toml
    Layers,
    /// Check lengths, names, module docs, links and the other rules of style that compilers do not hold
    Tidy,
    /// Write the Rust made from proto/
    Codegen {
        /// Compare instead of writing, and fail on a difference
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
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
        Task::Layers => layers::run(&workspace)?,
        Task::Tidy => tidy::run(&workspace)?,
        Task::Codegen { check } => codegen::run(workspace.root(), check)?,
    }
    Ok(ExitCode::SUCCESS)
}
