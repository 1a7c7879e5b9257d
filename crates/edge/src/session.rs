//! An agent's session, whatever protocol it speaks: binds and unbinds as the agent asks, and what the edge has to say in between.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

use portway_access::Acl;
use portway_codes::{Code, PublicError};
use portway_names::EndpointId;
use portway_proto::EndpointRecord;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use crate::admission::{Limit, SessionBinds};
use crate::bind::{Agent, Online, Refused, Wanted, bind, new_ksuid};
use crate::control_stream::ControlFault;
use crate::front::{Change, Front, Heard, Labelled};
use crate::metrics::{CarrierLabel, ReasonLabel};
use crate::online::{Introduction, Listed, unix_millis};
use crate::sessions::{Orders, Registration};
use crate::{login, restriction};

use self::names::Renewal;

mod names;

/// How soon a credential that the control plane confirmed, but the replica does not show, is looked up again: long enough for the
/// replica to catch up, short enough for a revocation that came in between.
const CONFIRM_AFTER: Duration = Duration::from_secs(1);

/// How often a session that was told to go away looks whether its streams have ended; also the time the agent has to read why.
const LEAVE_LOOK: Duration = Duration::from_millis(250);

/// How long a polite close may take before the session is aborted.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// One session, run by one task on its shard.
pub(crate) struct AgentSession {
    agent: Arc<Agent>,
    registration: Registration,
    front: Front,
    endpoints: HashMap<u32, Online>,
    /// Endpoints without a URL, by id: what leads to them names labels.
    labelled: HashMap<String, (BTreeMap<String, String>, Listed)>,
    /// Binds under way: the request number and what came of it.
    binds: JoinSet<(u32, Result<Online, Refused>)>,
    /// How fast it bound of late.
    bound: SessionBinds,
    last_handle: u32,
    /// Leases that are asked for again: at most one for each endpoint.
    renewals: JoinSet<Renewal>,
    /// Its place in what is reported. Boxed, as idle sessions are to be small.
    _listed: Box<Listed>,
    /// When the credential is to be confirmed; none while the replica shows it.
    confirm_at: Option<Instant>,
    /// No more binds: the agent said Goodbye, or the edge GoAway.
    leaving: Option<Leaving>,
    /// Until then visitors are expected who were accepted before the edge began to drain.
    leave_from: Instant,
    /// When streams that still run are cut, in a session that was told to go away.
    leave_at: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaving {
    Agent,
    Edge,
}

/// What ends a session.
enum End {
    /// The control stream is of no more use.
    Fault(ControlFault),
    /// The edge ends it and says why.
    Refused(Refused),
    /// The edge closes it when its streams have ended.
    Drained,
    /// The owner of the account wants so.
    Stopped,
    /// The carrier is gone.
    Closed,
}

impl AgentSession {
    pub(crate) fn new(agent: Agent, registration: Registration, introduction: Introduction, front: Front) -> Self {
        let listed = agent.edge.online.enter_session(&agent, introduction);
        let shown = agent.edge.replica.has_credential(agent.credential.id);
        AgentSession {
            agent: Arc::new(agent),
            registration,
            front,
            endpoints: HashMap::new(),
            labelled: HashMap::new(),
            binds: JoinSet::new(),
            bound: SessionBinds::default(),
            last_handle: 0,
            renewals: JoinSet::new(),
            _listed: Box::new(listed),
            confirm_at: (!shown).then(|| Instant::now() + CONFIRM_AFTER),
            leaving: None,
            leave_from: Instant::now(),
            leave_at: Instant::now(),
        }
    }

    /// Runs until the session is over, and leaves nothing of it online.
    pub(crate) async fn run(mut self) {
        let online =
            self.agent.edge.metrics.sessions.get_or_create_owned(&CarrierLabel::new(self.agent.session.carrier()));
        online.inc();
        if self.agent.edge.draining.is_cancelled() {
            // The order to go away was given before the registration.
            self.registration.handle().order(|orders| orders.go_away = true);
        }
        let end = loop {
            if let Err(end) = self.turn().await {
                break end;
            }
        };
        online.dec();
        Box::pin(self.over(end)).await;
    }

