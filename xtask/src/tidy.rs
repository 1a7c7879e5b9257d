//! `cargo xtask tidy`: the rules of style that compilers and clippy do not hold.
//!
//! Each rule is a function from a file to findings, so that its tests are a few lines of text. `tidy.toml` lists the
//! exceptions, each with its reason.

mod documents;
mod rust;
mod source;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::layers::Layers;
use crate::workspace::Workspace;

/// Endings of the files that are read as text.
const TEXT_ENDINGS: &[&str] = &["rs", "toml", "md", "yml", "yaml", "proto", "sql", "lua", "html", "css", "js", "json"];
/// Folders of generated code, which keeps to its generator's style.
const GENERATED: &str = "/src/gen/";

/// `tidy.toml`: exceptions, each with its reason.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exceptions {
    /// Path of a file that may be longer than the hard limit.
    #[serde(default)]
    long_files: BTreeMap<String, String>,
    /// `path::function` that may be longer than the limit.
    #[serde(default)]
    long_functions: BTreeMap<String, String>,
}

/// A broken rule.
#[derive(Debug, Eq, PartialEq)]
struct Finding {
    /// Line, from 1.
    line: usize,
    what: String,
}

impl Finding {
    fn new(line: usize, what: impl Into<String>) -> Self {
        Self { line, what: what.into() }
    }
}

/// Checks every file and prints what breaks the rules.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let exceptions: Exceptions = toml::from_str(&workspace.read("tidy.toml")?).context("reading tidy.toml")?;
    let layers = Layers::read(workspace)?;
    let pure: Vec<String> = layers.pure().map(|name| format!("crates/{name}/src/")).collect();
    let machine = machine_paths(workspace.root());

    let files = workspace.files()?;
    let (mut checked, mut broken, mut long) = (0_usize, 0_usize, Vec::new());
    for path in files.iter().filter(|path| is_text(path) && !path.contains(GENERATED)) {
        let text = workspace.read(path)?;
        checked += 1;
        let mut findings = check_text(&text, &machine);
        if path.ends_with(".rs") {
            let pure = pure.iter().any(|folder| path.starts_with(folder.as_str()));
            findings.extend(rust::check(path, &text, pure, &exceptions));
            let lines = text.lines().count();
            if lines > rust::WANTED_LINES {
                long.push((lines, path));
            }
        } else if path.ends_with(".md") {
            findings.extend(documents::check(path, &text, |target| workspace.root().join(target).exists()));
        }
        findings.sort_by_key(|finding| finding.line);
        for finding in &findings {
            println!("  {path}:{}: {}", finding.line, finding.what);
        }
        broken += findings.len();
    }
    for path in exceptions.unused(&files) {
        println!("  tidy.toml: {path} does not exist");
        broken += 1;
    }
    long.sort();
    for (lines, path) in long.iter().rev() {
        println!("  note: {path} has {lines} lines, {} are wanted", rust::WANTED_LINES);
    }
    if broken > 0 {
        bail!("{broken} rules of style are broken");
    }
    println!("{checked} files are tidy");
    Ok(())
}

impl Exceptions {
    /// Exceptions for files that are gone.
    fn unused<'a>(&'a self, files: &'a [String]) -> impl Iterator<Item = &'a str> {
        let named = self.long_files.keys().map(String::as_str);
        let named = named.chain(self.long_functions.keys().map(|key| key.split("::").next().unwrap_or(key)));
        named.filter(|path| !files.iter().any(|file| file == path))
    }
}

fn is_text(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|ending| TEXT_ENDINGS.iter().any(|known| ending == *known))
}

/// Paths of this machine that have no place in a file of the project: the checkout, its siblings, cargo's folders.
fn machine_paths(root: &Path) -> Vec<String> {
    let mut paths = vec![root.to_path_buf()];
    if let Some(siblings) = root.parent().filter(|parent| parent.components().count() > 1) {
        let entries = fs::read_dir(siblings).into_iter().flatten().flatten();
        paths.extend(entries.map(|entry| entry.path()).filter(|path| path.is_dir()));
    }
    paths.extend(["CARGO_HOME", "CARGO_TARGET_DIR", "RUSTUP_HOME"].iter().filter_map(env::var_os).map(Into::into));
    let paths = paths.iter().filter(|path| path.is_absolute() && path.components().count() > 2);
    paths.map(|path| path.to_string_lossy().into_owned()).collect()
}

/// The rules for text of any kind.
fn check_text(text: &str, machine: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        if line.ends_with([' ', '\t']) {
            findings.push(Finding::new(number, "white space at the end of the line"));
        }
        if let Some(path) = machine.iter().find(|path| line.contains(path.as_str())) {
            findings.push(Finding::new(number, format!("names a path of this machine: {path}")));
        }
    }
    if !text.is_empty() && !text.ends_with('\n') {
        findings.push(Finding::new(text.lines().count(), "no line end at the end of the file"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whats(findings: &[Finding]) -> Vec<(usize, &str)> {
        findings.iter().map(|finding| (finding.line, finding.what.as_str())).collect()
    }

    #[test]
    fn white_space_at_line_ends_is_found() {
        let found = check_text("good\nbad \nworse", &[]);
        let expected = [(2, "white space at the end of the line"), (3, "no line end at the end of the file")];
        assert_eq!(whats(&found), expected);
    }

    #[test]
    fn paths_of_the_machine_are_found() {
        let found = check_text("cd /srv/checkout/portway\n", &["/srv/checkout".to_owned()]);
        assert_eq!(whats(&found), [(1, "names a path of this machine: /srv/checkout")]);
    }

    #[test]
    fn exceptions_for_missing_files_are_found() {
        let exceptions: Exceptions =
            toml::from_str("[long_files]\n\"a.rs\" = \"x\"\n[long_functions]\n\"b.rs::f\" = \"x\"\n")
                .expect("exceptions");
        assert_eq!(exceptions.unused(&["a.rs".to_owned()]).collect::<Vec<_>>(), ["b.rs"]);
    }
}
