//! What an operator can set: the same names in the configuration file, as flags and as environment variables.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use portway_control::{BaseUrl, DatabaseUrl};
use portway_names::{HostName, Region};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use crate::acme_settings::AcmeSettings;

/// Settings as given, by file or by flags. What is absent keeps its default, see [`crate::ServerConfig`].
#[derive(Debug, Clone, Default, Deserialize, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Folder for everything that must survive a restart [default: ./.portway]
    #[arg(long, value_name = "DIR", env = "PORTWAY_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// PostgreSQL database for the state, postgres://USER:PASSWORD@HOST:PORT/NAME [default: a file in the data directory]
    #[arg(long, value_name = "URL", env = "PORTWAY_DATABASE_URL", hide_env_values = true)]
    #[serde(default, deserialize_with = "parsed")]
    pub database_url: Option<DatabaseUrl>,
    /// Base domain: endpoints are names below it, agents dial connect.BASE [default: portway.localhost]
    #[arg(long, value_name = "BASE", env = "PORTWAY_DOMAIN")]
    #[serde(default, deserialize_with = "parsed")]
    pub domain: Option<HostName>,
    /// Agents, HTTPS and TLS endpoints, TCP and UDP [default: 127.0.0.1:8443]
    #[arg(long, value_name = "IP:PORT", env = "PORTWAY_HTTPS_ADDR")]
    pub https_addr: Option<SocketAddr>,
    /// Plain HTTP endpoints and redirects to HTTPS [default: 127.0.0.1:8080]
    #[arg(long, value_name = "IP:PORT", env = "PORTWAY_HTTP_ADDR")]
    pub http_addr: Option<SocketAddr>,
    /// Where `ssh -R` connects; the https address takes it too [default: 127.0.0.1:8022]
    #[arg(long, value_name = "IP:PORT", env = "PORTWAY_SSH_ADDR")]
    pub ssh_addr: Option<SocketAddr>,
    /// REST API, plain HTTP [default: 127.0.0.1:4400]
    #[arg(long, value_name = "IP:PORT", env = "PORTWAY_API_ADDR")]
    pub api_addr: Option<SocketAddr>,
    /// Where the REST API is reached, as its replies say it, for example `https://api.example.com` [default: as each caller called it]
    #[arg(long, value_name = "URL", env = "PORTWAY_API_URL")]
    #[serde(default, deserialize_with = "parsed")]
    pub api_url: Option<BaseUrl>,
    /// Calls that an account may make in a minute from other hosts; 0 for no limit [default: 120]
    #[arg(long, value_name = "N", env = "PORTWAY_API_RATE_LIMIT")]
    pub api_rate_limit: Option<u32>,
    /// Health, readiness and metrics [default: 127.0.0.1:4401]
    #[arg(long, value_name = "IP:PORT", env = "PORTWAY_ADMIN_ADDR")]
    pub admin_addr: Option<SocketAddr>,
    /// Authoritative DNS for the base domain and delegated connect URLs, UDP and TCP [default: 127.0.0.1:8053]
    #[arg(long, value_name = "IP:PORT", env = "PORTWAY_DNS_ADDR")]
    pub dns_addr: Option<SocketAddr>,
    /// Addresses at which this server is reached, which DNS gives; several with commas [default: that of https_addr]
    #[arg(long, value_name = "IP", env = "PORTWAY_PUBLIC_IPS", value_delimiter = ',')]
    pub public_ips: Option<Vec<IpAddr>>,
    /// Resolver that is asked about accounts' domains before certificates are ordered for them [default: the system's]
    #[arg(long, value_name = "IP:PORT", env = "PORTWAY_DNS_RESOLVER")]
    pub dns_resolver: Option<SocketAddr>,
    /// Ports for TCP endpoints [default: 20000-20999]
    #[arg(long, value_name = "LO-HI", env = "PORTWAY_TCP_PORTS")]
    pub tcp_ports: Option<PortRange>,
    /// Host in the URLs of TCP endpoints [default: the base domain]
    #[arg(long, value_name = "HOST", env = "PORTWAY_TCP_HOST")]
    #[serde(default, deserialize_with = "parsed")]
    pub tcp_host: Option<HostName>,
    /// Name of the region this edge is in [default: local]
    #[arg(long, value_name = "NAME", env = "PORTWAY_REGION")]
    #[serde(default, deserialize_with = "parsed")]
    pub region: Option<Region>,
    /// Threads that serve traffic [default: one for each two processors, at least one]
    #[arg(long, value_name = "N", env = "PORTWAY_SHARDS")]
    pub shards: Option<u16>,
    /// How long running streams may take when the server stops, for example 30s [default: 30s]
    #[arg(long, value_name = "TIME", env = "PORTWAY_DRAIN_GRACE")]
    pub drain_grace: Option<Span>,
    /// Who may use names outside the base domain [default: base-domain-only]
    #[arg(long, value_enum, env = "PORTWAY_DOMAIN_POLICY")]
    pub domain_policy: Option<DomainPolicy>,
    /// Levels to log: error, warn, info, debug, or a filter such as info,portway_edge=debug [default: info]
    #[arg(long, value_name = "FILTER", env = "PORTWAY_LOG_LEVEL")]
    pub log_level: Option<String>,
    /// Form of the log on stderr [default: human]
    #[arg(long, value_enum, env = "PORTWAY_LOG_FORMAT")]
    pub log_format: Option<LogFormat>,
    /// Certificates that are ordered.
    #[command(flatten)]
    #[serde(default)]
    pub acme: AcmeSettings,
    /// Addresses that belong to one connect URL each (file only).
    #[arg(skip)]
    #[serde(default, deserialize_with = "by_name")]
    pub dedicated_ips: BTreeMap<HostName, Vec<IpAddr>>,
    /// Limits that differ from the defaults (file only).
    #[arg(skip)]
    #[serde(default)]
    pub limits: LimitSettings,
}

