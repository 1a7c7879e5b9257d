//! Follows the control plane: keeps the replica up to date and tells the sessions what changed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use portway_codes::Code;
use portway_proto::LeaseRecord;
use portway_proto::control::v1::update::Change as Step;
use portway_proto::control::v1::{Resource, Update, WatchRequest};
use rand::RngExt;
use tokio_stream::StreamExt;

use tokio::time::Instant;

use crate::bind::public_url;
use crate::replica::{Change, ResourceFault};
use crate::state::EdgeShared;

/// First wait before the watch is opened again; it doubles up to [`RETRY_MAX`].
const RETRY_FIRST: Duration = Duration::from_millis(50);
/// Longest wait before the watch is opened again: a change reaches an edge within seconds of the control plane's return.
const RETRY_MAX: Duration = Duration::from_secs(2);

/// How long after a watch was opened again its changes may be some that were missed: what the control plane has, it sends at once.
const CATCHING_UP: Duration = Duration::from_secs(5);

/// Watches until the edge stops. While it drains it goes on: the leases of the edge live as long as its watch.
pub(crate) async fn run(edge: Arc<EdgeShared>) {
    let stopped = edge.stopped.clone();
    let mut follower = Follower { edge, epoch: String::new(), version: 0, parts: Vec::new(), missed_until: None };
    let work = async {
        let mut wait = RETRY_FIRST;
        loop {
            if follower.watch().await {
                wait = RETRY_FIRST;
            }
            // Edges that lost the same control plane do not come back in step.
            let jittered = wait.mul_f64(rand::rng().random_range(0.5..1.0));
            tokio::time::sleep(jittered).await;
            wait = (wait * 2).min(RETRY_MAX);
        }
    };
    stopped.run_until_cancelled(work).await;
}

struct Follower {
    edge: Arc<EdgeShared>,
    /// The last update applied.
    epoch: String,
    version: u64,
    /// Parts of a snapshot that is not complete. As large as the control plane's state: it is trusted.
    parts: Vec<Resource>,
    /// Until then changes may have happened while the edge was away.
    missed_until: Option<Instant>,
}

impl Follower {
    /// One watch, until it ends. True when it brought something.
    async fn watch(&mut self) -> bool {
        let request =
            WatchRequest { edge_id: self.edge.edge_id.to_string(), epoch: self.epoch.clone(), version: self.version };
        let mut updates = match self.edge.control.client().watch(request).await {
            Ok(updates) => updates,
            Err(status) => {
                tracing::debug!(%status, "control plane cannot be watched");
                return false;
            }
        };
        self.connected();
        self.parts.clear();
        self.missed_until = (!self.epoch.is_empty()).then(|| Instant::now() + CATCHING_UP);
        let (mut progress, mut broke) = (false, false);
        while let Some(update) = updates.next().await {
            match update {
                Ok(update) => {
                    progress = true;
                    self.apply(update);
                }
                Err(status) => {
                    tracing::debug!(%status, "watch on the control plane broke");
                    broke = true;
                    break;
                }
            }
        }
        self.disconnected(broke);
        progress
    }

    fn connected(&self) {
        if !self.edge.control_connected.swap(true, Ordering::Relaxed) {
            self.edge.metrics.control_connected.set(1);
            tracing::info!("control plane connected");
        }
    }

    /// `broke`: the control plane did not end the watch itself, as it does when it stops or hands over.
    fn disconnected(&self, broke: bool) {
        if !self.edge.control_connected.swap(false, Ordering::Relaxed) {
            return;
        }
        self.edge.metrics.control_connected.set(0);
        if self.edge.draining.is_cancelled() || self.edge.stopped.is_cancelled() {
            return;
        }
        if broke {
            tracing::warn!("control plane lost; serving on from the replica");
        } else {
            tracing::info!("the control plane stops; serving on from the replica");
        }
    }

    fn apply(&mut self, update: Update) {
        let (changes, faults) = match update.change {
            Some(Step::Snapshot(part)) => {
                self.parts.extend(part.resources);
                if !part.last {
                    return;
                }
                let faults = self.edge.replica.replace(std::mem::take(&mut self.parts));
                (vec![Change::Replaced], faults)
            }
            Some(Step::Delta(delta)) => self.edge.replica.change(delta),
            None => (Vec::new(), Vec::new()),
        };
        self.epoch = update.epoch;
        self.version = update.version;
        self.edge.metrics.replica_version.set(i64::try_from(self.version).unwrap_or(i64::MAX));
        log_faults(&faults);
        let revoked = Code::ERR_NGROK_300.plain();
        for change in &changes {
            self.edge.sessions.apply(change, &revoked);
            match change {
                Change::LeaseChanged(lease) => self.lease_changed(lease),
                Change::LeaseRemoved(lease) => self.lease_removed(lease),
                _ => {}
            }
        }
    }

    /// A name that went to another edge or agent is no longer served here, even if the old holder does not know yet.
    fn lease_changed(&self, lease: &LeaseRecord) {
        for endpoint in self.edge.routes.all_of_name(&lease.url) {
            let same_holder = endpoint.account == lease.account && endpoint.holder.lessee == lease.agent;
            if endpoint.url != lease.url || endpoint.holder.fence >= lease.fence || same_holder {
                continue;
            }
            if let Some(session) = self.edge.sessions.get(endpoint.holder.session_id) {
                let url = public_url(&self.edge, &endpoint.url);
                let text = Code::ERR_NGROK_334.with(format!("{url} was taken over by another agent."));
                session.order(|orders| orders.taken.push((endpoint.handle, Some(text))));
            }
        }
    }

    /// A name that was taken back is no longer served. A lease that went while the edge was away may only have run out: the sessions ask
    /// for it again.
    fn lease_removed(&self, lease: &LeaseRecord) {
        let missed = self.missed_until.is_some_and(|until| Instant::now() < until);
        for endpoint in self.edge.routes.all_of_name(&lease.url) {
            let Some(session) = self.edge.sessions.get(endpoint.holder.session_id) else { continue };
            session.order(|orders| {
                if missed {
                    orders.recheck = true;
                } else if !orders.lost.contains(&lease.id) {
                    orders.lost.push(lease.id);
                }
            });
        }
    }
}

fn log_faults(faults: &[ResourceFault]) {
    for fault in faults {
        tracing::error!(error = %fault, "a resource of the control plane is left out");
    }
}
