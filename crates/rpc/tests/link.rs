//! The link, in memory and over mutual TLS: the same service, the same client, the same errors.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use portway_codes::Code;
use portway_proto::control::v1::resource::Body;
use portway_proto::control::v1::update::Change;
use portway_proto::control::v1::{
    AuthenticateReply, AuthenticateRequest, Certificate, ClaimReply, ClaimRequest, EdgeCommand, EdgeReport, OnlinePart,
    ReleaseReply, ReleaseRequest, Resource, SnapshotPart, Update, WatchRequest, edge_report,
};
use portway_rpc::control::control_plane_server::ControlPlane;
use portway_rpc::{
    AUTHENTICATE_DEADLINE, ControlClient, LinkIdentity, MAX_MESSAGE, in_memory, public_error, remote, serve_remote,
    should_retry, status_from,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tonic::{Request, Response, Status, Streaming};

/// Answers by what is asked.
#[derive(Clone, Default)]
struct Fake {
    authenticating: Arc<Notify>,
}

#[tonic::async_trait]
impl ControlPlane for Fake {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<Update, Status>> + Send>>;
    type ReportStream = Pin<Box<dyn Stream<Item = Result<EdgeCommand, Status>> + Send>>;

    /// `version` updates of one resource with a large key each, then nothing more, for ever.
    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let request = request.into_inner();
        let update = move |version| {
            let private_key = vec![7; 1 << 20].into();
            let body = Body::Certificate(Certificate { private_key, ..Certificate::default() });
            let resources = vec![Resource { id: "cert".to_owned(), body: Some(body) }];
            let change = Some(Change::Snapshot(SnapshotPart { resources, last: true }));
            Ok(Update { epoch: request.epoch.clone(), version, change })
        };
        let updates = stream::iter(1..=request.version).map(update).chain(stream::pending());
        Ok(Response::new(Box::pin(updates)))
    }

    /// Never answers.
    async fn authenticate(&self, request: Request<AuthenticateRequest>) -> Result<Response<AuthenticateReply>, Status> {
        assert!(request.metadata().contains_key("grpc-timeout"));
        self.authenticating.notify_one();
        std::future::pending().await
    }

    /// Refuses, naming the URL.
    async fn claim(&self, request: Request<ClaimRequest>) -> Result<Response<ClaimReply>, Status> {
        let url = request.into_inner().url;
        Err(status_from(&Code::ERR_NGROK_334.with(format!("{url} ist schon vergeben — 100%\nzweite Zeile"))))
    }

    async fn release(&self, _: Request<ReleaseRequest>) -> Result<Response<ReleaseReply>, Status> {
        Ok(Response::new(ReleaseReply {}))
    }

    /// A command for each report, as long as reports come.
    async fn report(&self, request: Request<Streaming<EdgeReport>>) -> Result<Response<Self::ReportStream>, Status> {
        let reports = request.into_inner().enumerate();
        let command = |(at, report): (usize, Result<EdgeReport, Status>)| {
            report.map(|_| EdgeCommand { command_id: at as u64, ..EdgeCommand::default() })
        };
        Ok(Response::new(Box::pin(reports.map(command))))
    }
}

fn memory() -> (ControlClient, JoinHandle<()>) {
    let (client, server) = in_memory(Fake::default());
    (client, tokio::spawn(server))
}