/// Limits that differ from the defaults of [`portway_edge::Limits`].
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitSettings {
    /// Open connections of one visitor or agent address.
    pub connections_per_address: Option<u32>,
    /// Open connections of the whole edge.
    pub connections: Option<u32>,
    /// TLS and QUIC handshakes one address may begin a second.
    pub handshakes_per_address: Option<u32>,
    /// Handshakes the edge begins a second.
    pub handshakes_per_second: Option<u32>,
    /// Sessions of one account.
    pub sessions_per_account: Option<u32>,
    /// Endpoints of one session.
    pub endpoints_per_session: Option<u32>,
    /// Percent of a session's streams that visitors of one address may have.
    pub streams_per_address_percent: Option<u32>,
    /// Binds one session may ask for a minute.
    pub binds_per_minute: Option<u32>,
    /// Bytes of a request head.
    pub http_head_bytes: Option<usize>,
    /// Fields of a request head.
    pub http_header_count: Option<usize>,
    /// Requests under way at once on one HTTP/2 connection.
    pub http2_streams: Option<u32>,
    /// Time for a request head to arrive.
    pub http_head_timeout: Option<Span>,
    /// Time a visitor's HTTP connection is kept without a request.
    pub http_idle_timeout: Option<Span>,
    /// Time a message may pass without progress.
    pub http_body_idle_timeout: Option<Span>,
    /// Time a TCP or TLS connection may stay without a byte.
    pub pipe_idle_timeout: Option<Span>,
    /// Whether loopback addresses are free of the limits per address.
    pub loopback_exempt: Option<bool>,
}

/// Who may serve names outside the base domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum DomainPolicy {
    /// Any account may serve any name that no other account holds; the internal CA certifies it.
    AnyDomain,
    /// Only names below the base domain.
    BaseDomainOnly,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// Text for people.
    Human,
    /// One JSON object a line.
    Json,
}

/// A duration written as `30s`, `500ms`, `2m` or `1h 30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

