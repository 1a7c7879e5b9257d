//! For tests: an edge on loopback, with a control plane in memory and agents that speak for themselves.

mod agent;
mod control;
pub(crate) mod frames;
pub(crate) mod ip;
mod sdk;

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use portway_mux::{Role, Session, SessionConfig, over_tls};
use portway_rpc::in_memory;
use portway_tls::{ALPN_PORTWAY, Roots, client_config};
use prometheus_client::registry::Registry;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub(crate) use self::agent::TestAgent;
pub(crate) use self::control::{FakeControl, account, digest_of};
pub(crate) use self::frames::RawSdk;
pub(crate) use self::sdk::{TestSdk, ask, auth, bind};
use crate::{Edge, EdgeConfig, Listeners, StartError};

/// Base domain of the test installation; agents dial `connect.` below it.
pub(crate) const BASE: &str = "portway.test";
/// The authtoken that the installation begins with.
pub(crate) const TOKEN: &str = "2aaaaaaaaaaaaaaaaaaaaaaaaaa_0123456789abcdefghijkl";
/// How long a test waits for what must happen.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A running edge and all it needs.
pub(crate) struct TestEdge {
    pub(crate) edge: Option<Edge>,
    pub(crate) control: FakeControl,
    pub(crate) https: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) registry: Registry,
    ca_pem: Vec<u8>,
    serving: tokio::task::JoinHandle<()>,
}

impl TestEdge {
    /// An edge with one shard.
    pub(crate) async fn start() -> TestEdge {
        Self::start_with(|_| {}).await
    }

    /// An edge whose configuration was changed.
    pub(crate) async fn start_with(change: impl FnOnce(&mut EdgeConfig)) -> TestEdge {
        let control = FakeControl::new();
        Self::start_beside(control, change).await
    }

    /// An edge on a control plane that is there already.
    pub(crate) async fn start_beside(control: FakeControl, change: impl FnOnce(&mut EdgeConfig)) -> TestEdge {
        let mut config = config();
        change(&mut config);
        Self::assemble(control, config, listeners()).await.unwrap()
    }

    /// A successor: an edge on sockets that another one had, with this port for TCP endpoints.
    pub(crate) async fn start_on(control: FakeControl, sockets: Listeners, port: u16) -> TestEdge {
        let config = EdgeConfig { tcp_ports: port..=port, ..config() };
        Self::assemble(control, config, sockets).await.unwrap()
    }

    /// Tries to start an edge whose configuration was changed.
    pub(crate) async fn try_start(change: impl FnOnce(&mut EdgeConfig)) -> Result<TestEdge, StartError> {
        let mut config = config();
        change(&mut config);
        Self::assemble(FakeControl::new(), config, listeners()).await
    }

    async fn assemble(control: FakeControl, config: EdgeConfig, sockets: Listeners) -> Result<TestEdge, StartError> {
        let (https, http) = (sockets.https[0].local_addr().unwrap(), sockets.http[0].local_addr().unwrap());
        let ca_pem = control.ca_pem();
        let (client, server) = in_memory(control.clone());
        let serving = tokio::spawn(server);
        let mut registry = Registry::default();
        let edge = Edge::start(config, sockets, client, &mut registry).await?;
        edge.synced().await;
        Ok(TestEdge { edge: Some(edge), control, https, http, registry, ca_pem, serving })
    }

    pub(crate) fn edge(&self) -> &Edge {
        self.edge.as_ref().unwrap()
    }

    /// The metrics as text.
    pub(crate) fn metrics(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text
    }

    /// Trusts the installation's CA.
    pub(crate) fn roots(&self) -> Roots {
        Roots::Pem(self.ca_pem.clone())
    }

    /// A TLS connection to the https address, for a visitor or agent who asks for `name`.
    pub(crate) async fn tls(&self, name: &str, alpn: &[&[u8]]) -> std::io::Result<TlsStream<TcpStream>> {
        let config = client_config(&self.roots(), alpn).unwrap();
        let tcp = TcpStream::connect(self.https).await?;
        let name = ServerName::try_from(name.to_owned()).unwrap();
        TlsConnector::from(config).connect(name, tcp).await
    }

