//! The resolved configuration of a server: every value present and checked.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use portway_control::{AcmeConfig, BaseUrl, DatabaseUrl, DatabaseUrlError, RateLimit};
use portway_edge::Limits;
use portway_names::{HostName, Region};

use crate::settings::{DomainPolicy, LimitSettings, Settings};

/// Everything a server needs to know to start.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where durable state lives.
    pub data_dir: PathBuf,
    /// PostgreSQL database for the records; none: a file in `data_dir`.
    pub database_url: Option<DatabaseUrl>,
    /// Endpoints are names below it; agents dial `connect.` of it.
    pub domain: HostName,
    /// Agents, HTTPS and TLS endpoints: TCP, and UDP for QUIC.
    pub https_addr: SocketAddr,
    /// Plain HTTP endpoints and redirects.
    pub http_addr: SocketAddr,
    /// `ssh -R`.
    pub ssh_addr: SocketAddr,
    /// REST API.
    pub api_addr: SocketAddr,
    /// Where the REST API says that it is reached; none: each caller's own way.
    pub api_url: Option<BaseUrl>,
    /// Calls of an account in a minute.
    pub api_rate_limit: RateLimit,
    /// Health, readiness, metrics.
    pub admin_addr: SocketAddr,
    /// Authoritative DNS.
    pub dns_addr: SocketAddr,
    /// Addresses that DNS gives for this server. None: it is not known where it is reached.
    pub public_ips: Vec<IpAddr>,
    /// Addresses that belong to one connect URL each: only its agents arrive there, and DNS gives them for it.
    pub dedicated_ips: BTreeMap<HostName, Vec<IpAddr>>,
    /// How certificates are ordered for accounts' domains; none: they are not.
    pub acme: Option<AcmeConfig>,
    /// Ports for TCP endpoints.
    pub tcp_ports: RangeInclusive<u16>,
    /// Host in the URLs of TCP endpoints.
    pub tcp_host: HostName,
    /// Region of this edge.
    pub region: Region,
    /// Serving threads.
    pub shards: usize,
    /// How long running streams may take when the server stops.
    pub drain_grace: Duration,
    /// Who may use names outside the base domain.
    pub domain_policy: DomainPolicy,
    /// Limits of the edge.
    pub limits: Limits,
}

/// Settings that do not fit together.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A shard count of zero.
    #[error("shards must be at least 1")]
    NoShards,
    /// The database's URL is none. The text does not repeat it.
    #[error(transparent)]
    Database(#[from] DatabaseUrlError),
    /// A directory that is none.
    #[error(
        "acme.directory is `{directory}`: give letsencrypt, letsencrypt-staging or a URL that begins with https://"
    )]
    AcmeDirectory {
        /// What was given.
        directory: String,
    },
    /// Authorities for the directory that cannot be read.
    #[error("acme.roots: {path} cannot be read: {source}", path = path.display())]
    AcmeRoots {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Half of an account elsewhere.
    #[error("acme.eab_key_id and acme.eab_key belong together; only one of them is given")]
    AcmeExternal,
    /// An address of a connect URL's own that is not its own, or where nobody listens.
    #[error("dedicated_ips: {ip} is given for {connect_url}, but {why}")]
    DedicatedIp {
        /// The address.
        ip: IpAddr,
        /// The connect URL.
        connect_url: HostName,
        /// What does not fit.
        why: &'static str,
    },
    /// Two listeners on one address.
    #[error("{first} and {second} are both {address}; give each an address of its own")]
    SameAddress {
        /// Setting that has the address.
        first: &'static str,
        /// Setting that has it too.
        second: &'static str,
        /// The address.
        address: SocketAddr,
    },
}

impl ServerConfig {
    /// Fills in the defaults and checks that the settings fit together.
    ///
    /// # Errors
    /// [`ConfigError`] names the settings that do not fit.
    pub fn resolve(settings: Settings) -> Result<Self, ConfigError> {
        let loopback = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let domain = settings.domain.unwrap_or_else(|| "portway.localhost".parse().expect("a valid constant"));
        let https_addr = settings.https_addr.unwrap_or(loopback(8443));
        let own_ip = Some(https_addr.ip()).filter(|ip| !ip.is_unspecified());
        let config = Self {
            data_dir: settings.data_dir.unwrap_or_else(|| PathBuf::from(".portway")),
            database_url: settings.database_url,
            https_addr,
            http_addr: settings.http_addr.unwrap_or(loopback(8080)),
            ssh_addr: settings.ssh_addr.unwrap_or(loopback(8022)),
            api_addr: settings.api_addr.unwrap_or(loopback(4400)),
            api_url: settings.api_url,
            api_rate_limit: NonZeroU32::new(settings.api_rate_limit.unwrap_or(120)),
            admin_addr: settings.admin_addr.unwrap_or(loopback(4401)),
            dns_addr: settings.dns_addr.unwrap_or(loopback(8053)),
            public_ips: settings.public_ips.unwrap_or_else(|| own_ip.into_iter().collect()),
            dedicated_ips: settings.dedicated_ips,
            acme: settings.acme.resolve(settings.dns_resolver)?,
            tcp_ports: settings.tcp_ports.map_or(20000..=20999, |range| range.0),
            tcp_host: settings.tcp_host.unwrap_or_else(|| domain.clone()),
            region: settings.region.unwrap_or_else(|| "local".parse().expect("a valid constant")),
            shards: settings.shards.map_or_else(default_shards, usize::from),
            drain_grace: settings.drain_grace.map_or(Duration::from_secs(30), |span| span.0),
            domain_policy: settings.domain_policy.unwrap_or(DomainPolicy::BaseDomainOnly),
            limits: settings.limits.over(Limits::default()),
            domain,
        };
        config.check()?;
        Ok(config)
    }

