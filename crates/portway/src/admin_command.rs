//! `portway admin`: works on a server's data directory, on the server's host.

use std::process::ExitCode;

/// Flags of `portway admin`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs one administration command.
pub(crate) async fn run(_args: Args) -> ExitCode {
    ExitCode::FAILURE
}
