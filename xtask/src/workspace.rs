//! Where the workspace is, and what cargo says about it.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The platform the dependency rules are held on: where edges run. Without one, cargo would add what other platforms need,
/// for instance `ring` for WebAssembly.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";
/// Folders that hold no sources of ours.
const SKIPPED_FOLDERS: &[&str] = &["target", "corpus", "artifacts", "node_modules"];
/// Folders whose name begins with a dot and that are ours all the same.
const DOT_FOLDERS: &[&str] = &[".ci", ".cargo", ".github"];

/// The workspace this program was built from.
pub(crate) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// The workspace this program was built from.
    pub(crate) fn here() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask has no parent folder")?;
        Ok(Self { root: root.to_path_buf() })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// `cargo`, the one that runs us, working in the root of the workspace.
    pub(crate) fn cargo(&self) -> Command {
        let program = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        command
    }

    /// What `cargo metadata` says: packages, and the graph with the features that are on.
    pub(crate) fn metadata(&self) -> Result<Value> {
        let arguments = ["metadata", "--format-version", "1", "--filter-platform", PLATFORM];
        let output = self.cargo().args(arguments).output().context("running cargo metadata")?;
        if !output.status.success() {
            bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        serde_json::from_slice(&output.stdout).context("reading cargo metadata")
    }

    /// Every package that is built, as `name version`. [`Workspace::metadata`] also lists weak optional dependencies
    /// (`ring?/alloc`) that nobody turned on.
    pub(crate) fn built_packages(&self) -> Result<BTreeSet<String>> {
        let arguments = ["tree", "--workspace", "--target", PLATFORM, "--prefix", "none", "--format", "{p}"];
        let output = self.cargo().args(arguments).output().context("running cargo tree")?;
        if !output.status.success() {
            bail!("cargo tree failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let lines = String::from_utf8(output.stdout).context("reading cargo tree")?;
        let package = |line: &str| {
            let mut words = line.split(' ');
            Some(format!("{} {}", words.next()?, words.next()?.strip_prefix('v')?))
        };
        Ok(lines.lines().filter_map(package).collect())
    }

    /// The folder cargo builds in.
    pub(crate) fn target(&self) -> Result<PathBuf> {
        let metadata = self.metadata()?;
        let target = metadata["target_directory"].as_str().context("cargo metadata names no target directory")?;
        Ok(PathBuf::from(target))
    }

    /// The program to test: `PORTWAY_BIN`, or the debug build of this tree, which is made.
    pub(crate) fn program(&self) -> Result<PathBuf> {
        if let Some(program) = env::var_os("PORTWAY_BIN") {
            return Ok(program.into());
        }
        let mut build = self.cargo();
        build.args(["build", "--quiet", "--package", "portway"]);
        if !build.status().context("starting cargo build")?.success() {
            bail!("the portway program does not build");
        }
        Ok(self.target()?.join("debug").join("portway"))
    }

    /// A file of the workspace as text.
    pub(crate) fn read(&self, path: impl AsRef<Path>) -> Result<String> {
        let path = self.root.join(path);
        fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
    }

    /// Every file of ours, relative to the root, sorted. Build output and hidden folders are left out.
    pub(crate) fn files(&self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).with_context(|| format!("listing {}", folder.display()))? {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                let kind = entry.file_type()?;
                if kind.is_dir() {
                    let hidden = name.starts_with('.') && !DOT_FOLDERS.contains(&name.as_str());
                    if !hidden && !SKIPPED_FOLDERS.contains(&name.as_str()) {
                        folders.push(entry.path());
                    }
                } else if kind.is_file() {
                    let path = entry.path();
                    let path = path.strip_prefix(&self.root).unwrap_or(&path);
                    found.push(path.to_string_lossy().replace('\\', "/"));
                }
            }
        }
        found.sort();
        Ok(found)
    }
}
