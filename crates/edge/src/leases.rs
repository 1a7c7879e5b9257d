//! Leases on their way back to the control plane.
//!
//! The lease of a lost session is kept for a grace time, so that its agent finds it again without asking anybody; the lease of an
//! endpoint that was closed on purpose goes back at once.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use portway_names::LeaseId;
use portway_proto::LeaseRecord;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::state::EdgeShared;

/// Leases in one Release: about 20 KiB.
const BATCH: usize = 512;
/// How often due leases are looked for while some wait. Nobody waits for a release to happen sooner.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Wait before a release that failed is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Leases that nobody serves any more. At most as many as the replica has leases.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    pending: Mutex<Pending>,
    added: Notify,
}

#[derive(Debug, Default)]
struct Pending {
    waiting: HashMap<LeaseId, (Arc<LeaseRecord>, Instant)>,
    /// Named in a Release that is under way.
    releasing: HashSet<LeaseId>,
}

impl Leases {
    /// Gives a lease back after `grace`, unless it is kept before.
    pub(crate) fn give_back(&self, lease: Arc<LeaseRecord>, grace: Duration) {
        self.pending().waiting.insert(lease.id, (lease, Instant::now() + grace));
        self.added.notify_one();
    }

    /// Keeps a lease that may be waiting to be given back. False: it is too late, the name must be claimed again.
    pub(crate) fn keep(&self, id: LeaseId) -> bool {
        let mut pending = self.pending();
        pending.waiting.remove(&id);
        !pending.releasing.contains(&id)
    }

    /// Gives due leases back until the edge drains.
    pub(crate) async fn run(edge: Arc<EdgeShared>) {
        let leases = &edge.leases;
        let draining = edge.draining.clone();
        let work = async {
            loop {
                leases.added.notified().await;
                while !leases.pending().waiting.is_empty() {
                    leases.release_due(&edge).await;
                    tokio::time::sleep(LOOK_EVERY).await;
                }
            }
        };
        draining.run_until_cancelled(work).await;
    }

    async fn release_due(&self, edge: &EdgeShared) {
        let due = self.take_due(edge);
        for batch in due.chunks(BATCH) {
            let named: Vec<_> = batch.iter().map(|lease| (lease.id, lease.fence)).collect();
            let outcome = edge.control.release(&named).await;
            let mut pending = self.pending();
            for lease in batch {
                pending.releasing.remove(&lease.id);
                if outcome.is_err() {
                    pending.waiting.insert(lease.id, (Arc::clone(lease), Instant::now() + RETRY));
                }
            }
            drop(pending);
            if let Err(status) = outcome {
                tracing::debug!(%status, leases = batch.len(), "leases could not be given back yet");
            }
        }
    }

    fn take_due(&self, edge: &EdgeShared) -> Vec<Arc<LeaseRecord>> {
        let now = Instant::now();
        let mut pending = self.pending();
        let due: Vec<_> =
            pending.waiting.values().filter(|(_, due)| *due <= now).map(|(lease, _)| Arc::clone(lease)).collect();
        for lease in &due {
            pending.waiting.remove(&lease.id);
        }
        // A name that came back online by another way keeps its lease.
        let in_use = |lease: &LeaseRecord| {
            edge.routes.same_name(&lease.url).is_some_and(|endpoint| endpoint.holder.fence == lease.fence)
        };
        let due: Vec<_> = due.into_iter().filter(|lease| !in_use(lease)).collect();
        pending.releasing.extend(due.iter().map(|lease| lease.id));
        due
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
