//! Puts an endpoint online for an agent: what it may have, under which name, on which port.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use http::HeaderValue;
use portway_codes::{Code, PublicError};
use portway_mux::Session;
use portway_names::{EndpointId, EndpointUrl, HostPattern, Ksuid, Scheme, SessionId, WantedUrl};
use portway_proto::agent::v1::Bind;
use portway_proto::{AgentId, BindRequest, Claim, CredentialRecord, LeaseRecord};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::bind_tcp;
use crate::control_link::AskFault;
use crate::route::{Endpoint, EndpointCounters, EndpointOptions, Holder, Taken};
use crate::state::EdgeShared;
use crate::tcp;

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) struct Agent {
    pub(crate) edge: Arc<EdgeShared>,
    /// The shard of the session, where its binds run too.
    pub(crate) shard: usize,
    pub(crate) session: Session,
    pub(crate) session_id: SessionId,
    pub(crate) credential: Arc<CredentialRecord>,
    pub(crate) agent: AgentId,
    pub(crate) generation: u64,
}

/// Why an endpoint is not to be, in the words for the agent.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) error: PublicError,
    /// Whether the same bind may succeed later.
    pub(crate) retryable: bool,
}

/// An endpoint that is online; goes offline when dropped.
#[derive(Debug)]
pub(crate) struct Online {
    edge: Arc<EdgeShared>,
    pub(crate) endpoint: Arc<Endpoint>,
    /// The credential whose rules permitted it.
    pub(crate) credential: Arc<CredentialRecord>,
    lease: Arc<LeaseRecord>,
    /// How long the lease is kept for an agent that comes back.
    grace: Duration,
    /// Ends the accepting on a TCP endpoint's port.
    _accepting: Option<DropGuard>,
}

impl Online {
    /// The agent gave the endpoint up: its name is free at once.
    pub(crate) fn close(mut self) {
        self.grace = Duration::ZERO;
    }

    /// The URL as visitors write it: with the port where it is not the scheme's own.
    pub(crate) fn public_url(&self) -> EndpointUrl {
        let url = &self.endpoint.url;
        let port = public_port(&self.edge, url.scheme).or(url.port);
        EndpointUrl::new(url.scheme, url.host.clone(), port).unwrap_or_else(|_| url.clone())
    }
}

impl Drop for Online {
    fn drop(&mut self) {
        let scheme = self.endpoint.url.scheme.into();
        self.edge.metrics.endpoints.get_or_create(&scheme).dec();
        let was_ours = self.edge.routes.remove(&self.endpoint);
        // A draining edge keeps its leases: its agents come back to its successor.
        if was_ours && !self.edge.draining.is_cancelled() {
            self.edge.leases.give_back(Arc::clone(&self.lease), self.grace);
        }
    }
}

/// Puts an endpoint online under a handle that is new in the session.
///
/// Cancel safety: safe; what was claimed by then is given back, or ends with the edge.
pub(crate) async fn bind(agent: Arc<Agent>, message: Bind, handle: u32) -> Result<Online, Refused> {
    let request = BindRequest::try_from(message).map_err(|error| Refused::for_good(error.to_bind_refusal()))?;
    let options = options(&request)?;
    let deadline = Instant::now() + agent.edge.limits().bind_timeout;
    let (lease, port) = if request.url.scheme == Scheme::Tcp {
        let (lease, port) = bind_tcp::lease(&agent, &request.url, deadline).await?;
        (lease, Some(port))
    } else {
        (lease(&agent, request.url, deadline).await?, None)
    };
    let endpoint = Arc::new(Endpoint {
        id: EndpointId::new(new_ksuid()),
        url: lease.url.clone(),
        account: agent.credential.account,
        handle,
        session: agent.session.clone(),
        shard: agent.shard,
        holder: Holder {
            agent: agent.agent,
            generation: agent.generation,
            fence: lease.fence,
            session_id: agent.session_id,
        },
        options,
        counters: EndpointCounters::default(),
    });
    put_online(&agent, &endpoint, &lease)?;
    let edge = Arc::clone(&agent.edge);
    edge.metrics.endpoints.get_or_create(&endpoint.url.scheme.into()).inc();
    let accepting = port.map(|socket| {
        let stop = CancellationToken::new();
        edge.tasks.spawn(tcp::accept(Arc::clone(&edge), socket, Arc::clone(&endpoint), stop.clone()));
        stop.drop_guard()
    });
    let grace = edge.config.lease_grace;
    let credential = Arc::clone(&agent.credential);
    Ok(Online { edge, endpoint, credential, lease, grace, _accepting: accepting })
}

