//! The agent as callers hold it, and what its tasks share.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use portway_mux::{CarrierChoice, Dialer, Session};
use portway_names::{Region, Scheme};
use secrecy::SecretString;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::binding::{Served, Target};
use crate::builder::AgentBuilder;
use crate::endpoint::{BindSpec, EndpointBuilder};
use crate::remote::Remote;
use crate::status::{EndpointStatus, Event, Status};
use crate::supervisor::Command;

/// How long [`Agent::close`] lets connections finish.
const CLOSE_GRACE: Duration = Duration::from_secs(10);
/// Events that wait for a slow receiver; then it loses the oldest.
const EVENT_QUEUE: usize = 1024;

/// A running agent. Clones are handles of the same one; it ends when it is closed, or when every clone and endpoint is dropped.
#[derive(Clone)]
pub struct Agent {
    core: Arc<Core>,
    commands: mpsc::UnboundedSender<Command>,
}

impl Agent {
    /// Describes an agent.
    pub fn builder() -> AgentBuilder {
        AgentBuilder::default()
    }

    pub(crate) fn new(core: Arc<Core>, commands: mpsc::UnboundedSender<Command>) -> Self {
        Self { core, commands }
    }

    /// An endpoint for HTTP. Without a URL, or with a bare host, its scheme is https.
    pub fn http(&self) -> EndpointBuilder {
        EndpointBuilder::new(self.clone(), Scheme::Http)
    }

    /// The same as [`Self::http`].
    pub fn https(&self) -> EndpointBuilder {
        EndpointBuilder::new(self.clone(), Scheme::Https)
    }

    /// An endpoint for raw TCP.
    pub fn tcp(&self) -> EndpointBuilder {
        EndpointBuilder::new(self.clone(), Scheme::Tcp)
    }

    /// An endpoint for TLS, found by the name that visitors ask for in their handshake.
    pub fn tls(&self) -> EndpointBuilder {
        EndpointBuilder::new(self.clone(), Scheme::Tls)
    }

    /// State of the session, and its changes.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.core.status.subscribe()
    }

    /// What happens on the endpoints, from now on. A receiver that falls 1024 events behind loses the oldest.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.core.events.subscribe()
    }

    /// Every endpoint, in the order they were opened.
    pub fn endpoints(&self) -> Vec<EndpointStatus> {
        self.core.served().values().map(|served| served.status()).collect()
    }

    /// Round trip of the session, when there is one and it was measured.
    pub fn latency(&self) -> Option<Duration> {
        self.core.session().as_ref().and_then(Session::rtt)
    }

    /// Takes the endpoints off, lets running connections finish within 10 seconds, and ends.
    pub async fn close(&self) {
        self.close_within(CLOSE_GRACE).await;
    }

    /// Takes the endpoints off, lets running connections finish within `grace`, and ends. Every clone is closed.
    ///
    /// Cancel safety: once polled, the agent closes even when the future is dropped.
    pub async fn close_within(&self, grace: Duration) {
        let (done, finished) = oneshot::channel();
        if self.commands.send(Command::Close { grace, done }).is_ok() {
            // An error means that it was closed by another handle meanwhile.
            let _closed = finished.await;
        }
    }

    /// Makes an endpoint known to the tasks.
    pub(crate) fn serve(&self, spec: BindSpec, target: Target) -> (mpsc::UnboundedSender<Command>, Arc<Served>) {
        let key = self.core.next_key.fetch_add(1, Ordering::Relaxed);
        (self.commands.clone(), Arc::new(Served::new(key, spec, target)))
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent").field("status", &*self.core.status.borrow()).finish_non_exhaustive()
    }
}

/// What the tasks of one agent share.
pub(crate) struct Core {
    pub(crate) dialer: Dialer,
    pub(crate) choice: CarrierChoice,
    /// The user's choice; none: the fastest.
    pub(crate) region: Option<Region>,
    pub(crate) authtoken: SecretString,
    pub(crate) agent_id: [u8; 16],
    pub(crate) metadata: String,
    pub(crate) client_type: String,
    pub(crate) watch_requests: bool,
    pub(crate) path_rtt: Option<Duration>,
    pub(crate) remote: Remote,
    pub(crate) status: watch::Sender<Status>,
    events: broadcast::Sender<Event>,
    next_key: AtomicU64,
    served: Mutex<BTreeMap<u64, Arc<Served>>>,
    session: Mutex<Option<Session>>,
}

impl Core {
    pub(crate) fn new(dialer: Dialer, choice: CarrierChoice, region: Option<Region>, builder: AgentBuilder) -> Self {
        Self {
            dialer,
            choice,
            region,
            authtoken: builder.authtoken,
            agent_id: rand::random(),
            metadata: builder.metadata,
            client_type: builder.client_type,
            watch_requests: builder.watch_requests,
            path_rtt: builder.path_rtt,
            remote: builder.remote,
            status: watch::Sender::new(Status::Connecting),
            events: broadcast::Sender::new(EVENT_QUEUE),
            next_key: AtomicU64::new(1),
            served: Mutex::default(),
            session: Mutex::default(),
        }
    }

    /// Publishes an event when somebody listens.
    pub(crate) fn publish(&self, event: impl FnOnce() -> Event) {
        if self.events.receiver_count() > 0 {
            // An error means that the last receiver went away meanwhile.
            let _unheard = self.events.send(event());
        }
    }

    pub(crate) fn served(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Served>>> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session that [`Agent::latency`] looks at.
    pub(crate) fn session(&self) -> MutexGuard<'_, Option<Session>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").finish_non_exhaustive()
    }
}
