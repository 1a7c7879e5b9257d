//! What an operator can see of a running edge.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use crate::route::Endpoint;

/// A picture of an edge at one moment.
#[derive(Debug, Clone, Default)]
pub struct EdgeStatus {
    /// Whether the first snapshot of the control plane was applied.
    pub synced: bool,
    /// Whether the control plane is being watched right now.
    pub control_connected: bool,
    /// Whether the edge is draining.
    pub draining: bool,
    /// Agent sessions.
    pub sessions: usize,
    /// Endpoints online.
    pub endpoints: Vec<EndpointStatus>,
    /// Connections open, of any kind.
    pub connections_open: usize,
    /// The last connections of visitors, oldest first; see [`RECENT_CONNECTIONS_MAX`](crate::RECENT_CONNECTIONS_MAX).
    pub recent: Vec<RecentConnection>,
}

/// One endpoint online.
#[derive(Debug, Clone)]
pub struct EndpointStatus {
    /// Its id.
    pub id: String,
    /// Its public URL.
    pub url: String,
    /// The account it belongs to.
    pub account_id: String,
    /// Carrier of its session: "tcp" or "quic".
    pub carrier: &'static str,
    /// Streams opened since it came online.
    pub streams: usize,
}

impl EndpointStatus {
    pub(crate) fn of(endpoint: &Endpoint) -> Self {
        EndpointStatus {
            id: endpoint.id.to_string(),
            url: endpoint.url.to_string(),
            account_id: endpoint.account.to_string(),
            carrier: endpoint.session.carrier().as_str(),
            streams: endpoint.counters.streams.load(Ordering::Relaxed),
        }
    }
}

/// One connection of a visitor that was served.
#[derive(Debug, Clone)]
pub struct RecentConnection {
    /// When it began.
    pub began: SystemTime,
    /// Address of the visitor.
    pub client: SocketAddr,
    /// Public URL of the endpoint.
    pub url: String,
}

/// Connections that the feed of recent connections remembers. Enough for a screen, 64 KiB at most.
pub const RECENT_CONNECTIONS_MAX: usize = 256;
