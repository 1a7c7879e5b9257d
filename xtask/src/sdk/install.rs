//! Installs SDKs with the ordinary client of their registry, into `target/compat`; what is there already is kept.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Installed, Language, Sdk};
use crate::setup;
use crate::workspace::Workspace;

/// A program and its first arguments.
type Run = (PathBuf, Vec<PathBuf>);

/// What the module proxy says of a module that it does not give out, which nobody here could change.
const NOT_PUBLISHED: &str = "This module version is not available";

/// How the programs of languages are built that know a difference.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Build {
    /// Soon built.
    Debug,
    /// As an application would be shipped.
    Release,
}

/// Installs one SDK and builds its program; or says why not, with the word *install* when it could be had.
pub(crate) fn install(workspace: &Workspace, sdk: &'static Sdk, build: Build) -> Result<Result<Installed, String>> {
    for (program, how) in needs(sdk.language) {
        if setup::find(program).is_none() {
            return Ok(Err(format!("needs {program}; {how}")));
        }
    }
    if sdk.language == Language::Python && !can_make_environments() {
        return Ok(Err("needs the module venv of Python; install it with apt-get install python3-venv".to_owned()));
    }
    if sdk.language == Language::Terraform && ["tofu", "terraform"].into_iter().all(|tool| setup::find(tool).is_none())
    {
        return Ok(Err("needs tofu or terraform".to_owned()));
    }
    if sdk.needs_name && !can_name() {
        return Ok(Err("needs unshare(1) and the right to mount, so that the connect name resolves".to_owned()));
    }
    let source = workspace.root().join("compat").join(sdk.home);
    let folder = workspace.target()?.join("compat").join(sdk.home);
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let run = match sdk.language {
        Language::Python => python(&source, &folder, sdk),
        Language::Node => node(&source, &folder, sdk),
        Language::Rust => rust(workspace, &source, &folder, sdk, build),
        Language::Go => go(&source, &folder, sdk),
        Language::Terraform => terraform(&source, &folder, sdk),
        Language::Ssh => Ok(("python3".into(), vec![source.join("program.py")])),
        // Its native half is not published everywhere, which nobody here could change.
        Language::Java => match java(&source, &folder) {
            Ok(run) => Ok(run),
            Err(error) => return Ok(Err(format!("{} {} is incomplete: {error:#}", sdk.package, sdk.version))),
        },
    };
    if matches!(&run, Err(error) if format!("{error:#}").contains(NOT_PUBLISHED)) {
        return Ok(Err(format!("{} {} is not in the module proxy", sdk.package, sdk.version)));
    }
    let (program, arguments) = run.with_context(|| format!("preparing {} {}", sdk.package, sdk.version))?;
    Ok(Ok(Installed { sdk, program, arguments }))
}

/// Programs a language needs, and how they are had.
fn needs(language: Language) -> &'static [(&'static str, &'static str)] {
    match language {
        Language::Python => &[("python3", "install it with apt-get install python3 python3-venv")],
        Language::Node => {
            &[("node", "install it with apt-get install nodejs"), ("npm", "install it with apt-get install npm")]
        }
        Language::Rust => &[],
        Language::Go => &[("go", "install Go 1.25.7 or newer")],
        Language::Terraform => {
            &[("go", "install Go 1.26 or newer"), ("python3", "install it with apt-get install python3")]
        }
        Language::Java => &[
            ("javac", "install it with apt-get install default-jdk-headless"),
            ("mvn", "install it with apt-get install maven"),
        ],
        Language::Ssh => &[
            ("ssh", "install it with apt-get install openssh-client"),
            ("python3", "install it with apt-get install python3"),
        ],
    }
}

fn python(source: &Path, folder: &Path, sdk: &Sdk) -> Result<Run> {
    let environment = folder.join(sdk.variant);
    let python = environment.join("bin/python");
    let requirements = source.join(format!("{}.txt", sdk.variant));
    once(&environment, &[&requirements], || {
        succeed(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]);
        succeed(pip.arg(&requirements))
    })?;
    Ok((python, vec![source.join("program.py")]))
}

fn node(source: &Path, folder: &Path, sdk: &Sdk) -> Result<Run> {
    let (own, home) = (source.join(sdk.variant), folder.join(sdk.variant));
    let (package, lock) = (own.join("package.json"), own.join("package-lock.json"));
    once(&home, &[&package, &lock], || {
        fs::create_dir_all(&home).context("creating a folder")?;
        fs::copy(&package, home.join("package.json")).context("copying package.json")?;
        fs::copy(&lock, home.join("package-lock.json")).context("copying package-lock.json")?;
        succeed(Command::new("npm").args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(&home))
    })?;
    // Node looks for packages beside the program.
    let program = home.join("program.js");
    fs::copy(source.join("program.js"), &program).context("copying the program")?;
    Ok(("node".into(), vec![program]))
}

