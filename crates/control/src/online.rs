//! What is online at the edges: sessions of agents and their endpoints, as the edges report them. In memory only; after a restart the edges
//! report again.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use portway_names::{AccountId, EndpointId, Ksuid, SessionId, TunnelId};
use portway_proto::control::v1::EdgeCommand;
use portway_proto::{AgentCommand, EdgeRecord, ItemKey, OnlineRecord};
use portway_store::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::commands::{Answer, Orders, PublicResult, late, lost, not_online};

pub use self::live::{LiveEdge, LiveEndpoint, LiveSession};

mod live;

/// How long what an edge reported outlives its report: an edge that lost the link reports again within seconds, and nobody is to see its
/// sessions vanish and come back.
const ABSENT_GRACE: Duration = Duration::from_secs(5);
/// Edge processes that report at once: far more than an installation has, also while all of them are replaced.
const PROCESSES_MAX: usize = 1_024;
/// Items of one edge process: more than the connections that an edge accepts, each with many endpoints. About 1 GB.
const ITEMS_MAX: usize = 1_000_000;
/// How long a command may take; an edge gives an agent 10 s.
const COMMAND_DEADLINE: Duration = Duration::from_secs(15);

/// What is online at the edges. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Online {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    processes: HashMap<u64, Process>,
    accounts: HashMap<AccountId, Account>,
    /// Counts processes and their reports.
    serial: u64,
}

/// What one edge process reported.
#[derive(Debug)]
struct Process {
    info: EdgeRecord,
    connected_at: Timestamp,
    /// Its report; none while it is away.
    report: Option<Report>,
    items: BTreeMap<ItemKey, Entry>,
    /// When its report ended.
    absent_since: Option<Instant>,
}

#[derive(Debug)]
struct Report {
    serial: u64,
    orders: Orders,
    /// The list that is not complete.
    listed: Vec<OnlineRecord>,
}

#[derive(Debug, Clone)]
enum Entry {
    Session(Arc<LiveSession>),
    Endpoint(Arc<LiveEndpoint>),
}

/// What is online of one account.
#[derive(Debug, Default)]
struct Account {
    sessions: BTreeMap<SessionId, Arc<LiveSession>>,
    /// Connections of one agent serve an endpoint together under one id.
    endpoints: BTreeMap<(Ksuid, ItemKey), Arc<LiveEndpoint>>,
}

/// A report that runs; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Reporting {
    online: Online,
    process: u64,
    serial: u64,
}

/// Why a report cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReportFault {
    #[error("{PROCESSES_MAX} edge processes report already")]
    Processes,
    #[error("the edge reports more than {ITEMS_MAX} sessions and endpoints")]
    Items,
    #[error("another report of the same edge process began")]
    Replaced,
    #[error("a report names another edge process than it began with")]
    Renamed,
}

impl Online {
    /// Sessions of an account, newest first: those before `before`, `limit` at most.
    pub fn sessions(&self, account: AccountId, before: Option<SessionId>, limit: usize) -> Vec<Arc<LiveSession>> {
        let state = self.state();
        let Some(of) = state.accounts.get(&account) else { return Vec::new() };
        let newest_first = match before {
            Some(before) => of.sessions.range(..before),
            None => of.sessions.range(..),
        };
        newest_first.rev().take(limit).map(|(_, session)| Arc::clone(session)).collect()
    }

    /// The session of an account with this id.
    pub fn session(&self, account: AccountId, id: SessionId) -> Option<Arc<LiveSession>> {
        self.state().accounts.get(&account)?.sessions.get(&id).cloned()
    }

    /// Endpoints of an account that have a URL, newest first: those before `before`, `limit` at most. One that several connections serve
    /// together is there once.
    pub fn endpoints(&self, account: AccountId, before: Option<EndpointId>, limit: usize) -> Vec<Arc<LiveEndpoint>> {
        self.listed(account, before.map(|id| *id.ksuid()), limit, |endpoint| endpoint.record.url.is_some())
    }

    /// The endpoint of an account with this id, if it has a URL.
    pub fn endpoint(&self, account: AccountId, id: EndpointId) -> Option<Arc<LiveEndpoint>> {
        self.found(account, id.ksuid()).filter(|endpoint| endpoint.record.url.is_some())
    }

    /// Like [`Self::endpoints`], with those that are found by labels.
    pub fn tunnels(&self, account: AccountId, before: Option<TunnelId>, limit: usize) -> Vec<Arc<LiveEndpoint>> {
        self.listed(account, before.map(|id| *id.ksuid()), limit, |_| true)
    }

    /// Like [`Self::endpoint`], also one that is found by labels.
    pub fn tunnel(&self, account: AccountId, id: TunnelId) -> Option<Arc<LiveEndpoint>> {
        self.found(account, id.ksuid())
    }

    /// Every edge process that reports, or did a moment ago, by id.
    pub fn edges(&self) -> Vec<LiveEdge> {
        let state = self.state();
        let mut edges: Vec<_> = state.processes.values().map(LiveEdge::of).collect();
        edges.sort_by(|a, b| (&a.id, a.started_at_ms).cmp(&(&b.id, b.started_at_ms)));
        edges
    }