impl Agent {
    /// The lease on a complete URL: from the replica when the agent has it already, from the control plane otherwise.
    pub(crate) async fn claim(&self, url: &EndpointUrl, deadline: Instant) -> Result<Arc<LeaseRecord>, AskFault> {
        if let Some(lease) = self.edge.replica.lease(url)
            && lease.account == self.credential.account
            && lease.agent == self.agent
            && lease.edge == self.edge.edge_id
            // A lease with an end was given back, or held by an edge process before this one: it must be claimed again.
            && lease.expires_at_ms.is_none()
            && self.edge.leases.keep(lease.id)
        {
            return Ok(lease);
        }
        let holder_offline = match self.edge.routes.same_name(url) {
            Some(endpoint) => self.outlives(&endpoint).await,
            None => true,
        };
        self.claim_wanted(url.clone().into(), holder_offline, deadline).await
    }

    /// Whether the session that holds a name is over. An agent that was killed cannot say so, and over QUIC no one else does: when another
    /// agent of the account wants the name, its session has to answer.
    async fn outlives(&self, held: &Endpoint) -> bool {
        let another = held.account == self.credential.account && held.holder.agent != self.agent;
        if another && let Some(holder) = self.edge.sessions.get(held.holder.session_id) {
            return !holder.answers(&held.session).await;
        }
        !held.is_online()
    }

    async fn claim_wanted(
        &self,
        url: WantedUrl,
        holder_offline: bool,
        deadline: Instant,
    ) -> Result<Arc<LeaseRecord>, AskFault> {
        let claim = Claim {
            edge: self.edge.edge_id.clone(),
            account: self.credential.account,
            credential: self.credential.id,
            agent: self.agent,
            url,
            holder_offline,
        };
        let lease = self.edge.control.claim(&claim, deadline).await?;
        // The same lease may wait to be given back since an earlier session.
        self.edge.leases.keep(lease.id);
        Ok(Arc::new(lease))
    }
}

impl Refused {
    pub(crate) fn for_good(error: impl Into<PublicError>) -> Refused {
        Refused { error: error.into(), retryable: false }
    }

    pub(crate) fn for_now(error: impl Into<PublicError>) -> Refused {
        Refused { error: error.into(), retryable: true }
    }
}

impl From<AskFault> for Refused {
    fn from(fault: AskFault) -> Refused {
        let retryable = fault.is_temporary();
        Refused { error: fault.into_public(), retryable }
    }
}

impl From<portway_access::BindDenied> for Refused {
    fn from(denied: portway_access::BindDenied) -> Refused {
        Refused::for_good(denied)
    }
}

