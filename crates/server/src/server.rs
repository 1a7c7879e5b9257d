//! A running server: how it starts, hands over and stops.

use std::io;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use portway_control::{Control, ControlConfig, DataDir, Online, RestApi};
use portway_edge::{Edge, EdgeConfig, EdgeStatus, Listeners, OwnService, OwnVisitor, QuicKeys, ResumeKey};
use portway_names::HostName;
use portway_rpc::in_memory;
use prometheus_client::registry::Registry;
use tokio::net::UnixListener;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::admin::{Admin, Phase};
use crate::api::ApiFront;
use crate::config::ServerConfig;
use crate::handover::{self, HandoverError, Predecessor, Successor, Word};
use crate::quic_later::{self, LaterQuic};
use crate::ready::{Addresses, Ready};
use crate::settings::DomainPolicy;
use crate::sockets::{BindError, Inherited, Listening, Purpose, Sockets};
use crate::writable::unwritable;
use crate::{bootstrap, dns, ssh};

/// Connections for the REST interface that wait in memory to be taken; more wait in the edge.
const API_VISITORS_WAITING: usize = 16;

/// What a running server can be told.
#[derive(Debug)]
pub enum Order {
    /// Drain and end.
    Stop,
    /// The operator changed the configuration.
    Reload(Box<ServerConfig>),
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address could not be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The data directory or the control plane in it.
    #[error(transparent)]
    Control(#[from] portway_control::OpenError),
    /// The edge.
    #[error(transparent)]
    Edge(#[from] portway_edge::StartError),
    /// The predecessor.
    #[error(transparent)]
    Handover(#[from] HandoverError),
    /// The database was opened and then took no writes.
    #[error("{reason}")]
    Unwritable {
        /// What it said, and what to do.
        reason: String,
    },
    /// A socket or file of the server's own.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// A server that serves. Give it to [`Server::run`]; dropped, it stops at once without draining.
#[derive(Debug)]
pub struct Server {
    config: ServerConfig,
    core: Core,
    /// None while the control plane is not ours: while another process takes over.
    api: Option<ApiFront>,
    admin: Admin,
    ready: Ready,
    /// None while nobody answers: while the edge is replaced.
    dns: Option<portway_dns::Server>,
    /// Duplicates of the sockets that the edge does not have, for a successor.
    own_sockets: OwnSockets,
    /// The QUIC socket while the predecessor still reads it.
    quic_later: Option<LaterQuic>,
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

#[derive(Debug)]
struct OwnSockets {
    api: TcpListener,
    admin: TcpListener,
    dns_tcp: TcpListener,
    dns_udp: UdpSocket,
}

/// Control plane and edge, joined.
#[derive(Debug)]
struct Core {
    edge: Edge,
    control: Option<Arc<Control>>,
    /// What runs for the control plane: its reconcilers and its link with the edge.
    control_tasks: JoinSet<()>,
    stop_control: CancellationToken,
    /// Who calls the REST interface through the edge; none when somebody takes them already.
    api_visitors: Option<mpsc::Receiver<OwnVisitor>>,
}

impl Server {
    /// Starts a server: takes the data directory's lock and the sockets that systemd passed, binds the rest, opens the control plane, and
    /// returns when the edge serves.
    ///
    /// # Errors
    /// [`StartError`]; nothing keeps running then.
    pub async fn start(config: ServerConfig) -> Result<Self, StartError> {
        // The lock comes first: a second server of the same installation finds its ports in use as well, which says less.
        let data_dir = DataDir::hold(&config.data_dir)?;
        let inherited =
            Inherited::from_systemd().map_err(|source| StartError::Io { what: "sockets passed by systemd", source })?;
        let sockets = Sockets::open(&config, inherited)?;
        Self::start_warm(config, data_dir, sockets, None).await
    }

    /// Takes over from the server that runs on the same data directory, without refusing a connection.
    ///
    /// # Errors
    /// [`StartError`]; the running server then goes on.
    pub async fn upgrade(config: ServerConfig) -> Result<Self, StartError> {
        let data_dir = config.data_dir.clone();
        let (successor, inherited) = blocking(move || Successor::connect(&data_dir)).await?;
        let sockets = Sockets::open(&config, inherited)?;
        let successor = blocking(move || successor.take().map(|()| successor)).await?;
        let held = DataDir::hold(&config.data_dir)?;
        Self::start_warm(config, held, sockets, Some(successor)).await
    }

    /// Where this server is reached.
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// A picture of the edge now.
    pub fn status(&self) -> EdgeStatus {
        self.core.edge.status()
    }

    /// What is online at the edges, as the control plane of this server knows it; none while there is none.
    pub fn online(&self) -> Option<Online> {
        self.core.control.as_ref().map(|control| control.service().online().clone())
    }

    /// Serves until it is told to stop, or until a successor took over; then drains: stops accepting, sends agents away, lets streams
    /// finish within the grace, closes the control plane.
    pub async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let gate = match self.open_gate() {
            Ok(gate) => Some(gate),
            Err(error) => {
                tracing::warn!(%error, "no upgrade in place: the socket for it cannot be opened");
                None
            }
        };
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Stop) | None => break self.drain(Edge::drain).await,
                    Some(Order::Reload(config)) => self.compare(&config),
                },
                word = next_word(&mut self.quic_later) => self.hear(word),
                Some(stream) = accept(&gate) => {
                    match self.hand_over(stream).await {
                        Ok(Some(predecessor)) => {
                            let later = self.quic_later.take();
                            let _leaving = quic_later::leave(&self.core.edge, later, predecessor).await;
                            break self.drain(Edge::give_way).await;
                        }
                        Ok(None) => {}
                        Err(error) => {
                            tracing::error!(%error, "the handover failed and serving cannot go on");
                            break;
                        }
                    }
                }
            }
        }
    }

