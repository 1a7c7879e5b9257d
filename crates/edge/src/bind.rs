//! Puts an endpoint online for an agent: what it may have, under which name, on which port.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use portway_access::{Acl, BindDenied};
use portway_codes::{Code, PublicError};
use portway_names::{AccountId, EndpointId, EndpointUrl, HostName, HostPattern, Ksuid, Scheme, SessionId, WantedUrl};
use portway_proto::{AgentId, Claim, CredentialRecord, LeaseRecord};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::bind_tcp;
use crate::control_link::AskFault;
use crate::endpoint::{About, Address, Endpoint, EndpointCounters, EndpointOptions, Holder};
use crate::link::AgentLink;
use crate::online::Listed;
use crate::restriction;
use crate::route::Taken;
use crate::shares::Shares;
use crate::state::EdgeShared;
use crate::tcp;

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) struct Agent {
    pub(crate) edge: Arc<EdgeShared>,
    /// The shard of the session, where its binds run too.
    pub(crate) shard: usize,
    pub(crate) session: AgentLink,
    /// What visitors have of the session's streams.
    pub(crate) shares: Arc<Shares>,
    pub(crate) session_id: SessionId,
    pub(crate) credential: Arc<CredentialRecord>,
    pub(crate) agent: AgentId,
    /// Which of the agent's connections it is, when it keeps several.
    pub(crate) leg: u32,
    pub(crate) generation: u64,
}

/// What is to be put online, whatever protocol asked for it.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) url: WantedUrl,
    pub(crate) options: EndpointOptions,
    pub(crate) about: About,
    pub(crate) address: Address,
    /// The id it had in an earlier session, under this URL.
    pub(crate) id: Option<(EndpointId, EndpointUrl)>,
    /// Others of the account may serve the same URL, when they say so too.
    pub(crate) pooled: bool,
    /// Only endpoints of the same account may reach it.
    pub(crate) internal: bool,
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
    /// None of an internal endpoint: its name is its account's own.
    lease: Option<Arc<LeaseRecord>>,
    /// The lease is asked for again.
    pub(crate) renewing: bool,
    /// How long the lease is kept for an agent that comes back.
    grace: Duration,
    /// Ends the accepting on a TCP endpoint's port.
    _accepting: Option<DropGuard>,
    /// Its place in what is reported.
    _listed: Listed,
}

impl Online {
    /// The agent gave the endpoint up: its name is free at once.
    pub(crate) fn close(mut self) {
        self.grace = Duration::ZERO;
    }

    /// The lease on its name.
    pub(crate) fn lease(&self) -> Option<&Arc<LeaseRecord>> {
        self.lease.as_ref()
    }

    /// The lease was granted again in the place of one that was lost.
    pub(crate) fn renewed(&mut self, lease: Arc<LeaseRecord>) {
        self.lease = Some(lease);
        self.renewing = false;
    }

    /// The control plane took the name back: there is nothing to give back.
    pub(crate) fn end(mut self) {
        self.lease = None;
    }

    /// The URL as visitors write it: with the port where it is not the scheme's own.
    pub(crate) fn public_url(&self) -> EndpointUrl {
        public_url(&self.edge, &self.endpoint.url)
    }

    /// Whether these rules permit it.
    pub(crate) fn permitted_by(&self, acl: &Acl) -> Result<(), BindDenied> {
        permit(&self.edge, acl, &self.endpoint.url)
    }
}

/// An endpoint's URL as visitors write it: with the port where it is not the scheme's own.
pub(crate) fn public_url(edge: &EdgeShared, url: &EndpointUrl) -> EndpointUrl {
    if is_internal(url.host.name()) {
        return url.clone();
    }
    let port = public_port(edge, url.scheme).or(url.port);
    EndpointUrl::new(url.scheme, url.host.clone(), port).unwrap_or_else(|_| url.clone())
}

/// Whether rules permit a URL; when not, the refusal names it as visitors write it.
fn permit(edge: &EdgeShared, acl: &Acl, url: &EndpointUrl) -> Result<(), BindDenied> {
    let denied = |denied| BindDenied { what: public_url(edge, url).to_string(), ..denied };
    acl.permit_bind(url).map(drop).map_err(denied)
}

impl Drop for Online {
    fn drop(&mut self) {
        let scheme = self.endpoint.url.scheme.into();
        self.edge.metrics.endpoints.get_or_create(&scheme).dec();
        let was_last = self.edge.routes.remove(&self.endpoint);
        // A draining edge keeps its leases: its agents come back to its successor.
        if let Some(lease) = self.lease.take().filter(|_| was_last && !self.edge.draining.is_cancelled()) {
            self.edge.leases.give_back(lease, self.grace);
        }
    }
}

