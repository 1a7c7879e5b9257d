//! The commands of docs/api.md, run as they stand there against a server of their own.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;

/// What the commands need beside a shell.
const PROGRAMS: [&str; 3] = ["curl", "jq", "openssl"];

#[test]
fn the_commands_of_the_document_work() -> Result<()> {
    for program in PROGRAMS {
        if Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
            println!("skipped: needs {program}; install it with apt-get install {program}");
            return Ok(());
        }
    }
    let document = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/api.md"))?;
    let blocks = blocks(&document);
    assert!(blocks.len() > 10, "the document has blocks: {}", blocks.len());
    let server = Server::start()?;
    let script = format!("set -eu\n{}\n{}", server.setup()?, blocks.join("\n"));
    let file = server.dir.path().join("script.sh");
    fs::write(&file, script)?;
    let output = Command::new("bash").arg("-x").arg(&file).current_dir(server.dir.path()).output()?;
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    anyhow::ensure!(output.status.success(), "{said}\n{errors}");
    Ok(())
}

/// The shell commands, block by block; not those that say where the server is.
fn blocks(document: &str) -> Vec<&str> {
    document.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

/// A server on free ports.
struct Server {
    child: Child,
    dir: TempDir,
    ready: Value,
}

impl Server {
    fn start() -> Result<Self> {
        let dir = TempDir::new()?;
        let mut command = Command::new(PathBuf::from(env!("CARGO_BIN_EXE_portway")));
        command.current_dir(dir.path()).env_clear().args(["server", "--data-dir", "data"]);
        for flag in ["--https-addr", "--http-addr", "--api-addr", "--admin-addr", "--dns-addr", "--ssh-addr"] {
            command.args([flag, "127.0.0.1:0"]);
        }
        let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut server = Self { child, dir, ready: Value::Null };
        let mut line = String::new();
        BufReader::new(server.child.stdout.take().context("stdout")?).read_line(&mut line)?;
        server.ready = serde_json::from_str(&line).with_context(|| format!("the ready line: {line:?}"))?;
        Ok(server)
    }

    /// What the document's first block says, for this server.
    fn setup(&self) -> Result<String> {
        let api = self.ready["api_url"].as_str().context("the ready line says where the API is")?;
        Ok(format!("API={api}\nKEY=$(jq -r .api_key data/bootstrap.json)"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
