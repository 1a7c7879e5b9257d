//! `cargo xtask layers`: the crates' dependencies against `layers.toml`.
//!
//! Reads the graph as cargo resolves it, so that an optional dependency nobody turns on does not count. Manifests are read as well: versions stand in the root only.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;

use crate::workspace::Workspace;

/// What our packages' names begin with; `layers.toml` leaves it away.
const PREFIX: &str = "portway-";
/// The command-line crate has no prefix, and xtask is no part of the product.
const TASKS: &str = "xtask";

/// `layers.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Layers {
    rules: Rules,
    #[serde(rename = "crate")]
    crates: BTreeMap<String, Layer>,
}

impl Layers {
    /// Reads the workspace's `layers.toml`.
    pub(crate) fn read(workspace: &Workspace) -> Result<Self> {
        toml::from_str(&workspace.read("layers.toml")?).context("reading layers.toml")
    }

    /// Crates without runtime, sockets, clock and randomness.
    pub(crate) fn pure(&self) -> impl Iterator<Item = &str> {
        self.crates.iter().filter(|(_, layer)| layer.pure).map(|(name, _)| name.as_str())
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    /// Packages the pure set does not reach.
    pure_never: BTreeSet<String>,
    /// Packages nobody reaches.
    never: BTreeSet<String>,
    /// Packages of which the graph holds one version only.
    #[serde(default)]
    single: BTreeSet<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Layer {
    #[serde(default)]
    pure: bool,
    /// Other crates use it in tests only.
    #[serde(default)]
    dev_only: bool,
    may_use: BTreeSet<String>,
    /// What its tests may use beyond `may_use` and the dev-only crates.
    #[serde(default)]
    tests_may_use: BTreeSet<String>,
}

/// Checks the workspace and prints what breaks the rules.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let layers = Layers::read(workspace)?;
    let mut graph = Graph::from_metadata(&workspace.metadata()?)?;
    graph.keep(&workspace.built_packages()?);
    let mut faults = check(&layers, &graph);
    for member in &graph.members {
        let package = &graph.packages[member];
        faults.extend(check_manifest(&package.name, &workspace.read(&package.manifest)?)?);
    }
    for fault in &faults {
        println!("  {fault}");
    }
    if !faults.is_empty() {
        bail!("{} broken rules of layers.toml; change the dependency, or argue for the arrow there", faults.len());
    }
    println!("{} crates keep to layers.toml", layers.crates.len());
    Ok(())
}

/// Which kind of dependency an edge is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Normal,
    Dev,
    Build,
}

struct Package {
    name: String,
    version: String,
    manifest: String,
    edges: Vec<(String, Kind)>,
}

/// The resolved graph, by package id.
struct Graph {
    packages: BTreeMap<String, Package>,
    members: Vec<String>,
}

impl Graph {
    fn from_metadata(metadata: &Value) -> Result<Self> {
        let mut packages = BTreeMap::new();
        for package in list(&metadata["packages"]) {
            let id = text(&package["id"])?;
            let (name, version) = (text(&package["name"])?, text(&package["version"])?);
            packages
                .insert(id, Package { name, version, manifest: text(&package["manifest_path"])?, edges: Vec::new() });
        }
        for node in list(&metadata["resolve"]["nodes"]) {
            let mut edges = Vec::new();
            for dependency in list(&node["deps"]) {
                for kind in list(&dependency["dep_kinds"]) {
                    let kind = match kind["kind"].as_str() {
                        None => Kind::Normal,
                        Some("dev") => Kind::Dev,
                        Some(_) => Kind::Build,
                    };
                    edges.push((text(&dependency["pkg"])?, kind));
                }
            }
            edges.sort_by(|a, b| a.0.cmp(&b.0));
            edges.dedup();
            packages.get_mut(&text(&node["id"])?).context("a node without a package")?.edges = edges;
        }
        let members = list(&metadata["workspace_members"]).map(text).collect::<Result<_>>()?;
        Ok(Self { packages, members })
    }

    /// Drops packages that are not built.
    fn keep(&mut self, built: &BTreeSet<String>) {
        self.packages.retain(|_, package| built.contains(&format!("{} {}", package.name, package.version)));
        let kept: BTreeSet<String> = self.packages.keys().cloned().collect();
        for package in self.packages.values_mut() {
            package.edges.retain(|(target, _)| kept.contains(target));
        }
    }

