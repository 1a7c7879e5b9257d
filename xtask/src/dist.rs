//! `cargo xtask dist`: what a release offers for download, in `target/dist`.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;

/// Files that go beside the program.
const DOCUMENTS: &[&str] = &["README.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT"];

/// Builds the program with the `dist` profile and packs it: the same commit gives the same archive.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let mut build = workspace.cargo();
    succeed(build.args(["build", "--profile", "dist", "--locked", "--package", "portway"]))?;
    let target = workspace.target()?;
    let version = toml::from_str::<toml::Table>(&workspace.read("Cargo.toml")?)?;
    let version =
        version["workspace"]["package"]["version"].as_str().context("the workspace has no version")?.to_owned();
    let name = format!("portway-{version}-{}", host(workspace)?);

    let folder = target.join("dist");
    let staged = folder.join(&name);
    fs::create_dir_all(&staged).with_context(|| format!("creating {}", staged.display()))?;
    fs::copy(folder.join("portway"), staged.join("portway")).context("copying the program")?;
    for document in DOCUMENTS {
        fs::copy(workspace.root().join(document), staged.join(document))
            .with_context(|| format!("copying {document}"))?;
    }
    let archive = format!("{name}.tar.gz");
    pack(workspace, &folder, &name, &archive)?;
    fs::remove_dir_all(&staged).context("removing the staging folder")?;

    let sum = Command::new("sha256sum").arg(&archive).current_dir(&folder).output().context("starting sha256sum")?;
    if !sum.status.success() {
        bail!("sha256sum ended with {}", sum.status);
    }
    fs::write(folder.join(format!("{archive}.sha256")), &sum.stdout).context("writing the checksum")?;
    println!("{}", folder.join(&archive).display());
    print!("{}", String::from_utf8_lossy(&sum.stdout));
    Ok(())
}

/// The platform programs are built for when nothing else is said.
pub(crate) fn host(workspace: &Workspace) -> Result<String> {
    let output = Command::new("rustc").arg("-vV").current_dir(workspace.root()).output().context("starting rustc")?;
    let text = String::from_utf8(output.stdout).context("reading rustc -vV")?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc -vV names no host")?.to_owned())
}

fn pack(workspace: &Workspace, folder: &Path, name: &str, archive: &str) -> Result<()> {
    let log = Command::new("git").args(["log", "-1", "--format=%ct"]).current_dir(workspace.root()).output();
    let time = log.ok().and_then(|log| String::from_utf8(log.stdout).ok()).unwrap_or_default();
    let time = format!("--mtime=@{}", time.trim().parse::<u64>().unwrap_or(0));
    let mut tar = Command::new("tar");
    tar.current_dir(folder).args(["--use-compress-program", "gzip -n"]);
    succeed(tar.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", &time, "-cf", archive, name]))
}

fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("starting {command:?}"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}