    /// The predecessor says what becomes of the QUIC socket.
    fn hear(&mut self, word: Word) {
        self.quic_later = self.quic_later.take().and_then(|later| later.hear(word, &mut self.core.edge));
    }

    /// Tells the operator which changes wait for a new process. Sockets, names and limits are fixed for the life of an edge, and an
    /// upgrade in place costs nobody a connection.
    fn compare(&self, config: &ServerConfig) {
        let changed = self.config.differences(config);
        if changed.is_empty() {
            tracing::info!("configuration read; nothing that needs a new process has changed");
        } else {
            tracing::warn!(
                settings = changed.join(", "),
                "changed settings take effect with `portway server --upgrade`"
            );
        }
    }

    /// Starts while another thread makes TLS ready, so that neither the first agent nor the first visitor waits for that.
    async fn start_warm(
        config: ServerConfig,
        data_dir: DataDir,
        sockets: Sockets,
        successor: Option<Successor>,
    ) -> Result<Self, StartError> {
        let warm_up = tokio::task::spawn_blocking(portway_tls::warm_up);
        tokio::join!(Self::start_on(config, data_dir, sockets, successor), warm_up).0
    }

    async fn start_on(
        config: ServerConfig,
        data_dir: DataDir,
        sockets: Sockets,
        successor: Option<Successor>,
    ) -> Result<Self, StartError> {
        let io = |what| move |source| StartError::Io { what, source };
        let addresses = Addresses {
            https: sockets.https.local_addr().map_err(io("address of https_addr"))?,
            http: sockets.http.local_addr().map_err(io("address of http_addr"))?,
            api: sockets.api.local_addr().map_err(io("address of api_addr"))?,
            admin: sockets.admin.local_addr().map_err(io("address of admin_addr"))?,
            dns: sockets.dns_tcp.local_addr().map_err(io("address of dns_addr"))?,
            ssh: sockets.ssh.local_addr().map_err(io("address of ssh_addr"))?,
        };
        let own_sockets = OwnSockets {
            api: sockets.api.try_clone().map_err(io("duplicating a socket"))?,
            admin: sockets.admin.try_clone().map_err(io("duplicating a socket"))?,
            dns_tcp: sockets.dns_tcp,
            dns_udp: sockets.dns_udp,
        };
        // A predecessor reads its QUIC socket until its agents have moved; datagrams must not be shared between two readers.
        let (quic_now, quic_later) =
            if successor.is_some() { (None, Some(sockets.quic)) } else { (Some(sockets.quic), None) };
        let listeners = Listeners {
            https: vec![sockets.https],
            quic: quic_now.into_iter().collect(),
            http: vec![sockets.http],
            ssh: vec![sockets.ssh],
            tcp: sockets.endpoints,
        };
        let mut metrics = Registry::default();
        let control = open_control(data_dir, &config, addresses.https.port()).await?;
        let connect = config.connect_host();
        let ca_file = std::path::absolute(config.data_dir.join("ca.pem")).map_err(io("path of ca.pem"))?;
        let ready = Ready::new(addresses, &config.domain, &connect, ca_file.display().to_string());
        let control = write_bootstrap(control, &config, &ready).await?;
        let health = control.health();
        let core = Core::start(&config, control, listeners, addresses, &mut metrics).await?;
        let mut server = Self {
            config,
            core,
            api: None,
            dns: None,
            admin: Admin::new(metrics, health.clone()),
            ready,
            own_sockets,
            quic_later: None,
            tasks: JoinSet::new(),
            stop: CancellationToken::new(),
        };
        server.serve_admin(sockets.admin).map_err(io("starting the admin address"))?;
        server.serve_api().map_err(io("starting the API address"))?;
        server.serve_dns().await.map_err(io("starting the DNS address"))?;
        tokio::select! {
            () = server.core.edge.synced() => {}
            reason = unwritable(&health) => return Err(StartError::Unwritable { reason }),
        }
        server.admin.enter(Phase::Serving);
        if let Some(successor) = successor {
            let stream = blocking(move || successor.serving()).await?;
            let later = LaterQuic::new(quic_later, stream).map_err(io("listening to the predecessor"))?;
            server.quic_later = Some(later);
        }
        Ok(server)
    }