    /// The name agents dial when no other is configured.
    pub fn connect_host(&self) -> HostName {
        HostName::join("connect", &self.domain).expect("a short label below a valid name")
    }

    /// Names of the settings in which `other` differs.
    pub(crate) fn differences(&self, other: &Self) -> Vec<&'static str> {
        let limits = |config: &Self| format!("{:?}", config.limits);
        let acme = |config: &Self| format!("{:?}", config.acme);
        [
            ("data_dir", self.data_dir == other.data_dir),
            ("database_url", self.database_url == other.database_url),
            ("domain", self.domain == other.domain),
            ("https_addr", self.https_addr == other.https_addr),
            ("http_addr", self.http_addr == other.http_addr),
            ("ssh_addr", self.ssh_addr == other.ssh_addr),
            ("api_addr", self.api_addr == other.api_addr),
            ("api_url", self.api_url == other.api_url),
            ("api_rate_limit", self.api_rate_limit == other.api_rate_limit),
            ("admin_addr", self.admin_addr == other.admin_addr),
            ("dns_addr", self.dns_addr == other.dns_addr),
            ("public_ips", self.public_ips == other.public_ips),
            ("dedicated_ips", self.dedicated_ips == other.dedicated_ips),
            ("acme, dns_resolver", acme(self) == acme(other)),
            ("tcp_ports", self.tcp_ports == other.tcp_ports),
            ("tcp_host", self.tcp_host == other.tcp_host),
            ("region", self.region == other.region),
            ("shards", self.shards == other.shards),
            ("drain_grace", self.drain_grace == other.drain_grace),
            ("domain_policy", self.domain_policy == other.domain_policy),
            ("limits", limits(self) == limits(other)),
        ]
        .into_iter()
        .filter_map(|(name, same)| (!same).then_some(name))
        .collect()
    }

    /// IP addresses that the connect certificate covers: those of a loopback listener, where names need not resolve.
    pub(crate) fn connect_ips(&self) -> Vec<IpAddr> {
        let ip = self.https_addr.ip();
        match ip {
            _ if ip.is_loopback() || ip.is_unspecified() => {
                vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
            }
            _ => vec![ip],
        }
    }

    fn check_dedicated_ips(&self) -> Result<(), ConfigError> {
        let mut given = BTreeSet::new();
        for (connect_url, ip) in self.dedicated_ips.iter().flat_map(|(url, ips)| ips.iter().map(move |ip| (url, *ip))) {
            let why = match ip {
                _ if !self.https_addr.ip().is_unspecified() => {
                    "https_addr has one address only; let it be 0.0.0.0 or [::], and say public_ips"
                }
                _ if self.public_ips.contains(&ip) => "public_ips has it for everybody; leave it out there",
                _ if !given.insert(ip.to_canonical()) => "another connect URL has it, too",
                _ => continue,
            };
            return Err(ConfigError::DedicatedIp { ip, connect_url: connect_url.clone(), why });
        }
        Ok(())
    }

    fn check(&self) -> Result<(), ConfigError> {
        if self.shards == 0 {
            return Err(ConfigError::NoShards);
        }
        self.database_url.as_ref().map(DatabaseUrl::check).transpose()?;
        self.check_dedicated_ips()?;
        let tcp = [
            ("https_addr", self.https_addr),
            ("http_addr", self.http_addr),
            ("api_addr", self.api_addr),
            ("admin_addr", self.admin_addr),
            ("dns_addr", self.dns_addr),
            ("ssh_addr", self.ssh_addr),
        ];
        for (index, (first, address)) in tcp.iter().enumerate() {
            let same = tcp.iter().skip(index + 1).find(|(_, other)| other == address && other.port() != 0);
            if let Some((second, _)) = same {
                return Err(ConfigError::SameAddress { first, second, address: *address });
            }
        }
        Ok(())
    }
}

