//! The agents' sessions, and the few things others have to say to them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use portway_codes::{Code, PublicError};
use portway_names::{AccountId, CredentialId, HostName, LeaseId, SessionId};
use portway_proto::{AgentCommand, CommandKind};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::commands::{Commands, Exchange, answered, not_done, unsupported};
use crate::link::AgentLink;
use crate::replica::Change;

/// How long a session has to answer when another agent of its account asks for one of its names. Much longer than a round trip, and short
/// enough for a person who waits for a restarted agent.
const PROBE_PATIENCE: Duration = Duration::from_millis(1_500);
/// Round trips that a session on a slow path has at least.
const PROBE_ROUND_TRIPS: u32 = 4;
/// How long an answer counts for all who ask: an agent with many names asks once for each.
const PROBE_FRESH: Duration = Duration::from_secs(1);

/// All sessions of this edge.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    tables: Mutex<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    sessions: HashMap<SessionId, Arc<SessionHandle>>,
    by_credential: HashMap<CredentialId, HashSet<SessionId>>,
    by_account: HashMap<AccountId, u32>,
}

/// How others reach a session.
#[derive(Debug)]
pub(crate) struct SessionHandle {
    pub(crate) id: SessionId,
    pub(crate) account: AccountId,
    pub(crate) credential: CredentialId,
    /// The host that the agent dialled; none for an address, and where the protocol does not say.
    pub(crate) connect_name: Option<HostName>,
    orders: Mutex<Orders>,
    changed: Notify,
    /// How its agent is told to stop, restart or update itself; set when it has logged in.
    commands: OnceLock<Commands>,
    /// What a native agent is told, and answers.
    pub(crate) exchange: Exchange,
    /// When the session last answered a probe. Held while one is under way: there is one at a time, and the others wait for its outcome.
    answered: tokio::sync::Mutex<Option<Instant>>,
}

/// What a session is to do. It has one place for each thing, so that nothing said to a slow session piles up: endpoints are at most
/// as many as the session has.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    /// End, for this reason.
    pub(crate) refuse: Option<PublicError>,
    /// Say GoAway.
    pub(crate) go_away: bool,
    /// Close politely: the streams have ended.
    pub(crate) close: bool,
    /// Compare credential, rules and address with the replica.
    pub(crate) recheck: bool,
    /// These endpoints were taken; with a text for the agent unless it took them itself with a newer session.
    pub(crate) taken: Vec<(u32, Option<PublicError>)>,
    /// The control plane took these leases back: their endpoints end.
    pub(crate) lost: Vec<LeaseId>,
    /// Tell the agent what was handed in to the exchange.
    pub(crate) tell: bool,
    /// End, as the owner of the account wants.
    pub(crate) stop: bool,
}

/// The account has as many sessions as it may have.
#[derive(Debug, thiserror::Error)]
#[error("the account has {limit} sessions online, as many as it may have")]
pub(crate) struct TooManySessions {
    pub(crate) limit: u32,
}

impl Sessions {
    /// Takes a session in; it leaves when the registration is dropped.
    pub(crate) fn register(
        self: &Arc<Self>,
        id: SessionId,
        account: AccountId,
        credential: CredentialId,
        connect_name: Option<&HostName>,
        limit: u32,
    ) -> Result<Registration, TooManySessions> {
        let (orders, changed, commands, exchange, answered) = Default::default();
        let connect_name = connect_name.cloned();
        let handle =
            SessionHandle { id, account, credential, connect_name, orders, changed, commands, exchange, answered };
        let handle = Arc::new(handle);
        let mut tables = self.tables();
        let count = tables.by_account.entry(account).or_default();
        if *count >= limit {
            return Err(TooManySessions { limit });
        }
        *count += 1;
        tables.by_credential.entry(credential).or_default().insert(id);
        tables.sessions.insert(id, Arc::clone(&handle));
        Ok(Registration { sessions: Arc::clone(self), handle })
    }

    /// Sessions online.
    pub(crate) fn len(&self) -> usize {
        self.tables().sessions.len()
    }

    /// The session with this id.
    pub(crate) fn get(&self, id: SessionId) -> Option<Arc<SessionHandle>> {
        self.tables().sessions.get(&id).cloned()
    }

    /// Gives every session an order.
    pub(crate) fn order_all(&self, order: impl Fn(&mut Orders)) {
        let all: Vec<_> = self.tables().sessions.values().cloned().collect();
        for handle in all {
            handle.order(&order);
        }
    }

    /// Gives the sessions of a credential an order.
    fn order_credential(&self, credential: CredentialId, order: impl Fn(&mut Orders)) {
        let tables = self.tables();
        let ids = tables.by_credential.get(&credential).into_iter().flatten();
        let handles: Vec<_> = ids.filter_map(|id| tables.sessions.get(id).cloned()).collect();
        drop(tables);
        for handle in handles {
            handle.order(&order);
        }
    }