/// The lease for an http, https or tls endpoint.
async fn lease(agent: &Agent, wanted: WantedUrl, deadline: Instant) -> Result<Arc<LeaseRecord>, Refused> {
    let edge = &agent.edge;
    let scheme = wanted.scheme;
    let base = edge.replica.base_domain().ok_or_else(|| Refused::for_now(Code::ERR_PORTWAY_50303))?;
    let wanted =
        wanted.resolve(&base).map_err(|error| Refused::for_good(Code::ERR_NGROK_328.with(error.to_string())))?;
    if let Some(port) = wanted.port.filter(|port| public_port(edge, scheme) != Some(*port)) {
        let text = format!("The port {port} is not served for {scheme} endpoints. Leave the port out of the URL.");
        return Err(Refused::for_good(Code::ERR_PORTWAY_40004.with(text)));
    }
    let Some(host) = wanted.host else {
        agent.credential.acl.permit_random(scheme)?;
        return Ok(agent.claim_wanted(WantedUrl::any(scheme), false, deadline).await?);
    };
    let url = EndpointUrl::new(scheme, host, None)
        .map_err(|error| Refused::for_good(Code::ERR_NGROK_326.with(error.to_string())))?;
    agent.credential.acl.permit_bind(&url)?;
    if is_own(edge, &url.host) {
        let text = format!("{} is used by the installation itself. Choose another name.", url.host);
        return Err(Refused::for_good(Code::ERR_NGROK_347.with(text)));
    }
    Ok(agent.claim(&url, deadline).await?)
}

/// Names on which agents connect are never endpoints, whatever the control plane says.
fn is_own(edge: &EdgeShared, host: &HostPattern) -> bool {
    host.exact().is_some_and(|host| edge.replica.connect_name(host).is_some())
}

/// The port of the edge that serves a scheme; none for tcp.
fn public_port(edge: &EdgeShared, scheme: Scheme) -> Option<u16> {
    match scheme {
        Scheme::Https | Scheme::Tls => Some(edge.config.https_port),
        Scheme::Http => Some(edge.config.http_port),
        Scheme::Tcp => None,
    }
    .filter(|port| *port != 0)
}

fn options(request: &BindRequest) -> Result<EndpointOptions, Refused> {
    let host_header = request.host_header.as_deref().map(HeaderValue::from_str).transpose().map_err(|_| {
        let text = "The Host header to set contains characters that a header cannot have. Change host_header.";
        Refused::for_good(Code::ERR_PORTWAY_40004.with(text))
    })?;
    let proxy_protocol = request.proxy_protocol;
    let (upstream_http2, tls_edge) = (request.upstream_http2, request.tls_edge);
    Ok(EndpointOptions { upstream_http2, proxy_protocol, host_header, tls_edge, actions: None })
}

/// Enters the endpoint into the route table; tells the session that loses the name.
fn put_online(agent: &Agent, endpoint: &Arc<Endpoint>, lease: &Arc<LeaseRecord>) -> Result<(), Refused> {
    let edge = &agent.edge;
    match edge.routes.insert(Arc::clone(endpoint)) {
        Ok(Some(old)) => {
            tell_old_holder(edge, &old, endpoint);
            Ok(())
        }
        Ok(None) => Ok(()),
        Err(Taken { by_later_session: true, .. }) => {
            let text = "A newer session of the same agent already serves this endpoint.";
            Err(Refused::for_good(Code::ERR_NGROK_334.with(text)))
        }
        Err(Taken { url, .. }) => {
            edge.leases.give_back(Arc::clone(lease), Duration::ZERO);
            let text = format!("{url} is already online. Stop the agent that serves it, or choose another URL.");
            Err(Refused::for_now(Code::ERR_NGROK_334.with(text)))
        }
    }
}

fn tell_old_holder(edge: &EdgeShared, old: &Endpoint, new: &Endpoint) {
    if old.holder.session_id == new.holder.session_id {
        return;
    }
    let Some(session) = edge.sessions.get(old.holder.session_id) else { return };
    let own = old.account == new.account && old.holder.agent == new.holder.agent;
    let text = (!own).then(|| Code::ERR_NGROK_334.with(format!("{} was taken over by another agent.", old.url)));
    tracing::info!(url = %new.url, from = %old.holder.session_id, to = %new.holder.session_id,
        streams = old.counters.streams.load(Ordering::Relaxed), "endpoint taken over");
    session.order(|orders| orders.taken.push((old.handle, text)));
}

/// A fresh id: the time and 128 random bits.
pub(crate) fn new_ksuid() -> Ksuid {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Ksuid::from_parts(since.as_secs(), rand::random())
}
