//! The REST API against its own description: schemathesis makes the calls that the OpenAPI document permits and those that it forbids, and
//! looks whether the answers are those that it promises.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::server::Server;
use super::stage::Outcome;
use super::table::Table;
use crate::program::Program;
use crate::sdk::Installed;

/// The row of the table.
pub(super) const ROW: &str = "openapi.json";

/// How long it may take: a short run, or what a long one takes beyond its time.
const PATIENCE: Duration = Duration::from_secs(600);

/// Runs it for so many seconds, or with a few calls of each kind.
pub(super) fn run(
    folder: &Path,
    program: &Path,
    tool: &Installed,
    seconds: Option<u32>,
    table: &mut Table,
) -> Result<()> {
    let folder = folder.join("document");
    fs::create_dir_all(&folder).context("creating a folder")?;
    let server = Server::start(program, &folder)?;
    let (url, key) = server.api()?;
    let mut command = tool.bare();
    command.current_dir(&folder).env("COMPAT_API_URL", url).env("COMPAT_API_KEY", key);
    if let Some(seconds) = seconds {
        command.env("COMPAT_SECONDS", seconds.to_string());
    }
    let name = tool.sdk.name;
    let ended = Program::start(name, &folder, &mut command)?
        .finish(PATIENCE + Duration::from_secs(seconds.unwrap_or(0).into()));
    let report = fs::read_to_string(folder.join(format!("{name}.out"))).context("reading the report")?;
    let outcome = match ended {
        Ok(()) => Outcome::Passed,
        Err(error) => {
            println!("{report}");
            Outcome::Failed(format!("{error:#}"))
        }
    };
    table.enter(name, ROW, outcome);
    println!("{name} is done: {}", report.lines().last().unwrap_or_default().trim_matches(['=', ' ']));
    Ok(())
}
