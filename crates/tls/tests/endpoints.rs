//! Handshakes with endpoints that want TLS otherwise than the rest.

#![expect(clippy::unwrap_used, reason = "a test whose set-up fails has failed")]

use std::sync::Arc;

use portway_names::Host;
use portway_tls::{
    CertStore, CertifiedKey, EndpointTls, EndpointTlsError, Roots, RootsError, TlsVersions, client_config,
    endpoint_server_config, provider, server_name,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::{ClientConfig, HandshakeKind, ProtocolVersion, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio_rustls::{TlsAcceptor, TlsConnector};

struct Ca {
    pem: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    fn new() -> Ca {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem().into_bytes();
        Ca { pem, issuer: Issuer::new(params, key) }
    }

    /// Certificate and key, PEM.
    fn issue(&self, change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        change(&mut params);
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    fn certified(&self) -> CertifiedKey {
        let (certificate, key) = self.issue(|_| {});
        CertifiedKey::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap()
    }

    /// A client that trusts this authority and shows a certificate.
    fn client_with(&self, (certificate, key): &(String, String)) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&self.pem).unwrap()).unwrap();
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        Arc::new(builder.with_root_certificates(roots).with_client_auth_cert(chain, key).unwrap())
    }

    fn client(&self) -> Arc<ClientConfig> {
        client_config(&Roots::Pem(self.pem.clone()), &[]).unwrap()
    }
}

struct Seen {
    version: ProtocolVersion,
    certificate: Vec<u8>,
    kind: HandshakeKind,
}

async fn shake(server: &Arc<ServerConfig>, client: &Arc<ClientConfig>) -> std::io::Result<Seen> {
    let (near, far) = duplex(64 * 1024);
    let acceptor = TlsAcceptor::from(Arc::clone(server));
    let serving = tokio::spawn(async move {
        if let Ok(mut stream) = acceptor.accept(near).await {
            let _ = stream.write_all(b"hi").await;
            let _ = stream.shutdown().await;
        }
    });
    let host: Host = "a.example".parse().unwrap();
    let mut stream = TlsConnector::from(Arc::clone(client)).connect(server_name(&host), far).await?;
    let mut said = Vec::new();
    // With TLS 1.3 a client learns here that its certificate was refused.
    stream.read_to_end(&mut said).await?;
    serving.await.unwrap();
    assert_eq!(said, b"hi");
    let connection = stream.get_ref().1;
    Ok(Seen {
        version: connection.protocol_version().unwrap(),
        certificate: connection.peer_certificates().unwrap()[0].to_vec(),
        kind: connection.handshake_kind().unwrap(),
    })
}

fn server(store: &Arc<CertStore>, endpoint: EndpointTls) -> Arc<ServerConfig> {
    endpoint_server_config(store, &[], &endpoint).unwrap()
}

#[tokio::test]
async fn an_endpoint_has_a_certificate_of_its_own() {
    let ca = Ca::new();
    let store = Arc::new(CertStore::new());
    let (common, own) = (ca.certified(), ca.certified());
    store.upsert("a", vec!["a.example".parse().unwrap()], common.clone());
    let with_own = server(&store, EndpointTls { certificate: Some(own.clone()), ..EndpointTls::default() });
    assert_eq!(shake(&with_own, &ca.client()).await.unwrap().certificate, own.end_entity_der());
    let without = server(&store, EndpointTls::default());
    assert_eq!(shake(&without, &ca.client()).await.unwrap().certificate, common.end_entity_der());
}

#[tokio::test]
async fn versions_are_kept_to() {
    let ca = Ca::new();
    let store = Arc::new(CertStore::new());
    store.upsert("a", vec!["a.example".parse().unwrap()], ca.certified());
    for (versions, spoken) in [
        (TlsVersions::Both, ProtocolVersion::TLSv1_3),
        (TlsVersions::Only13, ProtocolVersion::TLSv1_3),
        (TlsVersions::Only12, ProtocolVersion::TLSv1_2),
    ] {
        let server = server(&store, EndpointTls { versions, ..EndpointTls::default() });
        assert_eq!(shake(&server, &ca.client()).await.unwrap().version, spoken);
    }
}

#[tokio::test]
async fn visitors_need_a_certificate_of_the_right_authority() {
    let (ca, clients, others) = (Ca::new(), Ca::new(), Ca::new());
    let store = Arc::new(CertStore::new());
    store.upsert("a", vec!["a.example".parse().unwrap()], ca.certified());
    for versions in [TlsVersions::Only12, TlsVersions::Only13] {
        let authorities = [Ca::new().pem, clients.pem.clone()].concat();
        let server =
            server(&store, EndpointTls { versions, client_authorities: Some(authorities), ..EndpointTls::default() });
        let good = ca.client_with(&clients.issue(|_| {}));
        assert!(shake(&server, &good).await.is_ok());
        let again = shake(&server, &good).await.unwrap();
        assert_eq!(again.kind, HandshakeKind::Full, "no connection comes without its certificate");
        let expired = clients.issue(|params| params.not_after = date_time_ymd(2020, 1, 1));
        for (what, client) in [
            ("none", ca.client()),
            ("of another authority", ca.client_with(&others.issue(|_| {}))),
            ("of the server's authority", ca.client_with(&ca.issue(|_| {}))),
            ("expired", ca.client_with(&expired)),
            (
                "for servers only",
                ca.client_with(&clients.issue(|params| {
                    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
                })),
            ),
        ] {
            assert!(shake(&server, &client).await.is_err(), "{what}");
        }
    }
}

#[test]
fn authorities_are_checked() {
    let store = Arc::new(CertStore::new());
    let fault = |pem: &[u8]| {
        let endpoint = EndpointTls { client_authorities: Some(pem.to_vec()), ..EndpointTls::default() };
        endpoint_server_config(&store, &[], &endpoint).unwrap_err()
    };
    assert!(matches!(fault(b"hello"), EndpointTlsError::Authorities(RootsError::Empty)));
    let garbled = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(fault(garbled), EndpointTlsError::Authorities(RootsError::Unfit(_))));
}
