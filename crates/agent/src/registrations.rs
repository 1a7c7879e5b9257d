//! The endpoints of an agent, as they are registered on its current session.
//!
//! An endpoint is asked for again on each new session, at the URL it had; a refusal of one never touches the others or the session.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use portway_mux::Backoff;
use portway_proto::agent::v1::{BindRefused, Bound, EndpointClosed, Unbind, agent_message};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::agent::Core;
use crate::binding::Served;
use crate::carrier;
use crate::error::BindError;
use crate::link::Link;
use crate::status::EndpointState;

/// Codes of an endpoint whose address or name was taken back from the account. Somebody wanted that, so it is not asked for again at once.
const TAKEN_BACK: [&str; 3] = ["ERR_NGROK_307", "ERR_NGROK_318", "ERR_NGROK_319"];

/// How the caller that asked for an endpoint learns the first answer.
pub(crate) type Reply = oneshot::Sender<Result<(), BindError>>;

/// Every endpoint's registration.
pub(crate) struct Registrations {
    core: Arc<Core>,
    slots: BTreeMap<u64, Slot>,
    next_request: u32,
    /// Callers that wait until a handle is taken off.
    unbinding: HashMap<u32, oneshot::Sender<()>>,
}

/// One endpoint's registration.
struct Slot {
    served: Arc<Served>,
    /// The caller that waits for the first answer.
    reply: Option<Reply>,
    /// A refusal as the first answer does not give the endpoint up.
    keep: bool,
    /// The bind that is not answered yet.
    request: Option<u32>,
    /// Handle on the current session.
    handle: Option<u32>,
    retry_at: Option<Instant>,
    backoff: Backoff,
}