/// A text that is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a duration such as 30s or 2m")]
pub struct SpanError(String);

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        humantime::parse_duration(text).map(Self).map_err(|_| SpanError(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A range of ports written as `20000-20999`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortRange(pub RangeInclusive<u16>);

/// A text that is no port range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a port range such as 20000-20999")]
pub struct PortRangeError(String);

impl FromStr for PortRange {
    type Err = PortRangeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fault = || PortRangeError(text.to_owned());
        let (low, high) = text.split_once('-').unwrap_or((text, text));
        let low: u16 = low.trim().parse().map_err(|_| fault())?;
        let high: u16 = high.trim().parse().map_err(|_| fault())?;
        if low == 0 || low > high { Err(fault()) } else { Ok(Self(low..=high)) }
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0.start(), self.0.end())
    }
}

impl<'de> Deserialize<'de> for PortRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A table whose keys are host names.
fn by_name<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<BTreeMap<HostName, T>, D::Error> {
    let table = BTreeMap::<String, T>::deserialize(deserializer)?;
    let named = |(name, value): (String, T)| Ok((name.parse().map_err(serde::de::Error::custom)?, value));
    table.into_iter().map(named).collect()
}

fn parsed<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: FromStr,
    T::Err: fmt::Display,
    D: Deserializer<'de>,
{
    String::deserialize(deserializer)?.parse().map(Some).map_err(D::Error::custom)
}

/// Why a configuration file was not taken.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It could not be read.
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is not valid.
    #[error("{}:{line}:{column}: {reason}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// What is wrong and what would be right.
        reason: String,
    },
}

impl Settings {
    /// Reads a configuration file. Unknown keys are refused.
    ///
    /// # Errors
    /// [`FileError`], with file, line, column and, for an unknown key, the nearest known one.
    pub fn load(path: &Path) -> Result<Self, FileError> {
        let text = std::fs::read_to_string(path).map_err(|source| FileError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, FileError> {
        toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let before = text.get(..at).unwrap_or_default();
            FileError::Invalid {
                path: path.to_owned(),
                line: before.matches('\n').count() + 1,
                column: before.rsplit('\n').next().unwrap_or_default().chars().count() + 1,
                reason: with_nearest_key(error.message()),
            }
        })
    }

    /// These settings where they are given, `others` where they are not.
    pub fn or(self, others: Self) -> Self {
        Self {
            data_dir: self.data_dir.or(others.data_dir),
            database_url: self.database_url.or(others.database_url),
            domain: self.domain.or(others.domain),
            https_addr: self.https_addr.or(others.https_addr),
            http_addr: self.http_addr.or(others.http_addr),
            api_addr: self.api_addr.or(others.api_addr),
            api_url: self.api_url.or(others.api_url),
            api_rate_limit: self.api_rate_limit.or(others.api_rate_limit),
            admin_addr: self.admin_addr.or(others.admin_addr),
            dns_addr: self.dns_addr.or(others.dns_addr),
            public_ips: self.public_ips.or(others.public_ips),
            dns_resolver: self.dns_resolver.or(others.dns_resolver),
            ssh_addr: self.ssh_addr.or(others.ssh_addr),
            tcp_ports: self.tcp_ports.or(others.tcp_ports),
            tcp_host: self.tcp_host.or(others.tcp_host),
            region: self.region.or(others.region),
            shards: self.shards.or(others.shards),
            drain_grace: self.drain_grace.or(others.drain_grace),
            domain_policy: self.domain_policy.or(others.domain_policy),
            log_level: self.log_level.or(others.log_level),
            log_format: self.log_format.or(others.log_format),
            acme: self.acme.or(others.acme),
            dedicated_ips: others.dedicated_ips,
            limits: others.limits,
        }
    }
}

