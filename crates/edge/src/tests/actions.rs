//! Actions on connections: addresses, and TLS that ends as the endpoint wants it.

use std::sync::Arc;

use portway_names::{CertificateAuthorityId, Ksuid, Scheme};
use portway_proto::{CertificateAuthorityRecord, ReplicaRecord};
use portway_tls::provider;
use portway_traffic::{Action, Actions, Phase};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::actions::EndpointActions;
use crate::endpoint::{Address, Endpoint, EndpointCounters, EndpointOptions};
use crate::replica::Replica;
use crate::testing::{TestEdge, account, eventually, soon};

/// Gives an endpoint that is online actions, as a bind that carries them would.
pub(super) fn act(edge: &TestEdge, url: &str, kind: &str, config: &Value) {
    let state = edge.edge().state();
    let old = state.routes.same_name(&url.parse().unwrap()).unwrap();
    let actions = acting(edge, old.url.scheme, kind, config).actions;
    let mut holder = old.holder.clone();
    holder.fence += 1;
    let endpoint = Endpoint {
        id: old.id,
        url: old.url.clone(),
        account: old.account,
        handle: old.handle,
        address: Address::Native,
        internal: false,
        pooled: false,
        since: std::time::SystemTime::now(),
        about: Default::default(),
        session: old.session.clone(),
        shares: Arc::clone(&old.shares),
        shard: old.shard,
        holder,
        options: EndpointOptions { actions, ..old.options.clone() },
        counters: EndpointCounters::default(),
    };
    state.routes.insert(Arc::new(endpoint)).unwrap();
}

/// Options with one action.
pub(super) fn acting(edge: &TestEdge, scheme: Scheme, kind: &str, config: &Value) -> EndpointOptions {
    let mut rules = Actions::default();
    rules.add(Phase::TcpConnect, Action::new(kind, config).unwrap()).unwrap();
    let actions = EndpointActions::prepare(rules, scheme, account(1), &edge.edge().state().replica).unwrap();
    EndpointOptions { actions, ..EndpointOptions::default() }
}

/// A certificate authority with one certificate for a client: PEM of the authority, of the certificate and its key.
pub(super) struct Clients {
    authority: String,
    certificate: String,
    key: String,
}

