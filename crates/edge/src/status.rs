//! What an operator can see of a running edge.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use crate::endpoint::Endpoint;

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
    /// The last connections of visitors, oldest first; see [`RECENT_MAX`].
    pub recent: Vec<RecentConnection>,
    /// The last HTTP requests that were answered, oldest first; see [`RECENT_MAX`].
    pub requests: Vec<RecentRequest>,
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
    /// Carrier of its session: "tcp", "quic" or "ssh".
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
            carrier: endpoint.session.carrier(),
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

/// One HTTP request that is over.
#[derive(Debug, Clone)]
pub struct RecentRequest {
    /// When its head was read.
    pub began: SystemTime,
    /// From then to the end of its response.
    pub took: Duration,
    /// Address of the visitor.
    pub client: SocketAddr,
    /// The host it asked for; empty when that was none. As the visitor sent it: untrusted.
    pub host: String,
    /// Its method.
    pub method: String,
    /// Its path, without the query, which may hold secrets; cut behind [`RECENT_PATH_MAX`] bytes. Untrusted.
    pub path: String,
    /// Status of the response; 0 when the visitor left before there was one.
    pub status: u16,
}

/// Entries that each feed of recent events remembers. Enough for a screen, 128 KiB at most.
pub const RECENT_MAX: usize = 256;

/// Bytes of a path that are remembered: more than a line of a screen.
pub const RECENT_PATH_MAX: usize = 256;
