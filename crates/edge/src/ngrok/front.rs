//! An SDK's session after its login: its questions, their answers, and what the edge tells it unasked.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use portway_codes::{Code, PublicError};
use portway_mux::{Session, Stream};
use portway_names::AccountId;
use portway_wire::StreamType;
use portway_wire::ngrok::{
    Auth, Bind, BindAnswer, BindLabels, MessageError, PatchEndpoint, Unbind, error_answer, labels_answer,
    region_answer, stop_tunnel,
};
use serde_json::{Map, Value};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::options;
use super::request::{self, Due, Request, RequestFault};
use super::resume::EndpointToken;
use crate::bind::{Agent, Online, Refused, Wanted};
use crate::control_stream::ControlFault;
use crate::endpoint::{About, Address, Endpoint};
use crate::front::{Change, Heard, Labelled, Stay};
use crate::state::EdgeShared;

/// Questions under way at a time, from the first byte to the end of the answer; more streams wait in the session. Question and answer may
/// have a mebibyte each. SDKs ask one after the other.
const QUESTIONS_MAX: usize = 16;
/// How long streams may go on beside the edge's successor. An SDK dials only when its connection has ended, and until then its endpoints are
/// away from the successor; so what takes longer is cut.
const LAST_STREAMS: Duration = Duration::from_secs(2);
/// Time for what is told when a session ends.
const FAREWELL: Duration = Duration::from_millis(500);

/// What its `Auth` said, for the rest of the session.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) client_id: String,
    pub(super) account: AccountId,
    /// From version 3 of the protocol on, an agent can be told that an endpoint is no more.
    hears_stop_tunnel: bool,
    edge: Arc<EdgeShared>,
}

/// One SDK's side of a session.
#[derive(Debug)]
pub(crate) struct NgrokFront {
    identity: Identity,
    /// Places of questions under way.
    places: Arc<Semaphore>,
    reading: JoinSet<Result<Request, RequestFault>>,
    /// Questions without an answer.
    asked: HashMap<u32, Asked>,
    last_request: u32,
    /// Endpoints online: the id of the bind, and the number in the session.
    handles: HashMap<Arc<str>, u32>,
    /// Ids of endpoints that are found by labels.
    labelled: Vec<String>,
}

#[derive(Debug)]
struct Asked {
    due: Due,
    /// Of a bind.
    bind: Option<Box<Bind>>,
}

impl Identity {
    pub(super) fn of(agent: &Agent, auth: &Auth) -> Self {
        Self {
            client_id: agent.agent.to_string(),
            account: agent.credential.account,
            hears_stop_tunnel: auth.version == "3",
            edge: Arc::clone(&agent.edge),
        }
    }
}

impl NgrokFront {
    pub(super) fn new(identity: Identity) -> Self {
        Self {
            identity,
            places: Arc::new(Semaphore::new(QUESTIONS_MAX)),
            reading: JoinSet::new(),
            asked: HashMap::new(),
            last_request: 0,
            handles: HashMap::new(),
            labelled: Vec::new(),
        }
    }

    /// See [`crate::front::Front::next`].
    pub(crate) async fn next(&mut self, session: &Session) -> Result<Heard, ControlFault> {
        loop {
            let request = tokio::select! {
                (place, stream) = accept(&self.places, session) => {
                    let Some(stream) = stream else { return Err(ControlFault::Ended) };
                    self.reading.spawn(request::read(stream, place, portway_wire::ngrok::MAX_REQUEST_LEN));
                    continue;
                }
                Some(read) = self.reading.join_next() => read,
            };
            let request = match request {
                Ok(Ok(request)) => request,
                Ok(Err(fault)) => return Err(ControlFault::Question(fault.to_string())),
                Err(error) => return Err(ControlFault::Question(error.to_string())),
            };
            if let Some(heard) = self.hear(request) {
                return Ok(heard);
            }
        }
    }

    fn hear(&mut self, question: Request) -> Option<Heard> {
        let Request { kind, message, due } = question;
        match kind {
            StreamType::BIND => Some(self.hear_bind(&message, due)),
            StreamType::START_TUNNEL_WITH_LABEL => Some(self.hear_labels(&message, due)),
            StreamType::UNBIND => Some(self.hear_unbind(&message, due)),
            StreamType::PATCH_TUNNEL_STATE => Some(self.hear_patch(&message, due)),
            StreamType::SRV_INFO => {
                self.send(due, region_answer(self.identity.edge.config.region.as_str()));
                None
            }
            // Auth: the only other question that is read.
            _ => {
                let error = Code::ERR_NGROK_109.with("The agent has said who it is already.");
                self.send(due, error_answer(Some(&error)));
                None
            }
        }
    }