    /// Everything normal dependencies lead to from `start`, each with the package that leads there.
    fn reach(&self, start: &str) -> BTreeMap<&str, &str> {
        let mut parents = BTreeMap::new();
        let mut queue = VecDeque::from([start]);
        while let Some((id, package)) = queue.pop_front().and_then(|id| self.packages.get_key_value(id)) {
            for (next, kind) in &package.edges {
                if *kind == Kind::Normal && next != start && !parents.contains_key(next.as_str()) {
                    parents.insert(next.as_str(), id.as_str());
                    queue.push_back(next);
                }
            }
        }
        parents
    }

    /// `start -> … -> id` in names.
    fn path(&self, parents: &BTreeMap<&str, &str>, id: &str) -> String {
        let mut names = vec![self.packages[id].name.as_str()];
        let mut at = id;
        while let Some(parent) = parents.get(at) {
            names.push(&self.packages[*parent].name);
            at = parent;
        }
        names.reverse();
        names.join(" -> ")
    }
}

fn check(layers: &Layers, graph: &Graph) -> Vec<String> {
    let mut faults = Vec::new();
    let ours: BTreeMap<&str, &str> = graph
        .members
        .iter()
        .filter(|id| graph.packages[*id].name != TASKS)
        .map(|id| (id.as_str(), short(&graph.packages[id].name)))
        .collect();
    for name in layers.crates.keys().filter(|name| !ours.values().any(|ours| ours == name)) {
        faults.push(format!("{name}: listed in layers.toml, but there is no such crate"));
    }
    for (id, name) in &ours {
        let Some(layer) = layers.crates.get(*name) else {
            faults.push(format!("{name}: not listed in layers.toml"));
            continue;
        };
        for (target, kind) in &graph.packages[*id].edges {
            if let Some(target) = ours.get(target.as_str()) {
                faults.extend(check_arrow(layers, name, layer, target, *kind));
            }
        }
        let reached = graph.reach(id);
        let banned = |rule: &BTreeSet<String>, why: &str| -> Vec<String> {
            let hits = reached.keys().filter(|hit| rule.contains(&graph.packages[**hit].name));
            hits.map(|hit| format!("{name}: {why}: {}", graph.path(&reached, hit))).collect()
        };
        if layer.pure {
            faults.extend(banned(&layers.rules.pure_never, "a pure crate must not reach it"));
        }
        faults.extend(banned(&layers.rules.never, "nobody may reach it"));
    }
    faults.extend(check_single(layers, graph));
    faults
}

fn check_arrow(layers: &Layers, name: &str, layer: &Layer, target: &str, kind: Kind) -> Option<String> {
    let dev_only = layers.crates.get(target).is_some_and(|layer| layer.dev_only);
    if kind == Kind::Dev {
        let allowed = dev_only || layer.may_use.contains(target) || layer.tests_may_use.contains(target);
        return (!allowed).then(|| format!("{name} -> {target}: not an arrow of layers.toml, also not for tests"));
    }
    if dev_only {
        return Some(format!("{name} -> {target}: {target} is for tests only"));
    }
    (!layer.may_use.contains(target)).then(|| format!("{name} -> {target}: not an arrow of layers.toml"))
}

/// Packages that must not be there twice: two majors of one of them mean two sets of types and twice the code.
fn check_single(layers: &Layers, graph: &Graph) -> Vec<String> {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in graph.packages.values() {
        versions.entry(&package.name).or_default().insert(&package.version);
    }
    let doubled = versions.iter().filter(|(name, versions)| layers.rules.single.contains(**name) && versions.len() > 1);
    doubled.map(|(name, versions)| format!("{name}: more than one version in the graph: {versions:?}")).collect()
}

/// A member takes versions, features of the package and lints from the root.
fn check_manifest(name: &str, manifest: &str) -> Result<Vec<String>> {
    let manifest: toml::Table = toml::from_str(manifest).with_context(|| format!("reading the manifest of {name}"))?;
    let inherits =
        |value: Option<&toml::Value>| value.and_then(|value| value.get("workspace")?.as_bool()) == Some(true);
    let mut faults = Vec::new();
    if !inherits(manifest.get("lints")) {
        faults.push(format!("{name}: Cargo.toml lacks `[lints] workspace = true`"));
    }
    for field in ["version", "edition", "rust-version", "license"] {
        if !inherits(manifest.get("package").and_then(|package| package.get(field))) {
            faults.push(format!("{name}: Cargo.toml lacks `{field}.workspace = true`"));
        }
    }
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let Some(entries) = manifest.get(section).and_then(toml::Value::as_table) else { continue };
        for (dependency, value) in entries.iter().filter(|(_, value)| !inherits(Some(value))) {
            faults.push(format!(
                "{name}: {dependency} = {value} in [{section}]; the version belongs in the root Cargo.toml"
            ));
        }
    }
    Ok(faults)
}