    fn serve_admin(&mut self, admin: TcpListener) -> io::Result<()> {
        admin.set_nonblocking(true)?;
        let admin = tokio::net::TcpListener::from_std(admin)?;
        self.tasks.spawn(self.admin.clone().serve(admin, self.stop.clone().cancelled_owned()));
        Ok(())
    }

    /// Serves the REST interface of the control plane as it is now.
    fn serve_api(&mut self) -> io::Result<()> {
        let Some(control) = &self.core.control else { return Ok(()) };
        let socket = self.own_sockets.api.try_clone()?;
        socket.set_nonblocking(true)?;
        let rest = RestApi::new(&control.service(), self.config.api_rate_limit);
        let listener = tokio::net::TcpListener::from_std(socket)?;
        let Some(visitors) = self.core.api_visitors.take() else { return Ok(()) };
        self.api = Some(ApiFront::start(listener, visitors, rest, self.config.api_url.clone()));
        Ok(())
    }

    /// Answers for the names of the edge as it is now.
    async fn serve_dns(&mut self) -> io::Result<()> {
        if let Some(old) = self.dns.take() {
            old.stop().await;
        }
        let OwnSockets { dns_tcp, dns_udp, .. } = &self.own_sockets;
        let names = self.core.edge.known_names();
        self.dns = Some(dns::serve(&self.config, names, dns_udp.try_clone()?, dns_tcp.try_clone()?)?);
        Ok(())
    }

    /// Lets calls finish, and leaves new ones to whoever listens to the socket next.
    async fn stop_api(&mut self) {
        if let Some(api) = self.api.take() {
            api.stop().await;
        }
    }

    /// The socket on which a successor knocks. A file left by a server that was killed is replaced: the data directory's lock says
    /// that nobody else uses it.
    fn open_gate(&self) -> io::Result<UnixListener> {
        let path = handover::socket_path(&self.config.data_dir);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let gate = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(gate)
    }

    /// Hands the sockets to the process on `stream`. `Ok(None)`: it did not take over, and this server goes on.
    async fn hand_over(&mut self, stream: tokio::net::UnixStream) -> Result<Option<Predecessor>, StartError> {
        let sockets = self.sockets();
        let predecessor = match offer(stream, sockets).await {
            Ok(predecessor) => predecessor,
            Err(error) => {
                tracing::warn!(%error, "a process asked to take over and did not");
                return Ok(None);
            }
        };
        tracing::info!("handing over to a new server");
        self.stop_api().await;
        // The edge goes on serving from its replica until the successor has opened the control plane and serves.
        self.core.release_control().await;
        match blocking(move || predecessor.released().map(|()| predecessor)).await {
            Ok(predecessor) => Ok(Some(predecessor)),
            Err(error) => {
                tracing::error!(%error, "the new server did not come up; this one goes on");
                self.restart().await?;
                Ok(None)
            }
        }
    }

