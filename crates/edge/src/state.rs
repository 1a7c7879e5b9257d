//! What every shard of an edge sees.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::config::{EdgeConfig, Limits};
use crate::metrics::Metrics;
use crate::route::Routes;

/// State of one edge, behind one `Arc` on every shard.
#[derive(Debug)]
pub(crate) struct EdgeShared {
    pub(crate) config: EdgeConfig,
    pub(crate) routes: Routes,
    pub(crate) metrics: Metrics,
    /// Cancelled when the edge begins to drain: nothing new is accepted; HTTP connections end after the response under way.
    pub(crate) draining: CancellationToken,
    /// Cancelled when the grace is over: everything ends at once.
    pub(crate) stopped: CancellationToken,
}

impl EdgeShared {
    /// The limits of this edge.
    pub(crate) fn limits(&self) -> &Limits {
        &self.config.limits
    }
}
