//! Services of the installation itself that are reached through the edge by a name of their own: the REST interface.
//!
//! The edge ends the TLS and hands the connection on; what is spoken on it is not the edge's matter.

use std::fmt;
use std::net::SocketAddr;

use portway_names::HostName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::admission::ConnectionPermit;

/// A service that is reached by a name.
#[derive(Debug, Clone)]
pub struct OwnService {
    /// The name, exactly.
    pub host: HostName,
    /// Takes the connections. While it is full they wait, each with its place among the edge's connections.
    pub visitors: mpsc::Sender<OwnVisitor>,
}

/// A visitor of such a service.
pub struct OwnVisitor {
    /// What was inside the TLS.
    pub stream: Box<dyn OwnStream>,
    /// Who it is.
    pub peer: SocketAddr,
    /// Keeps its place among the connections of the edge, and among those that a drain waits for, for as long as it is there.
    pub held: Held,
}

/// The place of a connection.
#[derive(Debug)]
pub struct Held {
    pub(crate) _permit: ConnectionPermit,
    pub(crate) _counted: TaskTrackerToken,
}

/// A byte stream.
pub trait OwnStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> OwnStream for T {}

impl fmt::Debug for OwnVisitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnVisitor").field("peer", &self.peer).finish_non_exhaustive()
    }
}
