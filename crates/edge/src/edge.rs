//! An edge: started on its sockets, drained at the end.

use std::io;
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use portway_codes::{Code, PublicError};
use portway_mux::{QuicListener, QuicSocket};
use portway_names::{EdgeId, SessionId, TokenError};
use portway_proto::AgentCommand;
use portway_rpc::ControlClient;
use portway_tls::{ALPN_PORTWAY, server_config, warm_up};
use prometheus_client::registry::Registry;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admission::Admission;
use crate::config::EdgeConfig;
use crate::control_link::ControlLink;
use crate::known::KnownNames;
use crate::leases::Leases;
use crate::listeners::Listeners;
use crate::metrics::Metrics;
use crate::online::Roster;
use crate::paced::Paced;
use crate::ports::Ports;
use crate::recent::Recent;
use crate::replica::Replica;
use crate::restriction::Warned;
use crate::route::Routes;
use crate::sessions::Sessions;
use crate::shard::{self, Shard};
use crate::ssh::Logins;
use crate::state::{EdgeShared, QuicServing, TlsConfigs};
use crate::status::{EdgeStatus, EndpointStatus};
use crate::{follow, quic_port, report};

/// Most shards an edge may have: more threads than any machine we know has processors are a mistake in a file.
const SHARDS_MAX: usize = 1_024;
/// How long agents may take to close after their streams have ended; they were told long before.
const CLOSE_GRACE: Duration = Duration::from_secs(2);

/// A running edge. Dropped without [`Edge::drain`], it stops at once and nobody waits for its threads.
#[derive(Debug)]
pub struct Edge {
    state: Arc<EdgeShared>,
    listeners: Listeners,
    shards: Vec<Shard>,
    _stop_on_drop: tokio_util::sync::DropGuard,
}

/// Why an edge did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The operating system refused a socket, a thread or a runtime.
    #[error("the edge cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Its answer.
        #[source]
        source: io::Error,
    },
    /// The name of the edge is no token.
    #[error("edge id {id:?}: {source}")]
    EdgeId {
        /// The name.
        id: String,
        /// What is wrong with it.
        #[source]
        source: TokenError,
    },
    /// Number of shards out of range.
    #[error("{0} shards, must be between 1 and {SHARDS_MAX}")]
    Shards(usize),
    /// The range of ports for TCP endpoints ends before it starts, or holds port 0.
    #[error("the range of TCP ports {0}-{1} is empty or begins at 0")]
    TcpPorts(u16, u16),
}

impl Edge {
    /// Starts serving on `listeners`: shards, listeners, the replica of the control plane's state. Returns when the shards run;
    /// [`Edge::synced`] says when the replica is there. Connections that arrive before wait for it.
    ///
    /// # Cancel safety
    /// Dropped half-way, what was started stops.
    ///
    /// # Errors
    ///
    /// [`StartError`] when a thread or socket cannot be had, or the configuration makes no sense.
    pub async fn start(
        config: EdgeConfig,
        listeners: Listeners,
        control: ControlClient,
        metrics: &mut Registry,
    ) -> Result<Edge, StartError> {
        let stopped = CancellationToken::new();
        let stop_on_drop = stopped.clone().drop_guard();
        check(&config)?;
        let start = |index| Shard::start(index, stopped.clone()).map_err(io_error("start a shard"));
        let shards = (0..config.shards).map(start).collect::<Result<Vec<_>, _>>()?;
        let mut listeners = listeners;
        let inherited = std::mem::take(&mut listeners.tcp);
        let state = assemble(config, &listeners, inherited, control, metrics, &shards, stopped)?;
        spawn(&state, &listeners)?;
        Ok(Edge { state, listeners, shards, _stop_on_drop: stop_on_drop })
    }