    /// Tells the agent of a session of the account what to do, and waits for its word, 15 s at most.
    ///
    /// # Errors
    /// `ERR_PORTWAY_40401`: the account has no such session online. Otherwise why the agent was not told or does not do it.
    ///
    /// # Cancel safety
    /// The agent may have been told when the future is dropped.
    pub async fn command(&self, account: AccountId, session: SessionId, command: &AgentCommand) -> PublicResult {
        let waiting = self.send(account, session, command)?;
        match tokio::time::timeout(COMMAND_DEADLINE, waiting.outcome()).await {
            Ok(Some(Answer::Done)) => Ok(()),
            Ok(Some(Answer::Failed(error))) => Err(error),
            Ok(Some(Answer::UnknownSession)) => Err(not_online(session)),
            Ok(None) => Err(lost()),
            Err(_) => Err(late(COMMAND_DEADLINE)),
        }
    }

    fn send(
        &self,
        account: AccountId,
        session: SessionId,
        command: &AgentCommand,
    ) -> Result<crate::commands::Waiting, portway_codes::PublicError> {
        let mut state = self.state();
        let found = state.accounts.get(&account).and_then(|of| of.sessions.get(&session));
        let process = found.ok_or_else(|| not_online(session))?.process;
        let report = state.processes.get_mut(&process).and_then(|process| process.report.as_mut()).ok_or_else(lost)?;
        report.orders.send(session, command)
    }

    /// An edge process begins a report; an older one of the same process ends. Its commands go to `commands`.
    pub(crate) fn begin(
        &self,
        info: EdgeRecord,
        commands: mpsc::Sender<EdgeCommand>,
    ) -> Result<Reporting, ReportFault> {
        let mut state = self.state();
        let same = |process: &Process| process.info.id == info.id && process.info.process == info.process;
        let known = state.processes.iter().find(|(_, process)| same(process)).map(|(number, _)| *number);
        if known.is_none() && state.processes.len() >= PROCESSES_MAX {
            return Err(ReportFault::Processes);
        }
        state.serial += 1;
        let serial = state.serial;
        let number = known.unwrap_or(serial);
        let report = Report { serial, orders: Orders::new(commands), listed: Vec::new() };
        let fresh = || Process {
            info: info.clone(),
            connected_at: Timestamp::now(),
            report: None,
            items: BTreeMap::new(),
            absent_since: None,
        };
        let process = state.processes.entry(number).or_insert_with(fresh);
        (process.info, process.connected_at) = (info, Timestamp::now());
        (process.report, process.absent_since) = (Some(report), None);
        Ok(Reporting { online: self.clone(), process: number, serial })
    }

    /// Forgets what edges reported that are away for too long. To be called every second or so.
    pub(crate) fn forget_absent(&self) {
        let too_long = |process: &Process| process.absent_since.is_some_and(|since| since.elapsed() > ABSENT_GRACE);
        let mut state = self.state();
        state.forget(|process| {
            let forgotten = too_long(process);
            if forgotten && !process.items.is_empty() {
                tracing::warn!(edge = %process.info.id, "an edge does not report any more; what is online there is not known");
            }
            forgotten
        });
    }

    fn listed(
        &self,
        account: AccountId,
        before: Option<Ksuid>,
        limit: usize,
        shown: impl Fn(&LiveEndpoint) -> bool,
    ) -> Vec<Arc<LiveEndpoint>> {
        let state = self.state();
        let Some(of) = state.accounts.get(&account) else { return Vec::new() };
        let newest_first = match before {
            Some(before) => of.endpoints.range(..(before, FIRST)),
            None => of.endpoints.range(..),
        };
        let mut last = None;
        let newest_first = newest_first.rev().filter(|((id, _), _)| last.replace(*id) != Some(*id));
        let shown = newest_first.map(|(_, endpoint)| endpoint).filter(|endpoint| shown(endpoint));
        shown.take(limit).cloned().collect()
    }

