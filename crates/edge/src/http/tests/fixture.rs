//! An edge without its control plane: a listener, endpoints, and upstreams that follow a script byte by byte.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::{Bytes, BytesMut};
use portway_mux::{Role, SessionConfig, Stream, over_tls};
use portway_names::{AccountId, EndpointId, HostName, Ksuid, Scheme, SessionId};
use portway_proto::AgentId;
use portway_rpc::ControlClient;
use portway_traffic::{Action, Actions, Phase};
use portway_wire::head::HeadDecoder;
use prometheus_client::registry::Registry;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::actions::EndpointActions;
use crate::config::EdgeConfig;
use crate::edge::assemble;
use crate::endpoint::{Address, Endpoint, EndpointCounters, EndpointOptions, Holder};
use crate::listeners::Listeners;
use crate::replica::Replica;
use crate::state::EdgeShared;
use crate::testing::account;
use crate::visitor::Visitor;

/// What an upstream does with the stream of that number.
type Script = Arc<dyn Fn(Peer<Stream>, usize) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// An edge that serves HTTP.
pub(super) struct Site {
    pub(super) edge: Arc<EdgeShared>,
    /// An upstream's script panicked.
    failed: Arc<AtomicBool>,
}

impl Drop for Site {
    fn drop(&mut self) {
        assert!(std::thread::panicking() || !self.failed.load(Ordering::SeqCst), "an upstream was not content");
    }
}

/// Tells the site when a script panics.
struct Watch(Arc<AtomicBool>);

impl Drop for Watch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::SeqCst);
        }
    }
}

impl Site {
    pub(super) fn new() -> Site {
        Site::with(|_| {})
    }

    pub(super) fn with(change: impl FnOnce(&mut EdgeConfig)) -> Site {
        let mut config = EdgeConfig { https_port: 8443, ..EdgeConfig::default() };
        change(&mut config);
        let control =
            ControlClient::new(tonic::transport::Endpoint::from_static("http://control.invalid").connect_lazy());
        let (listeners, stopped) = (Listeners::default(), CancellationToken::new());
        let edge = assemble(config, &listeners, Vec::new(), control, &mut Registry::default(), &[], stopped);
        Site { edge: edge.expect("a state"), failed: Arc::default() }
    }

    /// Puts an endpoint online whose upstream follows `script` on each stream.
    pub(super) fn endpoint<F>(
        &self,
        url: &str,
        script: impl Fn(Peer<Stream>, usize) -> F + Send + Sync + 'static,
    ) -> Upstream
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.endpoint_with(url, EndpointOptions::default(), script)
    }

    pub(super) fn endpoint_with<F>(
        &self,
        url: &str,
        options: EndpointOptions,
        script: impl Fn(Peer<Stream>, usize) -> F + Send + Sync + 'static,
    ) -> Upstream
    where
        F: Future<Output = ()> + Send + 'static,
    {
        static GENERATION: AtomicUsize = AtomicUsize::new(1);
        let generation = GENERATION.fetch_add(1, Ordering::Relaxed) as u64;
        let (ours, theirs) = tokio::io::duplex(256 * 1024);
        let address: SocketAddr = "127.0.0.1:1".parse().expect("address");
        let session = over_tls(ours, Role::Edge, SessionConfig::edge(), address, address);
        let agent = over_tls(theirs, Role::Agent, SessionConfig::agent(), address, address);
        let id = Ksuid::from_parts(1_700_000_000, u128::from(generation).to_be_bytes());
        let endpoint = Endpoint {
            id: EndpointId::new(id),
            url: url.parse().expect("url"),
            account: AccountId::new(id),
            handle: 7,
            address: Address::Native,
            internal: false,
            pooled: false,
            since: std::time::SystemTime::now(),
            about: Default::default(),
            session: crate::link::AgentLink::Mux(session.clone()),
            shares: crate::shares::Shares::of_session(&crate::Limits::default(), 8192),
            shard: 0,
            holder: Holder {
                lessee: AgentId::new([1; 16]),
                agent: AgentId::new([1; 16]),
                leg: 0,
                generation,
                fence: generation,
                session_id: SessionId::new(id),
            },
            options,
            counters: EndpointCounters::default(),
        };
        self.edge.routes.insert(Arc::new(endpoint)).expect("the name is free");
        let streams = Arc::new(AtomicUsize::new(0));
        let script: Script = Arc::new(move |peer, number| Box::pin(script(peer, number)));
        let counted = Arc::clone(&streams);
        let agent_side = agent.clone();
        let failed = Arc::clone(&self.failed);
        tokio::spawn(async move {
            while let Some(stream) = agent_side.accept().await {
                let (script, number) = (Arc::clone(&script), counted.fetch_add(1, Ordering::SeqCst));
                let watch = Watch(Arc::clone(&failed));
                tokio::spawn(async move {
                    let _watch = watch;
                    if let Some(peer) = behind_head(stream).await {
                        script(peer, number).await;
                    }
                });
            }
        });
        Upstream { streams, session, agent }
    }

    /// A visitor's connection in the clear.
    pub(super) async fn visit(&self) -> Peer<TcpStream> {
        self.visit_as(Scheme::Http, None, false).await
    }

    /// A visitor's connection as if TLS had ended, for that name.
    pub(super) async fn visit_tls(&self, sni: &str, alpn_h2: bool) -> Peer<TcpStream> {
        self.visit_as(Scheme::Https, Some(sni.parse().expect("name")), alpn_h2).await
    }

    async fn visit_as(&self, scheme: Scheme, sni: Option<HostName>, alpn_h2: bool) -> Peer<TcpStream> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let local = listener.local_addr().expect("address");
        let (client, accepted) = tokio::join!(TcpStream::connect(local), listener.accept());
        let (stream, peer) = accepted.expect("accept");
        let visitor = Visitor { peer, local, scheme, sni, alpn_h2, client_authorities: None };
        tokio::spawn(super::super::serve(stream, visitor, Arc::clone(&self.edge)));
        Peer::new(client.expect("connect"))
    }

    /// A visitor's HTTP/2 connection without a kernel between: of what it does not read, `buffer` bytes leave the edge.
    pub(super) fn visit_in_memory(&self, sni: &str, buffer: usize) -> Peer<DuplexStream> {
        let (client, stream) = tokio::io::duplex(buffer);
        let (peer, sni) = (SocketAddr::from(([127, 0, 0, 1], 1)), Some(sni.parse().expect("name")));
        let visitor =
            Visitor { peer, local: peer, scheme: Scheme::Https, sni, alpn_h2: true, client_authorities: None };
        tokio::spawn(super::super::serve(stream, visitor, Arc::clone(&self.edge)));
        Peer::new(client)
    }
}