impl LimitSettings {
    fn over(&self, mut limits: Limits) -> Limits {
        fn set<T: Copy>(target: &mut T, value: Option<T>) {
            *target = value.unwrap_or(*target);
        }
        set(&mut limits.connections_per_address, self.connections_per_address);
        set(&mut limits.connections, self.connections);
        set(&mut limits.handshakes_per_address, self.handshakes_per_address);
        set(&mut limits.handshakes_per_second, self.handshakes_per_second);
        set(&mut limits.sessions_per_account, self.sessions_per_account);
        set(&mut limits.endpoints_per_session, self.endpoints_per_session);
        set(&mut limits.streams_per_address_percent, self.streams_per_address_percent);
        set(&mut limits.binds_per_minute, self.binds_per_minute);
        set(&mut limits.http_head_bytes, self.http_head_bytes);
        set(&mut limits.http_header_count, self.http_header_count);
        set(&mut limits.http2_streams, self.http2_streams);
        set(&mut limits.http_head_timeout, self.http_head_timeout.map(|span| span.0));
        set(&mut limits.http_idle_timeout, self.http_idle_timeout.map(|span| span.0));
        set(&mut limits.http_body_idle_timeout, self.http_body_idle_timeout.map(|span| Some(span.0)));
        set(&mut limits.pipe_idle_timeout, self.pipe_idle_timeout.map(|span| Some(span.0)));
        set(&mut limits.loopback_exempt, self.loopback_exempt);
        limits
    }
}

/// A shard is busy with encryption and system calls; the other half of the processors is for agents, the kernel and the control plane.
fn default_shards() -> usize {
    std::thread::available_parallelism().map_or(1, |n| (n.get() / 2).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_the_documented_ones() {
        let config = ServerConfig::resolve(Settings::default()).unwrap();
        assert_eq!(config.https_addr.to_string(), "127.0.0.1:8443");
        assert_eq!(config.connect_host().as_str(), "connect.portway.localhost");
        assert_eq!(config.connect_ips().len(), 2);
    }

    #[test]
    fn one_address_for_two_listeners_is_refused_by_name() {
        let settings = Settings {
            https_addr: Some("127.0.0.1:9000".parse().unwrap()),
            api_addr: Some("127.0.0.1:9000".parse().unwrap()),
            ..Settings::default()
        };
        let text = ServerConfig::resolve(settings).unwrap_err().to_string();
        assert!(text.starts_with("https_addr and api_addr are both 127.0.0.1:9000"), "{text}");
    }

    #[test]
    fn a_wrong_database_url_is_refused_and_not_repeated() {
        for url in ["sqlite:secret", "postgres://me:secret@host:port/name", "postgres://host/name?pass=secret"] {
            let settings = Settings { database_url: Some(url.into()), ..Settings::default() };
            assert!(!format!("{settings:?}").contains("secret"));
            let text = ServerConfig::resolve(settings).unwrap_err().to_string();
            assert!(text.contains("database_url") && !text.contains("secret"), "{text}");
        }
    }

    #[test]
    fn port_zero_may_repeat() {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let settings = Settings { https_addr: Some(any), http_addr: Some(any), ..Settings::default() };
        assert!(ServerConfig::resolve(settings).is_ok());
    }

    #[test]
    fn an_address_of_a_connect_urls_own_is_nobody_elses() {
        let resolve = |file: &str| {
            let settings: Settings = toml::from_str(file).map_err(|error| error.to_string())?;
            ServerConfig::resolve(settings).map_err(|error| error.to_string())
        };
        let all = "https_addr = \"0.0.0.0:443\"\npublic_ips = [\"192.0.2.7\"]\n[dedicated_ips]\n";
        let config = resolve(&format!("{all}\"connect.a.com\" = [\"192.0.2.8\", \"2001:db8::8\"]\n")).unwrap();
        assert_eq!(config.dedicated_ips[&"connect.a.com".parse::<HostName>().unwrap()].len(), 2);
        for (file, why) in [
            (
                format!("{all}\"a.com\" = [\"192.0.2.8\"]\n\"b.com\" = [\"192.0.2.8\"]\n"),
                "another connect URL has it, too",
            ),
            (format!("{all}\"a.com\" = [\"192.0.2.7\"]\n"), "public_ips has it"),
            (format!("{all}\"a..com\" = [\"192.0.2.8\"]\n"), "empty label"),
            ("[dedicated_ips]\n\"a.com\" = [\"192.0.2.8\"]\n".to_owned(), "https_addr has one address only"),
        ] {
            let error = resolve(&file).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}
