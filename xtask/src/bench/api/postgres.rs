//! A PostgreSQL of the bench's own, from the system's programs: with its usual settings, so that what it says is written is on disk.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::program::{Program, wait_for};
use crate::setup;

/// How long it may take to start.
const START: Duration = Duration::from_secs(60);
/// Nobody: PostgreSQL refuses to run as root.
const NOBODY: u32 = 65534;
/// Makes a cluster in a folder, and becomes the server of it. It listens on a socket there.
const SCRIPT: &str = r#"
"$1/initdb" -D "$2/data" -U postgres -A trust -E UTF8 --locale=C &&
exec "$1/postgres" -D "$2/data" -k "$2" -c listen_addresses=
"#;

pub(super) struct Postgres {
    url: String,
    _server: Program,
}

impl Postgres {
    /// Starts it, or says why there is none.
    pub(super) fn start(scratch: &Path) -> Result<Result<Self, String>> {
        let Some(programs) = setup::find("initdb").and_then(|program| Some(program.parent()?.to_path_buf())) else {
            return Ok(Err("install it with apt-get install postgresql".to_owned()));
        };
        let folder = scratch.join("cluster");
        fs::create_dir(&folder).context("making a folder")?;
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "sh"]).arg(programs).arg(&folder).current_dir("/");
        if fs::metadata(&folder).context("the folder is there")?.uid() == 0 {
            chown(&folder, Some(NOBODY), Some(NOBODY)).context("giving a folder away")?;
            command.uid(NOBODY).gid(NOBODY);
        }
        let mut server = Program::start("postgres", scratch, &mut command)?;
        wait_for("PostgreSQL", START, || {
            server.alive()?;
            let log = fs::read_to_string(scratch.join("postgres.err")).unwrap_or_default();
            Ok(log.contains("ready to accept connections").then_some(()))
        })?;
        let url = format!("postgres:///postgres?host={}&user=postgres", folder.display());
        Ok(Ok(Self { url, _server: server }))
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }
}