    /// Opens the control plane again after a failed handover, with a new edge on the same sockets, and drains the old one.
    async fn restart(&mut self) -> Result<(), StartError> {
        let listeners = self
            .core
            .edge
            .listeners()
            .map_err(|source| StartError::Io { what: "duplicating the listening sockets", source })?;
        let mut metrics = Registry::default();
        let addresses = Addresses {
            https: self.ready.https_addr,
            http: self.ready.http_addr,
            api: self.ready.https_addr,
            admin: self.ready.admin_addr,
            dns: self.ready.dns_addr,
            ssh: self.ready.ssh_addr,
        };
        let held = DataDir::hold(&self.config.data_dir)?;
        let control = open_control(held, &self.config, addresses.https.port()).await?;
        let health = control.health();
        let fresh = Core::start(&self.config, control, listeners, addresses, &mut metrics).await?;
        let old = std::mem::replace(&mut self.core, fresh);
        self.admin.replace(metrics, health);
        self.serve_api().map_err(|source| StartError::Io { what: "starting the API address", source })?;
        self.core.edge.synced().await;
        self.serve_dns().await.map_err(|source| StartError::Io { what: "starting the DNS address", source })?;
        old.edge.give_way().await;
        Ok(())
    }

    fn sockets(&self) -> io::Result<Vec<(Purpose, Listening)>> {
        let Listeners { https, mut quic, http, ssh, tcp } = self.core.edge.listeners()?;
        if let Some(socket) = self.quic_later.as_ref().and_then(LaterQuic::socket) {
            quic.push(socket.try_clone()?);
        }
        let api = self.own_sockets.api.try_clone()?;
        let admin = self.own_sockets.admin.try_clone()?;
        let (dns_tcp, dns_udp) = (self.own_sockets.dns_tcp.try_clone()?, self.own_sockets.dns_udp.try_clone()?);
        let named = |purpose| move |socket| (purpose, Listening::Tcp(socket));
        Ok(https
            .into_iter()
            .map(named(Purpose::Https))
            .chain(quic.into_iter().map(|socket| (Purpose::Quic, Listening::Udp(socket))))
            .chain(http.into_iter().map(named(Purpose::Http)))
            .chain(ssh.into_iter().map(named(Purpose::Ssh)))
            .chain(tcp.into_iter().map(named(Purpose::Endpoint)))
            .chain([(Purpose::Api, Listening::Tcp(api)), (Purpose::Admin, Listening::Tcp(admin))])
            .chain([(Purpose::DnsTcp, Listening::Tcp(dns_tcp)), (Purpose::DnsUdp, Listening::Udp(dns_udp))])
            .collect())
    }

    /// `end`: how the edge ends.
    async fn drain<F: Future<Output = ()>>(mut self, end: fn(Edge) -> F) {
        self.admin.enter(Phase::Draining);
        let streams = self.status().connections_open;
        tracing::info!(connections = streams, grace = ?self.config.drain_grace, "draining");
        self.stop_api().await;
        // A successor knows more, and without one nobody is to come.
        if let Some(dns) = self.dns.take() {
            dns.stop().await;
        }
        self.core.stop(end).await;
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
        tracing::info!("stopped");
    }
}

impl Core {
    async fn start(
        config: &ServerConfig,
        control: Control,
        listeners: Listeners,
        addresses: Addresses,
        metrics: &mut Registry,
    ) -> Result<Self, StartError> {
        let control = Arc::new(control);
        let stop_control = CancellationToken::new();
        let mut control_tasks = JoinSet::new();
        let (client, link) = in_memory(control.service());
        control_tasks.spawn(link);
        let (running, stop) = (Arc::clone(&control), stop_control.clone());
        control_tasks.spawn(async move { running.run(stop).await });
        let (visitors, api_visitors) = mpsc::channel(API_VISITORS_WAITING);
        let api_host = HostName::join("api", &config.domain).ok();
        let edge_config = EdgeConfig {
            own: api_host.map(|host| OwnService { host, visitors }).into_iter().collect(),
            quic_keys: QuicKeys::from_secret(&control.derive_key("quic")),
            resume_key: ResumeKey::from_secret(&control.derive_key("resume")),
            ssh: Some(ssh::front(&control).await?),
            ..edge_config(config, addresses)
        };
        let edge = Edge::start(edge_config, listeners, client, metrics).await?;
        let api_visitors = Some(api_visitors);
        Ok(Self { edge, control: Some(control), control_tasks, stop_control, api_visitors })
    }

