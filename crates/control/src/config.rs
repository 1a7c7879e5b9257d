//! What the control plane is told at its start.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use portway_names::{HostName, Region};
use portway_store::DatabaseUrl;

use crate::issuance::AcmeConfig;

/// How long names stay with their agents after the edge that serves them was last heard of. Longer than an edge's restart and its
/// agents' first retries, shorter than a person waits for a name of a machine that burned down.
pub const DEFAULT_LEASE_TTL: Duration = Duration::from_secs(90);

/// Which names may be leased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DomainPolicy {
    /// Names below the base domain only; others are refused (`ERR_NGROK_319`).
    #[default]
    BaseDomainOnly,
    /// Any name that no other account holds. The operator's DNS decides which of them lead anywhere; the internal CA, however, certifies every
    /// one of them, and whoever trusts that CA trusts it for other people's names as well.
    AnyDomain,
}

/// What the control plane is told at its start.
#[derive(Debug, Clone)]
pub struct ControlConfig {
    /// Directory of the database, the master key and the CA certificate. Made (mode 0700) when it does not exist.
    pub data_dir: PathBuf,
    /// PostgreSQL database for the records instead of the file in the directory. Master key and CA certificate stay in the directory.
    pub database_url: Option<DatabaseUrl>,
    /// Domain below which free names are given out. The visitors' certificate names it and everything one label below.
    pub base_domain: HostName,
    /// Hosts that agents dial, besides addresses.
    pub connect_hosts: Vec<HostName>,
    /// The port at which they are dialled.
    pub connect_port: u16,
    /// Addresses that agents dial without a name; they stand in the connect certificate.
    pub connect_ips: Vec<IpAddr>,
    /// How long names wait for an edge that was lost.
    pub lease_ttl: Duration,
    /// Which names may be leased.
    pub domain_policy: DomainPolicy,
    /// Where the installation's TCP addresses are.
    pub region: Region,
    /// Host of the TCP addresses that may be reserved.
    pub tcp_host: HostName,
    /// Their ports.
    pub tcp_ports: RangeInclusive<u16>,
    /// How certificates are ordered for the names of accounts; none: they are not.
    pub acme: Option<AcmeConfig>,
}

impl ControlConfig {
    /// Defaults for a base domain: agents dial `connect.<base domain>`, names below the base domain may be leased.
    pub fn new(data_dir: impl Into<PathBuf>, base_domain: HostName) -> Self {
        // A base domain too long to carry the label has no default connect host; agents then dial an address.
        let tcp_host = base_domain.clone();
        let connect_hosts = HostName::join("connect", &base_domain).into_iter().collect();
        Self {
            data_dir: data_dir.into(),
            database_url: None,
            base_domain,
            connect_hosts,
            connect_port: 443,
            connect_ips: Vec::new(),
            lease_ttl: DEFAULT_LEASE_TTL,
            domain_policy: DomainPolicy::default(),
            region: "local".parse().expect("a valid constant"),
            tcp_host,
            tcp_ports: 20_000..=20_999,
            acme: None,
        }
    }
}
