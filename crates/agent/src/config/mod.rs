//! The agent's configuration files: `portway.yml`, and `ngrok.yml` of versions 2 and 3.
//!
//! What a file says and the agent does not do is refused by name, never skipped: a key that protects a service must not be lost silently.

mod convert;
mod file;
mod values;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use portway_mux::CarrierChoice;
use portway_names::Scheme;
use secrecy::SecretString;

use crate::agent::Agent;
use crate::endpoint::{Endpoint, EndpointBuilder, EndpointOptions, describe};
use crate::error::BindError;
use crate::upstream::Upstream;

/// Largest file that is read. Generous for hand-written text; keeps a wrong path from filling the memory.
const MAX_FILE: u64 = 1024 * 1024;

/// Everything that the files say.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Config {
    /// Files that were read, in the order of reading.
    pub files: Vec<PathBuf>,
    /// How the agent connects and logs.
    pub settings: Settings,
    /// Endpoints by the names that `portway start` takes, in the order of the files.
    pub endpoints: Vec<EndpointConfig>,
    /// Known keys that have no effect yet, one sentence each.
    pub warnings: Vec<String>,
}

/// How the agent connects and logs; what no file says is none.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Settings {
    /// Credential.
    pub authtoken: Option<SecretString>,
    /// Key of the REST API; the agent itself does not use it.
    pub api_key: Option<SecretString>,
    /// Where the REST API is; the agent itself does not use it.
    pub api_url: Option<String>,
    /// Where to dial.
    pub connect_url: Option<String>,
    /// Which certificates to trust.
    pub connect_cas: Option<ConnectCas>,
    /// What carries the session.
    pub carrier: Option<CarrierChoice>,
    /// Region whose edges alone are used; empty or `auto`: the fastest.
    pub region: Option<String>,
    /// Time for one attempt to connect.
    pub connect_timeout: Option<Duration>,
    /// Proxy to dial through.
    pub proxy_url: Option<String>,
    /// Metadata of the session.
    pub metadata: Option<String>,
    /// `stdout`, `stderr`, `false` or a path.
    pub log: Option<String>,
    /// `term`, `logfmt` or `json`.
    pub log_format: Option<String>,
    /// `debug`, `info`, `warn`, `error` or `crit`.
    pub log_level: Option<String>,
    /// Whether the live view is shown: false never, otherwise on a terminal.
    pub console_ui: Option<bool>,
    /// Whether the owner of the account may stop and restart the agent from afar.
    pub remote_management: Option<bool>,
}

/// Which certificates of the edge are trusted.
#[derive(Debug, Clone, Eq, PartialEq)]
#[non_exhaustive]
pub enum ConnectCas {
    /// The compiled-in list of public authorities.
    Trusted,
    /// The host's own list.
    Host,
    /// The authorities in a PEM file.
    File(PathBuf),
}

/// One endpoint of the configuration.
#[derive(Debug, Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct EndpointConfig {
    /// Name that `portway start` takes.
    pub name: String,
    /// Kind of endpoint.
    pub kind: Scheme,
    /// What connections go to.
    pub upstream: String,
    /// Everything else.
    pub options: EndpointOptions,
}

impl EndpointConfig {
    /// An endpoint that no file describes.
    pub fn new(kind: Scheme, upstream: impl Into<String>, options: EndpointOptions) -> Self {
        Self { name: options.name.clone(), kind, upstream: upstream.into(), options }
    }

    /// Checks everything that can be checked without an edge.
    ///
    /// # Errors
    /// What [`EndpointBuilder::forward_to`](crate::EndpointBuilder::forward_to) would say.
    pub fn check(&self) -> Result<Upstream, BindError> {
        describe(self.kind, self.options.clone(), &self.upstream).map(|(_, upstream)| upstream)
    }

    /// Opens the endpoint.
    ///
    /// # Errors
    /// As [`EndpointBuilder::forward_to`](crate::EndpointBuilder::forward_to).
    pub async fn open(&self, agent: &Agent) -> Result<Endpoint, BindError> {
        self.builder(agent).forward_to(&self.upstream).await
    }

    /// Opens the endpoint, and asks for it again when it is refused.
    ///
    /// # Errors
    /// As [`EndpointBuilder::keep_forwarding_to`](crate::EndpointBuilder::keep_forwarding_to).
    pub async fn keep_open(&self, agent: &Agent) -> Result<(Endpoint, Option<BindError>), BindError> {
        self.builder(agent).keep_forwarding_to(&self.upstream).await
    }

    fn builder(&self, agent: &Agent) -> EndpointBuilder {
        let builder = match self.kind {
            Scheme::Http | Scheme::Https => agent.http(),
            Scheme::Tcp => agent.tcp(),
            Scheme::Tls => agent.tls(),
        };
        builder.options(self.options.clone())
    }
}

/// Why a configuration cannot be used: the file, the place in it, what is wrong and what to do.
#[derive(Debug, Clone, Eq, PartialEq, thiserror::Error)]
pub struct ConfigError {
    /// The file.
    pub file: PathBuf,
    /// Line and column, from 1, where they are known.
    pub place: Option<(u64, u64)>,
    /// What is wrong and what to do.
    pub problem: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl Config {
    /// Reads and merges files: what a later one says wins; `tunnels` are merged by name, `endpoints` are replaced as a whole.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn load(files: &[PathBuf]) -> Result<Self, ConfigError> {
        let mut merged = Parts::default();
        for file in files {
            let text = read(file)?;
            merged.add(Parts::parse(file, &text)?);
        }
        let config = merged.finish();
        let mut seen: Vec<&str> = Vec::new();
        for endpoint in &config.endpoints {
            if seen.contains(&endpoint.name.as_str()) {
                let file = config.files.last().cloned().unwrap_or_default();
                let problem = format!("two endpoints have the name {:?}; give each its own", endpoint.name);
                return Err(ConfigError { file, place: None, problem });
            }
            seen.push(&endpoint.name);
        }
        Ok(config)
    }