fn short(name: &str) -> &str {
    name.strip_prefix(PREFIX).unwrap_or(name)
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> Result<String> {
    Ok(value.as_str().context("cargo metadata has another form than expected")?.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LAYERS: &str = r#"
        [rules]
        pure_never = ["tokio"]
        never = ["ring"]
        single = ["http"]
        [crate.names]
        pure = true
        may_use = []
        [crate.mux]
        may_use = ["names"]
        [crate.testkit]
        dev_only = true
        may_use = ["mux"]
    "#;

    /// Edges as `(from, to, kind)`; packages named `portway-*` are members; `name@2` is version 2 of `name`.
    fn faults(edges: &[(&str, &str, Option<&str>)]) -> Vec<String> {
        let mut names: BTreeSet<&str> = edges.iter().flat_map(|edge| [edge.0, edge.1]).collect();
        names.extend(["portway-names", "portway-mux", "portway-testkit"]);
        let package = |id: &&str| {
            let (name, version) = id.split_once('@').unwrap_or((id, "1"));
            json!({ "id": id, "name": name, "version": version, "manifest_path": "" })
        };
        let node = |id: &&str| {
            let deps = edges.iter().filter(|edge| edge.0 == *id);
            let deps: Vec<_> = deps.map(|edge| json!({ "pkg": edge.1, "dep_kinds": [{ "kind": edge.2 }] })).collect();
            json!({ "id": id, "deps": deps })
        };
        let metadata = json!({
            "packages": names.iter().map(package).collect::<Vec<_>>(),
            "resolve": { "nodes": names.iter().map(node).collect::<Vec<_>>() },
            "workspace_members": names.iter().filter(|name| name.starts_with(PREFIX)).collect::<Vec<_>>(),
        });
        let graph = Graph::from_metadata(&metadata).expect("a graph");
        check(&toml::from_str(LAYERS).expect("layers"), &graph)
    }

    #[test]
    fn allowed_arrows_pass() {
        let edges = [
            ("portway-mux", "portway-names", None),
            ("portway-mux", "tokio", None),
            ("portway-mux", "portway-testkit", Some("dev")),
            ("portway-testkit", "portway-mux", None),
        ];
        assert_eq!(faults(&edges), Vec::<String>::new());
    }

    #[test]
    fn an_arrow_up_is_found() {
        assert_eq!(faults(&[("portway-names", "portway-mux", None)]), ["names -> mux: not an arrow of layers.toml"]);
    }

    #[test]
    fn a_dev_only_crate_in_the_product_is_found() {
        assert_eq!(faults(&[("portway-mux", "portway-testkit", None)]), ["mux -> testkit: testkit is for tests only"]);
    }

    #[test]
    fn a_pure_crate_that_reaches_a_runtime_through_another_is_found() {
        let found = faults(&[("portway-names", "helper", None), ("helper", "tokio", None)]);
        assert_eq!(found, ["names: a pure crate must not reach it: portway-names -> helper -> tokio"]);
    }

    #[test]
    fn test_dependencies_of_the_pure_set_are_free() {
        assert_eq!(faults(&[("portway-names", "tokio", Some("dev"))]), Vec::<String>::new());
    }

    #[test]
    fn banned_and_doubled_packages_are_found() {
        let found = faults(&[("portway-mux", "ring", None), ("portway-mux", "http", None), ("ring", "http@2", None)]);
        assert_eq!(
            found,
            [
                "mux: nobody may reach it: portway-mux -> ring",
                "http: more than one version in the graph: {\"1\", \"2\"}"
            ]
        );
    }

    #[test]
    fn an_unlisted_crate_is_found() {
        assert_eq!(faults(&[("portway-misc", "tokio", None)]), ["misc: not listed in layers.toml"]);
    }

    #[test]
    fn a_version_outside_the_root_is_found() {
        let manifest = "[package]\nversion.workspace = true\nedition.workspace = true\nrust-version.workspace = true\n\
                        license.workspace = true\n[lints]\nworkspace = true\n[dependencies]\na.workspace = true\nb = \"1\"\n";
        let found = check_manifest("mux", manifest).expect("a manifest");
        assert_eq!(found, ["mux: b = \"1\" in [dependencies]; the version belongs in the root Cargo.toml"]);
    }
}
