//! What the requests of one visitor's connection have in common: who it is, which host it asks for, the streams it keeps.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Context;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Request, StatusCode};
use portway_codes::PublicError;
use portway_names::{MAX_NAME_LEN, Scheme};
use portway_ssh::RequestLines;
use prometheus_client::metrics::counter::Counter;

use super::fault;
use super::target::Asked;
use super::tasks::Spawner;
use super::turn::Turn;
use super::upstream::Upstream;
use super::upstream_h2::UpstreamH2;
use super::upstream_io::{Opener, UpstreamIo};
use crate::endpoint::Endpoint;
use crate::metrics::{Direction, DirectionLabel, StatusLabel};
use crate::state::EdgeShared;
use crate::status::{RECENT_PATH_MAX, RecentRequest};
use crate::visitor::Visitor;

/// Idle streams that one visitor's connection keeps. Browsers with HTTP/2 send about six requests at once to one host; a stream costs
/// the agent a connection to its upstream.
const IDLE_MAX: usize = 8;

/// A visitor's connection, for the requests on it.
pub(super) struct Connection {
    pub(super) edge: Arc<EdgeShared>,
    pub(super) visitor: Visitor,
    /// The visitor's address as a field value.
    pub(super) client: HeaderValue,
    /// The visitor's scheme as a field value.
    pub(super) proto: HeaderValue,
    pub(super) turn: Arc<Turn>,
    pub(super) spawner: Spawner,
    to_agent: Counter,
    to_visitor: Counter,
    /// Responses by hundreds of their status.
    responses: [Counter; 5],
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    asked: Option<Arc<Asked>>,
    /// Streams between requests, the most recently used last.
    #[expect(
        clippy::vec_box,
        reason = "a stream moves from request to body and back with every request, and is a kilobyte"
    )]
    idle: Vec<Box<Upstream>>,
    http2: Vec<UpstreamH2>,
    upgraded: Option<Upgraded>,
}

/// The upstream's side of a connection that changed its protocol.
#[derive(Debug)]
pub(super) struct Upgraded {
    pub(super) io: UpstreamIo,
    /// What the upstream said behind the head of its 101.
    pub(super) first: Bytes,
    /// The visitor speaks WebSocket, and the upstream does not.
    pub(super) websocket: bool,
}

