//! Handshakes in memory between the configurations that this crate makes.

#![expect(clippy::unwrap_used, reason = "a test whose set-up fails has failed")]

use std::sync::Arc;

use portway_names::Host;
use portway_tls::{
    ALPN_PORTWAY, CertStore, CertifiedKey, Roots, TlsProblem, UNRECOGNIZED_NAME_ALERT, client_config, explain_io,
    server_config, server_name,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{ClientConfig, HandshakeKind, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio_rustls::{TlsAcceptor, TlsConnector};

struct Ca {
    pem: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem().into_bytes();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    fn issue(&self, names: &[&str]) -> CertifiedKey {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &self.issuer).unwrap();
        CertifiedKey::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap()
    }

    fn client(&self, alpn: &[&[u8]]) -> Arc<ClientConfig> {
        client_config(&Roots::Pem(self.pem.clone()), alpn).unwrap()
    }
}

/// What the client saw.
struct Seen {
    alpn: Option<Vec<u8>>,
    certificate: Vec<u8>,
    kind: HandshakeKind,
}

async fn shake(server: &Arc<ServerConfig>, client: &Arc<ClientConfig>, host: &str) -> std::io::Result<Seen> {
    let (near, far) = duplex(64 * 1024);
    let acceptor = TlsAcceptor::from(server.clone());
    let serving = tokio::spawn(async move {
        // What the server thinks of a failure shows at the client.
        if let Ok(mut stream) = acceptor.accept(near).await {
            let _ = stream.write_all(b"hi").await;
            let _ = stream.shutdown().await;
        }
    });
    let host: Host = host.parse().unwrap();
    let mut stream = TlsConnector::from(client.clone()).connect(server_name(&host), far).await?;
    // The ticket comes before the first bytes.
    stream.read_to_end(&mut Vec::new()).await?;
    serving.await.unwrap();
    let connection = stream.get_ref().1;
    Ok(Seen {
        alpn: connection.alpn_protocol().map(<[u8]>::to_vec),
        certificate: connection.peer_certificates().unwrap()[0].to_vec(),
        kind: connection.handshake_kind().unwrap(),
    })
}

#[tokio::test]
async fn the_certificate_follows_the_name_and_changes_while_serving() {
    let ca = Ca::new();
    let store = Arc::new(CertStore::new());
    let (one, two, default) = (ca.issue(&["a.example"]), ca.issue(&["a.example"]), ca.issue(&["127.0.0.1"]));
    store.upsert("a", vec!["a.example".parse().unwrap()], one.clone());
    store.set_default(Some(default.clone()));
    let server = server_config(&store, &[]);
    let client = ca.client(&[]);
    assert_eq!(shake(&server, &client, "a.example").await.unwrap().certificate, one.end_entity_der());
    assert_eq!(shake(&server, &client, "127.0.0.1").await.unwrap().certificate, default.end_entity_der());
    store.upsert("a", vec!["a.example".parse().unwrap()], two.clone());
    // A client without a ticket: a resumed session would show the certificate of the first handshake.
    assert_eq!(shake(&server, &ca.client(&[]), "a.example").await.unwrap().certificate, two.end_entity_der());
}

#[tokio::test]
async fn unknown_names_are_refused_and_explained() {
    let ca = Ca::new();
    let store = Arc::new(CertStore::new());
    store.upsert("a", vec!["*.example".parse().unwrap()], ca.issue(&["a.example"]));
    let server = server_config(&store, &[]);
    let problem = async |client: &Arc<ClientConfig>, host: &str| {
        explain_io(&shake(&server, client, host).await.err().expect("must fail")).expect("about TLS")
    };
    let client = ca.client(&[]);
    assert_eq!(problem(&client, "other.test").await, TlsProblem::NameUnknown);
    assert_eq!(problem(&client, "127.0.0.1").await, TlsProblem::NameUnknown);
    let TlsProblem::WrongName { expected, presented } = problem(&client, "b.example").await else { panic!() };
    assert_eq!(expected, "b.example");
    assert_eq!(presented.len(), 1);
    assert_eq!(problem(&Ca::new().client(&[]), "a.example").await, TlsProblem::CaNotTrusted);
    let webpki = client_config(&Roots::Webpki, &[]).unwrap();
    assert_eq!(problem(&webpki, "a.example").await, TlsProblem::CaNotTrusted);
}

#[tokio::test]
async fn alpn_is_negotiated_or_refused() {
    let ca = Ca::new();
    let store = Arc::new(CertStore::new());
    store.upsert("a", vec!["a.example".parse().unwrap()], ca.issue(&["a.example"]));
    let server = server_config(&store, &[b"h2", ALPN_PORTWAY]);
    let seen = shake(&server, &ca.client(&[ALPN_PORTWAY]), "a.example").await.unwrap();
    assert_eq!(seen.alpn.as_deref(), Some(ALPN_PORTWAY));
    // Clients without ALPN are served.
    assert_eq!(shake(&server, &ca.client(&[]), "a.example").await.unwrap().alpn, None);
    let error = shake(&server, &ca.client(&[b"other"]), "a.example").await.err().expect("must fail");
    assert_eq!(explain_io(&error), Some(TlsProblem::NoCommonProtocol));
}

#[tokio::test]
async fn a_second_connection_resumes() {
    let ca = Ca::new();
    let store = Arc::new(CertStore::new());
    store.upsert("a", vec!["a.example".parse().unwrap()], ca.issue(&["a.example"]));
    let server = server_config(&store, &[]);
    let client = ca.client(&[]);
    assert_eq!(shake(&server, &client, "a.example").await.unwrap().kind, HandshakeKind::Full);
    assert_eq!(shake(&server, &client, "a.example").await.unwrap().kind, HandshakeKind::Resumed);
}

#[tokio::test]
async fn the_alert_for_unknown_names_is_understood() {
    let (mut near, far) = duplex(4096);
    let serving = tokio::spawn(async move {
        let mut hello = vec![0; 4096];
        assert!(near.read(&mut hello).await.unwrap() > 0);
        near.write_all(&UNRECOGNIZED_NAME_ALERT).await.unwrap();
    });
    let connector = TlsConnector::from(client_config(&Roots::Webpki, &[]).unwrap());
    let error = connector.connect(server_name(&"a.example".parse().unwrap()), far).await.unwrap_err();
    assert_eq!(explain_io(&error), Some(TlsProblem::NameUnknown));
    serving.await.unwrap();
}