    async fn over(&mut self, end: End) {
        self.binds.shutdown().await;
        self.renewals.shutdown().await;
        let endpoints: Vec<_> = self.endpoints.drain().map(|(_, online)| online).collect();
        let session = &self.agent.session;
        match end {
            End::Fault(ControlFault::Ended) => self.front.leave("the control stream ended").await,
            End::Fault(fault) => {
                tracing::debug!(session = %self.agent.session_id, %fault, "session aborted");
                session.abort();
            }
            End::Refused(refused) => self.front.refuse(&endpoints, &refused).await,
            End::Drained => self.front.drained("the edge is shutting down").await,
            End::Stopped => self.front.stopped("The session was stopped by its account.").await,
            End::Closed => {}
        }
        drop(endpoints);
        match tokio::time::timeout(CLOSE_TIMEOUT, session.closed()).await {
            Ok(reason) => tracing::info!(session = %self.agent.session_id, %reason, "agent session over"),
            Err(_) => session.abort(),
        }
    }

    /// Waits for one thing to happen, and does it.
    async fn turn(&mut self) -> Result<(), End> {
        let handle = Arc::clone(self.registration.handle());
        let may_read = self.binds.len() < self.agent.edge.limits().binds_in_flight;
        let confirm_at = self.confirm_at;
        let session = self.agent.session.clone();
        tokio::select! {
            _ = session.closed() => Err(End::Closed),
            orders = handle.orders() => Box::pin(self.obey(orders)).await,
            Some(done) = self.binds.join_next() => Box::pin(self.answer(done)).await,
            Some(renewal) = self.renewals.join_next() => Box::pin(self.renewed(renewal)).await,
            () = tokio::time::sleep(LEAVE_LOOK), if self.leaving == Some(Leaving::Edge) => self.leave_when_idle(),
            () = sleep_until(confirm_at) => Box::pin(self.confirm()).await,
            heard = self.front.next(), if may_read => match heard {
                Ok(heard) => Box::pin(self.hear(heard)).await,
                Err(fault) => Err(End::Fault(fault)),
            },
        }
    }

    async fn hear(&mut self, heard: Heard) -> Result<(), End> {
        match heard {
            Heard::Bind { request, wanted } => match self.may_bind().and(wanted) {
                Ok(wanted) => self.bind(request, wanted).await,
                Err(refused) => self.refuse_wish(request, refused).await,
            },
            Heard::BindLabels { request, wanted } => match self.may_bind() {
                Ok(()) => self.bind_labels(request, *wanted).await,
                Err(refused) => self.refuse_wish(request, refused).await,
            },
            Heard::Unbind { request, handle } => {
                if let Some(online) = handle.and_then(|handle| self.endpoints.remove(&handle)) {
                    online.close();
                }
                self.front.unbound(request, handle.unwrap_or_default()).await.map_err(End::Fault)
            }
            Heard::UnbindLabels { request, id } => {
                self.labelled.remove(&id);
                self.front.done(request);
                Ok(())
            }
            Heard::Describe { request, endpoint, change } => self.describe(request, &endpoint, change).await,
            Heard::Obeyed { request, error } => {
                self.registration.handle().exchange.answer(request, error);
                Ok(())
            }
            Heard::Goodbye => {
                if self.leaving != Some(Leaving::Edge) {
                    self.leaving = Some(Leaving::Agent);
                    self.endpoints.drain().for_each(|(_, online)| online.close());
                }
                // An edge that drains has visitors on their way who were accepted before; the session serves them to its end.
                Ok(())
            }
            Heard::Fault(refused) => Err(End::Refused(refused)),
        }
    }

    async fn bind(&mut self, request: u32, wanted: Box<Wanted>) -> Result<(), End> {
        let handle = self.next_handle()?;
        let agent = Arc::clone(&self.agent);
        self.binds.spawn(async move { (request, bind(agent, *wanted, handle).await) });
        Ok(())
    }

    fn next_handle(&mut self) -> Result<u32, End> {
        let Some(handle) = self.last_handle.checked_add(1) else {
            let text = "The session has used up its endpoint numbers. Connect again.";
            return Err(End::Refused(Refused::for_now(Code::ERR_NGROK_802.with(text))));
        };
        self.last_handle = handle;
        Ok(handle)
    }

