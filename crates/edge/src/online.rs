//! What is online at this edge, for the report to the control plane: sessions and their endpoints, and which of them changed since they
//! were reported.
//!
//! Whoever comes online or goes offline makes a note here and goes on; nobody waits for the control plane. What changes often before it is
//! reported is reported once, and when more changes than there is room for, everything is reported again.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use portway_names::{EndpointUrl, SessionId};
use portway_proto::{EndpointRecord, ItemKey, OnlineRecord, SessionProtocol, SessionRecord};
use tokio::sync::Notify;

use crate::bind::Agent;
use crate::endpoint::Endpoint;

/// Items that are remembered as changed. A control plane that is away for longer than these take gets the whole list when it is back,
/// which is then not much more. About 200 KiB.
const CHANGED_MAX: usize = 8_192;

/// Everything online.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    items: BTreeMap<ItemKey, Item>,
    /// What came, went or changed and was not reported yet. Sessions stand before their endpoints.
    changed: BTreeSet<ItemKey>,
    /// More changed than [`CHANGED_MAX`].
    overflowed: bool,
}

/// A session or an endpoint.
#[derive(Debug, Clone)]
pub(crate) enum Item {
    Session(Arc<SessionRecord>),
    Endpoint(Arc<Endpoint>),
    /// An endpoint that is found by labels.
    Labelled(Arc<EndpointRecord>),
}

/// What is to be reported next.
#[derive(Debug)]
pub(crate) enum News {
    /// This is online, or other words about it are.
    Online(Item),
    /// This is not online any more.
    Gone(ItemKey),
    /// Too much to say one by one.
    Everything,
}

/// What an agent says of itself when it logs in.
#[derive(Debug)]
pub(crate) struct Introduction {
    pub(crate) protocol: SessionProtocol,
    /// It logged in with an SSH key.
    pub(crate) ssh_key: bool,
    pub(crate) agent_version: String,
    pub(crate) os: String,
    pub(crate) metadata: String,
}

/// A place in the roster; given up when dropped.
#[derive(Debug)]
pub(crate) struct Listed {
    roster: Arc<Roster>,
    key: ItemKey,
}

impl Roster {
    /// Enters a session that begins now.
    pub(crate) fn enter_session(self: &Arc<Self>, agent: &Agent, said: Introduction) -> Listed {
        let Introduction { protocol, ssh_key, agent_version, os, metadata } = said;
        let record = SessionRecord {
            id: agent.session_id,
            account: agent.credential.account,
            credential: agent.credential.id,
            ssh_key,
            protocol,
            ip: agent.session.peer_addr().ip().to_canonical(),
            agent_version,
            os,
            metadata,
            started_at_ms: unix_millis(SystemTime::now()),
        };
        self.enter(ItemKey::of_session(agent.session_id), Item::Session(record.into()))
    }

    /// Enters an endpoint that is online from now on.
    pub(crate) fn enter_endpoint(self: &Arc<Self>, endpoint: &Arc<Endpoint>) -> Listed {
        let key = ItemKey { session: endpoint.holder.session_id, number: endpoint.handle };
        self.enter(key, Item::Endpoint(Arc::clone(endpoint)))
    }

    /// Enters an endpoint that is found by labels.
    pub(crate) fn enter_labelled(self: &Arc<Self>, record: EndpointRecord) -> Listed {
        let key = ItemKey { session: record.session, number: record.number };
        self.enter(key, Item::Labelled(record.into()))
    }

    /// Notes that there are other words about an endpoint.
    pub(crate) fn described(&self, session: SessionId, number: u32) {
        self.note(&mut self.state(), ItemKey { session, number });
    }

    /// Begins a report of everything: what has changed before is part of it.
    pub(crate) fn begin(&self) {
        let mut state = self.state();
        state.changed.clear();
        state.overflowed = false;
    }

