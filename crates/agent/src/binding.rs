//! An endpoint as the agent's tasks share it, and the table from the edge's handles to endpoints.

use std::collections::{HashMap, VecDeque};
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
/// Handles that are remembered after their end. What is on its way for them arrives within a round trip.
const ENDED_KEPT: usize = 256;

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
    table: Mutex<Table>,
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Table {
    known: HashMap<u32, Arc<Served>>,
    /// Those that were taken out last: streams that were on their way are for them.
    ended: VecDeque<u32>,
}

impl Default for Handles {
    fn default() -> Self {
        Self { table: Mutex::default(), changes: watch::Sender::new(0) }
    }
}

impl Handles {
    pub(crate) fn insert(&self, handle: u32, served: Arc<Served>) {
        self.table().known.insert(handle, served);
        self.changes.send_modify(|count| *count += 1);
    }

    pub(crate) fn remove(&self, handle: u32) -> Option<Arc<Served>> {
        let mut table = self.table();
        if table.ended.len() == ENDED_KEPT {
            table.ended.pop_front();
        }
        table.ended.push_back(handle);
        table.known.remove(&handle)
    }

    /// The endpoint of a handle; waits a moment for a handle that is not known yet, and not for one that was known.
    pub(crate) async fn wait_for(&self, handle: u32) -> Option<Arc<Served>> {
        let mut changes = self.changes.subscribe();
        let found = async {
            loop {
                {
                    let table = self.table();
                    if let Some(served) = table.known.get(&handle) {
                        return Some(Arc::clone(served));
                    }
                    if table.ended.contains(&handle) {
                        return None;
                    }
                }
                changes.changed().await.ok()?;
            }
        };
        tokio::time::timeout(BOUND_PATIENCE, found).await.ok().flatten()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
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
    use futures_util::FutureExt;
    use portway_names::Scheme;

    use super::*;
    use crate::endpoint::{EndpointOptions, describe};

    #[tokio::test]
    async fn streams_wait_for_a_handle_that_comes_and_not_for_one_that_went() {
        let served = || {
            let (listen, _) = mpsc::channel(1);
            let (spec, _) = describe(Scheme::Http, EndpointOptions::default(), "1").unwrap();
            Arc::new(Served::new(1, spec, Target::Listen(listen)))
        };
        let handles = Arc::new(Handles::default());
        let waiting = tokio::spawn({
            let handles = Arc::clone(&handles);
            async move { handles.wait_for(7).await.is_some() }
        });
        tokio::task::yield_now().await;
        handles.insert(7, served());
        assert!(waiting.await.unwrap());
        handles.remove(7);
        assert!(matches!(handles.wait_for(7).now_or_never(), Some(None)), "it does not come back");
        assert!(handles.wait_for(8).now_or_never().is_none(), "it may come");
    }

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
