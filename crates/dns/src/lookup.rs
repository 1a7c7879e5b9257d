//! Questions to other servers: whether the records that somebody was to make are there.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::rr::{RData, RecordType};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;

/// Longest wait for one server.
const PATIENCE: Duration = Duration::from_secs(3);

/// Kinds of records that are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An IPv4 address.
    A,
    /// An IPv6 address.
    Aaaa,
    /// Another name of the same host.
    Cname,
    /// A name server.
    Ns,
    /// Who may issue certificates.
    Caa,
}

impl Kind {
    /// As it is written in zone files.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::A => "A",
            Kind::Aaaa => "AAAA",
            Kind::Cname => "CNAME",
            Kind::Ns => "NS",
            Kind::Caa => "CAA",
        }
    }
}

/// Asks a resolver. Nothing is remembered: an answer is one from now.
#[derive(Clone, Debug)]
pub struct Resolver(TokioResolver);

/// Why there is no answer; that there are no records is one.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// The system's list of resolvers cannot be used.
    #[error("the system's resolvers cannot be used: {0}")]
    System(#[source] NetError),
    /// No server answered, or none could.
    #[error("{name} cannot be looked up: {source}")]
    Failed {
        /// What was asked for.
        name: String,
        /// What the servers said.
        source: NetError,
    },
}

impl Resolver {
    /// Those of the system: `/etc/resolv.conf`.
    ///
    /// # Errors
    /// [`LookupError::System`].
    pub fn system() -> Result<Resolver, LookupError> {
        let builder = TokioResolver::builder_tokio().map_err(LookupError::System)?;
        Self::build(builder.with_options(Default::default()))
    }

    /// One at this address.
    ///
    /// # Errors
    /// [`LookupError::System`].
    pub fn at(address: SocketAddr) -> Result<Resolver, LookupError> {
        let mut connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
        connections.iter_mut().for_each(|connection| connection.port = address.port());
        let server = NameServerConfig::new(address.ip(), true, connections.to_vec());
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        Self::build(TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()))
    }

    fn build(mut builder: hickory_resolver::ResolverBuilder<TokioRuntimeProvider>) -> Result<Resolver, LookupError> {
        let options = builder.options_mut();
        (options.cache_size, options.timeout, options.attempts) = (0, PATIENCE, 2);
        options.use_hosts_file = ResolveHosts::Never;
        builder.build().map(Resolver).map_err(LookupError::System)
    }

    /// The records of this kind at a name, as texts in canonical form and in order; none when there are none, or no such name.
    ///
    /// # Errors
    /// [`LookupError::Failed`].
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn records(&self, name: &str, kind: Kind) -> Result<Vec<String>, LookupError> {
        let wanted = match kind {
            Kind::A => RecordType::A,
            Kind::Aaaa => RecordType::AAAA,
            Kind::Cname => RecordType::CNAME,
            Kind::Ns => RecordType::NS,
            Kind::Caa => RecordType::CAA,
        };
        // With the dot no domain of the system's list is tried behind it.
        let found = match self.0.lookup(format!("{}.", name.trim_end_matches('.')), wanted).await {
            Ok(found) => found,
            Err(error) if error.is_no_records_found() => return Ok(Vec::new()),
            Err(source) => return Err(LookupError::Failed { name: name.to_owned(), source }),
        };
        let values =
            found.answers().iter().filter(|record| record.record_type() == wanted).map(|record| text(&record.data));
        let mut values: Vec<String> = values.collect();
        values.sort_unstable();
        values.dedup();
        Ok(values)
    }
}

/// A value as it is compared: names in lower case and without the last dot, of CAA records the tag and the value.
fn text(data: &RData) -> String {
    let text = match data {
        RData::CAA(caa) => format!("{} {}", caa.tag, String::from_utf8_lossy(&caa.value)),
        data => data.to_string().trim_end_matches('.').to_owned(),
    };
    text.to_ascii_lowercase()
}
