//! Which endpoint serves a visitor: the table of what is online on this edge.
//!
//! Readers never wait: each table is a concurrent map. Writers (binds) take one lock, so that a change is seen whole by the next one.

use std::sync::{Arc, Mutex, PoisonError};

use portway_names::{AccountId, EndpointUrl, HostName, HostPattern, LookupKey, Scheme, match_order};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use self::seat::Seat;
pub(crate) use self::seat::Taken;
use crate::endpoint::Endpoint;

mod seat;

/// The table of endpoints.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    /// https and tls endpoints: they share one port, so one name is one endpoint.
    by_sni: Table,
    /// http endpoints.
    by_host: Table,
    /// TCP endpoints by port.
    by_port: papaya::HashMap<u16, Seat>,
    /// Endpoints that only others of the same account reach.
    internal: papaya::HashMap<(AccountId, EndpointUrl), Seat>,
    /// Held by whoever changes the table; readers do not take it.
    writers: Mutex<()>,
    /// Tells whoever waits for a name that one came online.
    added: Notify,
}

impl Routes {
    /// The http or https endpoint of a host name: the longest match. A tls endpoint on the name hides https ones.
    pub(crate) fn http(&self, scheme: Scheme, host: &HostName) -> Option<Arc<Endpoint>> {
        let table = if scheme == Scheme::Http { &self.by_host } else { &self.by_sni };
        table.get(host).filter(|endpoint| endpoint.url.scheme == scheme)
    }

    /// The https or tls endpoint of a server name.
    pub(crate) fn sni(&self, host: &HostName) -> Option<Arc<Endpoint>> {
        self.by_sni.get(host)
    }

    /// The TCP endpoint of a port.
    pub(crate) fn tcp(&self, port: u16) -> Option<Arc<Endpoint>> {
        self.by_port.pin().get(&port).map(Seat::pick)
    }

    /// Puts an endpoint online. What holds its name already goes beside it (members of a pool, connections of one agent), or gives way: one
    /// whose session is closed, one with an older fence, one of the same agent with a generation that is not higher. Those are returned.
    pub(crate) fn insert(&self, endpoint: Arc<Endpoint>) -> Result<Vec<Arc<Endpoint>>, Taken> {
        let _writing = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        let (url, account, internal) = (endpoint.url.clone(), endpoint.account, endpoint.internal);
        let (seat, gone) = match self.seat(&url, account, internal) {
            Some(seat) => seat.join(endpoint)?,
            None => (Seat::of(endpoint), Vec::new()),
        };
        self.put(&url, account, internal, Some(seat));
        self.added.notify_waiters();
        Ok(gone)
    }

    /// Ready when an endpoint came online after this call.
    pub(crate) fn changed(&self) -> Notified<'_> {
        self.added.notified()
    }

    /// Takes an endpoint offline; tells whether its name is free now. Does nothing when others have the name by now.
    pub(crate) fn remove(&self, endpoint: &Arc<Endpoint>) -> bool {
        let _writing = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        let (url, account, internal) = (&endpoint.url, endpoint.account, endpoint.internal);
        let Some(seat) = self.seat(url, account, internal).filter(|seat| seat.holds(endpoint)) else { return false };
        let left = seat.leave(endpoint);
        let free = left.is_none();
        self.put(url, account, internal, left);
        free
    }

    /// An endpoint with exactly this public name (wildcards are not matched, a tls and an https endpoint are the same name).
    pub(crate) fn same_name(&self, url: &EndpointUrl) -> Option<Arc<Endpoint>> {
        self.public_seat(url).map(|seat| seat.pick())
    }

    /// Every endpoint with exactly this public name.
    pub(crate) fn all_of_name(&self, url: &EndpointUrl) -> Vec<Arc<Endpoint>> {
        self.public_seat(url).map(|seat| seat.members().to_vec()).unwrap_or_default()
    }

    /// Names online.
    pub(crate) fn len(&self) -> usize {
        self.by_sni.len() + self.by_host.len() + self.by_port.len() + self.internal.len()
    }

    /// Every endpoint, in no order. For status pages: it walks the whole table.
    pub(crate) fn all(&self) -> Vec<Arc<Endpoint>> {
        let mut found = Vec::with_capacity(self.len());
        for table in [&self.by_sni, &self.by_host] {
            for half in [&table.exact, &table.wildcard] {
                found.extend(half.pin().values().flat_map(Seat::members).cloned());
            }
        }
        found.extend(self.by_port.pin().values().flat_map(Seat::members).cloned());
        found.extend(self.internal.pin().values().flat_map(Seat::members).cloned());
        found
    }

    fn seat(&self, url: &EndpointUrl, account: AccountId, internal: bool) -> Option<Seat> {
        if internal {
            return self.internal.pin().get(&(account, url.clone())).cloned();
        }
        self.public_seat(url)
    }

    fn public_seat(&self, url: &EndpointUrl) -> Option<Seat> {
        match url.scheme {
            Scheme::Tcp => self.by_port.pin().get(&url.port.unwrap_or_default()).cloned(),
            Scheme::Http => self.by_host.seat(&url.host),
            Scheme::Https | Scheme::Tls => self.by_sni.seat(&url.host),
        }
    }

    fn put(&self, url: &EndpointUrl, account: AccountId, internal: bool, seat: Option<Seat>) {
        match url.scheme {
            _ if internal => set(&self.internal, (account, url.clone()), seat),
            Scheme::Tcp => set(&self.by_port, url.port.unwrap_or_default(), seat),
            Scheme::Http => self.by_host.put(&url.host, seat),
            Scheme::Https | Scheme::Tls => self.by_sni.put(&url.host, seat),
        }
    }
}

fn set<K: Eq + std::hash::Hash>(map: &papaya::HashMap<K, Seat>, key: K, seat: Option<Seat>) {
    match seat {
        Some(seat) => {
            map.pin().insert(key, seat);
        }
        None => {
            map.pin().remove(&key);
        }
    }
}

/// Endpoints by host pattern.
#[derive(Debug, Default)]
struct Table {
    exact: papaya::HashMap<HostName, Seat>,
    /// By the name after "*.".
    wildcard: papaya::HashMap<HostName, Seat>,
}

impl Table {
    /// The longest match.
    fn get(&self, host: &HostName) -> Option<Arc<Endpoint>> {
        match_order(host).find_map(|key| match key {
            LookupKey::Exact(name) => self.exact.pin().get(name).map(Seat::pick),
            LookupKey::Wildcard(_) if self.wildcard.is_empty() => None,
            LookupKey::Wildcard(suffix) => self.wildcard.pin().get(suffix).map(Seat::pick),
        })
    }

    fn seat(&self, pattern: &HostPattern) -> Option<Seat> {
        self.half(pattern).pin().get(pattern.name()).cloned()
    }

    fn put(&self, pattern: &HostPattern, seat: Option<Seat>) {
        set(self.half(pattern), pattern.name().clone(), seat);
    }

    fn half(&self, pattern: &HostPattern) -> &papaya::HashMap<HostName, Seat> {
        if pattern.is_wildcard() { &self.wildcard } else { &self.exact }
    }

    fn len(&self) -> usize {
        self.exact.len() + self.wildcard.len()
    }
}

#[cfg(test)]
mod tests;