    /// Whether the session may have one more endpoint; counts that it asked.
    fn may_bind(&mut self) -> Result<(), Refused> {
        match self.leaving {
            Some(Leaving::Edge) => return Err(Refused::for_now(Code::ERR_NGROK_803)),
            Some(Leaving::Agent) => {
                let text = "The session said Goodbye and opens no more endpoints.";
                return Err(Refused::for_good(Code::ERR_NGROK_301.with(text)));
            }
            None => {}
        }
        let (edge, peer) = (&self.agent.edge, self.agent.session.peer_addr());
        if let Err(wait) = edge.admission.bind(&mut self.bound, peer) {
            let (rate, burst) = (edge.limits().binds_per_minute, edge.limits().binds_burst());
            let text = format!(
                "The session asks for endpoints faster than it may: {rate} a minute after the first {burst}. \
                 Try again in {} s, and look for an agent that asks in a loop.",
                wait.as_secs_f64().ceil()
            );
            return Err(Refused::for_now(Code::ERR_NGROK_350.with(text)));
        }
        let limit = edge.limits().endpoints_per_session as usize;
        if self.endpoints.len() + self.labelled.len() + self.binds.len() >= limit {
            edge.admission.reached(Limit::EndpointsPerSession, peer);
            let text = format!("The session has {limit} endpoints, as many as a session may have. Close one first.");
            return Err(Refused::for_good(Code::ERR_NGROK_324.with(text)));
        }
        Ok(())
    }

    async fn bind_labels(&mut self, request: u32, wanted: Labelled) -> Result<(), End> {
        let Labelled { labels, about, upstream_http2 } = wanted;
        if let Err(refused) = permit_labels(&self.agent.credential.acl, &labels) {
            return self.refuse_wish(request, refused).await;
        }
        let ksuid = new_ksuid();
        tracing::info!(session = %self.agent.session_id, ?labels, "labelled endpoint there");
        let record = EndpointRecord {
            session: self.agent.session_id,
            number: self.next_handle()?,
            account: self.agent.credential.account,
            id: EndpointId::new(ksuid),
            url: None,
            internal: false,
            pooled: false,
            name: about.name,
            description: about.description,
            metadata: about.metadata,
            forwards_to: about.forwards_to,
            upstream_http2,
            traffic_policy: String::new(),
            labels: labels.clone(),
            started_at_ms: unix_millis(SystemTime::now()),
        };
        let listed = self.agent.edge.online.enter_labelled(record);
        self.front.labels_bound(request, &ksuid.to_string());
        self.labelled.insert(ksuid.to_string(), (labels, listed));
        Ok(())
    }

    async fn describe(&mut self, request: u32, endpoint: &str, change: Change) -> Result<(), End> {
        let found = self.endpoints.values().find(|online| online.endpoint.id.to_string() == endpoint);
        match found {
            Some(online) => {
                change.apply(&mut online.endpoint.about.lock().unwrap_or_else(PoisonError::into_inner));
                self.agent.edge.online.described(self.agent.session_id, online.endpoint.handle);
                self.front.done(request);
                Ok(())
            }
            None => {
                let text = format!("The session has no endpoint {endpoint:?}.");
                self.refuse_wish(request, Refused::for_good(Code::ERR_NGROK_301.with(text))).await
            }
        }
    }

    async fn answer(&mut self, done: Result<(u32, Result<Online, Refused>), JoinError>) -> Result<(), End> {
        let (request, outcome) = match done {
            Ok(done) => done,
            Err(error) => {
                tracing::error!(%error, "a bind failed inside");
                return Err(End::Refused(Refused::for_now(Code::ERR_NGROK_802)));
            }
        };
        let online = match outcome {
            Ok(online) => online,
            Err(refused) => return self.refuse_wish(request, refused).await,
        };
        if self.leaving.is_some() {
            drop(online);
            return self.refuse_wish(request, Refused::for_now(Code::ERR_NGROK_803)).await;
        }
        if !Arc::ptr_eq(&online.credential, &self.agent.credential) {
            // The rules changed while the bind was under way.
            if let Err(denied) = online.permitted_by(&self.agent.credential.acl) {
                online.close();
                return self.refuse_wish(request, denied.into()).await;
            }
        }
        tracing::info!(session = %self.agent.session_id, url = %online.public_url(), "endpoint online");
        let told = self.front.bound(request, &online).await;
        self.endpoints.insert(online.endpoint.handle, online);
        told.map_err(End::Fault)
    }

