//! A native agent's session: binds and unbinds as the agent asks, and what the edge has to say in between.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use portway_codes::{Code, PublicError};
use portway_mux::{ErrorCode, Stream};
use portway_proto::agent::v1::{
    Bind, BindRefused, Bound, EndpointClosed, GoAway, Unbound, agent_message, edge_message,
};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use crate::admission::Limit;
use crate::bind::{Agent, Online, Refused, bind};
use crate::control_stream::{ControlFault, ControlStream};
use crate::metrics::ReasonLabel;
use crate::native;
use crate::sessions::{Orders, Registration};

/// How soon a credential that the control plane confirmed, but the replica does not show, is looked up again: long enough for the
/// replica to catch up, short enough for a revocation that came in between.
const CONFIRM_AFTER: Duration = Duration::from_secs(1);

/// How often a session that was told to go away looks whether its streams have ended; also the time the agent has to read why.
const LEAVE_LOOK: Duration = Duration::from_millis(250);

/// How long a session that was told to go away still serves visitors who were accepted before that: their handshakes take a few round
/// trips.
const LAST_VISITORS: Duration = Duration::from_secs(1);

/// How long a polite close may take before the session is aborted.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// One session, run by one task on its shard.
pub(crate) struct AgentSession {
    agent: Arc<Agent>,
    registration: Registration,
    control: ControlStream,
    endpoints: HashMap<u32, Online>,
    /// Binds under way: the request number and what came of it.
    binds: JoinSet<(u32, Result<Online, Refused>)>,
    last_handle: u32,
    /// When the credential is to be confirmed; none while the replica shows it.
    confirm_at: Option<Instant>,
    /// No more binds: the agent said Goodbye, or the edge GoAway.
    leaving: Option<Leaving>,
    /// Until then visitors are expected who were accepted before the edge began to drain.
    leave_from: Instant,
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
    /// The carrier is gone.
    Closed,
}

impl AgentSession {
    pub(crate) fn new(agent: Agent, registration: Registration, control: ControlStream) -> Self {
        let shown = agent.edge.replica.has_credential(agent.credential.id);
        AgentSession {
            agent: Arc::new(agent),
            registration,
            control,
            endpoints: HashMap::new(),
            binds: JoinSet::new(),
            last_handle: 0,
            confirm_at: (!shown).then(|| Instant::now() + CONFIRM_AFTER),
            leaving: None,
            leave_from: Instant::now(),
        }
    }