impl Connection {
    pub(super) fn new(edge: Arc<EdgeShared>, visitor: Visitor) -> Arc<Connection> {
        let client = HeaderValue::try_from(visitor.peer.ip().to_canonical().to_string());
        let bytes = |direction| edge.metrics.bytes.get_or_create(&DirectionLabel { direction }).clone();
        let responses = ["1xx", "2xx", "3xx", "4xx", "5xx"]
            .map(|class| edge.metrics.http_responses.get_or_create(&StatusLabel { class }).clone());
        Arc::new(Connection {
            client: client.expect("an address is visible ASCII"),
            proto: HeaderValue::from_static(if visitor.scheme == Scheme::Https { "https" } else { "http" }),
            turn: Arc::new(Turn::new()),
            spawner: Spawner::default(),
            to_agent: bytes(Direction::ToAgent),
            to_visitor: bytes(Direction::ToVisitor),
            responses,
            state: Mutex::default(),
            edge,
            visitor,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the request before asked for.
    pub(super) fn last_asked(&self) -> Option<Arc<Asked>> {
        self.state().asked.clone()
    }

    /// Remembers what a request asked for.
    pub(super) fn remember(&self, asked: &Arc<Asked>) {
        self.state().asked = Some(Arc::clone(asked));
    }

    /// Opens a stream to an endpoint for this visitor; the error is what the visitor is told.
    ///
    /// Cancel safety: dropped, the stream is reset or never was.
    pub(super) async fn open(&self, endpoint: &Arc<Endpoint>) -> Result<UpstreamIo, PublicError> {
        let opened = self.opener(endpoint).open().await;
        match &opened {
            Ok(_) => self.edge.visited(endpoint, self.visitor.peer),
            Err(fault) => {
                if let Some(limit) = fault.limit() {
                    self.edge.admission.reached(limit, self.visitor.peer);
                }
            }
        }
        opened.map_err(|open| fault::of_open(&open, &self.edge, endpoint))
    }

    /// How to open a stream to an endpoint for this visitor.
    fn opener(&self, endpoint: &Arc<Endpoint>) -> Opener {
        Opener {
            endpoint: Arc::clone(endpoint),
            client: self.visitor.peer,
            server: self.visitor.local,
            idle_limit: self.edge.limits().http_body_idle_timeout,
            to_agent: self.to_agent.clone(),
            to_visitor: self.to_visitor.clone(),
        }
    }

    /// An idle stream to exactly this registration of an endpoint. Dead ones, and those of a registration that was replaced, go.
    pub(super) fn take_idle(&self, endpoint: &Arc<Endpoint>, cx: &Context<'_>) -> Option<Box<Upstream>> {
        let mut state = self.state();
        let mut at = state.idle.len();
        while at > 0 {
            at -= 1;
            let upstream = &mut state.idle[at];
            if !Arc::ptr_eq(&upstream.endpoint, endpoint) {
                continue;
            }
            if upstream.is_idle(cx) {
                return Some(state.idle.remove(at));
            }
            if upstream.is_dead() {
                state.idle.remove(at);
            }
        }
        None
    }

    /// Takes a stream back whose response is complete. One whose request is still being sent goes on with that.
    pub(super) fn give_back(&self, mut upstream: Box<Upstream>, cx: &Context<'_>) {
        if !upstream.settle(cx) {
            return;
        }
        let mut state = self.state();
        if state.idle.len() >= IDLE_MAX {
            state.idle.remove(0);
        }
        state.idle.push(upstream);
    }

    /// Drives the streams between requests: what ends or speaks out of turn is dropped.
    pub(super) fn poll_idle(&self, cx: &Context<'_>) {
        let mut state = self.state();
        if !state.idle.is_empty() {
            state.idle.retain_mut(|upstream| {
                upstream.drive(cx);
                !upstream.is_dead()
            });
        }
    }

    /// The HTTP/2 connection to an endpoint's upstream, when there is one.
    pub(super) fn http2(&self, endpoint: &Arc<Endpoint>) -> Option<UpstreamH2> {
        let mut state = self.state();
        state.http2.retain(|upstream| !upstream.is_dead());
        state.http2.iter().find(|upstream| Arc::ptr_eq(&upstream.endpoint, endpoint)).cloned()
    }

    /// Keeps an HTTP/2 connection for the requests to come.
    pub(super) fn keep_http2(&self, upstream: UpstreamH2) {
        let mut state = self.state();
        if state.http2.len() >= IDLE_MAX {
            state.http2.remove(0);
        }
        state.http2.push(upstream);
    }

    /// The upstream changed the protocol; the visitor follows when the 101 is written.
    pub(super) fn upgrade(&self, upgraded: Upgraded) {
        self.state().upgraded = Some(upgraded);
    }

    /// The upstream's side of a changed protocol.
    pub(super) fn take_upgraded(&self) -> Option<Upgraded> {
        self.state().upgraded.take()
    }

    /// Ends every stream between requests in good order.
    pub(super) fn close_idle(&self) {
        let mut state = self.state();
        state.idle.clear();
        state.http2.clear();
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("visitor", &self.visitor).finish_non_exhaustive()
    }
}

/// A request under way: from its head to the end of its response, whichever way that comes.
#[derive(Debug)]
pub(super) struct InFlight {
    connection: Arc<Connection>,
    /// What the live view is told at the end, while somebody looks.
    record: Option<Box<RecentRequest>>,
    /// The terminal of the user whose SSH client serves the request.
    terminal: Option<RequestLines>,
}

impl InFlight {
    pub(super) fn begin<B>(connection: &Arc<Connection>, request: &Request<B>) -> InFlight {
        connection.turn.begin();
        let watched = connection.edge.requests.is_watched();
        let record = watched.then(|| Box::new(record(request, connection.visitor.peer)));
        InFlight { connection: Arc::clone(connection), record, terminal: None }
    }

    /// The user whose SSH client serves the request sees it, when it is over.
    pub(super) fn show<B>(&mut self, terminal: &RequestLines, request: &Request<B>) {
        let peer = self.connection.visitor.peer;
        self.record.get_or_insert_with(|| Box::new(record(request, peer)));
        self.terminal = Some(terminal.clone());
    }

    /// The head of the response is known.
    pub(super) fn answered(&mut self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(1);
        if let Some(counter) = self.connection.responses.get(class) {
            counter.inc();
        }
        if let Some(record) = &mut self.record {
            record.status = status.as_u16();
        }
    }

    /// The response broke off behind its head.
    pub(super) fn cut(&self) {
        self.connection.turn.cut();
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.connection.turn.end();
        if let Some(mut record) = self.record.take() {
            record.took = record.began.elapsed().unwrap_or_default();
            if let Some(terminal) = &self.terminal {
                terminal.request(&record.method, &record.path, record.status);
            }
            self.connection.edge.requests.note(|| *record);
        }
    }
}

fn record<B>(request: &Request<B>, client: SocketAddr) -> RecentRequest {
    let host = request.headers().get(HOST).map(HeaderValue::as_bytes);
    let host =
        host.or_else(|| request.uri().authority().map(|authority| authority.as_str().as_bytes())).unwrap_or_default();
    let path = request.uri().path().as_bytes();
    RecentRequest {
        began: SystemTime::now(),
        took: Duration::ZERO,
        client,
        host: String::from_utf8_lossy(&host[..host.len().min(MAX_NAME_LEN)]).into_owned(),
        method: request.method().to_string(),
        path: String::from_utf8_lossy(&path[..path.len().min(RECENT_PATH_MAX)]).into_owned(),
        status: 0,
    }
}