/// A CA and what it issues.
struct Pki(CertifiedIssuer<'static, KeyPair>);

impl Pki {
    fn new() -> Pki {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Pki(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn identity(&self, name: &str) -> LinkIdentity {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let ca = self.0.pem();
        LinkIdentity::from_pem(ca.as_bytes(), certificate.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap()
    }
}

/// A server over TLS on a free port.
async fn served(pki: &Pki) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let identity = pki.identity("control.example");
    let server = async move {
        serve_remote(listener, &identity, Fake::default(), std::future::pending()).await.unwrap();
    };
    (address, tokio::spawn(server))
}

async fn talks(client: &ControlClient) {
    client.release(ReleaseRequest::default()).await.unwrap();
    let report = EdgeReport { report: Some(edge_report::Report::Part(OnlinePart::default())) };
    let commands = client.report(stream::iter(vec![report; 3])).await.unwrap();
    let ids: Vec<u64> = commands.map(|command| command.unwrap().command_id).collect().await;
    assert_eq!(ids, [0, 1, 2], "both directions flow, and each end is seen");
    let claim = ClaimRequest { url: "https://app.example".to_owned(), ..ClaimRequest::default() };
    let status = client.claim(claim).await.unwrap_err();
    let error = public_error(&status).unwrap();
    assert_eq!(error.code, Code::ERR_NGROK_334);
    assert_eq!(error.text, "https://app.example ist schon vergeben — 100%\nzweite Zeile");
    assert!(!should_retry(&status));

    let request = WatchRequest { edge_id: "edge".to_owned(), epoch: "e".to_owned(), version: 20 };
    let mut updates = client.watch(request).await.unwrap();
    for version in 1..=20 {
        assert_eq!(updates.next().await.unwrap().unwrap().version, version);
    }
    // Another call beside the open stream.
    client.release(ReleaseRequest::default()).await.unwrap();
}

#[tokio::test]
async fn it_talks_in_memory() {
    let (client, server) = memory();
    talks(&client).await;
    drop(client);
    server.await.unwrap();
}

#[tokio::test]
async fn it_talks_over_mutual_tls() {
    let pki = Pki::new();
    let (address, server) = served(&pki).await;
    let client = remote(&address, "control.example", &pki.identity("edge-1")).unwrap();
    talks(&client).await;
    server.abort();
}

/// Edges run on several single-threaded runtimes; the client is made on one and used from all.
#[test]
fn a_client_is_used_from_other_runtimes() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let home = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let client = home.block_on(async {
        let (client, server) = in_memory(Fake::default());
        tokio::spawn(server);
        client
    });
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let client = client.clone();
            std::thread::spawn(move || runtime().block_on(talks(&client)))
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[tokio::test]
async fn strangers_are_refused_on_both_sides() {
    let (pki, other) = (Pki::new(), Pki::new());
    let (address, server) = served(&pki).await;
    let stranger = remote(&address, "control.example", &other.identity("edge-1")).unwrap();
    let status = stranger.release(ReleaseRequest::default()).await.unwrap_err();
    assert!(public_error(&status).is_none(), "{status:?}");
    let misnamed = remote(&address, "another.example", &pki.identity("edge-1")).unwrap();
    misnamed.release(ReleaseRequest::default()).await.unwrap_err();
    // The server goes on for those it knows.
    talks(&remote(&address, "control.example", &pki.identity("edge-2")).unwrap()).await;
    server.abort();
}

#[tokio::test(start_paused = true)]
async fn a_call_without_answer_ends_by_its_deadline() {
    let (client, _server) = memory();
    let began = tokio::time::Instant::now();
    let status = client.authenticate(AuthenticateRequest::default()).await.unwrap_err();
    assert!(should_retry(&status), "{status:?}");
    let waited = began.elapsed();
    assert!(waited <= AUTHENTICATE_DEADLINE + Duration::from_secs(1), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_in_the_middle_is_worth_another_try() {
    let fake = Fake::default();
    let authenticating = Arc::clone(&fake.authenticating);
    let (client, server) = in_memory(fake);
    let server = tokio::spawn(server);
    let calling = client.clone();
    let call = tokio::spawn(async move { calling.authenticate(AuthenticateRequest::default()).await });
    authenticating.notified().await;
    server.abort();
    let _ = server.await;
    let status = call.await.unwrap().unwrap_err();
    assert!(should_retry(&status), "{status:?}");
}

#[tokio::test]
async fn nobody_there_is_worth_another_try() {
    let pki = Pki::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let client = remote(&address, "control.example", &pki.identity("edge-1")).unwrap();
    let status = client.release(ReleaseRequest::default()).await.unwrap_err();
    assert!(should_retry(&status), "{status:?}");
    let (memory, server) = in_memory(Fake::default());
    drop(server);
    let status = memory.release(ReleaseRequest::default()).await.unwrap_err();
    assert!(should_retry(&status), "{status:?}");
}

#[tokio::test]
async fn a_client_finds_a_server_that_came_back() {
    let pki = Pki::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let client = remote(&address, "control.example", &pki.identity("edge-1")).unwrap();
    client.release(ReleaseRequest::default()).await.unwrap_err();
    let listener = TcpListener::bind(&address).await.unwrap();
    let identity = pki.identity("control.example");
    let server = tokio::spawn(async move {
        serve_remote(listener, &identity, Fake::default(), std::future::pending()).await.unwrap();
    });
    client.release(ReleaseRequest::default()).await.unwrap();
    server.abort();
}

#[tokio::test]
async fn a_message_beyond_the_limit_is_refused() {
    let (client, _server) = memory();
    let claim = ClaimRequest { url: "x".repeat(MAX_MESSAGE + 1), ..ClaimRequest::default() };
    let status = client.claim(claim).await.unwrap_err();
    assert!(public_error(&status).is_none(), "{status:?}");
    client.release(ReleaseRequest::default()).await.unwrap();
}

#[test]
fn every_public_error_crosses() {
    for number in (0..60_000).filter_map(Code::from_number) {
        let error = number.with(format!("text of {number}"));
        let status = status_from(&error);
        assert_eq!(public_error(&status), Some(error));
        assert!(!should_retry(&status));
    }
    assert_eq!(public_error(&Status::internal("no code")), None);
}

#[test]
fn wrong_pem_is_named() {
    let error = LinkIdentity::from_pem(b"", b"", b"").unwrap_err();
    assert!(error.to_string().contains("CA certificate"), "{error}");
}
