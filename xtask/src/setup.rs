//! `cargo xtask setup`: the programs that tests, benchmarks and fuzzing use, installed by apt when root on Debian or Ubuntu.
//!
//! Nothing of this is needed to build. Where a program cannot be installed, what needs it says so and is skipped.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// What a program is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Purpose {
    Tests,
    Compat,
    Bench,
    Fuzz,
}

/// A program and the Debian package that has it.
struct Need {
    program: &'static str,
    package: &'static str,
    purpose: Purpose,
}

const NEEDS: &[Need] = &[
    Need { program: "curl", package: "curl", purpose: Purpose::Tests },
    Need { program: "jq", package: "jq", purpose: Purpose::Tests },
    Need { program: "openssl", package: "openssl", purpose: Purpose::Tests },
    Need { program: "h2load", package: "nghttp2-client", purpose: Purpose::Tests },
    Need { program: "python3", package: "python3", purpose: Purpose::Tests },
    Need { program: "ssh", package: "openssh-client", purpose: Purpose::Tests },
    Need { program: "initdb", package: "postgresql", purpose: Purpose::Tests },
    Need { program: "pebble", package: "pebble", purpose: Purpose::Tests },
    Need { program: "named", package: "bind9", purpose: Purpose::Tests },
    Need { program: "dig", package: "bind9-dnsutils", purpose: Purpose::Tests },
    Need { program: "ip", package: "iproute2", purpose: Purpose::Tests },
    Need { program: "node", package: "nodejs", purpose: Purpose::Compat },
    Need { program: "npm", package: "npm", purpose: Purpose::Compat },
    Need { program: "javac", package: "default-jdk-headless", purpose: Purpose::Compat },
    Need { program: "mvn", package: "maven", purpose: Purpose::Compat },
    Need { program: "nginx", package: "nginx-light", purpose: Purpose::Bench },
    Need { program: "wrk", package: "wrk", purpose: Purpose::Bench },
    Need { program: "g++", package: "g++", purpose: Purpose::Fuzz },
];

/// Installs everything, for all purposes; fails when something stays missing.
pub(crate) fn run() -> Result<()> {
    let needs: Vec<&Need> = NEEDS.iter().collect();
    let missing = install(&needs)?;
    if !missing.is_empty() {
        bail!("not installed: {}", missing.join(", "));
    }
    println!("everything is there");
    Ok(())
}

/// Installs what is missing for `purpose`; says what stays missing and goes on.
pub(crate) fn ensure(purpose: Purpose) -> Result<()> {
    let needs: Vec<&Need> = NEEDS.iter().filter(|need| need.purpose == purpose).collect();
    let missing = install(&needs)?;
    if missing.is_empty() {
        println!("everything is there");
    } else {
        println!("not installed, so what needs them is skipped: {}", missing.join(", "));
    }
    Ok(())
}

/// The program `name` on `PATH`, in cargo's folder of programs or among the system's, PostgreSQL's included.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = env::split_paths(&path).collect();
    folders.extend(env::home_dir().map(|home| home.join(".cargo/bin")));
    folders.push("/usr/sbin".into());
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    folders.extend(versions.filter_map(|version| Some(version.ok()?.path().join("bin"))));
    folders.into_iter().map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// Installs what is missing of `needs`; returns the packages that stay missing.
fn install(needs: &[&Need]) -> Result<Vec<&'static str>> {
    let missing = |needs: &[&Need]| -> Vec<&'static str> {
        needs.iter().filter(|need| find(need.program).is_none()).map(|need| need.package).collect()
    };
    let wanted = missing(needs);
    if wanted.is_empty() {
        return Ok(wanted);
    }
    let root = rustix::process::geteuid().is_root();
    if !root || !Path::new("/usr/bin/apt-get").exists() {
        println!("to have all of it: apt-get install {}", wanted.join(" "));
        return Ok(wanted);
    }
    println!("installing {}", wanted.join(" "));
    for arguments in [&["update"][..], &["install", "--yes", "--no-install-recommends"][..]] {
        let mut command = Command::new("apt-get");
        // Offline, this ends in seconds instead of minutes.
        command.args(["-qq", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20"]).args(arguments);
        if arguments[0] == "install" {
            command.args(&wanted);
        }
        let status = command
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdout(Stdio::null())
            .status()
            .context("starting apt-get")?;
        if !status.success() {
            println!("apt-get {} ended with {status}", arguments[0]);
        }
    }
    Ok(missing(needs))
}