    fn hear_bind(&mut self, message: &Map<String, Value>, due: Due) -> Heard {
        let bind = match Bind::read(message) {
            Ok(bind) => bind,
            Err(error) => {
                let request = self.ask(due, None);
                return Heard::Bind { request, wanted: Err(unusable("Bind", &error)) };
            }
        };
        let wanted = self.wanted(&bind).map(Box::new);
        let request = self.ask(due, Some(Box::new(bind)));
        Heard::Bind { request, wanted }
    }

    fn wanted(&self, bind: &Bind) -> Result<Wanted, Refused> {
        let token = self.identity.edge.config.resume_key.open_token(&bind.token);
        let known =
            token.filter(|token| token.account == self.identity.account).map(|token| (token.endpoint, token.url));
        // The agent refers to an endpoint by the id it has, whatever it is told; what it makes up is as good as what was made here.
        let is_free = bind.id.len() <= 64 && !self.handles.contains_key(bind.id.as_str());
        let id = if bind.id.is_empty() || !is_free { new_bind_id() } else { bind.id.clone() };
        let address = Address::Ngrok { id: id.into(), confirmed: tokio::sync::SetOnce::new() };
        options::wanted(&self.identity.edge, self.identity.account, bind, address, known)
    }

    fn hear_labels(&mut self, message: &Map<String, Value>, due: Due) -> Heard {
        let request = self.ask(due, None);
        match BindLabels::read(message) {
            Ok(BindLabels { labels, forwards_to, http2, metadata }) => {
                let about = About { forwards_to, metadata, ..About::default() };
                Heard::BindLabels { request, wanted: Box::new(Labelled { labels, about, upstream_http2: http2 }) }
            }
            Err(error) => Heard::Bind { request, wanted: Err(unusable("StartTunnelWithLabel", &error)) },
        }
    }

    fn hear_unbind(&mut self, message: &Map<String, Value>, due: Due) -> Heard {
        let request = self.ask(due, None);
        let id = match Unbind::read(message) {
            Ok(unbind) => unbind.id,
            Err(error) => return Heard::Bind { request, wanted: Err(unusable("Unbind", &error)) },
        };
        if self.labelled.contains(&id) {
            self.labelled.retain(|labelled| *labelled != id);
            return Heard::UnbindLabels { request, id };
        }
        // Said twice is said once: one family of SDKs does so.
        Heard::Unbind { request, handle: self.handles.remove(id.as_str()) }
    }

    fn hear_patch(&mut self, message: &Map<String, Value>, due: Due) -> Heard {
        let request = self.ask(due, None);
        let refuse = |refused| Heard::Bind { request, wanted: Err(refused) };
        match PatchEndpoint::read(message) {
            Err(error) => refuse(unusable("PatchTunnelState", &error)),
            Ok(patch) if patch.traffic_policy.as_ref().is_some_and(|policy| !policy.is_empty()) => {
                refuse(options::not_built("TrafficPolicy"))
            }
            Ok(patch) if patch.pooling.is_some() => {
                let text = "PoolingEnabled cannot change while an endpoint is online. Close it and open it again.";
                refuse(Refused::for_good(Code::ERR_NGROK_301.with(text)))
            }
            Ok(patch) => {
                let PatchEndpoint { endpoint, name, description, metadata, .. } = patch;
                Heard::Describe { request, endpoint, change: Change { name, description, metadata } }
            }
        }
    }

    fn ask(&mut self, due: Due, bind: Option<Box<Bind>>) -> u32 {
        // Questions under way are few, so a number is free again long before it comes round.
        self.last_request = self.last_request.wrapping_add(1);
        self.asked.insert(self.last_request, Asked { due, bind });
        self.last_request
    }

