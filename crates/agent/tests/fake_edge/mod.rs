//! An edge that does what a test tells it, on loopback with real TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use portway_agent::{Agent, AgentBuilder, CarrierChoice, Roots};
use portway_mux::{QuicKeys, QuicListener, Role, Session, SessionConfig, Stream, over_tls};
use portway_proto::agent::v1::{
    AgentMessage, Bind, Bound, ConnectionHead, EdgeMessage, Hello, OfferedRegion, Welcome, agent_message, edge_message,
};
use portway_tls::{ALPN_PORTWAY, CertStore, CertifiedKey, server_config};
use portway_wire::head::{HeadDecoder, StreamHead, encode_connection_head};
use portway_wire::message;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Listens on one port number over TCP and UDP.
pub(crate) struct FakeEdge {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
    quic: QuicListener,
    /// PEM.
    pub(crate) ca: Vec<u8>,
    pub(crate) addr: SocketAddr,
    /// Region that it says it is in.
    pub(crate) region: &'static str,
    /// Time it waits before each handshake over TCP.
    pub(crate) distance: Duration,
}

/// One session of an agent, greeted or not.
pub(crate) struct FakeLink {
    pub(crate) session: Session,
    pub(crate) hello: Hello,
    control: Stream,
    buffer: BytesMut,
    decoder: message::Decoder<AgentMessage>,
    next_handle: u32,
}

impl FakeEdge {
    pub(crate) async fn start() -> Self {
        let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
        let key = CertifiedKey::from_der(vec![certified.cert.der().to_vec()], &certified.signing_key.serialize_der());
        let store = Arc::new(CertStore::new());
        store.set_default(Some(key.expect("a usable key")));
        let tls = server_config(&store, &[ALPN_PORTWAY]);
        // The same number may be taken on the other protocol: then the next one is tried.
        loop {
            let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a TCP port");
            let addr = tcp.local_addr().expect("bound");
            let Ok(udp) = std::net::UdpSocket::bind(addr) else { continue };
            let quic = QuicListener::new(udp, tls.clone(), SessionConfig::edge(), &QuicKeys::random())
                .expect("a QUIC listener");
            let ca = certified.cert.pem().into_bytes();
            let (region, distance) = ("test", Duration::ZERO);
            return Self { tcp, acceptor: TlsAcceptor::from(tls), quic, ca, addr, region, distance };
        }
    }

    /// An agent that would connect here, by TCP unless changed.
    pub(crate) fn agent(&self) -> AgentBuilder {
        Agent::builder()
            .connect_url(self.addr.to_string())
            .authtoken("token".to_owned())
            .roots(Roots::Pem(self.ca.clone()))
            .carrier(CarrierChoice::Tcp)
    }

    /// The next session by TCP. Attempts that are given up in the handshake are skipped.
    pub(crate) async fn accept_tcp(&self) -> Session {
        loop {
            let (socket, peer) = self.tcp.accept().await.expect("accepting");
            tokio::time::sleep(self.distance).await;
            if let Ok(stream) = self.acceptor.accept(socket).await {
                return over_tls(stream, Role::Edge, SessionConfig::edge(), peer, self.addr);
            }
        }
    }

    /// The next session by QUIC.
    pub(crate) async fn accept_quic(&self) -> Session {
        loop {
            let incoming = self.quic.accept().await.expect("accepting");
            if let Ok((session, _)) = incoming.establish().await {
                return session;
            }
        }
    }

    /// The next session by TCP, welcomed.
    pub(crate) async fn link(&self) -> FakeLink {
        FakeLink::welcome(self.accept_tcp().await).await
    }

    /// The next session by TCP that is more than a measurement, welcomed and offered other regions.
    pub(crate) async fn regional_link(&self, regions: &[OfferedRegion]) -> FakeLink {
        loop {
            let session = self.accept_tcp().await;
            if let Some(control) = session.accept().await {
                let mut link = FakeLink::greet_on(session, control).await;
                let welcome =
                    Welcome { region: self.region.to_owned(), regions: regions.to_vec(), ..Welcome::default() };
                link.say(edge_message::Message::Welcome(welcome)).await;
                return link;
            }
        }
    }

    /// How another edge offers this one.
    pub(crate) fn offer(&self) -> OfferedRegion {
        OfferedRegion { region: self.region.to_owned(), connect_url: self.addr.to_string() }
    }
}

impl FakeLink {
    /// Reads the greeting.
    pub(crate) async fn greet(session: Session) -> Self {
        let control = session.accept().await.expect("a control stream");
        Self::greet_on(session, control).await
    }

    async fn greet_on(session: Session, mut control: Stream) -> Self {
        let mut buffer = BytesMut::new();
        let mut head = HeadDecoder::new();
        while head.push(&mut buffer).expect("a head") != Some(StreamHead::Control) {
            buffer.extend_from_slice(&control.read_chunk(4096).await.expect("readable").expect("not ended"));
        }
        let decoder = message::Decoder::new();
        let mut link = Self { session, hello: Hello::default(), control, buffer, decoder, next_handle: 0 };
        let agent_message::Message::Hello(hello) = link.next().await else { panic!("no Hello first") };
        link.hello = hello;
        link
    }

    /// Reads the greeting and accepts it.
    pub(crate) async fn welcome(session: Session) -> Self {
        let mut link = Self::greet(session).await;
        let welcome = Welcome {
            session_id: format!("ts_{}", link.hello.generation),
            region: "test".to_owned(),
            ..Welcome::default()
        };
        link.say(edge_message::Message::Welcome(welcome)).await;
        link
    }

    /// The agent's next message.
    pub(crate) async fn next(&mut self) -> agent_message::Message {
        loop {
            if let Some(message) = self.decoder.next(&mut self.buffer).expect("a message") {
                return message.message.expect("a known message");
            }
            let chunk = self.control.read_chunk(4096).await.expect("readable").expect("the control stream goes on");
            self.buffer.extend_from_slice(&chunk);
        }
    }

    pub(crate) async fn say(&mut self, message: edge_message::Message) {
        let bytes = message::encode(&EdgeMessage { message: Some(message) });
        self.control.write_chunk(bytes).await.expect("the agent reads");
    }

    /// Ends the edge's direction of the control stream.
    pub(crate) async fn end_control(&mut self) {
        self.control.finish().await.expect("ended");
    }

    /// The next message, which must be a Bind.
    pub(crate) async fn bind(&mut self) -> Bind {
        match self.next().await {
            agent_message::Message::Bind(bind) => bind,
            other => panic!("not a Bind: {other:?}"),
        }
    }

    /// Expects a Bind and grants it under `url`; the handle.
    pub(crate) async fn grant(&mut self, url: &str) -> (Bind, u32) {
        let bind = self.bind().await;
        self.next_handle += 1;
        let endpoint = self.next_handle;
        let bound =
            Bound { request: bind.request, endpoint, url: url.to_owned(), endpoint_id: format!("ep_{endpoint}") };
        self.say(edge_message::Message::Bound(bound)).await;
        (bind, endpoint)
    }

    /// Opens a visitor's stream.
    pub(crate) async fn visit(&self, endpoint: u32) -> Stream {
        let client = "192.0.2.7:4711".parse().expect("an address");
        let head = encode_connection_head(&ConnectionHead::new(endpoint, client, self.session.local_addr()));
        self.session.open(head).await.expect("a stream")
    }
}