    /// A session over TCP and TLS on which nothing was said.
    pub(crate) async fn session(&self) -> Session {
        let stream = self.tls(&format!("connect.{BASE}"), &[ALPN_PORTWAY]).await.unwrap();
        let local = stream.get_ref().0.local_addr().unwrap();
        over_tls(stream, Role::Agent, SessionConfig::agent(), self.https, local)
    }

    /// Whether the replica shows a lease on a name.
    pub(crate) fn has_lease(&self, url: &str) -> bool {
        self.edge().state().replica.lease(&url.parse().unwrap()).is_some()
    }

    /// An agent that is online.
    pub(crate) async fn agent(&self) -> TestAgent {
        TestAgent::connect(self, TOKEN, [1; 16], 1).await.unwrap()
    }

    /// Drains the edge.
    pub(crate) async fn drain(&mut self) {
        self.edge.take().unwrap().drain().await;
    }
}

impl Drop for TestEdge {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Waits for a condition that others bring about.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(SOON, waiting).await.unwrap_or_else(|_| panic!("never happened: {what}"));
}

/// A future that must be ready soon.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(SOON, future).await.expect("it takes too long")
}

fn config() -> EdgeConfig {
    let drain_grace = Duration::from_secs(5);
    EdgeConfig { shards: 1, tcp_ports: free_ports(), drain_grace, ..EdgeConfig::default() }
}

fn listeners() -> Listeners {
    // TCP and UDP on one port: tried until both are free.
    let (https, quic) = (0..100)
        .find_map(|_| {
            let https = TcpListener::bind("127.0.0.1:0").unwrap();
            let quic = UdpSocket::bind(https.local_addr().unwrap()).ok()?;
            Some((https, quic))
        })
        .unwrap();
    let http = TcpListener::bind("127.0.0.1:0").unwrap();
    Listeners { https: vec![https], quic: vec![quic], http: vec![http], ..Listeners::default() }
}

/// A range of ports for the TCP endpoints of one test: tests of one process do not share ports.
fn free_ports() -> RangeInclusive<u16> {
    use std::sync::atomic::{AtomicU16, Ordering};
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let slot = NEXT.fetch_add(1, Ordering::Relaxed) % 400;
    let low = 21_000 + slot * 20;
    low..=low + 19
}

/// A self-made installation: CA, certificates for the base domain and the connect names.
pub(crate) struct Pki {
    pub(crate) ca_pem: String,
    /// DER chain and key of `*.BASE`.
    pub(crate) visitors: (Vec<u8>, Vec<u8>),
    /// DER chain and key of `connect.BASE` and the loopback addresses.
    pub(crate) agents: (Vec<u8>, Vec<u8>),
}

impl Pki {
    pub(crate) fn new() -> Pki {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca = rcgen::CertifiedIssuer::self_signed(params, key).unwrap();
        let leaf = |names: &[String]| {
            let key = rcgen::KeyPair::generate().unwrap();
            let certificate = rcgen::CertificateParams::new(names).unwrap().signed_by(&key, &ca).unwrap();
            (certificate.der().to_vec(), key.serialize_der())
        };
        Pki {
            ca_pem: ca.pem(),
            visitors: leaf(&[BASE.to_owned(), format!("*.{BASE}")]),
            agents: leaf(&[format!("connect.{BASE}"), "127.0.0.1".to_owned(), "::1".to_owned()]),
        }
    }
}

/// One installation's keys for all tests of the process: making them takes longer than most tests.
pub(crate) fn pki() -> Arc<Pki> {
    static PKI: std::sync::OnceLock<Arc<Pki>> = std::sync::OnceLock::new();
    Arc::clone(PKI.get_or_init(|| Arc::new(Pki::new())))
}
