//! An edge: started on its sockets, drained at the end.

use std::sync::Arc;

use portway_rpc::ControlClient;
use prometheus_client::registry::Registry;

use crate::config::EdgeConfig;
use crate::listeners::Listeners;
use crate::state::EdgeShared;
use crate::status::EdgeStatus;

/// A running edge.
#[derive(Debug)]
pub struct Edge {
    state: Arc<EdgeShared>,
}

/// Why an edge did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The operating system refused a socket, a thread or a runtime.
    #[error("the edge cannot {what}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Its answer.
        #[source]
        source: std::io::Error,
    },
    /// A value of the configuration makes no sense.
    #[error("edge configuration: {0}")]
    Config(&'static str),
}

impl Edge {
    /// Starts serving on `listeners`: shards, listeners, the replica of the control plane's state. Returns when the shards run;
    /// [`Edge::synced`] says when the replica is there.
    ///
    /// # Errors
    ///
    /// [`StartError`] when a thread or socket cannot be had, or the configuration makes no sense.
    pub async fn start(
        _config: EdgeConfig,
        _listeners: Listeners,
        _control: ControlClient,
        _metrics: &mut Registry,
    ) -> Result<Edge, StartError> {
        Err(StartError::Config("the edge is not written yet"))
    }

    /// Waits until the first snapshot of the control plane is applied.
    ///
    /// Cancel safety: safe; nothing is lost.
    pub async fn synced(&self) {}

    /// Stops accepting, sends every agent a GoAway, waits for streams at most `drain_grace`, closes the sessions and joins the shards.
    ///
    /// Cancel safety: dropped half-way, the shards are told to stop at once and are not waited for.
    pub async fn drain(self) {}

    /// Duplicates of the listening sockets, TCP endpoints' included, for a successor.
    ///
    /// # Errors
    ///
    /// When the process has no descriptors left.
    pub fn listeners(&self) -> std::io::Result<Listeners> {
        Ok(Listeners::default())
    }

    /// A picture of the edge now. Costs a walk over the endpoints; nothing is collected between calls except the last connections.
    pub fn status(&self) -> EdgeStatus {
        EdgeStatus { endpoints: Vec::with_capacity(self.state.routes.len()), ..EdgeStatus::default() }
    }
}
