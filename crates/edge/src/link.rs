//! What leads to an agent: a session of streams, or an SSH connection.

use std::net::SocketAddr;

use portway_mux::{CloseReason, Session};
use portway_ssh::SshSession;

/// One agent's connection.
#[derive(Debug, Clone)]
pub(crate) enum AgentLink {
    Mux(Session),
    Ssh(SshSession),
}

impl AgentLink {
    /// What carries it: "tcp", "quic" or "ssh".
    pub(crate) fn carrier(&self) -> &'static str {
        match self {
            AgentLink::Mux(session) => session.carrier().as_str(),
            AgentLink::Ssh(_) => "ssh",
        }
    }

    /// Waits until it is over.
    pub(crate) async fn closed(&self) -> CloseReason {
        match self {
            AgentLink::Mux(session) => session.closed().await,
            AgentLink::Ssh(session) => session.closed().await,
        }
    }

    /// Why it is over; none while it lives.
    pub(crate) fn close_reason(&self) -> Option<CloseReason> {
        match self {
            AgentLink::Mux(session) => session.close_reason(),
            AgentLink::Ssh(session) => session.close_reason(),
        }
    }

    /// Closes at once.
    pub(crate) fn abort(&self) {
        match self {
            AgentLink::Mux(session) => session.abort(),
            AgentLink::Ssh(session) => session.abort(),
        }
    }

    /// The agent's address.
    pub(crate) fn peer_addr(&self) -> SocketAddr {
        match self {
            AgentLink::Mux(session) => session.peer_addr(),
            AgentLink::Ssh(session) => session.peer_addr(),
        }
    }

    /// Whether only what a session always has is open.
    pub(crate) fn is_idle(&self) -> bool {
        match self {
            // The control stream of a native agent.
            AgentLink::Mux(session) => session.open_streams() <= 1,
            AgentLink::Ssh(session) => session.open_streams() == 0,
        }
    }
}