impl Registrations {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core, slots: BTreeMap::new(), next_request: 1, unbinding: HashMap::new() }
    }

    /// Asks a new session for every endpoint.
    pub(crate) fn move_to(&mut self, link: &Link) {
        self.unbinding.clear();
        let keys: Vec<u64> = self.slots.keys().copied().collect();
        for key in keys {
            if let Some(slot) = self.slots.get_mut(&key) {
                slot.handle = None;
            }
            self.ask(link, key);
        }
    }

    /// Forgets what the lost session had granted.
    pub(crate) fn lose(&mut self) {
        self.unbinding.clear();
        for slot in self.slots.values_mut() {
            slot.handle = None;
            slot.request = None;
            slot.retry_at = None;
            slot.served.unbound(EndpointState::Pending);
        }
    }

    /// Adds an endpoint and asks for it, now or with the next session.
    pub(crate) fn add(&mut self, link: Option<&Link>, served: Arc<Served>, reply: Reply, keep: bool) {
        let key = served.key;
        self.core.served().insert(key, served.clone());
        let backoff = Backoff::default();
        let slot = Slot { served, reply: Some(reply), keep, request: None, handle: None, retry_at: None, backoff };
        self.slots.insert(key, slot);
        if let Some(link) = link {
            self.ask(link, key);
        }
    }

    /// Gives an endpoint up.
    pub(crate) fn remove(&mut self, link: Option<&Link>, key: u64, done: Option<oneshot::Sender<()>>) {
        self.core.served().remove(&key);
        let handle = self.slots.remove(&key).and_then(|slot| slot.handle);
        if let (Some(link), Some(handle)) = (link, handle) {
            link.send(agent_message::Message::Unbind(Unbind { endpoint: handle }));
            if let Some(done) = done {
                self.unbinding.insert(handle, done);
            }
        }
    }

    /// The edge serves an endpoint.
    pub(crate) fn bound(&mut self, link: &Link, bound: Bound) {
        let Some(slot) = self.slots.values_mut().find(|slot| slot.request == Some(bound.request)) else {
            // Given up while it was being bound.
            link.send(agent_message::Message::Unbind(Unbind { endpoint: bound.endpoint }));
            return;
        };
        slot.request = None;
        slot.handle = Some(bound.endpoint);
        slot.backoff.reset();
        slot.served.bound(&bound.url, bound.endpoint_id);
        link.handles.insert(bound.endpoint, slot.served.clone());
        let name = &slot.served.spec.options.name;
        tracing::info!(obj = "tunnels", name, addr = slot.served.spec.forwards_to, url = bound.url, "started tunnel");
        let key = slot.served.key;
        if let Some(reply) = slot.reply.take()
            && reply.send(Ok(())).is_err()
        {
            // The caller went away meanwhile.
            self.remove(Some(link), key, None);
        }
    }

    /// The edge does not serve an endpoint: the caller is told, or it is asked for again later.
    pub(crate) fn refused(&mut self, refused: BindRefused) {
        let Some(slot) = self.slots.values_mut().find(|slot| slot.request == Some(refused.request)) else { return };
        slot.request = None;
        let BindRefused { code, text, retryable, .. } = refused;
        let (key, reason) = (slot.served.key, format!("{text} {code}"));
        // An error of the reply means that the caller went away meanwhile, and with it the wish for the endpoint.
        let given_up = match slot.reply.take() {
            Some(reply) => reply.send(Err(BindError::Refused { code, text, retryable })).is_err() || !slot.keep,
            None => false,
        };
        if given_up {
            self.remove(None, key, None);
        } else {
            slot.offline(reason, retryable);
        }
    }

    /// The edge took an endpoint away.
    pub(crate) fn closed(&mut self, link: &Link, closed: EndpointClosed) {
        self.handle_gone(link, closed.endpoint);
        if let Some(slot) = self.slots.values_mut().find(|slot| slot.handle == Some(closed.endpoint)) {
            slot.handle = None;
            let retryable = !TAKEN_BACK.contains(&closed.code.as_str());
            slot.offline(format!("{} {}", closed.text, closed.code), retryable);
        }
    }

    /// No more streams come for a handle.
    pub(crate) fn handle_gone(&mut self, link: &Link, handle: u32) {
        link.handles.remove(handle);
        if let Some(done) = self.unbinding.remove(&handle) {
            // An error means that the caller no longer waits.
            let _unheard = done.send(());
        }
    }

    /// Whether every bind was answered.
    pub(crate) fn settled(&self) -> bool {
        self.slots.values().all(|slot| slot.request.is_none())
    }

    /// Handles on the current session.
    pub(crate) fn handles(&self) -> impl Iterator<Item = u32> {
        self.slots.values().filter_map(|slot| slot.handle)
    }

    /// When the next refused endpoint is asked for again.
    pub(crate) fn next_retry(&self) -> Option<Instant> {
        self.slots.values().filter_map(|slot| slot.retry_at).min()
    }

    /// Asks again for what is due.
    pub(crate) fn retry(&mut self, link: &Link, now: Instant) {
        let due = |slot: &Slot| slot.retry_at.is_some_and(|at| at <= now);
        let keys: Vec<u64> = self.slots.iter().filter(|(_, slot)| due(slot)).map(|(key, _)| *key).collect();
        for key in keys {
            self.ask(link, key);
        }
    }

    fn ask(&mut self, link: &Link, key: u64) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        let request = self.next_request;
        self.next_request = self.next_request.wrapping_add(1);
        slot.request = Some(request);
        slot.retry_at = None;
        let url = slot.served.url();
        link.send(agent_message::Message::Bind(slot.served.spec.message(request, url.as_deref())));
    }
}

impl Slot {
    /// The edge does not serve the endpoint: it is asked for again later.
    fn offline(&mut self, error: String, retryable: bool) {
        let mut wait = self.backoff.next();
        if !retryable {
            wait = wait.max(carrier::REFUSED_WAIT);
        }
        tracing::warn!(
            obj = "tunnels",
            name = self.served.spec.options.name,
            url = self.served.url().as_deref().unwrap_or(&self.served.spec.wanted),
            err = error,
            retry_in = ?wait,
            "failed to start tunnel"
        );
        self.served.unbound(EndpointState::Refused { error });
        self.retry_at = Some(Instant::now() + wait);
    }
}