    /// Reads one text as if it were in a file.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(file: &Path, text: &str) -> Result<Self, ConfigError> {
        Ok(Parts::parse(file, text)?.finish())
    }

    /// The endpoint of a name, or the sentence that says why there is none.
    ///
    /// # Errors
    /// A text for the user that names the nearest endpoint.
    pub fn endpoint(&self, name: &str) -> Result<&EndpointConfig, String> {
        self.endpoints.iter().find(|endpoint| endpoint.name == name).ok_or_else(|| {
            let names = || self.endpoints.iter().map(|endpoint| endpoint.name.as_str());
            match nearest(name, names()) {
                Some(near) => format!("no endpoint has the name {name:?}; did you mean {near:?}?"),
                None if self.endpoints.is_empty() => {
                    format!("no endpoint has the name {name:?}: the configuration defines none")
                }
                None => {
                    let them = names().collect::<Vec<_>>().join(", ");
                    format!("no endpoint has the name {name:?}; those defined are {them}")
                }
            }
        })
    }
}

/// Where configuration is looked for when no file is named: Portway's own place, then ngrok's. The first file that exists is read.
/// `lookup` reads one environment variable.
pub fn search_path(lookup: impl Fn(&str) -> Option<String>) -> Vec<PathBuf> {
    let home = lookup("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    let base = lookup("XDG_CONFIG_HOME").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let base = base.or_else(|| home.as_ref().map(|home| home.join(".config")));
    let mut found: Vec<PathBuf> = Vec::new();
    for (folder, file) in [("portway", "portway.yml"), ("ngrok", "ngrok.yml")] {
        found.extend(base.as_ref().map(|base| base.join(folder).join(file)));
        if cfg!(target_os = "macos") {
            found.extend(home.as_ref().map(|home| home.join("Library/Application Support").join(folder).join(file)));
        }
        if cfg!(windows) {
            found.extend(lookup("LocalAppData").map(|dir| PathBuf::from(dir).join(folder).join(file)));
        }
    }
    found
}

/// What one file, or several, have said so far.
#[derive(Debug, Default)]
struct Parts {
    files: Vec<PathBuf>,
    settings: Settings,
    tunnels: Vec<(String, Vec<EndpointConfig>)>,
    endpoints: Option<Vec<EndpointConfig>>,
    warnings: Vec<String>,
}

impl Parts {
    fn parse(file: &Path, text: &str) -> Result<Self, ConfigError> {
        convert::parse(file, text)
    }

    fn add(&mut self, later: Self) {
        self.files.extend(later.files);
        self.settings.override_with(later.settings);
        for (name, tunnels) in later.tunnels {
            match self.tunnels.iter_mut().find(|(known, _)| *known == name) {
                Some(known) => known.1 = tunnels,
                None => self.tunnels.push((name, tunnels)),
            }
        }
        self.endpoints = later.endpoints.or(self.endpoints.take());
        self.warnings.extend(later.warnings);
    }

    fn finish(self) -> Config {
        let mut endpoints: Vec<EndpointConfig> = self.tunnels.into_iter().flat_map(|(_, tunnels)| tunnels).collect();
        endpoints.extend(self.endpoints.into_iter().flatten());
        Config { files: self.files, settings: self.settings, endpoints, warnings: self.warnings }
    }
}

impl Settings {
    fn override_with(&mut self, later: Self) {
        let Self {
            authtoken,
            api_key,
            api_url,
            connect_url,
            connect_cas,
            carrier,
            region,
            connect_timeout,
            proxy_url,
            metadata,
            log,
            log_format,
            log_level,
            console_ui,
            remote_management,
        } = later;
        override_one(&mut self.authtoken, authtoken);
        override_one(&mut self.api_key, api_key);
        override_one(&mut self.api_url, api_url);
        override_one(&mut self.connect_url, connect_url);
        override_one(&mut self.connect_cas, connect_cas);
        override_one(&mut self.carrier, carrier);
        override_one(&mut self.region, region);
        override_one(&mut self.connect_timeout, connect_timeout);
        override_one(&mut self.proxy_url, proxy_url);
        override_one(&mut self.metadata, metadata);
        override_one(&mut self.log, log);
        override_one(&mut self.log_format, log_format);
        override_one(&mut self.log_level, log_level);
        override_one(&mut self.console_ui, console_ui);
        override_one(&mut self.remote_management, remote_management);
    }
}

fn override_one<T>(value: &mut Option<T>, later: Option<T>) {
    if later.is_some() {
        *value = later;
    }
}

fn read(file: &Path) -> Result<String, ConfigError> {
    let fail = |problem: String| ConfigError { file: file.to_owned(), place: None, problem };
    let length = std::fs::metadata(file).map_err(|error| fail(format!("it cannot be read: {error}")))?.len();
    if length > MAX_FILE {
        return Err(fail(format!("it has {length} bytes; a configuration file has at most {MAX_FILE}")));
    }
    std::fs::read_to_string(file).map_err(|error| fail(format!("it cannot be read: {error}")))
}

/// The known word that a person may have meant: the nearest, when no more than every third letter is wrong.
fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let length = word.chars().count();
    let slips = (length / 3).max(1).min(length.saturating_sub(1));
    known
        .map(|candidate| (strsim::osa_distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= slips)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests;