/// Puts an endpoint online under a handle that is new in the session.
///
/// Cancel safety: safe; what was claimed by then is given back, or ends with the edge.
pub(crate) async fn bind(agent: Arc<Agent>, wanted: Wanted, handle: u32) -> Result<Online, Refused> {
    let deadline = Instant::now() + agent.edge.limits().bind_timeout;
    restriction::check_policies(&agent.edge, agent.credential.account, &wanted.options)?;
    let name = name(&agent, &wanted, deadline).await?;
    let known = wanted.id.filter(|(_, url)| *url == name.url).map(|(id, _)| id);
    let endpoint = Arc::new(Endpoint {
        id: known.unwrap_or_else(|| EndpointId::new(new_ksuid())),
        url: name.url,
        account: agent.credential.account,
        handle,
        address: wanted.address,
        internal: wanted.internal,
        pooled: wanted.pooled,
        since: SystemTime::now(),
        about: wanted.about.into(),
        session: agent.session.clone(),
        shares: Arc::clone(&agent.shares),
        shard: agent.shard,
        holder: Holder {
            lessee: agent.lessee(wanted.pooled),
            agent: agent.agent,
            leg: agent.leg,
            generation: agent.generation,
            fence: name.lease.as_ref().map_or(0, |lease| lease.fence),
            session_id: agent.session_id,
        },
        options: wanted.options,
        counters: EndpointCounters::default(),
    });
    put_online(&agent, &endpoint, name.lease.as_ref())?;
    let edge = Arc::clone(&agent.edge);
    edge.metrics.endpoints.get_or_create(&endpoint.url.scheme.into()).inc();
    let accepting = name.socket.map(|socket| {
        let stop = CancellationToken::new();
        edge.tasks.spawn(tcp::accept(Arc::clone(&edge), socket, Arc::clone(&endpoint), stop.clone()));
        stop.drop_guard()
    });
    let grace = edge.config.lease_grace;
    let credential = Arc::clone(&agent.credential);
    let listed = edge.online.enter_endpoint(&endpoint);
    Ok(Online {
        edge,
        endpoint,
        credential,
        lease: name.lease,
        renewing: false,
        grace,
        _accepting: accepting,
        _listed: listed,
    })
}

/// A name that the account may have, and what keeps others from it.
struct Name {
    url: EndpointUrl,
    lease: Option<Arc<LeaseRecord>>,
    /// The port of a public TCP endpoint.
    socket: Option<Arc<TcpListener>>,
}

async fn name(agent: &Agent, wanted: &Wanted, deadline: Instant) -> Result<Name, Refused> {
    if wanted.internal {
        return Ok(Name { url: internal_url(agent, &wanted.url)?, lease: None, socket: None });
    }
    let (lease, socket) = if wanted.url.scheme == Scheme::Tcp {
        let (lease, socket) = bind_tcp::lease(agent, wanted, deadline).await?;
        (lease, Some(socket))
    } else {
        (lease(agent, wanted, deadline).await?, None)
    };
    Ok(Name { url: lease.url.clone(), lease: Some(lease), socket })
}

/// The URL of an internal endpoint: complete, and below `.internal`, where no public name can be.
fn internal_url(agent: &Agent, wanted: &WantedUrl) -> Result<EndpointUrl, Refused> {
    let no_name = |why: String| Refused::for_good(Code::ERR_NGROK_326.with(why));
    let url =
        wanted.complete().map_err(|error| no_name(format!("An internal endpoint needs a whole URL: {error}.")))?;
    if !is_internal(url.host.name()) {
        return Err(no_name(format!("The name {} of an internal endpoint does not end in .internal.", url.host)));
    }
    agent.credential.acl.permit_bind(&url)?;
    Ok(url)
}

/// Whether a name is for internal endpoints only.
pub(crate) fn is_internal(name: &HostName) -> bool {
    name.as_str().ends_with(".internal")
}

impl Agent {
    /// Who holds the leases of its endpoints: the agent, or for members of a pool the account.
    fn lessee(&self, pooled: bool) -> AgentId {
        if pooled { pool_of(self.credential.account) } else { self.agent }
    }

    /// The lease on a complete URL: from the replica when the agent has it already, from the control plane otherwise.
    pub(crate) async fn claim(
        &self,
        url: &EndpointUrl,
        pooled: bool,
        deadline: Instant,
    ) -> Result<Arc<LeaseRecord>, AskFault> {
        if let Some(lease) = self.edge.replica.lease(url)
            && lease.account == self.credential.account
            && lease.agent == self.lessee(pooled)
            && lease.edge == self.edge.edge_id
            // A lease with an end was given back, or held by an edge process before this one: it must be claimed again.
            && lease.expires_at_ms.is_none()
            && self.edge.leases.keep(lease.id)
        {
            return Ok(lease);
        }
        let holder_offline = match self.edge.routes.same_name(url) {
            Some(endpoint) => self.outlives(&endpoint, pooled).await,
            None => true,
        };
        self.claim_wanted(url.clone().into(), pooled, holder_offline, deadline).await
    }

    /// Whether the session that holds a name is over. An agent that was killed cannot say so, and over QUIC no one else does: when another
    /// agent of the account wants the name, its session has to answer.
    async fn outlives(&self, held: &Endpoint, pooled: bool) -> bool {
        let another = held.account == self.credential.account && held.holder.lessee != self.lessee(pooled);
        if another && let Some(holder) = self.edge.sessions.get(held.holder.session_id) {
            return !holder.answers(&held.session).await;
        }
        !held.is_online()
    }

