//! What an edge gets when it watches: the snapshot in parts, then deltas, each read from the store when the edge is ready for it.
//!
//! Nothing is queued for a slow watcher: the outbox is the queue, and a watcher that falls behind its floor gets a snapshot again.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::Stream;
use futures_util::stream::unfold;
use portway_bus::Subscription;
use portway_names::EdgeId;
use portway_proto::control::v1::update::Change;
use portway_proto::control::v1::{Delta, Resource, SnapshotPart, Update};
use portway_store::{Changes, Record, Store, StoreError};
use prost::Message;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::kept::principals::edge_id;
use crate::policy::NamePolicy;
use crate::presence::Present;
use crate::resource::resource;
use crate::seal::MasterKey;

/// Bytes of resources in one message; a single resource may be larger. A quarter of what the link accepts.
const PART: usize = 1 << 20;
/// Changes read from the outbox at once.
const CHANGES: u32 = 512;

/// An edge that watches.
pub(crate) struct Watcher {
    pub(crate) store: Store,
    pub(crate) master: Arc<MasterKey>,
    pub(crate) names: Arc<NamePolicy>,
    pub(crate) subscription: Subscription,
    /// As the edge says; empty for none.
    pub(crate) epoch: String,
    /// The state the edge has when it has applied `ready`.
    pub(crate) version: u64,
    /// Keeps the edge's leases alive as long as it watches.
    pub(crate) present: Present,
    /// Ends the watch.
    pub(crate) closing: CancellationToken,
}

struct State {
    watcher: Watcher,
    ready: VecDeque<Update>,
}

impl Watcher {
    /// The updates, for ever. Dropping the stream ends the watch.
    pub(crate) fn updates(self) -> impl Stream<Item = Result<Update, Status>> + Send {
        unfold(Some(State { watcher: self, ready: VecDeque::new() }), |state| async {
            let mut state = state?;
            loop {
                if let Some(update) = state.ready.pop_front() {
                    return Some((Ok(update), Some(state)));
                }
                let closing = state.watcher.closing.clone();
                match closing.run_until_cancelled(state.watcher.next()).await {
                    Some(Ok(updates)) => state.ready = updates,
                    // A clean end is the sign that it stops on purpose.
                    None => return None,
                    Some(Err(error)) => {
                        tracing::error!(%error, edge = %state.watcher.edge(), "an edge's watch failed");
                        return Some((Err(Status::unavailable("the control plane cannot read its database")), None));
                    }
                }
            }
        })
    }

    fn edge(&self) -> &EdgeId {
        self.present.edge()
    }

    /// Waits for something new and reads it.
    async fn next(&mut self) -> Result<VecDeque<Update>, StoreError> {
        loop {
            match self.store.changes_since(&self.epoch, self.version, CHANGES).await? {
                Changes::Unknown => return self.snapshot().await,
                Changes::Known { version, .. } if version == self.version => {
                    if self.subscription.above(self.version).await.is_none() {
                        // The topic is gone with the control plane; `closing` says so, too.
                        std::future::pending::<()>().await;
                    }
                }
                Changes::Known { version, changed, removed } => {
                    return Ok(self.deltas(version, changed, removed));
                }
            }
        }
    }

    async fn snapshot(&mut self) -> Result<VecDeque<Update>, StoreError> {
        let snapshot = self.store.snapshot().await?;
        tracing::debug!(edge = %self.edge(), version = snapshot.version, resources = snapshot.records.len(), "snapshot for an edge");
        self.epoch = snapshot.epoch;
        self.version = snapshot.version;
        let parts = parts(self.resources(snapshot.records));
        let count = parts.len();
        let update = |(at, resources)| {
            self.update(self.version, Change::Snapshot(SnapshotPart { resources, last: at + 1 == count }))
        };
        Ok(parts.into_iter().enumerate().map(update).collect())
    }

    /// Deltas up to `version`. Only the last of them names it: an edge that breaks off before gets all of them again.
    fn deltas(&mut self, version: u64, changed: Vec<Record>, removed: Vec<String>) -> VecDeque<Update> {
        let before = self.version;
        let mut deltas: Vec<Delta> =
            parts(self.resources(changed)).into_iter().map(|changed| Delta { changed, removed: Vec::new() }).collect();
        if let Some(last) = deltas.last_mut() {
            last.removed = removed.iter().map(|id| edge_id(id)).collect();
        }
        let count = deltas.len();
        self.version = version;
        let reached = |at: usize| if at + 1 == count { version } else { before };
        deltas.into_iter().enumerate().map(|(at, delta)| self.update(reached(at), Change::Delta(delta))).collect()
    }

    fn update(&self, version: u64, change: Change) -> Update {
        Update { epoch: self.epoch.clone(), version, change: Some(change) }
    }

    /// As messages. What cannot be read (a key sealed with another master key) is left out and said, so that it takes nothing else along.
    fn resources(&self, records: Vec<Record>) -> impl Iterator<Item = Resource> {
        records.into_iter().filter_map(|record| match resource(&self.master, &self.names, record) {
            Ok(resource) => resource,
            Err((id, error)) => {
                tracing::error!(%id, %error, "a resource is kept from the edges");
                None
            }
        })
    }
}

/// Cuts a list into pieces of about [`PART`] bytes; at least one, which may be empty.
fn parts(resources: impl Iterator<Item = Resource>) -> Vec<Vec<Resource>> {
    let mut parts = vec![Vec::new()];
    let mut size = 0;
    for resource in resources {
        let len = resource.encoded_len();
        if size > 0 && size + len > PART {
            parts.push(Vec::new());
            size = 0;
        }
        size += len;
        if let Some(part) = parts.last_mut() {
            part.push(resource);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use portway_proto::control::v1::resource::Body;
    use portway_proto::control::v1::{Certificate, Resource};
    use prost::Message;

    use super::{PART, parts};

    fn of(size: usize) -> Resource {
        let private_key = vec![0; size].into();
        let body = Body::Certificate(Certificate { private_key, ..Certificate::default() });
        Resource { id: "cert".to_owned(), body: Some(body) }
    }

    #[test]
    fn nothing_is_one_empty_part() {
        assert_eq!(parts(std::iter::empty()), [vec![]]);
    }

    #[test]
    fn parts_keep_the_limit_and_the_order() {
        let sizes = [PART / 2, PART / 3, PART / 2, 3 * PART, 10, 10, PART - 200];
        let parts = parts(sizes.iter().map(|size| of(*size)));
        let lens: Vec<usize> = parts.iter().map(Vec::len).collect();
        assert_eq!(lens, [2, 1, 1, 3]);
        for part in &parts {
            let size: usize = part.iter().map(Message::encoded_len).sum();
            assert!(part.len() == 1 || size <= PART);
        }
        assert_eq!(parts.concat().len(), sizes.len());
    }
}
