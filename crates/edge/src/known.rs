//! The names that the edge knows, for whoever answers for them: authoritative DNS.

use std::sync::Arc;

use portway_names::HostName;

use crate::state::EdgeShared;

/// The names of the installation and of its accounts, as the edge's replica has them now. Cheap to clone; questions never wait.
#[derive(Clone, Debug)]
pub struct KnownNames {
    edge: Arc<EdgeShared>,
}

impl KnownNames {
    pub(crate) fn new(edge: &Arc<EdgeShared>) -> Self {
        Self { edge: Arc::clone(edge) }
    }

    /// The base domain; none before the control plane was heard.
    pub fn base_domain(&self) -> Option<HostName> {
        self.edge.replica.base_domain()
    }

    /// Whether agents dial this host.
    pub fn is_connect_name(&self, host: &HostName) -> bool {
        self.edge.replica.connect_name(host).is_some()
    }

    /// Whether the host is a connect URL of an account's own: a zone that was delegated to the installation.
    pub fn is_connect_zone(&self, host: &HostName) -> bool {
        self.edge.replica.is_connect_zone(host)
    }

    /// Whether agents dial this host, and no public authority is asked for certificates for it.
    pub fn has_own_certificates(&self, host: &HostName) -> bool {
        self.edge.replica.has_own_certificates(host)
    }

    /// Whether the CNAME record of a reserved domain is to point to this host.
    pub fn is_cname_target(&self, host: &HostName) -> bool {
        self.edge.replica.is_cname_target(host)
    }

    /// The text of the challenge of a certificate authority that has this name.
    pub fn challenge(&self, name: &HostName) -> Option<String> {
        self.edge.replica.dns_proof(name)
    }

    /// The version of what is known: it grows with every change.
    pub fn version(&self) -> u64 {
        u64::try_from(self.edge.metrics.replica_version.get()).unwrap_or_default()
    }
}