    async fn obey(&mut self, orders: Orders) -> Result<(), End> {
        if let Some(error) = orders.refuse {
            return Err(End::Refused(Refused::for_good(error)));
        }
        if orders.stop {
            return Err(End::Stopped);
        }
        if orders.close {
            return Err(End::Drained);
        }
        if orders.tell {
            for (request, command) in self.registration.handle().exchange.take_unsent() {
                self.front.command(request, &command).await.map_err(End::Fault)?;
            }
        }
        if !orders.lost.is_empty() {
            self.end_lost(&orders.lost).await?;
        }
        for (handle, text) in orders.taken {
            let Some(online) = self.endpoints.remove(&handle) else { continue };
            let endpoint = Arc::clone(&online.endpoint);
            drop(online);
            if let Some(error) = text {
                self.front.closed(&endpoint, &error).await.map_err(End::Fault)?;
            }
        }
        if orders.recheck {
            self.recheck().await?;
        }
        if orders.go_away && self.leaving != Some(Leaving::Edge) {
            self.leaving = Some(Leaving::Edge);
            let stay = self.front.go_away(self.agent.edge.config.drain_grace).await.map_err(End::Fault)?;
            self.leave_from = Instant::now() + stay.idle;
            self.leave_at = Instant::now() + stay.busy;
        }
        Ok(())
    }

    /// Closes a session that was told to go away as soon as only its control stream is left, and visitors who were on the way have come.
    fn leave_when_idle(&self) -> Result<(), End> {
        let now = Instant::now();
        let idle = self.agent.session.is_idle() && self.binds.is_empty() && now >= self.leave_from;
        if idle || now >= self.leave_at { Err(End::Drained) } else { Ok(()) }
    }

    /// Compares with the replica: the account may not admit the agent's address any more, the connect URL may be gone, the credential may be
    /// gone, or have other rules.
    async fn recheck(&mut self) -> Result<(), End> {
        let edge = Arc::clone(&self.agent.edge);
        let (account, peer) = (self.agent.credential.account, self.agent.session.peer_addr());
        restriction::admit_agent(&edge, account, peer).map_err(End::Refused)?;
        let connect_name = self.registration.handle().connect_name.as_ref();
        login::check_connect_name(&edge, connect_name, account).map_err(End::Refused)?;
        let Some(credential) = edge.replica.credential(&self.agent.credential.digest) else {
            // Gone, or not there yet: the control plane knows.
            self.confirm_at = Some(Instant::now());
            return Ok(());
        };
        self.renew_lost();
        if credential.acl == self.agent.credential.acl {
            return Ok(());
        }
        self.agent = Arc::new(Agent { credential: Arc::clone(&credential), ..Agent::clone(&self.agent) });
        let denied: Vec<_> = self
            .endpoints
            .iter()
            .filter_map(|(handle, online)| {
                let denied = online.permitted_by(&credential.acl).err()?;
                Some((*handle, PublicError::from(&denied)))
            })
            .collect();
        for (handle, error) in denied {
            let Some(online) = self.endpoints.remove(&handle) else { continue };
            let endpoint = Arc::clone(&online.endpoint);
            online.close();
            self.front.closed(&endpoint, &error).await.map_err(End::Fault)?;
        }
        let denied: Vec<_> = self
            .labelled
            .iter()
            .filter_map(|(id, (labels, _))| Some((id.clone(), permit_labels(&credential.acl, labels).err()?)))
            .collect();
        for (id, refused) in denied {
            self.labelled.remove(&id);
            self.front.labels_closed(&id, &refused.error);
        }
        Ok(())
    }

    /// Looks up a credential that the replica does not show. While the control plane is away the session goes on.
    async fn confirm(&mut self) -> Result<(), End> {
        self.confirm_at = None;
        let edge = &self.agent.edge;
        if edge.replica.credential(&self.agent.credential.digest).is_some() {
            return Ok(());
        }
        let deadline = Instant::now() + CONFIRM_AFTER;
        match edge.control.authenticate(&self.agent.credential.digest, deadline).await {
            Ok(None) => Err(End::Refused(Refused::for_good(Code::ERR_NGROK_300))),
            Ok(Some(_)) => Ok(()),
            Err(_) => {
                self.confirm_at = Some(Instant::now() + CONFIRM_AFTER * 5);
                Ok(())
            }
        }
    }

    async fn refuse_wish(&mut self, request: u32, refused: Refused) -> Result<(), End> {
        let reason = refused.error.code.name();
        self.agent.edge.metrics.refused.get_or_create(&ReasonLabel { reason }).inc();
        // One that asks too fast was logged where the limit was reached, once a second.
        if refused.error.code != Code::ERR_NGROK_350 {
            tracing::info!(session = %self.agent.session_id, code = reason, "endpoint refused");
        }
        self.front.refused(request, refused).await.map_err(End::Fault)
    }
}

fn permit_labels(acl: &Acl, labels: &BTreeMap<String, String>) -> Result<(), Refused> {
    for (key, value) in labels {
        acl.permit_label(key, value)?;
    }
    Ok(())
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
