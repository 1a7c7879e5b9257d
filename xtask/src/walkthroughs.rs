//! `cargo xtask walkthroughs`: the commands of `docs/walkthroughs`, run one after the other as a reader would type them.
//!
//! A walkthrough is a Markdown document. Its `sh` blocks are the input of one shell, in an empty folder, with the program in the `PATH`; a
//! command that fails ends it. A command that starts another shell (`unshare … bash`) hands it the rest, as on a terminal. Blocks of another
//! language are not run.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;

use crate::program::{Program, end_on_signals};
use crate::setup;
use crate::workspace::Workspace;

/// Where the documents are.
const FOLDER: &str = "docs/walkthroughs";
/// Longest time for one document: many times what it takes.
const PATIENCE: Duration = Duration::from_secs(300);
/// Programs that the documents use, and the Debian packages that have them.
const NEEDS: &[(&str, &str)] = &[
    ("named", "bind9"),
    ("dig", "bind9-dnsutils"),
    ("pebble", "pebble"),
    ("curl", "curl"),
    ("jq", "jq"),
    ("openssl", "openssl"),
    ("ip", "iproute2"),
    ("python3", "python3-venv"),
];

/// Options of `cargo xtask walkthroughs`.
#[derive(Args, Default)]
pub(crate) struct Options {
    /// Documents to run; all of docs/walkthroughs when left out
    documents: Vec<PathBuf>,
    /// Keep the folder with what they left behind, and say where it is
    #[arg(long)]
    keep: bool,
}

/// What came of a document.
pub(crate) enum Outcome {
    Passed,
    Failed,
    /// Why it was not run, with the word *install* when that would help.
    Skipped(String),
}

/// Runs them as a command of its own.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    setup::ensure(setup::Purpose::Tests)?;
    let outcomes = check(workspace, options)?;
    let all_passed = outcomes.iter().all(|outcome| matches!(outcome, Outcome::Passed));
    Ok(if all_passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs them, and says of each what came of it.
pub(crate) fn check(workspace: &Workspace, options: &Options) -> Result<Vec<Outcome>> {
    let program = workspace.program()?;
    let folder = tempfile::Builder::new().prefix("walkthrough-").tempdir().context("creating a folder")?;
    end_on_signals(folder.path().to_path_buf())?;
    let mut outcomes = Vec::new();
    for document in documents(workspace, options)? {
        let name = document.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let outcome = match missing() {
            Some(reason) => Outcome::Skipped(format!("walkthrough {name}: {reason}")),
            None => walk(&document, &name, folder.path(), &program)?,
        };
        match &outcome {
            Outcome::Passed => println!("walkthrough {name} ... ok"),
            Outcome::Failed => println!("walkthrough {name} ... FAILED"),
            Outcome::Skipped(reason) => println!("skipped: {reason}"),
        }
        outcomes.push(outcome);
    }
    if options.keep {
        println!("what they left behind is in {}", folder.keep().display());
    }
    Ok(outcomes)
}

fn documents(workspace: &Workspace, options: &Options) -> Result<Vec<PathBuf>> {
    if !options.documents.is_empty() {
        return Ok(options.documents.clone());
    }
    let folder = workspace.root().join(FOLDER);
    let entries = fs::read_dir(&folder).with_context(|| format!("listing {}", folder.display()))?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let mut documents: Vec<PathBuf> =
        paths.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect();
    documents.sort();
    Ok(documents)
}

/// Why no document can be run here.
fn missing() -> Option<String> {
    if let Some((program, package)) = NEEDS.iter().find(|(program, _)| setup::find(program).is_none()) {
        return Some(format!("needs {program}; install it with apt-get install {package}"));
    }
    let probe = ["--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "mount", "--bind", "/tmp", "/tmp"];
    let can = Command::new("unshare").args(probe).output().is_ok_and(|output| output.status.success());
    (!can).then(|| "needs unshare(1) and the right to make a network of its own".to_owned())
}

fn walk(document: &Path, name: &str, folder: &Path, program: &Path) -> Result<Outcome> {
    let text = fs::read_to_string(document).with_context(|| format!("reading {}", document.display()))?;
    let home = folder.join(name);
    fs::create_dir(&home).with_context(|| format!("creating {}", home.display()))?;
    let mut path = vec![program.parent().unwrap_or(Path::new("/")).to_path_buf()];
    path.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    path.extend(["/usr/sbin".into(), "/sbin".into()]);
    let mut shell = Command::new("bash");
    shell.current_dir(&home).env("PATH", env::join_paths(path)?).env_remove("PORTWAY_AUTHTOKEN");
    let mut shell = Program::start_with_input(name, folder, &mut shell)?;
    shell.tell(&script(&text))?;
    match shell.finish(PATIENCE) {
        Ok(()) => Ok(Outcome::Passed),
        Err(error) => {
            println!("{}: {error:#}", document.display());
            Ok(Outcome::Failed)
        }
    }
}

/// All `sh` blocks, each with the line where it stands.
fn script(document: &str) -> String {
    let mut script = String::new();
    let mut inside = false;
    for (number, line) in document.lines().enumerate() {
        match (line, inside) {
            ("```sh", false) => {
                inside = true;
                // Said again for each, since a block may have started another shell.
                let _ = writeln!(script, "set -euo pipefail; echo 'at line {}' >&2", number + 2);
            }
            ("```", true) => inside = false,
            (line, true) => {
                script.push_str(line);
                script.push('\n');
            }
            _ => {}
        }
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_a_shell_are_run_and_nothing_else() {
        let document = "# A\n\n```sh\none\n  two\n```\n\n```toml\nthree = 3\n```\n```sh\nfour\n```\n```\nfive\n```\n";
        assert_eq!(
            script(document),
            "set -euo pipefail; echo 'at line 4' >&2\none\n  two\n\
             set -euo pipefail; echo 'at line 12' >&2\nfour\n"
        );
    }

    #[test]
    fn a_walk_ends_at_the_first_command_that_fails() {
        let folder = tempfile::tempdir().expect("a folder");
        let walked = |name: &str, text: &str| {
            let document = folder.path().join(format!("{name}.md"));
            fs::write(&document, text).expect("written");
            let outcome = walk(&document, name, folder.path(), Path::new("/bin/true")).expect("run");
            (matches!(outcome, Outcome::Passed), folder.path().join(name).join("end").exists())
        };
        assert_eq!(walked("good", "```sh\nbash\n```\n```sh\ntrue | cat\ntouch end\n```\n"), (true, true));
        assert_eq!(walked("bad", "```sh\nbash\n```\n```sh\nfalse | cat\ntouch end\n```\n"), (false, false));
    }
}
