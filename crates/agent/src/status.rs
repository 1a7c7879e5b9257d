//! What an agent tells about itself: its session, its endpoints, and what happens on them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use portway_mux::Carrier;

use crate::metrics::Metrics;

/// State of the agent's session, as [`Agent::status`](crate::Agent::status) publishes it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Status {
    /// The first session is being made.
    Connecting,
    /// A session is up.
    Online(Arc<Online>),
    /// The session was lost; the next attempt is made after `retry_in`.
    Reconnecting {
        /// Why the last attempt or session failed.
        error: String,
        /// Time until the next attempt, counted from when this status was published.
        retry_in: Duration,
    },
    /// The agent was closed and does not come back.
    Closed,
}

/// A session that is up.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Online {
    /// Id of the session, `ts_` and a KSUID.
    pub session_id: String,
    /// Region of the edge.
    pub region: String,
    /// Version of the edge program.
    pub edge_version: String,
    /// Name of the account.
    pub account: String,
    /// Base domain of the installation.
    pub base_domain: String,
    /// What carries the session.
    pub carrier: Carrier,
    /// Address of the edge (or of the proxy).
    pub peer: SocketAddr,
    /// Counts the sessions of this agent from 1.
    pub generation: u64,
}

/// One endpoint of an agent.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EndpointStatus {
    /// Name given by the user, or empty.
    pub name: String,
    /// Public URL once it was assigned; kept over reconnects.
    pub url: Option<String>,
    /// What connections go to, for display.
    pub forwards_to: String,
    /// Whether the edge serves it now.
    pub state: EndpointState,
    /// Counters.
    pub metrics: Metrics,
}

/// Whether an endpoint is served.
#[derive(Debug, Clone, Eq, PartialEq)]
#[non_exhaustive]
pub enum EndpointState {
    /// Asked for, not answered yet.
    Pending,
    /// The edge serves it.
    Online,
    /// The edge refused it or took it away; it is asked for again later.
    Refused {
        /// What the edge said.
        error: String,
    },
}

/// Something that happened. A receiver that falls behind loses the oldest.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A visitor's connection arrived.
    ConnectionOpened {
        /// Public URL of the endpoint.
        url: Arc<str>,
        /// The visitor.
        client: SocketAddr,
    },
    /// A visitor's connection ended.
    ConnectionClosed {
        /// Public URL of the endpoint.
        url: Arc<str>,
        /// The visitor.
        client: SocketAddr,
        /// How long it lasted.
        duration: Duration,
    },
    /// A request was answered. Published only while [`AgentBuilder::watch_requests`](crate::AgentBuilder::watch_requests) is on, and
    /// read from the first line of request and response alone: for people to look at, not for accounting.
    Request {
        /// When the request began.
        at: SystemTime,
        /// Public URL of the endpoint.
        url: Arc<str>,
        /// Method, as sent.
        method: String,
        /// Request target, as sent, cut after 256 bytes. May hold anything a visitor can send.
        path: String,
        /// Status code of the answer.
        status: u16,
        /// Time from the request's first byte to the answer's first byte.
        duration: Duration,
    },
    /// An upstream could not be reached, or does not speak what its endpoint promises, so a visitor was turned away.
    UpstreamFailed {
        /// Public URL of the endpoint.
        url: Arc<str>,
        /// What failed.
        error: String,
    },
}
