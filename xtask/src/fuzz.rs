//! `cargo xtask fuzz`: coverage-guided fuzzing with libFuzzer on the stable toolchain.
//!
//! The compiler flags that cargo-fuzz would set are set here; sanitizers, which need a nightly compiler, are left out: our
//! crates forbid `unsafe`, so panics, hangs and memory use are what there is to find.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::workspace::Workspace;
use crate::{dist, setup};

/// Makes the compiler report coverage to libFuzzer.
const RUSTFLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares -Cdebug-assertions -Coverflow-checks";
/// Seconds after which one input counts as a hang.
const HANG: u32 = 10;
/// MiB a target may use.
const MEMORY: u32 = 1024;

/// Options of `cargo xtask fuzz`.
#[derive(Args)]
pub(crate) struct Options {
    /// The target to run; all of them when left out
    target: Option<String>,
    /// How long to run each target
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

struct Outcome {
    target: String,
    /// What libFuzzer said at the end.
    executions: u64,
    coverage: u64,
    clean: bool,
}

/// Builds all targets once and runs them one after the other.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let folder = workspace.root().join("fuzz");
    let targets = targets(&folder.join("Cargo.toml"))?;
    let chosen: Vec<&String> =
        targets.iter().filter(|name| options.target.as_ref().is_none_or(|wanted| wanted == *name)).collect();
    if chosen.is_empty() {
        bail!("no such target; there are: {}", targets.join(", "));
    }
    setup::ensure(setup::Purpose::Fuzz)?;
    let host = dist::host(workspace)?;
    let built = workspace.target()?.join("fuzz");
    let mut build = workspace.cargo();
    // A platform is named so that build scripts and procedural macros are not instrumented.
    build.args(["build", "--release", "--target", &host, "--manifest-path"]).arg(folder.join("Cargo.toml"));
    build.arg("--target-dir").arg(&built).env("RUSTFLAGS", RUSTFLAGS);
    if !build.status().context("starting cargo build")?.success() {
        bail!("the fuzz targets do not build");
    }
    let mut outcomes = Vec::new();
    for target in chosen {
        println!("\n== {target}, {} s", options.seconds);
        let program = built.join(&host).join("release").join(target);
        outcomes.push(fuzz(&folder, &program, target, Duration::from_secs(options.seconds))?);
    }
    println!("\n{:<24} {:>12} {:>10} {:>9}  result", "target", "executions", "per s", "coverage");
    for outcome in &outcomes {
        let rate = outcome.executions / options.seconds.max(1);
        let result = if outcome.clean { "clean" } else { "FOUND SOMETHING: see above and fuzz/artifacts" };
        println!("{:<24} {:>12} {rate:>10} {:>9}  {result}", outcome.target, outcome.executions, outcome.coverage);
    }
    if outcomes.iter().any(|outcome| !outcome.clean) {
        bail!("fuzzing found something");
    }
    Ok(())
}

/// Names of the programs in the fuzz package.
fn targets(manifest: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(manifest).with_context(|| format!("reading {}", manifest.display()))?;
    let manifest: toml::Table = toml::from_str(&text).context("reading fuzz/Cargo.toml")?;
    let programs = manifest.get("bin").and_then(toml::Value::as_array).context("fuzz/Cargo.toml names no [[bin]]")?;
    let names = programs.iter().filter_map(|program| program.get("name")?.as_str());
    Ok(names.map(str::to_owned).collect())
}

fn fuzz(folder: &Path, program: &Path, target: &str, time: Duration) -> Result<Outcome> {
    let corpus = folder.join("corpus").join(target);
    let artifacts = folder.join("artifacts").join(target);
    fs::create_dir_all(&corpus).context("creating the corpus")?;
    fs::create_dir_all(&artifacts).context("creating the folder for findings")?;
    let mut command = Command::new(program);
    command.arg(&corpus);
    // Seeds that are part of the repository stay as they are: libFuzzer writes to the first folder only.
    let seeds = folder.join("seeds").join(target);
    if seeds.is_dir() {
        command.arg(seeds);
    }
    command.arg(format!("-max_total_time={}", time.as_secs())).arg("-print_final_stats=1");
    command.arg(format!("-timeout={HANG}")).arg(format!("-rss_limit_mb={MEMORY}"));
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
    let output = command.output().with_context(|| format!("starting {}", program.display()))?;
    let log = String::from_utf8_lossy(&output.stderr);
    let clean = output.status.success();
    let shown = if clean { 3 } else { 60 };
    let lines: Vec<&str> = log.lines().collect();
    for line in &lines[lines.len().saturating_sub(shown)..] {
        println!("  {line}");
    }
    let (executions, coverage) = statistics(&log);
    Ok(Outcome { target: target.to_owned(), executions, coverage, clean })
}

/// Executions and coverage, as libFuzzer prints them.
fn statistics(log: &str) -> (u64, u64) {
    let executions = log.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    let executions = executions.and_then(|number| number.trim().parse().ok()).unwrap_or(0);
    let coverage = log.lines().rev().find_map(|line| {
        let after = line.split("cov: ").nth(1)?;
        after.split(' ').next()?.parse().ok()
    });
    (executions, coverage.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_read() {
        let log =
            "#2 INITED cov: 10 ft: 11\n#9 DONE   cov: 42 ft: 50 corp: 3/4b\nstat::number_of_executed_units: 1234\n";
        assert_eq!(statistics(log), (1234, 42));
    }
}