    /// Has some of the sessions compare for themselves. It looks at all of them: for changes that are rare.
    fn recheck(&self, concerns: impl Fn(&SessionHandle) -> bool) {
        let tables = self.tables();
        let handles: Vec<_> = tables.sessions.values().filter(|handle| concerns(handle)).cloned().collect();
        drop(tables);
        for handle in handles {
            handle.order(|orders| orders.recheck = true);
        }
    }

    /// Tells the sessions that a change of the replica may concern them.
    pub(crate) fn apply(&self, change: &Change, revoked: &PublicError) {
        match change {
            Change::CredentialRevoked(id) => {
                self.order_credential(*id, |orders| orders.refuse = Some(revoked.clone()));
            }
            Change::CredentialChanged(credential) => {
                self.order_credential(credential.id, |orders| orders.recheck = true);
            }
            Change::AgentsRestricted(account) => self.recheck(|session| session.account == *account),
            Change::ConnectNamesRemoved(hosts) => {
                self.recheck(|session| session.connect_name.as_ref().is_some_and(|name| hosts.contains(name)));
            }
            Change::Replaced => self.order_all(|orders| orders.recheck = true),
            Change::LeaseChanged(_) | Change::LeaseRemoved(_) => {}
        }
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        // A panic elsewhere leaves whole tables: every change is a handful of inserts.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionHandle {
    /// Changes what the session is to do, and wakes it.
    pub(crate) fn order(&self, change: impl FnOnce(&mut Orders)) {
        change(&mut self.orders.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_one();
    }

    /// Whether the agent behind `session`, which is this one, still answers. Asks it when nobody has a moment ago; a session that does not
    /// answer is aborted.
    ///
    /// Cancel safety: safe; who waits for the outcome asks again.
    pub(crate) async fn answers(&self, link: &AgentLink) -> bool {
        // SSH has a keep-alive of its own, and a client that was killed closes its connection.
        let AgentLink::Mux(session) = link else { return link.close_reason().is_none() };
        let mut answered = self.answered.lock().await;
        if session.close_reason().is_some() {
            return false;
        }
        if answered.is_some_and(|at| at.elapsed() < PROBE_FRESH) {
            return true;
        }
        let patience = session.rtt().map_or(PROBE_PATIENCE, |rtt| PROBE_PATIENCE.max(rtt * PROBE_ROUND_TRIPS));
        if session.probe(patience).await {
            *answered = Some(Instant::now());
            return true;
        }
        tracing::info!(session = %self.id, peer = %session.peer_addr(), "agent does not answer any more; session aborted");
        session.abort();
        false
    }

    /// From now on the agent can be told what to do.
    pub(crate) fn takes_commands(&self, commands: Commands) {
        // A session logs in once.
        let _ = self.commands.set(commands);
    }

    /// Tells the agent what to do, and waits for its word.
    ///
    /// Cancel safety: the agent may have been told.
    pub(crate) async fn tell(&self, command: &AgentCommand) -> Result<(), PublicError> {
        match (self.commands.get(), command.kind()) {
            (Some(Commands::Ngrok(session, obeys)), _) => obeys.tell(session, command).await,
            (Some(Commands::Native(obeys)), kind) if obeys.contains(&kind) => {
                let handed_in = self.exchange.hand_in(command.clone());
                let answer = handed_in.ok_or_else(|| not_done("it has not answered the commands before this one"))?;
                self.order(|orders| orders.tell = true);
                answered(answer).await
            }
            (Some(Commands::Ssh), CommandKind::Stop) => {
                self.order(|orders| orders.stop = true);
                Ok(())
            }
            (Some(Commands::Ssh), CommandKind::Restart) => Err(Code::ERR_NGROK_1122.plain()),
            (Some(Commands::Ssh), CommandKind::Update) => Err(Code::ERR_NGROK_1121.plain()),
            (Some(Commands::Native(_)) | None, kind) => Err(unsupported(kind)),
        }
    }

    /// Waits for orders and takes them. Cancel safety: safe; orders that were not returned stay.
    pub(crate) async fn orders(&self) -> Orders {
        self.changed.notified().await;
        std::mem::take(&mut self.orders.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A session's place in the table; given up when dropped.
#[derive(Debug)]
pub(crate) struct Registration {
    sessions: Arc<Sessions>,
    handle: Arc<SessionHandle>,
}

impl Registration {
    pub(crate) fn handle(&self) -> &Arc<SessionHandle> {
        &self.handle
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let handle = &self.handle;
        handle.exchange.close();
        let mut tables = self.sessions.tables();
        tables.sessions.remove(&handle.id);
        if let Some(ids) = tables.by_credential.get_mut(&handle.credential) {
            ids.remove(&handle.id);
            if ids.is_empty() {
                tables.by_credential.remove(&handle.credential);
            }
        }
        if let Some(count) = tables.by_account.get_mut(&handle.account) {
            *count -= 1;
            if *count == 0 {
                tables.by_account.remove(&handle.account);
            }
        }
    }
}