/// `unknown field `x`, expected one of `a`, `b`` becomes a sentence with the nearest key.
fn with_nearest_key(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let Some(unknown) = quoted.next().filter(|_| message.starts_with("unknown field")) else {
        return message.to_owned();
    };
    let known: Vec<&str> = quoted.collect();
    let slips = (unknown.chars().count() / 3).max(1);
    let distance = |key: &str| strsim::osa_distance(key, unknown);
    match known.iter().copied().filter(|key| distance(key) <= slips).min_by_key(|key| distance(key)) {
        Some(key) => format!("unknown key `{unknown}`; the nearest known key is `{key}`"),
        None => format!("unknown key `{unknown}`; known here are {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Settings, FileError> {
        Settings::parse(text, Path::new("portway-server.toml"))
    }

    #[test]
    fn reads_every_kind_of_value() {
        let settings = parse(
            "domain = \"Example.COM.\"\nhttps_addr = \"[::]:443\"\ntcp_ports = \"30000-30010\"\ndrain_grace = \"1m 5s\"\n\
             log_format = \"json\"\ndomain_policy = \"base-domain-only\"\n[limits]\nconnections_per_address = 7\n",
        )
        .unwrap();
        assert_eq!(settings.domain.unwrap().as_str(), "example.com");
        assert_eq!(settings.tcp_ports.unwrap().0, 30000..=30010);
        assert_eq!(settings.drain_grace.unwrap().0, Duration::from_secs(65));
        assert_eq!(settings.limits.connections_per_address, Some(7));
    }

    #[test]
    fn unknown_key_names_file_line_and_nearest() {
        let error = parse("domain = \"a.example\"\n\nhttp_adr = \"127.0.0.1:1\"\n").unwrap_err();
        let text = error.to_string();
        assert_eq!(text, "portway-server.toml:3:1: unknown key `http_adr`; the nearest known key is `http_addr`");
    }

    #[test]
    fn unknown_limit_is_refused_too() {
        let text = parse("[limits]\nconnection_per_address = 1\n").unwrap_err().to_string();
        assert!(text.starts_with("portway-server.toml:2:1: unknown key `connection_per_address`"), "{text}");
        assert!(text.ends_with("`connections_per_address`"), "{text}");
    }

    #[test]
    fn a_key_like_no_other_is_not_guessed() {
        let text = parse("colour = 1\n").unwrap_err().to_string();
        assert!(
            text.starts_with(
                "portway-server.toml:1:1: unknown key `colour`; known here are data_dir, database_url, domain, "
            ),
            "{text}"
        );
    }

    #[test]
    fn every_setting_has_the_variable_of_its_name() {
        let command = <Settings as clap::Args>::augment_args(clap::Command::new("settings"));
        for argument in command.get_arguments() {
            let expected = format!("PORTWAY_{}", argument.get_id().as_str().to_ascii_uppercase());
            assert_eq!(argument.get_env().and_then(|name| name.to_str()), Some(expected.as_str()));
        }
    }

    #[test]
    fn every_key_is_in_the_manual() {
        let manual = include_str!("../../../docs/server.md");
        let tables =
            [("colour = 1\n", &["acme", "limits"][..]), ("[limits]\ncolour = 1\n", &[]), ("[acme]\ncolour = 1\n", &[])];
        for (file, more) in tables {
            let text = parse(file).unwrap_err().to_string();
            let known = text.split_once("known here are ").expect("a list of keys").1.split(", ");
            for key in known.filter(|key| !more.contains(key)) {
                assert!(manual.contains(&format!("`{key}`")), "{key} is not in docs/server.md");
            }
        }
    }

    #[test]
    fn bad_values_say_what_would_be_right() {
        for (file, part) in [
            ("drain_grace = \"soon\"", "`soon` is not a duration such as 30s"),
            ("tcp_ports = \"9-1\"", "`9-1` is not a port range such as 20000-20999"),
            ("https_addr = \"nowhere\"", "portway-server.toml:1:14"),
            ("domain = \"a..b\"", "portway-server.toml:1:10"),
            ("domain = ", "portway-server.toml:1"),
        ] {
            let text = parse(file).unwrap_err().to_string();
            assert!(text.contains(part), "{file}: {text}");
        }
    }

    #[test]
    fn flags_win_over_the_file() {
        let flags = Settings { shards: Some(3), ..Settings::default() };
        let file = Settings { shards: Some(1), log_level: Some("debug".into()), ..Settings::default() };
        let merged = flags.or(file);
        assert_eq!((merged.shards, merged.log_level.as_deref()), (Some(3), Some("debug")));
    }
}