    /// The next item behind `after`, or the first.
    pub(crate) fn next_after(&self, after: Option<ItemKey>) -> Option<(ItemKey, Item)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.state().items.range((from, Bound::Unbounded)).next().map(|(key, item)| (*key, item.clone()))
    }

    /// Takes one thing that has changed.
    pub(crate) fn take_news(&self) -> Option<News> {
        let mut state = self.state();
        if state.overflowed {
            return Some(News::Everything);
        }
        let key = state.changed.pop_first()?;
        Some(state.items.get(&key).map_or(News::Gone(key), |item| News::Online(item.clone())))
    }

    /// Waits until something has changed. For one who waits; it may say so once too often.
    ///
    /// Cancel safety: safe.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    fn enter(self: &Arc<Self>, key: ItemKey, item: Item) -> Listed {
        let mut state = self.state();
        state.items.insert(key, item);
        self.note(&mut state, key);
        Listed { roster: Arc::clone(self), key }
    }

    fn note(&self, state: &mut State, key: ItemKey) {
        if state.overflowed {
            return;
        }
        state.changed.insert(key);
        if state.changed.len() > CHANGED_MAX {
            state.changed = BTreeSet::new();
            state.overflowed = true;
        }
        self.changed.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut state = self.roster.state();
        state.items.remove(&self.key);
        self.roster.note(&mut state, self.key);
    }
}

impl Item {
    /// What is reported. `public_url` makes the URL that visitors write from an endpoint's own.
    pub(crate) fn record(&self, public_url: impl FnOnce(&EndpointUrl) -> EndpointUrl) -> OnlineRecord {
        match self {
            Item::Session(record) => OnlineRecord::Session(SessionRecord::clone(record)),
            Item::Labelled(record) => OnlineRecord::Endpoint(EndpointRecord::clone(record)),
            Item::Endpoint(endpoint) => {
                let about = endpoint.about.lock().unwrap_or_else(PoisonError::into_inner).clone();
                OnlineRecord::Endpoint(EndpointRecord {
                    session: endpoint.holder.session_id,
                    number: endpoint.handle,
                    account: endpoint.account,
                    id: endpoint.id,
                    url: Some(public_url(&endpoint.url)),
                    internal: endpoint.internal,
                    pooled: endpoint.pooled,
                    name: about.name,
                    description: about.description,
                    metadata: about.metadata,
                    forwards_to: about.forwards_to,
                    upstream_http2: endpoint.options.upstream_http2,
                    // No bind carries one yet.
                    traffic_policy: String::new(),
                    labels: BTreeMap::new(),
                    started_at_ms: unix_millis(endpoint.since),
                })
            }
        }
    }
}

/// Milliseconds since 1970; 0 for a clock that stands before.
pub(crate) fn unix_millis(at: SystemTime) -> i64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use portway_names::{AccountId, EndpointId, Ksuid};

    use super::*;

    fn labelled(session: u8, number: u32) -> EndpointRecord {
        let ksuid = Ksuid::from_parts(1_700_000_000, [session; 16]);
        EndpointRecord {
            session: SessionId::new(ksuid),
            number,
            account: AccountId::new(ksuid),
            id: EndpointId::new(ksuid),
            url: None,
            internal: false,
            pooled: false,
            name: String::new(),
            description: String::new(),
            metadata: String::new(),
            forwards_to: String::new(),
            upstream_http2: false,
            traffic_policy: String::new(),
            labels: BTreeMap::new(),
            started_at_ms: 0,
        }
    }

    fn gone(news: Option<News>) -> Option<u32> {
        match news {
            Some(News::Gone(key)) => Some(key.number),
            _ => None,
        }
    }

    #[test]
    fn what_comes_and_goes_before_it_is_reported_is_one_piece_of_news() {
        let roster = Arc::new(Roster::default());
        let stays = roster.enter_labelled(labelled(1, 1));
        drop(roster.enter_labelled(labelled(1, 2)));
        roster.described(stays.key.session, 1);
        assert!(matches!(roster.take_news(), Some(News::Online(_))));
        assert_eq!(gone(roster.take_news()), Some(2));
        assert!(roster.take_news().is_none());
        drop(stays);
        assert_eq!(gone(roster.take_news()), Some(1));
    }

    #[test]
    fn more_news_than_there_is_room_for_are_everything() {
        let roster = Arc::new(Roster::default());
        let held: Vec<_> = (1..=CHANGED_MAX as u32).map(|number| roster.enter_labelled(labelled(1, number))).collect();
        assert!(matches!(roster.take_news(), Some(News::Online(_))));
        let more: Vec<_> = (1..=2).map(|number| roster.enter_labelled(labelled(2, number))).collect();
        assert!(matches!(roster.take_news(), Some(News::Everything)));
        assert!(matches!(roster.take_news(), Some(News::Everything)), "until it is said");
        roster.begin();
        assert!(roster.take_news().is_none());
        let mut listed = 0;
        let mut after = None;
        while let Some((key, _)) = roster.next_after(after) {
            (listed, after) = (listed + 1, Some(key));
        }
        assert_eq!(listed, held.len() + more.len());
    }
}
