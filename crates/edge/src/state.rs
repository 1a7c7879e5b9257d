//! What every shard of an edge sees.

use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use portway_mux::QuicSocket;
use portway_names::EdgeId;
use rustls::ServerConfig;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admission::Admission;
use crate::config::{EdgeConfig, Limits};
use crate::control_link::ControlLink;
use crate::endpoint::Endpoint;
use crate::leases::Leases;
use crate::metrics::{Kind, KindLabel, Metrics};
use crate::online::Roster;
use crate::paced::Paced;
use crate::ports::Ports;
use crate::recent::Recent;
use crate::replica::Replica;
use crate::restriction::Warned;
use crate::route::Routes;
use crate::sessions::Sessions;
use crate::ssh::Logins;
use crate::status::{RecentConnection, RecentRequest};

/// State of one edge, behind one `Arc` on every shard.
#[derive(Debug)]
pub(crate) struct EdgeShared {
    pub(crate) started: Instant,
    pub(crate) config: EdgeConfig,
    pub(crate) edge_id: EdgeId,
    pub(crate) routes: Routes,
    pub(crate) metrics: Metrics,
    pub(crate) admission: Arc<Admission>,
    pub(crate) replica: Replica,
    pub(crate) sessions: Arc<Sessions>,
    /// What is reported to the control plane.
    pub(crate) online: Arc<Roster>,
    pub(crate) ports: Ports,
    pub(crate) control: ControlLink,
    pub(crate) leases: Leases,
    pub(crate) tls: TlsConfigs,
    pub(crate) quic: QuicServing,
    pub(crate) recent: Recent<RecentConnection>,
    pub(crate) requests: Recent<RecentRequest>,
    pub(crate) ssh_logins: Logins,
    /// When a line about options of SDKs that nobody knows was logged last.
    pub(crate) unknown_options: Paced,
    pub(crate) restrictions_warned: Warned,
    /// Whether the watch on the control plane is open.
    pub(crate) control_connected: AtomicBool,
    /// The runtime of each shard.
    pub(crate) shards: Box<[Handle]>,
    /// Every task of the edge.
    pub(crate) tasks: TaskTracker,
    /// Connections of visitors, and those that are not known to be agents yet: what a drain waits for.
    pub(crate) visitors: TaskTracker,
    /// Somebody else serves on the same sockets: set before `draining`, or never.
    pub(crate) succeeded: AtomicBool,
    /// Cancelled when the edge begins to drain: nothing new is accepted; HTTP connections end after the response under way.
    pub(crate) draining: CancellationToken,
    /// Cancelled when the grace is over: everything ends at once.
    pub(crate) stopped: CancellationToken,
}

/// The QUIC sockets of an edge.
#[derive(Debug, Default)]
pub(crate) struct QuicServing {
    pub(crate) sockets: Mutex<Vec<QuicSocket>>,
    /// What accepts on them, until the last session is over.
    pub(crate) running: TaskTracker,
}

/// How TLS is answered.
#[derive(Debug)]
pub(crate) struct TlsConfigs {
    /// Visitors of https endpoints: h2, http/1.1 and http/1.0.
    pub(crate) https: Arc<ServerConfig>,
    /// Visitors of tls endpoints that end here: no ALPN, the upstream's protocol is not known.
    pub(crate) tls: Arc<ServerConfig>,
    /// Agents over TCP: portway/1, and http/1.1 for a browser that got lost.
    pub(crate) agents: Arc<ServerConfig>,
    /// Agents over QUIC.
    pub(crate) agents_quic: Arc<ServerConfig>,
}

impl EdgeShared {
    /// The limits of this edge.
    pub(crate) fn limits(&self) -> &Limits {
        &self.config.limits
    }

    /// Counts a connection, once it is known what it is.
    pub(crate) fn count_connection(&self, kind: Kind) {
        self.metrics.connections.get_or_create(&KindLabel { kind }).inc();
    }

    /// Notes that a visitor was let through to an endpoint: for the metrics and, while somebody looks, for the live view.
    pub(crate) fn visited(&self, endpoint: &Endpoint, client: SocketAddr) {
        self.metrics.streams_opened.inc();
        self.recent.note(|| RecentConnection { began: SystemTime::now(), client, url: endpoint.url.to_string() });
    }
}
