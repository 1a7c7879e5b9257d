//! `portway quickstart`: server, agent and a sample service in one process on loopback.

use std::process::ExitCode;

/// Flags of `portway quickstart`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs the quickstart until it is told to stop.
pub(crate) async fn run(_args: Args) -> ExitCode {
    ExitCode::FAILURE
}
