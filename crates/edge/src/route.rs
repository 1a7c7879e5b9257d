//! Which endpoint serves a visitor: the table of what is online on this edge.
//!
//! Readers never wait: each table is a concurrent map. Writers (binds) take one lock, so that a change is seen whole by the next one.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::BytesMut;
use http::HeaderValue;
use portway_mux::{OpenError, Session, Stream};
use portway_names::{
    AccountId, EndpointId, EndpointUrl, HostName, HostPattern, LookupKey, Scheme, SessionId, match_order,
};
use portway_proto::AgentId;
use portway_proto::agent::v1::ConnectionHead;
use portway_wire::head::encode_connection_head;
use portway_wire::proxy_protocol::{self, ProxyVersion};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::actions::EndpointActions;

/// One public name that a session serves.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) id: EndpointId,
    pub(crate) url: EndpointUrl,
    pub(crate) account: AccountId,
    /// Number in stream heads; unique in its session.
    pub(crate) handle: u32,
    pub(crate) session: Session,
    /// The shard that drives the session.
    pub(crate) shard: usize,
    pub(crate) holder: Holder,
    pub(crate) options: EndpointOptions,
    pub(crate) counters: EndpointCounters,
}

/// Who holds a name: decides which of two sessions has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) agent: AgentId,
    /// Counts the sessions of the agent.
    pub(crate) generation: u64,
    /// Fence of the lease: grows with each change of holder.
    pub(crate) fence: u64,
    pub(crate) session_id: SessionId,
}

/// How an endpoint's visitors are served.
#[derive(Debug, Clone, Default)]
pub(crate) struct EndpointOptions {
    /// The upstream speaks HTTP/2 with prior knowledge.
    pub(crate) upstream_http2: bool,
    /// PROXY protocol header in front of each stream.
    pub(crate) proxy_protocol: Option<ProxyVersion>,
    /// Value for the Host field of forwarded requests; absent: the visitor's.
    pub(crate) host_header: Option<HeaderValue>,
    /// A tls endpoint whose TLS ends here.
    pub(crate) tls_edge: bool,
    /// What is done with its traffic; none: it is passed on.
    pub(crate) actions: Option<Arc<EndpointActions>>,
}

/// What an endpoint counts for the live view.
#[derive(Debug, Default)]
pub(crate) struct EndpointCounters {
    /// Streams opened since the endpoint came online.
    pub(crate) streams: AtomicUsize,
}

/// Why no stream could be opened.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum OpenFault {
    /// The agent is gone; its endpoints leave the table at this moment.
    #[error("the agent's session is closed")]
    Offline,
    /// The session has as many streams as it may have.
    #[error("the agent's session has too many streams open")]
    Busy,
}

impl Endpoint {
    /// Opens a stream to the upstream for a visitor at `client` that reached `server`. The head and, where asked for, the PROXY
    /// protocol header are queued already and leave with the first bytes written; there is no round trip.
    ///
    /// Cancel safety: dropped before it is ready, no stream is opened or it is reset.
    pub(crate) async fn open(&self, client: SocketAddr, server: SocketAddr) -> Result<Stream, OpenFault> {
        let head = encode_connection_head(&ConnectionHead::new(self.handle, client, server));
        let first = match self.options.proxy_protocol {
            None => head,
            Some(version) => {
                let proxy = proxy_protocol::encode(version, client, server);
                let mut joined = BytesMut::with_capacity(head.len() + proxy.len());
                joined.extend_from_slice(&head);
                joined.extend_from_slice(&proxy);
                joined.freeze()
            }
        };
        match self.session.open(first).await {
            Ok(stream) => {
                self.counters.streams.fetch_add(1, Ordering::Relaxed);
                Ok(stream)
            }
            Err(OpenError::TooManyStreams { .. }) => Err(OpenFault::Busy),
            Err(OpenError::Closed(_)) => Err(OpenFault::Offline),
        }
    }

    /// Whether a visitor at this address may come.
    pub(crate) fn permits(&self, ip: IpAddr) -> bool {
        self.options.actions.as_ref().is_none_or(|actions| actions.permits(ip))
    }

    /// Value for the Host field of forwarded requests; none: the visitor's.
    pub(crate) fn host_header(&self) -> Option<&HeaderValue> {
        let changed = self.options.actions.as_ref().and_then(|actions| actions.rules.request_headers.host());
        changed.or(self.options.host_header.as_ref())
    }

    /// Whether the session behind it can still open streams.
    pub(crate) fn is_online(&self) -> bool {
        self.session.close_reason().is_none()
    }
}

/// The table of endpoints.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    /// https and tls endpoints: they share one port, so one name is one endpoint.
    by_sni: Table,
    /// http endpoints.
    by_host: Table,
    /// TCP endpoints by port.
    by_port: papaya::HashMap<u16, Arc<Endpoint>>,
    /// Held by whoever changes the table; readers do not take it.
    writers: Mutex<()>,
    /// Tells whoever waits for a name that one came online.
    added: Notify,
}