impl Clients {
    fn new() -> Clients {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca = rcgen::CertifiedIssuer::self_signed(params, key).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(["somebody".to_owned()]).unwrap().signed_by(&key, &ca).unwrap();
        Clients { authority: ca.pem(), certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

pub(super) async fn connect(
    edge: &TestEdge,
    name: &str,
    clients: Option<&Clients>,
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&edge.control.ca_pem()).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    let config = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            let chain = vec![CertificateDer::from_pem_slice(clients.certificate.as_bytes()).unwrap()];
            let key = PrivateKeyDer::from_pem_slice(clients.key.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    let tcp = TcpStream::connect(edge.https).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, tcp).await
}

/// What the visitor gets for some bytes; an error when the connection fails on the way.
async fn exchange(
    edge: &TestEdge,
    name: &str,
    clients: Option<&Clients>,
    send: &[u8],
    length: usize,
) -> std::io::Result<String> {
    let mut tls = connect(edge, name, clients).await?;
    tls.write_all(send).await?;
    let mut got = vec![0; length];
    tls.read_exact(&mut got).await?;
    Ok(String::from_utf8(got).unwrap())
}

#[tokio::test]
async fn tcp_and_tls_visitors_from_elsewhere_are_closed() {
    let edge = TestEdge::start().await;
    let mut agent = edge.agent().await;
    let tcp = agent.bind("tcp://").await.unwrap().url;
    agent.bind("tls://secret.portway.test").await.unwrap();
    let echoing = agent.echo_all();
    let deny = json!({"deny": ["127.0.0.0/8"]});
    act(&edge, &tcp, "restrict-ips", &deny);
    act(&edge, "tls://secret.portway.test", "restrict-ips", &deny);
    let port = tcp.rsplit_once(':').unwrap().1;
    // The reset may come while the visitor still connects.
    let refused = async {
        let mut visitor = TcpStream::connect(format!("127.0.0.1:{port}")).await?;
        visitor.write_all(b"hello").await?;
        visitor.read_to_end(&mut Vec::new()).await
    };
    assert!(!matches!(soon(refused).await, Ok(read) if read > 0));
    let error = soon(connect(&edge, "secret.portway.test", None)).await.unwrap_err();
    assert!(error.to_string().contains("AccessDenied"), "{error}");
    eventually("both are counted", || edge.metrics().contains("refused_total{reason=\"restricted_address\"} 2")).await;

    act(&edge, &tcp, "restrict-ips", &json!({"allow": ["127.0.0.1"]}));
    let mut visitor = TcpStream::connect(format!("127.0.0.1:{port}")).await.unwrap();
    visitor.write_all(b"hello").await.unwrap();
    let mut got = [0; 5];
    soon(visitor.read_exact(&mut got)).await.unwrap();
    assert_eq!(&got, b"hello");
    echoing.abort();
}

#[tokio::test]
async fn https_visitors_show_a_certificate_in_their_handshake() {
    let edge = TestEdge::start().await;
    let mut agent = edge.agent().await;
    agent.bind("https://closed.portway.test").await.unwrap();
    agent.bind("https://open.portway.test").await.unwrap();
    let (clients, others) = (Clients::new(), Clients::new());
    let config = json!({"mutual_tls_certificate_authorities": [clients.authority], "min_version": "1.3"});
    act(&edge, "https://closed.portway.test", "terminate-tls", &config);
    tokio::spawn(async move {
        while let Some((_, _, mut stream)) = agent.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            let _ = stream.read_chunk(1).await;
        }
    });
    let get = |name: &str| format!("GET / HTTP/1.1\r\nHost: {name}.portway.test\r\n\r\n").into_bytes();
    let ask = |clients, sni, host| {
        let (edge, request) = (&edge, get(host));
        async move { soon(exchange(edge, sni, clients, &request, 12)).await }
    };
    let closed = "closed.portway.test";
    assert_eq!(ask(Some(&clients), closed, "closed").await.unwrap(), "HTTP/1.1 200");
    assert!(ask(None, closed, "closed").await.is_err());
    assert!(ask(Some(&others), closed, "closed").await.is_err());
    // A connection that was made for another name does not reach it.
    assert_eq!(ask(None, "open.portway.test", "open").await.unwrap(), "HTTP/1.1 200");
    assert_eq!(ask(None, "open.portway.test", "closed").await.unwrap(), "HTTP/1.1 421");
    assert_eq!(ask(Some(&clients), "open.portway.test", "closed").await.unwrap(), "HTTP/1.1 421");
}

#[tokio::test]
async fn tls_endpoints_end_at_the_edge_with_their_own_certificate() {
    let edge = TestEdge::start().await;
    let mut agent = edge.agent().await;
    agent.bind("tls://ended.portway.test").await.unwrap();
    let echoing = agent.echo_all();
    let clients = Clients::new();
    let own = rcgen::generate_simple_self_signed(["ended.portway.test".to_owned()]).unwrap();
    let config = json!({
        "server_certificate": own.cert.pem(),
        "server_private_key": own.signing_key.serialize_pem(),
        "mutual_tls_certificate_authorities": [clients.authority],
    });
    act(&edge, "tls://ended.portway.test", "terminate-tls", &config);
    // The certificate is the endpoint's: the installation's authority did not issue it.
    let error = soon(connect(&edge, "ended.portway.test", Some(&clients))).await.unwrap_err();
    assert!(error.to_string().contains("invalid peer certificate"), "{error}");
    let config = json!({"mutual_tls_certificate_authorities": [clients.authority]});
    act(&edge, "tls://ended.portway.test", "terminate-tls", &config);
    let echoed = soon(exchange(&edge, "ended.portway.test", Some(&clients), b"in the clear", 12)).await;
    assert_eq!(echoed.unwrap(), "in the clear");
    assert!(soon(exchange(&edge, "ended.portway.test", None, b"in the clear", 12)).await.is_err());
    echoing.abort();
}

#[tokio::test]
async fn authorities_that_are_named_are_followed() {
    let edge = TestEdge::start().await;
    let mut agent = edge.agent().await;
    agent.bind("tls://ended.portway.test").await.unwrap();
    let echoing = agent.echo_all();
    let (clients, others) = (Clients::new(), Clients::new());
    let record = |serial, pem: &str| CertificateAuthorityRecord {
        id: CertificateAuthorityId::new(Ksuid::from_parts(1_700_000_000, [serial; 16])),
        account: account(1),
        pem: pem.to_owned(),
    };
    let (first, second) = (record(1, &clients.authority), record(2, &others.authority));
    let authorities = &edge.edge().state().replica.authorities;
    let known = |record: &CertificateAuthorityRecord| authorities.pem(&account(1), &record.id).is_some();
    for record in [&first, &second] {
        edge.control.put(ReplicaRecord::CertificateAuthority(record.clone()));
    }
    eventually("the edge knows them", || known(&first) && known(&second)).await;
    let config = json!({"mutual_tls_certificate_authorities": [first.id.to_string(), second.id.to_string()]});
    act(&edge, "tls://ended.portway.test", "terminate-tls", &config);
    let visit = |clients| {
        let edge = &edge;
        async move { soon(exchange(edge, "ended.portway.test", Some(clients), b"hello", 5)).await }
    };
    assert_eq!(visit(&clients).await.unwrap(), "hello");
    assert_eq!(visit(&others).await.unwrap(), "hello");

    edge.control.remove(&first.id.to_string());
    eventually("the first is gone", || !known(&first)).await;
    assert!(visit(&clients).await.is_err());
    assert_eq!(visit(&others).await.unwrap(), "hello");
    // With none left nobody comes, instead of everybody.
    edge.control.remove(&second.id.to_string());
    eventually("the second is gone", || !known(&second)).await;
    let error = visit(&others).await.unwrap_err();
    assert!(error.to_string().contains("AccessDenied"), "{error}");
    edge.control.put(ReplicaRecord::CertificateAuthority(first.clone()));
    eventually("the first is back", || known(&first)).await;
    assert_eq!(visit(&clients).await.unwrap(), "hello");
    echoing.abort();
}

#[test]
fn authorities_of_others_are_none() {
    let replica = Replica::new();
    let id = CertificateAuthorityId::new(Ksuid::from_parts(1_700_000_000, [1; 16]));
    let record = CertificateAuthorityRecord { id, account: account(2), pem: Clients::new().authority };
    let changed = vec![(&ReplicaRecord::CertificateAuthority(record)).into()];
    replica.change(portway_proto::control::v1::Delta { changed, removed: Vec::new() });
    let prepare = |number| {
        let mut rules = Actions::default();
        let config = json!({"mutual_tls_certificate_authorities": [id.to_string()]});
        rules.add(Phase::TcpConnect, Action::new("terminate-tls", &config).unwrap()).unwrap();
        EndpointActions::prepare(rules, Scheme::Https, account(number), &replica)
    };
    let error = prepare(1).unwrap_err();
    assert_eq!(error.code.number(), 14_002);
    assert!(error.text.contains(&id.to_string()), "{error}");
    assert!(prepare(2).is_ok());
}

#[test]
fn what_cannot_be_had_is_refused_when_the_endpoint_is_made() {
    let prepare = |scheme, config: Value| {
        let mut rules = Actions::default();
        rules.add(Phase::TcpConnect, Action::new("terminate-tls", &config).unwrap()).unwrap();
        EndpointActions::prepare(rules, scheme, account(1), &Replica::new())
            .map(drop)
            .map_err(|error| error.code.number())
    };
    let begin = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert_eq!(prepare(Scheme::Https, json!({})), Ok(()));
    assert_eq!(prepare(Scheme::Tcp, json!({})), Err(2205));
    assert_eq!(prepare(Scheme::Tls, json!({"server_certificate": begin, "server_private_key": begin})), Err(14_001));
    assert_eq!(prepare(Scheme::Tls, json!({"mutual_tls_certificate_authorities": [begin]})), Err(14_002));
    let none = EndpointActions::prepare(Actions::default(), Scheme::Tcp, account(1), &Replica::new()).unwrap();
    assert!(none.is_none());
}

/// A certificate with an RSA key of 5,120 bits, and the key: to make one takes seconds.
const LARGE_KEY: &str = include_str!("rsa-5120.pem");

#[test]
fn keys_that_sign_slowly_are_refused() {
    let mut rules = Actions::default();
    let config = json!({"server_certificate": LARGE_KEY, "server_private_key": LARGE_KEY});
    rules.add(Phase::TcpConnect, Action::new("terminate-tls", &config).unwrap()).unwrap();
    let error = EndpointActions::prepare(rules, Scheme::Tls, account(1), &Replica::new()).unwrap_err();
    assert_eq!(error.code.number(), 14_001);
    assert!(error.text.contains("more than 4,096 bits"), "{error}");
}
