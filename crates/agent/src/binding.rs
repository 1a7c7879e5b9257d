//! An endpoint as the agent's tasks share it, and the table from the edge's handles to endpoints.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use crate::endpoint::BindSpec;
use crate::listener::Connection;
use crate::metrics::Counters;
use crate::status::{EndpointState, EndpointStatus};
use crate::upstream::Upstream;

/// A visitor's stream can overtake the answer to the bind it belongs to; it waits this long for it.
const BOUND_PATIENCE: Duration = Duration::from_secs(5);

/// Where connections go.
#[derive(Debug)]
pub(crate) enum Target {
    Forward(Box<Upstream>),
    Listen(mpsc::Sender<Connection>),
}

/// One endpoint, for the whole life of the agent.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) key: u64,
    pub(crate) spec: BindSpec,
    pub(crate) target: Target,
    pub(crate) counters: Counters,
    pub(crate) failure_log: OncePerSecond,
    state: Mutex<Registration>,
}

#[derive(Debug)]
struct Registration {
    url: Option<Arc<str>>,
    id: String,
    state: EndpointState,
}

impl Served {
    pub(crate) fn new(key: u64, spec: BindSpec, target: Target) -> Self {
        let state = Mutex::new(Registration { url: None, id: String::new(), state: EndpointState::Pending });
        Self { key, spec, target, counters: Counters::default(), failure_log: OncePerSecond::default(), state }
    }

    /// The public URL, once there is one.
    pub(crate) fn url(&self) -> Option<Arc<str>> {
        self.registration().url.clone()
    }

    pub(crate) fn id(&self) -> String {
        self.registration().id.clone()
    }

    /// The edge serves it.
    pub(crate) fn bound(&self, url: &str, id: String) {
        let mut registration = self.registration();
        if registration.url.as_deref() != Some(url) {
            registration.url = Some(url.into());
        }
        registration.id = id;
        registration.state = EndpointState::Online;
    }

    /// The edge does not serve it, for now.
    pub(crate) fn unbound(&self, state: EndpointState) {
        self.registration().state = state;
    }

    pub(crate) fn status(&self) -> EndpointStatus {
        let metrics = self.counters.read();
        let registration = self.registration();
        EndpointStatus {
            name: self.spec.options.name.clone(),
            url: registration.url.as_deref().map(str::to_owned),
            forwards_to: self.spec.forwards_to.clone(),
            state: registration.state.clone(),
            metrics,
        }
    }

    fn registration(&self) -> MutexGuard<'_, Registration> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The handles of one session.
#[derive(Debug)]
pub(crate) struct Handles {
    table: Mutex<HashMap<u32, Arc<Served>>>,
    changes: watch::Sender<u64>,
}

impl Default for Handles {
    fn default() -> Self {
        Self { table: Mutex::default(), changes: watch::Sender::new(0) }
    }
}

impl Handles {
    pub(crate) fn insert(&self, handle: u32, served: Arc<Served>) {
        self.table().insert(handle, served);
        self.changes.send_modify(|count| *count += 1);
    }

    pub(crate) fn remove(&self, handle: u32) -> Option<Arc<Served>> {
        self.table().remove(&handle)
    }

    /// The endpoint of a handle; waits a moment for a handle that is not known yet.
    pub(crate) async fn wait_for(&self, handle: u32) -> Option<Arc<Served>> {
        if let Some(served) = self.get(handle) {
            return Some(served);
        }
        let mut changes = self.changes.subscribe();
        let found = async {
            loop {
                if let Some(served) = self.get(handle) {
                    return Some(served);
                }
                changes.changed().await.ok()?;
            }
        };
        tokio::time::timeout(BOUND_PATIENCE, found).await.ok().flatten()
    }

    fn get(&self, handle: u32) -> Option<Arc<Served>> {
        self.table().get(&handle).cloned()
    }

    fn table(&self) -> MutexGuard<'_, HashMap<u32, Arc<Served>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets one log line a second through and counts the others.
#[derive(Debug, Default)]
pub(crate) struct OncePerSecond {
    last: Mutex<Option<Instant>>,
    held_back: AtomicU64,
}

impl OncePerSecond {
    /// Some when a line may be written now, with the number of lines held back since the last one.
    pub(crate) fn ready(&self, now: Instant) -> Option<u64> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| now.duration_since(last) < Duration::from_secs(1)) {
            self.held_back.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        *last = Some(now);
        Some(self.held_back.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_second() {
        let log = OncePerSecond::default();
        let start = Instant::now();
        assert_eq!(log.ready(start), Some(0));
        assert_eq!(log.ready(start + Duration::from_millis(10)), None);
        assert_eq!(log.ready(start + Duration::from_millis(999)), None);
        assert_eq!(log.ready(start + Duration::from_secs(1)), Some(2));
    }
}
