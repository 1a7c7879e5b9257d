//! A server as a process, for tests that call the program as a user does.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;

/// A server with its data in `data` of a folder. It is killed when the test is over.
pub(crate) struct Server {
    child: Child,
    pub(crate) dir: Arc<TempDir>,
    pub(crate) ready: Value,
}

impl Server {
    /// On free ports, where `more` does not say otherwise.
    pub(crate) fn start_with(more: &[&str]) -> Result<Server> {
        Self::start_in(Arc::new(TempDir::new()?), more)
    }

    /// The same on what an earlier one left in a folder.
    pub(crate) fn start_in(dir: Arc<TempDir>, more: &[&str]) -> Result<Server> {
        let mut command = portway(dir.path());
        command.args(["server", "--data-dir", "data"]).args(more);
        for flag in ["--https-addr", "--http-addr", "--api-addr", "--admin-addr", "--dns-addr", "--ssh-addr"] {
            if !more.iter().any(|given| given.starts_with(flag)) {
                command.args([flag, "127.0.0.1:0"]);
            }
        }
        let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut server = Server { child, dir, ready: Value::Null };
        let mut line = String::new();
        BufReader::new(server.child.stdout.take().context("stdout")?).read_line(&mut line)?;
        server.ready = serde_json::from_str(&line).with_context(|| format!("the ready line: {line:?}"))?;
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The program in a clean environment, at home in the folder.
pub(crate) fn portway(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portway"));
    command.env_clear().env("HOME", folder).current_dir(folder).stdin(Stdio::null());
    command
}
