//! `cargo xtask test`: everything that must hold before a change is taken, in the order in which it fails fastest.
//!
//! The last line of its output is `N passed, N failed`: tests of all binaries together, and a failed step that is not a test
//! counts as one.

mod results;

use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use self::results::TestResults;
use crate::walkthroughs::{self, Outcome};
use crate::workspace::Workspace;
use crate::{codegen, compat, layers, setup, tidy};

/// Options of `cargo xtask test`.
#[derive(Args)]
pub(crate) struct Options {
    /// Run these steps only (repeatable)
    #[arg(long, value_enum, value_name = "STEP")]
    only: Vec<Step>,
    /// Leave these steps out (repeatable)
    #[arg(long, value_enum, value_name = "STEP")]
    skip: Vec<Step>,
}

/// A part of the gate.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Step {
    /// Install the programs tests use, when root
    Setup,
    /// Formatting
    Fmt,
    /// Dependencies against layers.toml
    Layers,
    /// Rules of style
    Tidy,
    /// Generated code is fresh
    Codegen,
    /// Lints, warnings denied
    Clippy,
    /// Unit, property, whole-system and doc tests
    Test,
    /// The official ngrok SDKs and API clients against a real server
    Compat,
    /// The commands of docs/walkthroughs, as a reader would type them
    Walkthroughs,
    /// Documentation, warnings denied
    Doc,
}

/// Runs the gate; stops at the first step that fails.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> ExitCode {
    let mut results = TestResults::default();
    let mut times = Vec::new();
    let mut failure = None;
    for step in Step::value_variants() {
        let wanted = options.only.is_empty() || options.only.contains(step);
        if !wanted || options.skip.contains(step) {
            continue;
        }
        println!("\n== {}: {}", step.name(), step.purpose());
        let start = Instant::now();
        let outcome = step.run(workspace, &mut results);
        times.push((step.name(), start.elapsed()));
        if let Err(error) = outcome {
            failure = Some((step, error));
            break;
        }
    }
    let installable = report(&results, &times);
    if let Some((step, error)) = &failure {
        println!("\nfailed in {}: {error:#}", step.name());
        println!("to run this step alone: cargo xtask test --only {}", step.name());
    }
    let mut failed = results.failed + installable;
    if failure.is_some() && failed == 0 {
        failed = 1;
    }
    println!("\n{} passed, {failed} failed", results.passed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints times and skips; returns how many skips count as failures.
fn report(results: &TestResults, times: &[(String, Duration)]) -> usize {
    println!("\n== summary");
    for (name, time) in times {
        println!("  {name:<12} {:>6.1} s", time.as_secs_f64());
    }
    for reason in &results.skipped {
        println!("  skipped: {reason}");
    }
    if env::var("CI").as_deref() != Ok("true") {
        return 0;
    }
    let installable = results.installable_skips();
    if installable > 0 {
        println!("  CI=true: {installable} of what was skipped could have been installed, which counts as failed");
    }
    installable
}

impl Step {
    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    fn purpose(self) -> String {
        let value = self.to_possible_value();
        value.and_then(|value| value.get_help().map(ToString::to_string)).unwrap_or_default()
    }

    fn run(self, workspace: &Workspace, results: &mut TestResults) -> Result<()> {
        match self {
            Self::Setup => setup::ensure(setup::Purpose::Tests),
            Self::Fmt => succeed(workspace.cargo().args(["fmt", "--all", "--check"])),
            Self::Layers => layers::run(workspace),
            Self::Tidy => tidy::run(workspace),
            Self::Codegen => codegen::run(workspace.root(), true),
            Self::Clippy => succeed(workspace.cargo().args([
                "clippy",
                "--workspace",
                "--all-targets",
                "--quiet",
                "--",
                "-D",
                "warnings",
            ])),
            Self::Test => test(workspace, results),
            Self::Compat => compat(workspace, results),
            Self::Walkthroughs => walkthroughs(workspace, results),
            Self::Doc => {
                let mut doc = workspace.cargo();
                succeed(doc.args(["doc", "--workspace", "--no-deps", "--quiet"]).env("RUSTDOCFLAGS", "-D warnings"))
            }
        }
    }
}

fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("starting {command:?}"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}

/// Runs the compat suite, and counts what it checked.
fn compat(workspace: &Workspace, results: &mut TestResults) -> Result<()> {
    let counts = compat::check(workspace, &compat::Options::default())?;
    results.passed += counts.passed;
    results.failed += counts.failed;
    for reason in counts.skipped {
        results.skip(&reason);
    }
    if counts.failed > 0 {
        bail!("the compat suite failed");
    }
    Ok(())
}

/// Does what the walkthroughs say; each counts as a test.
fn walkthroughs(workspace: &Workspace, results: &mut TestResults) -> Result<()> {
    for outcome in walkthroughs::check(workspace, &walkthroughs::Options::default())? {
        match outcome {
            Outcome::Passed => results.passed += 1,
            Outcome::Failed => results.failed += 1,
            Outcome::Skipped(reason) => results.skip(&reason),
        }
    }
    if results.failed > 0 {
        bail!("a walkthrough failed");
    }
    Ok(())
}

/// Runs every test, shows the output as it comes, and counts.
fn test(workspace: &Workspace, results: &mut TestResults) -> Result<()> {
    let mut command = workspace.cargo();
    // Output of tests that pass is asked for because it says what they skipped; `TestResults` hides the rest of it.
    command.args(["test", "--workspace", "--no-fail-fast", "--", "--show-output"]).stdout(Stdio::piped());
    let mut child = command.spawn().context("starting cargo test")?;
    let output = child.stdout.take().context("cargo test has no output")?;
    for line in BufReader::new(output).split(b'\n') {
        let line = line.context("reading the output of cargo test")?;
        let line = String::from_utf8_lossy(&line);
        if results.read(&line) {
            println!("{line}");
        }
    }
    let status = child.wait().context("waiting for cargo test")?;
    if !status.success() {
        bail!("cargo test ended with {status}");
    }
    Ok(())
}