    /// Closes the control plane and gives the data directory free. The edge goes on serving from its replica.
    async fn release_control(&mut self) {
        self.stop_control.cancel();
        self.control_tasks.shutdown().await;
        if let Some(control) = self.control.take().and_then(Arc::into_inner) {
            control.close().await;
        }
    }

    /// The order of the end: the edge drains first, while the control plane still answers it.
    async fn stop<F: Future<Output = ()>>(self, end: fn(Edge) -> F) {
        let Self { edge, control, control_tasks, stop_control, api_visitors: _ } = self;
        end(edge).await;
        stop_control.cancel();
        drop(control_tasks);
        if let Some(control) = control.and_then(Arc::into_inner) {
            control.close().await;
        }
    }
}

/// Opens the control plane on a thread of its own: making a CA and migrating a database keep a thread busy.
async fn open_control(data_dir: DataDir, config: &ServerConfig, connect_port: u16) -> Result<Control, StartError> {
    let config = ControlConfig {
        connect_hosts: vec![config.connect_host()],
        connect_port,
        connect_ips: config.connect_ips(),
        database_url: config.database_url.clone(),
        domain_policy: match config.domain_policy {
            DomainPolicy::AnyDomain => portway_control::DomainPolicy::AnyDomain,
            DomainPolicy::BaseDomainOnly => portway_control::DomainPolicy::BaseDomainOnly,
        },
        region: config.region.clone(),
        tcp_host: config.tcp_host.clone(),
        tcp_ports: config.tcp_ports.clone(),
        acme: config.acme.clone(),
        ..ControlConfig::new(&config.data_dir, config.domain.clone())
    };
    let runtime = Handle::current();
    let opened = tokio::task::spawn_blocking(move || runtime.block_on(Control::open_on(data_dir, config))).await;
    Ok(opened
        .map_err(|error| StartError::Io { what: "opening the control plane", source: io::Error::other(error) })??)
}

/// Writes the first start's secrets, and only then lets the control plane forget them. Later starts bring the addresses up to date.
async fn write_bootstrap(mut control: Control, config: &ServerConfig, ready: &Ready) -> Result<Control, StartError> {
    if let Some(secrets) = control.bootstrap() {
        control.write_private(bootstrap::FILE, bootstrap::content(ready, secrets).as_bytes())?;
        control.confirm_bootstrap_written().await?;
        return Ok(control);
    }
    // A file that was taken away stays away.
    let old = match std::fs::read(config.data_dir.join(bootstrap::FILE)) {
        Ok(old) => old,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(control),
        Err(source) => return Err(StartError::Io { what: "reading bootstrap.json", source }),
    };
    if let Some(fresh) = bootstrap::refreshed(&old, ready) {
        control.write_private(bootstrap::FILE, fresh.as_bytes())?;
    }
    Ok(control)
}

fn edge_config(config: &ServerConfig, addresses: Addresses) -> EdgeConfig {
    EdgeConfig {
        edge_id: "edge".to_owned(),
        region: config.region.clone(),
        shards: config.shards,
        tcp_ports: config.tcp_ports.clone(),
        tcp_host: Some(config.tcp_host.clone()),
        tcp_bind: config.https_addr.ip(),
        https_port: addresses.https.port(),
        http_port: addresses.http.port(),
        limits: config.limits.clone(),
        drain_grace: config.drain_grace,
        dedicated: config.dedicated_ips.iter().flat_map(|(url, ips)| ips.iter().map(|ip| (*ip, url.clone()))).collect(),
        ..EdgeConfig::default()
    }
}

async fn offer(
    stream: tokio::net::UnixStream,
    sockets: io::Result<Vec<(Purpose, Listening)>>,
) -> Result<Predecessor, HandoverError> {
    let (stream, sockets) = (stream.into_std()?, sockets?);
    stream.set_nonblocking(false)?;
    blocking(move || Predecessor::offer(stream, &sockets)).await
}

async fn next_word(later: &mut Option<LaterQuic>) -> Word {
    match later {
        Some(later) => later.next().await,
        None => std::future::pending().await,
    }
}

async fn accept(gate: &Option<UnixListener>) -> Option<tokio::net::UnixStream> {
    match gate {
        Some(gate) => gate.accept().await.ok().map(|(stream, _)| stream),
        None => std::future::pending().await,
    }
}

pub(crate) async fn blocking<T, F>(work: F) -> Result<T, HandoverError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, HandoverError> + Send + 'static,
{
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(HandoverError::Lost(io::Error::other(error))))
}