    /// The lease on a name of a session that is online, after the one it had is not there any more: again, as long as nobody else has
    /// the name by now.
    pub(crate) async fn claim_again(
        &self,
        url: &EndpointUrl,
        pooled: bool,
        deadline: Instant,
    ) -> Result<Arc<LeaseRecord>, AskFault> {
        self.claim_wanted(url.clone().into(), pooled, false, deadline).await
    }

    async fn claim_wanted(
        &self,
        url: WantedUrl,
        pooled: bool,
        holder_offline: bool,
        deadline: Instant,
    ) -> Result<Arc<LeaseRecord>, AskFault> {
        let claim = Claim {
            edge: self.edge.edge_id.clone(),
            account: self.credential.account,
            credential: self.credential.id,
            agent: self.lessee(pooled),
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

impl From<BindDenied> for Refused {
    fn from(denied: BindDenied) -> Refused {
        Refused::for_good(denied)
    }
}

/// The lease for an http, https or tls endpoint.
async fn lease(agent: &Agent, wanted: &Wanted, deadline: Instant) -> Result<Arc<LeaseRecord>, Refused> {
    let (edge, pooled) = (&agent.edge, wanted.pooled);
    let scheme = wanted.url.scheme;
    let base = edge.replica.base_domain().ok_or_else(|| Refused::for_now(Code::ERR_PORTWAY_50303))?;
    let wanted =
        wanted.url.resolve(&base).map_err(|error| Refused::for_good(Code::ERR_NGROK_328.with(error.to_string())))?;
    if let Some(port) = wanted.port.filter(|port| public_port(edge, scheme) != Some(*port)) {
        let text = format!("The port {port} is not served for {scheme} endpoints. Leave the port out of the URL.");
        return Err(Refused::for_good(Code::ERR_PORTWAY_40004.with(text)));
    }
    let Some(host) = wanted.host else {
        agent.credential.acl.permit_random(scheme)?;
        return Ok(agent.claim_wanted(WantedUrl::any(scheme), pooled, false, deadline).await?);
    };
    let url = EndpointUrl::new(scheme, host, None)
        .map_err(|error| Refused::for_good(Code::ERR_NGROK_326.with(error.to_string())))?;
    permit(edge, &agent.credential.acl, &url)?;
    if is_own(edge, &url.host) || is_internal(url.host.name()) {
        let text = format!("{} is kept for the installation itself. Choose another name.", url.host);
        return Err(Refused::for_good(Code::ERR_NGROK_347.with(text)));
    }
    Ok(agent.claim(&url, pooled, deadline).await.map_err(|fault| already_online(edge, &url, fault))?)
}

/// The control plane knows no ports: what it says of a name that is online is said again with the whole URL.
fn already_online(edge: &EdgeShared, url: &EndpointUrl, fault: AskFault) -> AskFault {
    match fault {
        AskFault::Refused(error) if error.code == Code::ERR_NGROK_334 => AskFault::Refused(error.code.with(format!(
            "Another agent of your account already serves {}. Stop that agent, or choose another URL.",
            public_url(edge, url)
        ))),
        other => other,
    }
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

/// Enters the endpoint into the route table; tells the session that loses the name.
fn put_online(agent: &Agent, endpoint: &Arc<Endpoint>, lease: Option<&Arc<LeaseRecord>>) -> Result<(), Refused> {
    let edge = &agent.edge;
    match edge.routes.insert(Arc::clone(endpoint)) {
        Ok(gone) => {
            gone.iter().for_each(|old| tell_old_holder(edge, old, endpoint));
            Ok(())
        }
        Err(Taken { by_later_session: true, .. }) => {
            let url = public_url(edge, &endpoint.url);
            let text = format!("A newer session of the same agent already serves {url}.");
            Err(Refused::for_good(Code::ERR_NGROK_334.with(text)))
        }
        Err(Taken { url, .. }) => {
            if let Some(lease) = lease {
                edge.leases.give_back(Arc::clone(lease), Duration::ZERO);
            }
            let url = public_url(edge, &url);
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
    let text = (!own)
        .then(|| Code::ERR_NGROK_334.with(format!("{} was taken over by another agent.", public_url(edge, &old.url))));
    tracing::info!(url = %new.url, from = %old.holder.session_id, to = %new.holder.session_id,
        streams = old.counters.streams.load(Ordering::Relaxed), "endpoint taken over");
    session.order(|orders| orders.taken.push((old.handle, text)));
}

/// Stands for all members of an account's pools where leases are held: an agent id that no agent has.
fn pool_of(account: AccountId) -> AgentId {
    let hash = digest(&SHA256, format!("pool of {account}").as_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&hash.as_ref()[..16]);
    AgentId::new(id)
}

/// A fresh id: the time and 128 random bits.
pub(crate) fn new_ksuid() -> Ksuid {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Ksuid::from_parts(since.as_secs(), rand::random())
}