    /// The endpoint of a bind is online. Visitors are sent to it when the agent has read that.
    pub(crate) fn bound(&mut self, request: u32, online: &Online) {
        let endpoint = &online.endpoint;
        let Some(Asked { due, bind: Some(mut bind) }) = self.asked.remove(&request) else { return };
        let Address::Ngrok { id, .. } = &endpoint.address else { return };
        let url = online.public_url();
        let name = match url.port.filter(|_| bind.scheme == portway_names::Scheme::Tcp) {
            Some(port) => format!("{}:{port}", url.host),
            None => url.host.to_string(),
        };
        bind.opts.assign(bind.scheme, &name);
        bind.opts.complete();
        let token = EndpointToken { account: self.identity.account, endpoint: endpoint.id, url: endpoint.url.clone() };
        let answer = BindAnswer {
            id,
            url: &url.to_string(),
            proto: bind.scheme.as_str(),
            opts: &bind.opts,
            token: &self.identity.edge.config.resume_key.seal_token(&token),
            endpoint_id: &endpoint.id.to_string(),
        }
        .encode();
        self.handles.insert(Arc::clone(id), endpoint.handle);
        let endpoint = Arc::clone(endpoint);
        self.identity.edge.tasks.spawn(async move {
            request::answer(due, answer).await;
            if let Address::Ngrok { confirmed, .. } = &endpoint.address {
                // It is set once only: here.
                let _ = confirmed.set(());
            }
        });
    }

    /// An endpoint that is found by labels is there.
    pub(crate) fn labels_bound(&mut self, request: u32, id: &str) {
        self.labelled.push(id.to_owned());
        if let Some(asked) = self.asked.remove(&request) {
            self.send(asked.due, labels_answer(id));
        }
    }

    /// Answers a question with an error, or with nothing but that it was done.
    pub(crate) fn answer(&mut self, request: u32, error: Option<&PublicError>) {
        if let Some(asked) = self.asked.remove(&request) {
            self.send(asked.due, error_answer(error));
        }
    }

    fn send(&self, due: Due, answer: Bytes) {
        self.identity.edge.tasks.spawn(async move { request::answer(due, answer).await });
    }

    /// An endpoint is no more.
    pub(crate) fn closed(&mut self, session: &Session, endpoint: &Endpoint, why: &PublicError) {
        let Address::Ngrok { id, .. } = &endpoint.address else { return };
        self.handles.remove(id);
        self.stop_tunnel(session, id, why);
    }

    /// Tells that the endpoint of a bind is no more, to an agent that understands it.
    pub(crate) fn stop_tunnel(&mut self, session: &Session, id: &str, why: &PublicError) {
        self.labelled.retain(|labelled| labelled != id);
        if self.identity.hears_stop_tunnel {
            self.identity.edge.tasks.spawn(tell(session.clone(), stop_tunnel(id, why)));
        }
    }

    /// See [`crate::front::Front::go_away`]: nothing is said; the end of the connection says it. Without a successor that comes as late as
    /// possible: an SDK that finds nobody waits longer for each next attempt.
    pub(crate) fn go_away(&self, grace: Duration) -> Stay {
        if self.identity.edge.succeeded.load(Ordering::Relaxed) {
            Stay::until(grace.min(LAST_STREAMS))
        } else {
            Stay { idle: grace, busy: grace }
        }
    }

    /// Ends the session. What the agent can be told is why its endpoints are no more.
    pub(crate) async fn refuse(&self, session: &Session, endpoints: &[Online], refused: &Refused) {
        if self.identity.hears_stop_tunnel {
            let told = endpoints.iter().filter_map(|online| match &online.endpoint.address {
                Address::Ngrok { id, .. } => Some(tell(session.clone(), stop_tunnel(id, &refused.error))),
                Address::Native | Address::Ssh { .. } => None,
            });
            let mut telling: JoinSet<()> = told.collect();
            let _ = tokio::time::timeout(FAREWELL, async { while telling.join_next().await.is_some() {} }).await;
        }
        session.close(refused.error.code.title());
    }
}

/// The next stream, when there is a place for its question.
///
/// Cancel safety: safe.
async fn accept(places: &Arc<Semaphore>, session: &Session) -> (Option<OwnedSemaphorePermit>, Option<Stream>) {
    // Nobody closes it.
    let place = Arc::clone(places).acquire_owned().await.ok();
    (place, session.accept().await)
}

/// Sends a message that is not answered on a stream of its own, and waits until the agent has taken it.
async fn tell(session: Session, message: Bytes) {
    if let Ok(mut stream) = session.open(message).await
        && stream.finish().await.is_ok()
    {
        let _ = tokio::time::timeout(FAREWELL, stream.read_chunk(1)).await;
    }
}

fn unusable(what: &str, error: &MessageError) -> Refused {
    Refused::for_good(Code::ERR_NGROK_301.with(format!("The agent's {what} message cannot be used: {error}.")))
}

/// An id for a bind that has none: like an agent's, 128 random bits.
fn new_bind_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}