/// The name is held by somebody who does not have to give it up.
#[derive(Debug, thiserror::Error)]
#[error("{url} is online already")]
pub(crate) struct Taken {
    pub(crate) url: EndpointUrl,
    /// Whether the same agent holds it, by a later session: the bind comes too late.
    pub(crate) by_later_session: bool,
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
        self.by_port.pin().get(&port).cloned()
    }

    /// Puts an endpoint online. It replaces an older registration that has to give way: one whose session is closed, one with
    /// an older fence, one of the same agent with a generation that is not higher. The replaced one is returned.
    pub(crate) fn insert(&self, endpoint: Arc<Endpoint>) -> Result<Option<Arc<Endpoint>>, Taken> {
        let _writing = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.same_name(&endpoint.url);
        if let Some(old) = &old {
            gives_way(old, &endpoint)?;
        }
        match (endpoint.url.scheme, &endpoint.url.host) {
            (Scheme::Tcp, _) => {
                self.by_port.pin().insert(endpoint.url.port.unwrap_or_default(), endpoint);
            }
            (Scheme::Http, pattern) => self.by_host.insert(pattern, Arc::clone(&endpoint)),
            (Scheme::Https | Scheme::Tls, pattern) => self.by_sni.insert(pattern, Arc::clone(&endpoint)),
        }
        self.added.notify_waiters();
        Ok(old)
    }

    /// Ready when an endpoint came online after this call.
    pub(crate) fn changed(&self) -> Notified<'_> {
        self.added.notified()
    }

    /// Takes an endpoint offline. Does nothing when another one has its name by now.
    pub(crate) fn remove(&self, endpoint: &Arc<Endpoint>) -> bool {
        let _writing = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.same_name(&endpoint.url).is_some_and(|current| Arc::ptr_eq(&current, endpoint)) {
            return false;
        }
        match (endpoint.url.scheme, &endpoint.url.host) {
            (Scheme::Tcp, _) => {
                self.by_port.pin().remove(&endpoint.url.port.unwrap_or_default());
            }
            (Scheme::Http, pattern) => self.by_host.remove(pattern),
            (Scheme::Https | Scheme::Tls, pattern) => self.by_sni.remove(pattern),
        }
        true
    }

    /// The endpoint with exactly this name (wildcards are not matched, a tls and an https endpoint are the same name).
    pub(crate) fn same_name(&self, url: &EndpointUrl) -> Option<Arc<Endpoint>> {
        match url.scheme {
            Scheme::Tcp => self.tcp(url.port.unwrap_or_default()),
            Scheme::Http => self.by_host.get_pattern(&url.host),
            Scheme::Https | Scheme::Tls => self.by_sni.get_pattern(&url.host),
        }
    }

    /// Endpoints online.
    pub(crate) fn len(&self) -> usize {
        self.by_sni.len() + self.by_host.len() + self.by_port.len()
    }

    /// Every endpoint, in no order. For status pages: it walks the whole table.
    pub(crate) fn all(&self) -> Vec<Arc<Endpoint>> {
        let mut found = Vec::with_capacity(self.len());
        for table in [&self.by_sni, &self.by_host] {
            found.extend(table.exact.pin().values().cloned());
            found.extend(table.wildcard.pin().values().cloned());
        }
        found.extend(self.by_port.pin().values().cloned());
        found
    }
}

/// Decides between two claims on one name. The fence of the lease comes first, the generation of the agent's session second; fences
/// of different leases (a tls and an https endpoint on one name) are not compared.
fn gives_way(old: &Endpoint, new: &Endpoint) -> Result<(), Taken> {
    let same_agent = old.account == new.account && old.holder.agent == new.holder.agent;
    let same_session = old.holder.session_id == new.holder.session_id;
    let not_late = !same_agent || new.holder.generation >= old.holder.generation;
    let fenced_out = old.url == new.url && new.holder.fence > old.holder.fence;
    let newer_session = same_agent && !same_session && (old.url != new.url || new.holder.fence == old.holder.fence);
    if not_late && (!old.is_online() || fenced_out || newer_session) {
        return Ok(());
    }
    Err(Taken { url: new.url.clone(), by_later_session: same_agent && !not_late })
}

/// Endpoints by host pattern.
#[derive(Debug, Default)]
struct Table {
    exact: papaya::HashMap<HostName, Arc<Endpoint>>,
    /// By the name after "*.".
    wildcard: papaya::HashMap<HostName, Arc<Endpoint>>,
}

impl Table {
    /// The longest match.
    fn get(&self, host: &HostName) -> Option<Arc<Endpoint>> {
        match_order(host).find_map(|key| match key {
            LookupKey::Exact(name) => self.exact.pin().get(name).cloned(),
            LookupKey::Wildcard(_) if self.wildcard.is_empty() => None,
            LookupKey::Wildcard(suffix) => self.wildcard.pin().get(suffix).cloned(),
        })
    }

    fn get_pattern(&self, pattern: &HostPattern) -> Option<Arc<Endpoint>> {
        self.half(pattern).pin().get(pattern.name()).cloned()
    }

    fn insert(&self, pattern: &HostPattern, endpoint: Arc<Endpoint>) {
        self.half(pattern).pin().insert(pattern.name().clone(), endpoint);
    }

    fn remove(&self, pattern: &HostPattern) {
        self.half(pattern).pin().remove(pattern.name());
    }

    fn half(&self, pattern: &HostPattern) -> &papaya::HashMap<HostName, Arc<Endpoint>> {
        if pattern.is_wildcard() { &self.wildcard } else { &self.exact }
    }

    fn len(&self) -> usize {
        self.exact.len() + self.wildcard.len()
    }
}

#[cfg(test)]
mod tests;
