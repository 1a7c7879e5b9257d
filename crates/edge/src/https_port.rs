//! The https address over TCP: one port for agents and visitors, told apart by the server name in the ClientHello.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use portway_mux::{Role, over_tls, tune_tcp};
use portway_names::{Host, HostName, Scheme};
use portway_tls::{ACCESS_DENIED_ALERT, ALPN_ACME, ALPN_PORTWAY, ReadAhead, UNRECOGNIZED_NAME_ALERT};
use portway_wire::client_hello::ClientHello;
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::actions::EndpointActions;
use crate::admission::{ConnectionPermit, HandshakePermit};
use crate::cut::Cut;
use crate::endpoint::Endpoint;
use crate::metrics::{HandshakeLabel, HandshakeStage, Kind, ReasonLabel};
use crate::native::{self, Arrival};
use crate::ngrok::{self, AgentIo};
use crate::opening::{self, Opening};
use crate::own::{Held, OwnService, OwnVisitor};
use crate::state::EdgeShared;
use crate::termination::Made;
use crate::visitor::Visitor;
use crate::{http, plain_http, reserved, returning, ssh, tcp};

/// What a plain HTTP client on the https port is told.
const USE_HTTPS: &str = "This is the https address, and the request came in the clear. Use https:// in the URL.";
/// What a browser on a connect name is told.
const AGENTS_ONLY: &str = "This is the address for agents; there is nothing to see in a browser.";

/// Bytes of a muxado frame's header: enough to tell an SDK from anything else.
const FRAME_HEADER: usize = 8;
/// Room for the first read of a connection without ALPN: an SDK's first flight.
const FIRST_FRAME: usize = 2_048;

/// An accepted connection before it is known what it wants. It can be moved to another shard.
struct Fresh<S = TcpStream> {
    stream: S,
    /// Read from the stream already: the ClientHello.
    first: Bytes,
    peer: SocketAddr,
    local: SocketAddr,
    /// The shard it is on.
    shard: usize,
    /// When the handshake is to be over.
    deadline: Instant,
    permit: ConnectionPermit,
    handshake: HandshakePermit,
    /// Counts it among the visitors a drain waits for.
    counted: TaskTrackerToken,
}

/// Whom a connection is for.
enum Target {
    /// An agent that dialled this name, or an address.
    Agent(Option<HostName>),
    Visitor(HostName),
    /// An authority that looks for the proof of a name.
    Authority(Arc<ServerConfig>),
}

/// Serves one connection from its first byte to its last.
///
/// What is needed only for a while is boxed on the way: the task of an idle connection is what memory an edge needs.
pub(crate) async fn serve(
    edge: Arc<EdgeShared>,
    stream: TcpStream,
    peer: SocketAddr,
    permit: ConnectionPermit,
    shard: usize,
) {
    match Box::pin(open(&edge, stream, peer, permit, shard)).await {
        Some((fresh, Target::Agent(connect_name))) => Box::pin(agent(edge, fresh, connect_name)).await,
        Some((fresh, Target::Visitor(name))) => visitor(edge, fresh, name).await,
        Some((fresh, Target::Authority(config))) => Box::pin(authority(edge, fresh, config)).await,
        None => {}
    }
}

/// Reads the ClientHello and finds out whom it is for; none when the connection is answered and over.
async fn open(
    edge: &Arc<EdgeShared>,
    mut stream: TcpStream,
    peer: SocketAddr,
    permit: ConnectionPermit,
    shard: usize,
) -> Option<(Fresh, Target)> {
    let counted = edge.visitors.token();
    let handshake = edge.admission.handshake(peer).ok()?;
    let local = stream.local_addr().ok()?;
    let deadline = Instant::now() + edge.limits().handshake_timeout;
    let (hello, first) = match timeout_at(deadline, opening::read(&mut stream)).await {
        Ok(Ok(Opening::Tls(hello, first))) => (hello, first),
        Ok(Ok(Opening::NotTls(first))) => {
            if let Some(server) = edge.config.ssh.clone().filter(|_| ssh::looks_like_ssh(&first)) {
                // What a drain waits for are visitors; the handshake is SSH's own.
                drop((counted, handshake));
                let io = ReadAhead::with_prefix(stream, first);
                let serving = ssh::serve(Arc::clone(edge), server, ssh::Arrival { io, peer, local, permit, shard });
                edge.tasks.spawn(serving);
                return None;
            }
            not_tls(edge, stream, &first, deadline).await;
            return None;
        }
        Ok(Err(fault)) => {
            failed(edge, HandshakeStage::ClientHello, peer, &fault.to_string());
            return None;
        }
        Err(_) => {
            failed(edge, HandshakeStage::ClientHello, peer, "no ClientHello in time");
            return None;
        }
    };
    // Before the first snapshot nobody can be told from anybody.
    if timeout_at(deadline, edge.replica.synced()).await.is_err() {
        failed(edge, HandshakeStage::ClientHello, peer, "the control plane was never reached");
        return None;
    }
    let fresh = Fresh { stream, first, peer, local, shard, deadline, permit, handshake, counted };
    match target(edge, &hello) {
        Ok(target) => Some((fresh, target)),
        Err(why) => {
            unknown_name(edge, fresh, &why).await;
            None
        }
    }
}

