//! A loopback server with a certificate of its own, and sessions to it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use portway_mux::{Carrier, Dialer, QuicKeys, QuicListener, Role, Session, SessionConfig, Stream, over_tls, tune_tcp};
use portway_tls::{ALPN_PORTWAY, CertStore, CertifiedKey, ReadAhead, Roots, server_config};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

pub(crate) const BOTH: [Carrier; 2] = [Carrier::Tcp, Carrier::Quic];

/// A CA and a server certificate for `localhost`, 127.0.0.1 and `example.test`.
pub(crate) struct Pki {
    pub(crate) ca_pem: Vec<u8>,
    pub(crate) store: Arc<CertStore>,
}

impl Pki {
    pub(crate) fn new() -> Self {
        let mut ca = CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_key = KeyPair::generate().unwrap();
        let ca_pem = ca.self_signed(&ca_key).unwrap().pem().into_bytes();
        let issuer = Issuer::new(ca, ca_key);
        let names = ["localhost", "127.0.0.1", "example.test"].map(str::to_owned);
        let leaf_key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(names).unwrap().signed_by(&leaf_key, &issuer).unwrap();
        let key = CertifiedKey::from_pem(leaf.pem().as_bytes(), leaf_key.serialize_pem().as_bytes()).unwrap();
        let store = Arc::new(CertStore::new());
        store.upsert("leaf", vec!["localhost".parse().unwrap(), "*.test".parse().unwrap()], key.clone());
        store.set_default(Some(key));
        Self { ca_pem, store }
    }

    pub(crate) fn roots(&self) -> Roots {
        Roots::Pem(self.ca_pem.clone())
    }
}

/// Accepts sessions on TCP and, when wanted, on UDP of the same port.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) pki: Pki,
    sessions: mpsc::Receiver<Session>,
    _tasks: JoinSet<()>,
}

impl Server {
    pub(crate) async fn start(config: SessionConfig) -> Self {
        Self::with(config, true, &[ALPN_PORTWAY]).await
    }

    pub(crate) async fn with(config: SessionConfig, udp: bool, alpn: &[&[u8]]) -> Self {
        let pki = Pki::new();
        let tls = server_config(&pki.store, alpn);
        let (sender, sessions) = mpsc::channel(64);
        let mut tasks = JoinSet::new();
        let (listener, socket) = bind().await;
        let address = listener.local_addr().unwrap();
        tasks.spawn(accept_tcp(listener, TlsAcceptor::from(tls.clone()), config.clone(), sender.clone()));
        if udp {
            tasks.spawn(accept_quic(QuicListener::new(socket, tls, config, &QuicKeys::random()).unwrap(), sender));
        }
        Self { address, pki, sessions, _tasks: tasks }
    }

    pub(crate) async fn next(&mut self) -> Session {
        self.sessions.recv().await.expect("the server runs")
    }

    pub(crate) fn dialer(&self) -> Dialer {
        self.dialer_to("localhost", self.pki.roots())
    }

    pub(crate) fn dialer_to(&self, host: &str, roots: Roots) -> Dialer {
        let target = format!("{host}:{}", self.address.port()).parse().unwrap();
        Dialer::new(target, &roots).unwrap().addresses(vec![self.address])
    }
}

/// An agent's session and the edge's end of it.
pub(crate) struct Pair {
    pub(crate) agent: Session,
    pub(crate) edge: Session,
    pub(crate) server: Server,
}

pub(crate) async fn pair(carrier: Carrier) -> Pair {
    pair_with(carrier, SessionConfig::agent(), SessionConfig::edge()).await
}

pub(crate) async fn pair_with(carrier: Carrier, agent: SessionConfig, edge: SessionConfig) -> Pair {
    let mut server = Server::start(edge).await;
    let agent = server.dialer().session(agent).dial_carrier(carrier).await.unwrap();
    let edge = server.next().await;
    assert_eq!((agent.carrier(), edge.carrier()), (carrier, carrier));
    Pair { agent, edge, server }
}

/// A stream from edge to agent, seen by both; the head has been read.
pub(crate) async fn stream(pair: &Pair) -> (Stream, Stream) {
    let mut near = pair.edge.open(Bytes::from_static(b"head")).await.unwrap();
    near.write_chunk(Bytes::new()).await.unwrap();
    tokio::io::AsyncWriteExt::flush(&mut near).await.unwrap();
    let mut far = pair.agent.accept().await.unwrap();
    assert_eq!(far.read_chunk(4).await.unwrap().unwrap(), "head");
    (near, far)
}

/// Sends back whatever comes on every stream of a session, until it closes.
pub(crate) async fn echo(session: Session) {
    let mut tasks = JoinSet::new();
    while let Some(mut stream) = session.accept().await {
        tasks.spawn(async move {
            while let Ok(Some(chunk)) = stream.read_chunk(usize::MAX).await {
                if stream.write_chunk(chunk).await.is_err() {
                    return;
                }
            }
            // Over already when it fails.
            let _ = stream.finish().await;
        });
    }
    tasks.join_all().await;
}

/// Pseudo-random bytes that differ at every place.
pub(crate) fn pattern(length: usize, seed: u64) -> Bytes {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes.into()
}

pub(crate) async fn read_to_end(stream: &mut Stream) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(chunk) = stream.read_chunk(usize::MAX).await.unwrap() {
        assert!(!chunk.is_empty());
        all.extend_from_slice(&chunk);
    }
    all
}

async fn bind() -> (TcpListener, std::net::UdpSocket) {
    loop {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        // The same port may be taken for UDP by another test.
        if let Ok(socket) = std::net::UdpSocket::bind(listener.local_addr().unwrap()) {
            return (listener, socket);
        }
    }
}

async fn accept_tcp(listener: TcpListener, tls: TlsAcceptor, config: SessionConfig, sender: mpsc::Sender<Session>) {
    loop {
        let (socket, peer) = listener.accept().await.unwrap();
        tune_tcp(&socket).unwrap();
        let local = socket.local_addr().unwrap();
        // Refused handshakes are for the client's test to see.
        let Ok(stream) = tls.accept(ReadAhead::new(socket)).await else { continue };
        let _ = sender.send(over_tls(stream, Role::Edge, config.clone(), peer, local)).await;
    }
}

async fn accept_quic(listener: QuicListener, sender: mpsc::Sender<Session>) {
    while let Some(incoming) = listener.accept().await {
        if let Ok((session, _)) = incoming.establish().await {
            let _ = sender.send(session).await;
        }
    }
}