fn rust(workspace: &Workspace, source: &Path, folder: &Path, sdk: &Sdk, build: Build) -> Result<Run> {
    let (profile, outcome) = match build {
        Build::Debug => ("dev", "debug"),
        Build::Release => ("release", "release"),
    };
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--quiet", "--locked", "--profile", profile, "--bin", sdk.variant]);
    cargo.arg("--manifest-path").arg(source.join("Cargo.toml"));
    succeed(cargo.arg("--target-dir").arg(folder))?;
    Ok((folder.join(outcome).join(sdk.variant), Vec::new()))
}

fn go(source: &Path, folder: &Path, sdk: &Sdk) -> Result<Run> {
    let manifest = source.join(sdk.variant);
    let module = manifest.parent().context("a manifest has a folder")?;
    let program = folder.join(sdk.name);
    let mut build = Command::new("go");
    build.args(["build", "-mod=readonly", "-modfile"]).arg(&manifest);
    if sdk.variant.ends_with("oldest.mod") {
        build.args(["-tags", "oldest"]);
    }
    succeed(build.arg("-o").arg(&program).arg(".").current_dir(module).env("GOFLAGS", "").env("GOWORK", "off"))?;
    Ok((program, Vec::new()))
}

fn terraform(source: &Path, folder: &Path, sdk: &Sdk) -> Result<Run> {
    let mut install = Command::new("go");
    install.arg("install").arg(format!("{}@{}", sdk.package, sdk.version));
    succeed(install.current_dir(folder).env("GOBIN", folder).env("GOFLAGS", "").env("GOWORK", "off"))?;
    Ok(("python3".into(), vec![source.join("program.py"), folder.to_path_buf()]))
}

fn java(source: &Path, folder: &Path) -> Result<Run> {
    let (packages, classes) = (folder.join("packages"), folder.join("classes"));
    let manifest = source.join("pom.xml");
    once(folder, &[&manifest], || {
        let mut maven = Command::new("mvn");
        maven.args(["--quiet", "--batch-mode", "--file"]).arg(&manifest);
        maven.arg(format!("-DoutputDirectory={}", packages.display())).arg("dependency:copy-dependencies");
        let output = maven.output().context("starting mvn")?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            if text.contains("ngrok-java-native") {
                bail!("its native library, ngrok-java-native, is not in the registry");
            }
            bail!("{}", without_addresses(text.lines().find(|line| line.contains("ERROR")).unwrap_or("mvn failed")));
        }
        Ok(())
    })?;
    let path = format!("{}/*", packages.display());
    succeed(Command::new("javac").args(["-cp", &path, "-d"]).arg(&classes).arg(source.join("Program.java")))?;
    let path = format!("{path}:{}", classes.display());
    Ok(("java".into(), vec!["-cp".into(), path.into(), "Program".into()]))
}

/// Runs `work` unless it succeeded before with the same `inputs`.
fn once(folder: &Path, inputs: &[&Path], work: impl FnOnce() -> Result<()>) -> Result<()> {
    let mark = folder.join("installed");
    let mut wanted = env::consts::ARCH.to_owned();
    for input in inputs {
        wanted += &fs::read_to_string(input).with_context(|| format!("reading {}", input.display()))?;
    }
    if fs::read_to_string(&mark).is_ok_and(|done| done == wanted) {
        return Ok(());
    }
    work()?;
    fs::write(&mark, wanted).context("noting the installation")
}

/// Debian has the two modules that make environments in a package of their own.
fn can_make_environments() -> bool {
    let probe = Command::new("python3").args(["-c", "import venv, ensurepip"]).output();
    probe.is_ok_and(|output| output.status.success())
}

/// Whether a program can be given an `/etc/hosts` of its own.
fn can_name() -> bool {
    let probe = ["--mount", "--map-root-user", "mount", "--bind", "/etc/hosts", "/etc/hosts"];
    Command::new("unshare").args(probe).output().is_ok_and(|output| output.status.success())
}

/// A message of a package client, without the addresses of its registry.
fn without_addresses(text: &str) -> String {
    let words = text.split(' ').map(|word| if word.contains("://") { "the registry" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

fn succeed(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("starting {command:?}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        let lines: Vec<&str> = text.lines().collect();
        let last = lines[lines.len().saturating_sub(20)..].join("\n");
        bail!("{command:?} ended with {}:\n{}", output.status, without_addresses(&last));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_was_done_is_not_done_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let input = folder.path().join("input");
        fs::write(&input, "1").expect("a file");
        let mut times = 0;
        for _ in 0..2 {
            once(folder.path(), &[&input], || {
                times += 1;
                Ok(())
            })
            .expect("work");
        }
        assert_eq!(times, 1);
        fs::write(&input, "2").expect("a file");
        assert!(once(folder.path(), &[&input], || bail!("broken")).is_err());
        assert!(once(folder.path(), &[&input], || bail!("still broken")).is_err());
    }
}