fn target(edge: &EdgeShared, hello: &ClientHello) -> Result<Target, String> {
    let Some(server_name) = hello.server_name.as_deref() else { return Ok(Target::Agent(None)) };
    let server_name = server_name.parse::<Host>();
    if let (Ok(Host::Name(name)), [protocol]) = (&server_name, hello.alpn.as_slice())
        && protocol == ALPN_ACME
        && let Some(config) = edge.replica.alpn_proof(name)
    {
        return Ok(Target::Authority(config));
    }
    match server_name {
        Ok(Host::Ip(_)) => Ok(Target::Agent(None)),
        Ok(Host::Name(name)) if edge.replica.connect_name(&name).is_some() => Ok(Target::Agent(Some(name))),
        Ok(Host::Name(name)) if reserved::sni(edge, &name).is_some() => Ok(Target::Visitor(name)),
        // Nobody serves it now; a page that says so is better than an alert, where there is a certificate for it.
        Ok(Host::Name(name)) if edge.replica.visitor_certs.resolve(&name).is_some() => Ok(Target::Visitor(name)),
        Ok(Host::Name(_)) => Err("no endpoint and no certificate".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Shows the proof, and ends (RFC 8737 section 3).
async fn authority(edge: Arc<EdgeShared>, fresh: Fresh, config: Arc<ServerConfig>) {
    if let Some((mut stream, _settled)) = handshake(&edge, fresh, config).await {
        // It may be gone already.
        let _ = stream.shutdown().await;
    }
}

/// Finds out who serves a name, and moves there.
async fn visitor(edge: Arc<EdgeShared>, fresh: Fresh, name: HostName) {
    if let Some(service) = edge.config.own.iter().find(|service| service.host == name) {
        return Box::pin(own(&edge, fresh, service)).await;
    }
    let found = returning::find(&edge, &[Scheme::Https, Scheme::Tls], &name, || reserved::sni(&edge, &name));
    let online = Box::pin(found).await;
    let Some(endpoint) = online else { return Box::pin(https(edge, fresh, name, None)).await };
    let shard = endpoint.shard;
    if shard == fresh.shard {
        return Box::pin(at_endpoint(edge, fresh, name, endpoint)).await;
    }
    edge.metrics.handovers.inc();
    let moved = match fresh.leave_for(shard) {
        Ok(moved) => moved,
        Err(error) => return tracing::warn!(%error, "a connection could not be moved to its shard"),
    };
    let tasks = edge.tasks.clone();
    let runtime = edge.shards[shard].clone();
    tasks.spawn_on(
        async move {
            match moved.arrive() {
                Ok(fresh) => Box::pin(at_endpoint(edge, fresh, name, endpoint)).await,
                Err(error) => tracing::warn!(%error, "a connection could not be taken over"),
            }
        },
        &runtime,
    );
}

/// Serves a visitor on the shard of the endpoint's session.
async fn at_endpoint(edge: Arc<EdgeShared>, fresh: Fresh, name: HostName, endpoint: Arc<Endpoint>) {
    if endpoint.url.scheme == Scheme::Https {
        let actions = endpoint.options.actions.clone();
        return https(edge, fresh, name, actions).await;
    }
    edge.count_connection(Kind::Tls);
    if !tcp::permits(&edge, &endpoint, fresh.peer) {
        return alert(fresh, &ACCESS_DENIED_ALERT).await;
    }
    match own_tls(&edge, endpoint.options.actions.as_deref()) {
        Some(tls) => Box::pin(end_tls(edge, fresh, &endpoint, tls.config.clone())).await,
        None if endpoint.options.tls_edge => {
            let config = Arc::clone(&edge.tls.tls);
            Box::pin(end_tls(edge, fresh, &endpoint, Some(config))).await
        }
        None => pass_through(&edge, fresh, &endpoint).await,
    }
}

/// How TLS ends where the endpoint has it otherwise than the rest.
fn own_tls(edge: &EdgeShared, actions: Option<&EndpointActions>) -> Option<Arc<Made>> {
    actions.and_then(|actions| actions.tls(&edge.replica.authorities))
}

/// Ends the visitor's TLS and forwards what is inside. Without a configuration nobody may come.
async fn end_tls(edge: Arc<EdgeShared>, fresh: Fresh, endpoint: &Endpoint, config: Option<Arc<ServerConfig>>) {
    let Some(config) = config else { return alert(fresh, &ACCESS_DENIED_ALERT).await };
    let Some((stream, fresh)) = Box::pin(handshake(&edge, fresh, config)).await else { return };
    let Some(upstream) = tcp::open(&edge, endpoint, fresh.peer, fresh.local).await else {
        return stream.reset_on_close();
    };
    tcp::run_pipe(&edge, endpoint, stream, upstream, Bytes::new()).await;
}

/// Forwards the visitor's TLS untouched, the ClientHello first.
async fn pass_through(edge: &EdgeShared, fresh: Fresh, endpoint: &Endpoint) {
    let Fresh { mut stream, first, peer, local, permit, handshake, counted, .. } = fresh;
    let _held = (permit, counted);
    drop(handshake);
    let Some(upstream) = tcp::open(edge, endpoint, peer, local).await else {
        // An alert makes clients say something better than "connection reset".
        let _ = stream.write_all(&UNRECOGNIZED_NAME_ALERT).await;
        return;
    };
    tcp::run_pipe(edge, endpoint, stream, upstream, first).await;
}

/// Serves a visitor of an https endpoint, or of none. `actions`: those of the endpoint that the name leads to now; whether requests find one that
/// asks for more than this handshake showed is decided for each.
async fn https(edge: Arc<EdgeShared>, fresh: Fresh, name: HostName, actions: Option<Arc<EndpointActions>>) {
    edge.count_connection(Kind::Https);
    let own = own_tls(&edge, actions.as_deref());
    drop(actions);
    let (config, client_authorities) = match own.as_deref() {
        Some(Made { config, client_authorities, .. }) => (config.clone(), client_authorities.clone()),
        None => (Some(Arc::clone(&edge.tls.https)), None),
    };
    drop(own);
    let Some(config) = config else { return alert(fresh, &ACCESS_DENIED_ALERT).await };
    let Some((stream, fresh)) = Box::pin(handshake(&edge, fresh, config)).await else { return };
    let alpn_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let visitor = Visitor {
        peer: fresh.peer,
        local: fresh.local,
        scheme: Scheme::Https,
        sni: Some(name),
        alpn_h2,
        client_authorities,
    };
    let Settled { permit, counted, .. } = fresh;
    let _held = (permit, counted);
    Box::pin(http::serve(stream, visitor, edge)).await;
}

/// Ends the TLS of a visitor of the installation itself, and hands the rest on.
async fn own(edge: &EdgeShared, fresh: Fresh, service: &OwnService) {
    edge.count_connection(Kind::Https);
    let Some((stream, settled)) = Box::pin(handshake(edge, fresh, Arc::clone(&edge.tls.https))).await else { return };
    let Settled { peer, permit, counted, .. } = settled;
    let held = Held { _permit: permit, _counted: counted };
    // Nobody takes them while the service stops or moves to another process; the connection is closed then.
    let _ = service.visitors.send(OwnVisitor { stream: Box::new(stream), peer, held }).await;
}

async fn agent(edge: Arc<EdgeShared>, fresh: Fresh, connect_name: Option<HostName>) {
    let config = Arc::clone(&edge.tls.agents);
    let shard = fresh.shard;
    if let Err(error) = tune_tcp(&fresh.stream) {
        return tracing::debug!(peer = %fresh.peer, %error, "the connection is gone");
    }
    let Some((stream, settled)) = handshake(&edge, fresh, config).await else { return };
    if stream.get_ref().1.alpn_protocol() != Some(ALPN_PORTWAY) {
        return Box::pin(without_alpn(edge, stream, settled, connect_name, shard)).await;
    }
    let Settled { peer, local, deadline: _, permit, counted } = settled;
    // What a drain waits for are visitors.
    drop(counted);
    let session = over_tls(stream, Role::Edge, edge.config.session.clone(), peer, local);
    let tasks = edge.tasks.clone();
    tasks.spawn(native::serve(edge, Arrival { session, connect_name, permit, shard }));
}

/// An SDK, or somebody who got lost: the first bytes tell.
async fn without_alpn(
    edge: Arc<EdgeShared>,
    mut stream: TlsStream<ReadAhead<TcpStream>>,
    settled: Settled,
    connect_name: Option<HostName>,
    shard: usize,
) {
    let mut first = BytesMut::with_capacity(FIRST_FRAME);
    let reading =
        async { while first.len() < FRAME_HEADER && stream.read_buf(&mut first).await.is_ok_and(|count| count > 0) {} };
    if timeout_at(settled.deadline, reading).await.is_err() || !ngrok::looks_like_muxado(&first) {
        return lost(&edge, stream, &settled, &first).await;
    }
    let Settled { peer, local, deadline: _, permit, counted } = settled;
    drop(counted);
    let config = edge.config.session.towards_ngrok();
    let session = over_tls(AgentIo::new(stream, first.freeze()), Role::Edge, config, peer, local);
    let tasks = edge.tasks.clone();
    tasks.spawn(ngrok::serve(edge, Arrival { session, connect_name, permit, shard }));
}

/// A connection whose handshake is over.
struct Settled {
    peer: SocketAddr,
    local: SocketAddr,
    deadline: Instant,
    permit: ConnectionPermit,
    counted: TaskTrackerToken,
}

async fn handshake(
    edge: &EdgeShared,
    fresh: Fresh,
    config: Arc<ServerConfig>,
) -> Option<(TlsStream<ReadAhead<TcpStream>>, Settled)> {
    let Fresh { stream, first, peer, local, deadline, permit, handshake, counted, shard: _ } = fresh;
    let accept = TlsAcceptor::from(config).accept(ReadAhead::with_prefix(stream, first));
    let outcome = timeout_at(deadline, accept).await;
    drop(handshake);
    match outcome {
        Ok(Ok(stream)) => Some((stream, Settled { peer, local, deadline, permit, counted })),
        Ok(Err(error)) => {
            failed(edge, HandshakeStage::Tls, peer, &error.to_string());
            None
        }
        Err(_) => {
            failed(edge, HandshakeStage::Tls, peer, "no TLS handshake in time");
            None
        }
    }
}

/// Something on a connect name that is no native agent.
async fn lost(edge: &EdgeShared, mut stream: TlsStream<ReadAhead<TcpStream>>, settled: &Settled, first: &[u8]) {
    edge.metrics.refused.get_or_create(&ReasonLabel { reason: "not_a_portway_agent" }).inc();
    tracing::info!(peer = %settled.peer, alpn = ?stream.get_ref().1.alpn_protocol().map(String::from_utf8_lossy),
        "connection to the agents' address speaks no protocol that is served here; closed");
    let answer = async {
        if looks_like_http(first) {
            stream.write_all(plain_http::answer(400, None, AGENTS_ONLY).as_bytes()).await?;
        }
        stream.shutdown().await
    };
    let _ = timeout_at(settled.deadline, answer).await;
}

async fn not_tls(edge: &EdgeShared, mut stream: TcpStream, first: &[u8], deadline: Instant) {
    edge.metrics.handshake_failures.get_or_create(&HandshakeLabel { stage: HandshakeStage::ClientHello }).inc();
    if looks_like_http(first) {
        let answer = async {
            stream.write_all(plain_http::answer(400, None, USE_HTTPS).as_bytes()).await?;
            stream.shutdown().await?;
            // What the client still sends is taken, so that the answer is not lost to a reset.
            let mut rest = [0; 4_096];
            for _ in 0..16 {
                if stream.read(&mut rest).await? == 0 {
                    break;
                }
            }
            Ok::<_, io::Error>(())
        };
        let _ = timeout_at(deadline, answer).await;
    }
}

/// A method, or the beginning of one: capital letters and then nothing else than a space.
fn looks_like_http(first: &[u8]) -> bool {
    let method = first.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    method > 0 && method < 12 && first.get(method).is_none_or(|byte| *byte == b' ')
}

async fn unknown_name(edge: &EdgeShared, fresh: Fresh, why: &str) {
    failed(edge, HandshakeStage::UnknownName, fresh.peer, why);
    alert(fresh, &UNRECOGNIZED_NAME_ALERT).await;
}

/// Ends a connection by an alert in place of a handshake.
async fn alert(mut fresh: Fresh, alert: &[u8]) {
    let goodbye = async {
        fresh.stream.write_all(alert).await?;
        fresh.stream.shutdown().await
    };
    let _ = timeout_at(fresh.deadline, goodbye).await;
}

fn failed(edge: &EdgeShared, stage: HandshakeStage, peer: SocketAddr, why: &str) {
    edge.metrics.handshake_failures.get_or_create(&HandshakeLabel { stage }).inc();
    tracing::debug!(%peer, ?stage, why, "handshake failed");
}

impl Fresh<TcpStream> {
    /// Takes the socket from this shard's runtime.
    fn leave_for(self, shard: usize) -> io::Result<Fresh<std::net::TcpStream>> {
        let Fresh { stream, first, peer, local, deadline, permit, handshake, counted, shard: _ } = self;
        let stream = stream.into_std()?;
        Ok(Fresh { stream, first, peer, local, shard, deadline, permit, handshake, counted })
    }
}

impl Fresh<std::net::TcpStream> {
    /// Gives the socket to the runtime it is called on.
    fn arrive(self) -> io::Result<Fresh> {
        let Fresh { stream, first, peer, local, shard, deadline, permit, handshake, counted } = self;
        let stream = TcpStream::from_std(stream)?;
        Ok(Fresh { stream, first, peer, local, shard, deadline, permit, handshake, counted })
    }
}
