//! `portway server`: control plane and edge in one process.

use std::process::ExitCode;

/// Flags of `portway server`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs the server until it is told to stop.
pub(crate) async fn run(_args: Args) -> ExitCode {
    ExitCode::FAILURE
}