/// Options with actions, each given as phase, type and configuration.
pub(super) fn acting(actions: &[(Phase, &str, Value)]) -> EndpointOptions {
    let mut rules = Actions::default();
    for (phase, kind, config) in actions {
        rules.add(*phase, Action::new(kind, config).expect("an action")).expect("a phase");
    }
    let actions = EndpointActions::prepare(rules, Scheme::Https, account(1), &Replica::new()).expect("actions");
    EndpointOptions { actions, ..EndpointOptions::default() }
}

/// The far side of an endpoint.
pub(super) struct Upstream {
    streams: Arc<AtomicUsize>,
    pub(super) session: portway_mux::Session,
    /// Kept: dropped, it would close.
    #[expect(dead_code, reason = "holds the agent's side open")]
    agent: portway_mux::Session,
}

impl Upstream {
    /// Streams opened so far.
    pub(super) fn streams(&self) -> usize {
        self.streams.load(Ordering::SeqCst)
    }
}

/// Reads off the head of a stream, which says for which endpoint it is. None: it was reset before that.
async fn behind_head(mut stream: Stream) -> Option<Peer<Stream>> {
    let mut decoder = HeadDecoder::new();
    let mut read = BytesMut::new();
    while decoder.push(&mut read).expect("stream head").is_none() {
        let chunk = stream.read_chunk(4096).await.ok()?.expect("a head");
        read.extend_from_slice(&chunk);
    }
    Some(Peer { io: stream, read })
}

/// One end of a connection, used byte by byte.
pub(super) struct Peer<IO> {
    pub(super) io: IO,
    read: BytesMut,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Peer<IO> {
    pub(super) fn new(io: IO) -> Peer<IO> {
        Peer { io, read: BytesMut::new() }
    }

    /// What was read already and the connection.
    pub(super) fn into_io(self) -> portway_tls::ReadAhead<IO> {
        portway_tls::ReadAhead::with_prefix(self.io, self.read.freeze())
    }

    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.io.write_all(bytes.as_ref()).await.expect("write");
        self.io.flush().await.expect("flush");
    }

    /// One more read; false at the end.
    async fn more(&mut self) -> bool {
        self.io.read_buf(&mut self.read).await.expect("read") > 0
    }

    /// The next head, with its empty line; None when the connection ended before it.
    pub(super) async fn head(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                return Some(String::from_utf8(self.read.split_to(at + 4).to_vec()).expect("text"));
            }
            match self.io.read_buf(&mut self.read).await {
                // A stream between requests may also be reset: its visitor is gone.
                Ok(0) | Err(_) => {
                    assert!(self.read.is_empty(), "the end came in {:?}", self.read);
                    return None;
                }
                Ok(_) => {}
            }
        }
    }

    pub(super) async fn exactly(&mut self, length: usize) -> Bytes {
        while self.read.len() < length {
            assert!(self.more().await, "the end came after {:?}", self.read);
        }
        self.read.split_to(length).freeze()
    }

    /// Reads on until these bytes have come, and returns everything up to them.
    pub(super) async fn until(&mut self, wanted: &str) -> String {
        loop {
            if let Some(at) = self.read.windows(wanted.len()).position(|window| window == wanted.as_bytes()) {
                let all = self.read.split_to(at + wanted.len());
                return String::from_utf8(all.to_vec()).expect("text");
            }
            assert!(self.more().await, "the end came in {:?}", self.read);
        }
    }

    /// Everything up to the end, and whether that came in good order.
    pub(super) async fn rest(&mut self) -> (String, bool) {
        let clean = loop {
            match self.io.read_buf(&mut self.read).await {
                Ok(0) => break true,
                Ok(_) => {}
                Err(_) => break false,
            }
        };
        (String::from_utf8_lossy(&self.read.split()).into_owned(), clean)
    }

    /// A response with a Content-Length: head and body.
    pub(super) async fn response(&mut self) -> (String, String) {
        let head = self.head().await.expect("a response");
        let length = field(&head, "content-length").map_or(0, |value| value.parse().expect("a length"));
        let body = self.exactly(length).await;
        (head, String::from_utf8_lossy(&body).into_owned())
    }
}

/// The value of a field in a head.
pub(super) fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// The status of a response head.
pub(super) fn status(head: &str) -> u16 {
    head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line")
}

/// Answers every request of a stream with its own head, until it ends.
pub(super) async fn mirror(mut peer: Peer<Stream>, _: usize) {
    while let Some(head) = peer.head().await {
        if let Some(length) = field(&head, "content-length") {
            peer.exactly(length.parse().expect("a length")).await;
        }
        peer.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{head}", head.len())).await;
    }
}