    /// Runs until the session is over, and leaves nothing of it online.
    pub(crate) async fn run(mut self) {
        let online = self.agent.edge.metrics.sessions.get_or_create_owned(&self.agent.session.carrier().into());
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
        // Offline first: no visitor is sent to a session that is about to close.
        self.endpoints.clear();
        self.binds.shutdown().await;
        let session = &self.agent.session;
        match end {
            End::Fault(ControlFault::Ended) => session.close("the control stream ended"),
            End::Fault(fault) => {
                tracing::debug!(session = %self.agent.session_id, %fault, "session aborted");
                session.abort();
            }
            End::Refused(refused) => native::refuse(&mut self.control, session, &refused).await,
            End::Drained => session.close("the edge is shutting down"),
            End::Closed => {}
        }
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
            () = tokio::time::sleep(LEAVE_LOOK), if self.leaving == Some(Leaving::Edge) => self.leave_when_idle(),
            () = sleep_until(confirm_at) => Box::pin(self.confirm()).await,
            message = self.control.next(), if may_read => match message {
                Ok(message) => Box::pin(self.hear(message)).await,
                Err(fault) => Err(End::Fault(fault)),
            },
            Some(stream) = session.accept() => {
                refuse_stream(stream);
                Ok(())
            }
        }
    }

    async fn hear(&mut self, message: agent_message::Message) -> Result<(), End> {
        match message {
            agent_message::Message::Bind(message) => self.bind(message).await,
            agent_message::Message::Unbind(unbind) => {
                if let Some(online) = self.endpoints.remove(&unbind.endpoint) {
                    online.close();
                }
                self.send(edge_message::Message::Unbound(Unbound { endpoint: unbind.endpoint })).await
            }
            agent_message::Message::Goodbye(_) => {
                if self.leaving != Some(Leaving::Edge) {
                    self.leaving = Some(Leaving::Agent);
                    self.endpoints.drain().for_each(|(_, online)| online.close());
                }
                // An edge that drains has visitors on their way who were accepted before; the session serves them to its end.
                Ok(())
            }
            agent_message::Message::Hello(_) => {
                let text = "The agent said Hello twice. Update the agent.";
                Err(End::Refused(Refused::for_good(Code::ERR_NGROK_109.with(text))))
            }
        }
    }

    async fn bind(&mut self, message: Bind) -> Result<(), End> {
        let request = message.request;
        match self.leaving {
            Some(Leaving::Edge) => {
                return self.refuse_bind(request, Refused::for_now(Code::ERR_NGROK_803)).await;
            }
            Some(Leaving::Agent) => {
                let text = "The session said Goodbye and opens no more endpoints.";
                return self.refuse_bind(request, Refused::for_good(Code::ERR_NGROK_301.with(text))).await;
            }
            None => {}
        }
        let limit = self.agent.edge.limits().endpoints_per_session as usize;
        if self.endpoints.len() + self.binds.len() >= limit {
            self.agent.edge.admission.reached(Limit::EndpointsPerSession, self.agent.session.peer_addr());
            let text = format!("The session has {limit} endpoints, as many as a session may have. Close one first.");
            return self.refuse_bind(request, Refused::for_good(Code::ERR_NGROK_324.with(text))).await;
        }
        let Some(handle) = self.last_handle.checked_add(1) else {
            let text = "The session has used up its endpoint numbers. Connect again.";
            return Err(End::Refused(Refused::for_now(Code::ERR_NGROK_802.with(text))));
        };
        self.last_handle = handle;
        let agent = Arc::clone(&self.agent);
        self.binds.spawn(async move { (request, bind(agent, message, handle).await) });
        Ok(())
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
            Err(refused) => return self.refuse_bind(request, refused).await,
        };
        if self.leaving.is_some() {
            drop(online);
            return self.refuse_bind(request, Refused::for_now(Code::ERR_NGROK_803)).await;
        }
        if !Arc::ptr_eq(&online.credential, &self.agent.credential) {
            // The rules changed while the bind was under way.
            if let Err(denied) = self.agent.credential.acl.permit_bind(&online.endpoint.url) {
                online.close();
                return self.refuse_bind(request, denied.into()).await;
            }
        }
        let endpoint = &online.endpoint;
        let bound = Bound {
            request,
            endpoint: endpoint.handle,
            url: online.public_url().to_string(),
            endpoint_id: endpoint.id.to_string(),
        };
        tracing::info!(session = %self.agent.session_id, url = bound.url, "endpoint online");
        self.endpoints.insert(endpoint.handle, online);
        self.send(edge_message::Message::Bound(bound)).await
    }

    async fn obey(&mut self, orders: Orders) -> Result<(), End> {
        if let Some(error) = orders.refuse {
            return Err(End::Refused(Refused::for_good(error)));
        }
        if orders.close {
            return Err(End::Drained);
        }
        for (handle, text) in orders.taken {
            let Some(online) = self.endpoints.remove(&handle) else { continue };
            drop(online);
            if let Some(error) = text {
                self.tell_closed(handle, error).await?;
            }
        }
        if orders.recheck {
            self.recheck().await?;
        }
        if orders.go_away && self.leaving != Some(Leaving::Edge) {
            self.leaving = Some(Leaving::Edge);
            self.leave_from = Instant::now() + LAST_VISITORS;
            let grace_ms = u32::try_from(self.agent.edge.config.drain_grace.as_millis()).unwrap_or(u32::MAX);
            let go_away = GoAway { reason: "the server is shutting down or restarting".to_owned(), grace_ms };
            self.send(edge_message::Message::GoAway(go_away)).await?;
        }
        Ok(())
    }

    /// Closes a session that was told to go away as soon as only its control stream is left, and visitors who were on the way have come.
    fn leave_when_idle(&self) -> Result<(), End> {
        let expected = Instant::now() < self.leave_from;
        let idle = self.agent.session.open_streams() <= 1 && self.binds.is_empty() && !expected;
        if idle { Err(End::Drained) } else { Ok(()) }
    }

    /// Compares the credential with the replica: it may be gone, or have other rules.
    async fn recheck(&mut self) -> Result<(), End> {
        let edge = Arc::clone(&self.agent.edge);
        let Some(credential) = edge.replica.credential(&self.agent.credential.digest) else {
            // Gone, or not there yet: the control plane knows.
            self.confirm_at = Some(Instant::now());
            return Ok(());
        };
        if credential.acl == self.agent.credential.acl {
            return Ok(());
        }
        self.agent = Arc::new(Agent { credential: Arc::clone(&credential), ..Agent::clone(&self.agent) });
        let denied: Vec<_> = self
            .endpoints
            .iter()
            .filter_map(|(handle, online)| {
                let denied = credential.acl.permit_bind(&online.endpoint.url).err()?;
                Some((*handle, PublicError::from(&denied)))
            })
            .collect();
        for (handle, error) in denied {
            if let Some(online) = self.endpoints.remove(&handle) {
                online.close();
            }
            self.tell_closed(handle, error).await?;
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

    async fn refuse_bind(&mut self, request: u32, refused: Refused) -> Result<(), End> {
        let Refused { error, retryable } = refused;
        let reason = error.code.name();
        self.agent.edge.metrics.refused.get_or_create(&ReasonLabel { reason }).inc();
        tracing::info!(session = %self.agent.session_id, code = reason, "endpoint refused");
        let answer = BindRefused { request, code: error.code.to_string(), text: error.text, retryable };
        self.send(edge_message::Message::BindRefused(answer)).await
    }

    async fn tell_closed(&mut self, endpoint: u32, error: PublicError) -> Result<(), End> {
        let closed = EndpointClosed { endpoint, code: error.code.to_string(), text: error.text };
        self.send(edge_message::Message::EndpointClosed(closed)).await
    }

    async fn send(&mut self, message: edge_message::Message) -> Result<(), End> {
        self.control.send(message).await.map_err(End::Fault)
    }
}

/// A session has one control stream; nothing else is to be opened by a native agent.
fn refuse_stream(mut stream: Stream) {
    stream.reset(ErrorCode::STREAM_REFUSED);
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