    /// Waits until the first snapshot of the control plane is applied.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn synced(&self) {
        self.state.replica.synced().await;
    }

    /// Ends the edge in order: nothing new is accepted; every agent gets a GoAway and dials elsewhere; connections of visitors may take
    /// until `drain_grace` is over; sessions are closed; the shards are joined. Nobody serves in its place, so agents that dial only after
    /// their session has ended keep it to the end.
    ///
    /// # Cancel safety
    /// When the future is dropped, everything stops at once and nobody waits for the threads.
    pub async fn drain(self) {
        self.end().await;
    }

    /// Like [`Edge::drain`], with a successor on the sockets given out by [`Edge::listeners`]: it accepts what arrives, and agents that
    /// dial only after their session has ended are sent there soon.
    ///
    /// # Cancel safety
    /// As that of [`Edge::drain`].
    pub async fn give_way(self) {
        self.state.succeeded.store(true, Ordering::Relaxed);
        self.end().await;
    }

    async fn end(self) {
        let Edge { state, listeners, shards, _stop_on_drop } = self;
        tracing::info!(sessions = state.sessions.len(), visitors = state.visitors.len(), "edge is draining");
        state.draining.cancel();
        drop(listeners);
        state.ports.close_inherited();
        state.sessions.order_all(|orders| orders.go_away = true);
        state.visitors.close();
        let over = async { tokio::join!(state.visitors.wait(), all_passed_on(&state)) };
        if timeout(state.config.drain_grace, over).await.is_err() {
            tracing::warn!(visitors = state.visitors.len(), "drain grace is over; connections are cut");
        }
        state.sessions.order_all(|orders| orders.close = true);
        let _ = timeout(CLOSE_GRACE, sessions_gone(&state)).await;
        state.stopped.cancel();
        state.tasks.close();
        for shard in shards {
            shard.join().await;
        }
    }

    /// Duplicates of the listening sockets, TCP endpoints' included, for a successor.
    ///
    /// # Errors
    ///
    /// When the process has no descriptors left.
    pub fn listeners(&self) -> io::Result<Listeners> {
        let mut listeners = self.listeners.try_clone()?;
        listeners.tcp = self.state.ports.duplicates()?;
        Ok(listeners)
    }

    /// Serves one more QUIC socket. `relay`: where a predecessor sends what is not for its own sessions while it reads the socket, until
    /// [`QuicSocket::take_over`].
    ///
    /// # Errors
    ///
    /// When the socket cannot be used, or the process has no descriptors left.
    pub fn serve_quic(&mut self, socket: UdpSocket, relay: Option<UnixDatagram>) -> Result<(), StartError> {
        let duplicate = socket.try_clone().map_err(io_error("duplicate a listener"))?;
        serve_quic(&self.state, socket, relay)?;
        self.listeners.quic.push(duplicate);
        Ok(())
    }

    /// The QUIC sockets that are served, for their handover.
    pub fn quic_sockets(&self) -> Vec<QuicSocket> {
        self.state.quic.sockets.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Resolves when this edge, which is to drain, has no QUIC session any more and has let go of its QUIC sockets.
    pub fn quic_ended(&self) -> impl Future<Output = ()> + Send + 'static {
        let running = self.state.quic.running.clone();
        running.close();
        async move { running.wait().await }
    }

    #[cfg(test)]
    pub(crate) fn state(&self) -> &Arc<EdgeShared> {
        &self.state
    }

    /// Tells the agent of a session to stop, restart or update itself, and waits for its word, 10 s at most.
    ///
    /// # Cancel safety
    /// The agent may have been told when the future is dropped.
    ///
    /// # Errors
    /// The session is not here, the agent does not do such things, or says why it did not.
    pub async fn tell_agent(&self, session: SessionId, order: &AgentCommand) -> Result<(), PublicError> {
        let Some(handle) = self.state.sessions.get(session) else {
            return Err(Code::ERR_NGROK_807.with(format!("The session {session} is not online.")));
        };
        handle.tell(order).await
    }

    /// The names that the edge knows, also while it drains.
    pub fn known_names(&self) -> KnownNames {
        KnownNames::new(&self.state)
    }

    /// A picture of the edge now. It costs a walk over the endpoints. The last connections are remembered only while somebody asks: each
    /// call keeps the memory on for half a minute.
    pub fn status(&self) -> EdgeStatus {
        let state = &self.state;
        EdgeStatus {
            synced: state.replica.is_synced(),
            control_connected: state.control_connected.load(Ordering::Relaxed),
            draining: state.draining.is_cancelled(),
            sessions: state.sessions.len(),
            endpoints: state.routes.all().iter().map(|endpoint| EndpointStatus::of(endpoint)).collect(),
            connections_open: state.admission.connections_open(),
            recent: state.recent.look(),
            requests: state.requests.look(),
        }
    }
}

fn check(config: &EdgeConfig) -> Result<(), StartError> {
    if config.shards == 0 || config.shards > SHARDS_MAX {
        return Err(StartError::Shards(config.shards));
    }
    let (low, high) = (*config.tcp_ports.start(), *config.tcp_ports.end());
    if low == 0 || low > high {
        return Err(StartError::TcpPorts(low, high));
    }
    Ok(())
}