    fn found(&self, account: AccountId, id: &Ksuid) -> Option<Arc<LiveEndpoint>> {
        let state = self.state();
        let (_, newest) = state.accounts.get(&account)?.endpoints.range((*id, FIRST)..=(*id, LAST)).next_back()?;
        Some(Arc::clone(newest))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The smallest and the largest key there can be.
const FIRST: ItemKey = ItemKey { session: SessionId::new(Ksuid::from_bytes([0; 20])), number: 0 };
const LAST: ItemKey = ItemKey { session: SessionId::new(Ksuid::from_bytes([u8::MAX; 20])), number: u32::MAX };

impl Reporting {
    /// The edge says something else of itself.
    pub(crate) fn describe(&self, info: EdgeRecord) -> Result<(), ReportFault> {
        let mut state = self.online.state();
        let process = self.process(&mut state)?;
        if (&process.info.id, &process.info.process) != (&info.id, &info.process) {
            return Err(ReportFault::Renamed);
        }
        process.info = info;
        Ok(())
    }

    /// A piece of the list of everything; with the last one the list counts.
    pub(crate) fn list(&self, items: Vec<OnlineRecord>, last: bool) -> Result<(), ReportFault> {
        let mut state = self.online.state();
        let process = self.process(&mut state)?;
        let edge = process.info.id.clone();
        let Some(report) = process.report.as_mut() else { return Err(ReportFault::Replaced) };
        if report.listed.len() + items.len() > ITEMS_MAX {
            return Err(ReportFault::Items);
        }
        report.listed.extend(items);
        if !last {
            return Ok(());
        }
        let listed = std::mem::take(&mut report.listed);
        let before = std::mem::take(&mut process.items);
        before.into_iter().for_each(|(key, entry)| state.hide(key, &entry));
        listed.into_iter().for_each(|record| state.put(self.process, record));
        // The processes before this one that are away ended with a kill: their agents are here, or on their way.
        state.forget(|process| process.info.id == edge && process.absent_since.is_some());
        Ok(())
    }

    /// What came online, changed or went.
    pub(crate) fn change(&self, online: Vec<OnlineRecord>, gone: &[ItemKey]) -> Result<(), ReportFault> {
        let mut state = self.online.state();
        if self.process(&mut state)?.items.len() + online.len() > ITEMS_MAX {
            return Err(ReportFault::Items);
        }
        online.into_iter().for_each(|record| state.put(self.process, record));
        gone.iter().for_each(|key| state.take(self.process, *key));
        Ok(())
    }

    /// What came of a command.
    pub(crate) fn answer(&self, command: u64, answer: Answer) -> Result<(), ReportFault> {
        let mut state = self.online.state();
        let report = self.process(&mut state)?.report.as_mut();
        report.ok_or(ReportFault::Replaced)?.orders.answer(command, answer);
        Ok(())
    }

    /// The process, as long as this is its report.
    fn process<'a>(&self, state: &'a mut State) -> Result<&'a mut Process, ReportFault> {
        let process = state.processes.get_mut(&self.process);
        let own = |process: &&mut Process| process.report.as_ref().is_some_and(|report| report.serial == self.serial);
        process.filter(own).ok_or(ReportFault::Replaced)
    }
}

impl Drop for Reporting {
    fn drop(&mut self) {
        let mut state = self.online.state();
        if let Ok(process) = self.process(&mut state) {
            process.report = None;
            process.absent_since = Some(Instant::now());
        }
    }
}

impl State {
    fn put(&mut self, number: u64, record: OnlineRecord) {
        let Some(process) = self.processes.get_mut(&number) else { return };
        let (key, region) = (record.key(), process.info.region.clone());
        let entry = match record {
            OnlineRecord::Session(record) => {
                let session = Arc::new(LiveSession { record, region, process: number });
                let account = self.accounts.entry(session.record.account).or_default();
                account.sessions.insert(session.record.id, Arc::clone(&session));
                Entry::Session(session)
            }
            OnlineRecord::Endpoint(record) => {
                let endpoint = Arc::new(LiveEndpoint { record, region });
                let account = self.accounts.entry(endpoint.record.account).or_default();
                account.endpoints.insert((*endpoint.record.id.ksuid(), key), Arc::clone(&endpoint));
                Entry::Endpoint(endpoint)
            }
        };
        process.items.insert(key, entry);
    }

    /// An item is gone; a session with all its endpoints.
    fn take(&mut self, number: u64, key: ItemKey) {
        let Some(process) = self.processes.get_mut(&number) else { return };
        let last = if key.number == 0 { u32::MAX } else { key.number };
        let gone: Vec<_> = process.items.range(key..=ItemKey { number: last, ..key }).map(|(key, _)| *key).collect();
        for key in gone {
            let entry = self.processes.get_mut(&number).and_then(|process| process.items.remove(&key));
            if let Some(entry) = entry {
                self.hide(key, &entry);
            }
        }
    }

    /// Takes an item out of its account.
    fn hide(&mut self, key: ItemKey, entry: &Entry) {
        let id = match entry {
            Entry::Session(session) => session.record.account,
            Entry::Endpoint(endpoint) => endpoint.record.account,
        };
        let Some(account) = self.accounts.get_mut(&id) else { return };
        match entry {
            Entry::Session(session) => {
                account.sessions.remove(&session.record.id);
            }
            Entry::Endpoint(endpoint) => {
                account.endpoints.remove(&(*endpoint.record.id.ksuid(), key));
            }
        }
        if account.sessions.is_empty() && account.endpoints.is_empty() {
            self.accounts.remove(&id);
        }
    }

    fn forget(&mut self, which: impl Fn(&Process) -> bool) {
        let numbers: Vec<_> =
            self.processes.iter().filter(|(_, process)| which(process)).map(|(number, _)| *number).collect();
        for number in numbers {
            let Some(process) = self.processes.remove(&number) else { continue };
            process.items.into_iter().for_each(|(key, entry)| self.hide(key, &entry));
        }
    }
}

#[cfg(test)]
mod tests;