/// The state of an edge that serves nothing yet.
pub(crate) fn assemble(
    mut config: EdgeConfig,
    listeners: &Listeners,
    inherited: Vec<std::net::TcpListener>,
    control: ControlClient,
    metrics: &mut Registry,
    shards: &[Shard],
    stopped: CancellationToken,
) -> Result<Arc<EdgeShared>, StartError> {
    let id = |source| StartError::EdgeId { id: config.edge_id.clone(), source };
    let edge_id: EdgeId = config.edge_id.parse().map_err(id)?;
    if config.https_port == 0 {
        config.https_port = listeners.https_port().unwrap_or(0);
    }
    if config.http_port == 0 {
        config.http_port = listeners.http_port().unwrap_or(0);
    }
    let metrics = Metrics::register(metrics);
    let replica = Replica::new();
    let tls = TlsConfigs {
        https: server_config(&replica.visitor_certs, &[b"h2", b"http/1.1", b"http/1.0"]),
        tls: server_config(&replica.visitor_certs, &[]),
        agents: server_config(&replica.connect_certs, &[ALPN_PORTWAY, b"http/1.1"]),
        agents_quic: server_config(&replica.connect_certs, &[ALPN_PORTWAY]),
    };
    let ports = Ports::new(config.tcp_bind, config.tcp_ports.clone(), inherited);
    Ok(Arc::new(EdgeShared {
        started: tokio::time::Instant::now(),
        edge_id,
        routes: Routes::default(),
        admission: Admission::new(config.limits.clone(), metrics.clone()),
        metrics,
        replica,
        sessions: Arc::new(Sessions::default()),
        online: Arc::new(Roster::default()),
        ports: ports.map_err(io_error("take the sockets of its predecessor over"))?,
        control: ControlLink::new(control, config.limits.control_calls),
        leases: Leases::default(),
        tls,
        quic: QuicServing::default(),
        recent: Recent::new(),
        requests: Recent::new(),
        ssh_logins: Logins::new(&config.limits),
        unknown_options: Paced::default(),
        restrictions_warned: Warned::default(),
        control_connected: AtomicBool::new(false),
        shards: shards.iter().map(|shard| shard.runtime.clone()).collect(),
        tasks: TaskTracker::new(),
        visitors: TaskTracker::new(),
        succeeded: AtomicBool::new(false),
        draining: CancellationToken::new(),
        stopped,
        config,
    }))
}

/// Starts everything that runs from the beginning to the end.
fn spawn(state: &Arc<EdgeShared>, listeners: &Listeners) -> Result<(), StartError> {
    let first = &state.shards[quic_port::SHARD];
    // Not in front of the first visitor.
    state.tasks.spawn_blocking_on(warm_up, first);
    state.tasks.spawn_on(follow::run(Arc::clone(state)), first);
    state.tasks.spawn_on(Leases::run(Arc::clone(state)), first);
    state.tasks.spawn_on(report::run(Arc::clone(state)), first);
    for shard in 0..state.shards.len() {
        let own = listeners.try_clone().map_err(io_error("duplicate a listener"))?;
        own.https.into_iter().for_each(|socket| shard::spawn_https(state, shard, socket));
        own.http.into_iter().for_each(|socket| shard::spawn_http(state, shard, socket));
        own.ssh.into_iter().for_each(|socket| shard::spawn_ssh(state, shard, socket));
    }
    let own = listeners.try_clone().map_err(io_error("duplicate a listener"))?;
    own.quic.into_iter().try_for_each(|socket| serve_quic(state, socket, None))
}

fn serve_quic(state: &Arc<EdgeShared>, socket: UdpSocket, relay: Option<UnixDatagram>) -> Result<(), StartError> {
    // The socket's driver is to run on the shard, not on the runtime of the caller.
    let _on_shard = state.shards[quic_port::SHARD].enter();
    let config = &state.config;
    let tls = Arc::clone(&state.tls.agents_quic);
    let listener = QuicListener::succeed(socket, relay, tls, config.session.clone(), &config.quic_keys);
    let listener = listener.map_err(io_error("serve QUIC"))?;
    state.quic.sockets.lock().unwrap_or_else(PoisonError::into_inner).push(listener.socket());
    shard::spawn_quic(state, listener);
    Ok(())
}

/// Waits for servers that drain longer than this one: a successor gets the QUIC datagrams that they read through here.
async fn all_passed_on(state: &EdgeShared) {
    let sockets = state.quic.sockets.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for socket in sockets {
        socket.passed_on().await;
    }
}

async fn sessions_gone(state: &EdgeShared) {
    while state.sessions.len() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn io_error(what: &'static str) -> impl Fn(io::Error) -> StartError {
    move |source| StartError::Io { what, source }
}
