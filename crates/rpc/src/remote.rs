//! Both ends of the link on different machines: TLS 1.3 with certificates on both sides, over TCP.
//!
//! The handshake is made here and not by the gRPC library, so that the crypto provider is ours and a slow handshake waits for nobody.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, PrivateKeyDer, ServerName};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig, version::TLS13};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Endpoint, Server, Uri};
use tower::service_fn;

use crate::client::{ControlClient, MAX_MESSAGE};
use crate::control::control_plane_server::{ControlPlane, ControlPlaneServer};

/// How long TCP and TLS may take together. Longer than three lost packets.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);
/// Handshakes at once; more wait in the kernel's backlog. Edges are few: this many only come together after an outage.
const HANDSHAKES: usize = 64;
/// Connections that are ready and wait for the server.
const WAITING: usize = 16;
/// A ping after this much silence, and no answer for [`PING_TIMEOUT`] means that the other side is gone.
const PING_EVERY: Duration = Duration::from_secs(10);
/// How long a ping's answer may take.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// HTTP/2 window of a stream: a snapshot over a long path is not held up by it.
const STREAM_WINDOW: u32 = 4 << 20;
/// HTTP/2 window of a connection: the watch and the calls beside it.
const CONNECTION_WINDOW: u32 = 8 << 20;
/// Calls of one edge at once. An edge keeps fewer; a faulty one cannot take more.
const CALLS: u32 = 1024;
/// What both sides speak inside TLS (RFC 9113 section 3.2).
const ALPN_H2: &[u8] = b"h2";

/// One side's credentials: certificate and key, and the CA that the other side's certificate must come from. All PEM.
#[derive(Clone)]
pub struct LinkIdentity {
    roots: Arc<RootCertStore>,
    chain: Vec<CertificateDer<'static>>,
    key: Arc<PrivateKeyDer<'static>>,
}

/// Why a link cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// A file is not PEM, or holds something else.
    #[error("the {what} of the control link is not usable PEM: {reason}")]
    Pem {
        /// Which of the three.
        what: &'static str,
        /// What does not fit.
        reason: String,
    },
    /// The name of the control plane is none.
    #[error("{name:?} is not a name a certificate can have: {source}")]
    Name {
        /// The name.
        name: String,
        /// Why not.
        source: InvalidDnsNameError,
    },
    /// Certificate, key and CA do not fit together.
    #[error("certificate and key of the control link do not fit: {0}")]
    Tls(#[from] rustls::Error),
    /// The CA cannot verify clients.
    #[error("the CA of the control link cannot verify edges: {0}")]
    Verifier(#[from] VerifierBuilderError),
    /// The gRPC server stopped.
    #[error("the control link's server failed: {0}")]
    Serve(#[from] tonic::transport::Error),
}

impl LinkIdentity {
    /// From the CA's certificate, this side's certificate chain (leaf first) and its private key.
    ///
    /// # Errors
    /// [`LinkError::Pem`] names the one that is not usable.
    pub fn from_pem(ca: &[u8], chain: &[u8], key: &[u8]) -> Result<LinkIdentity, LinkError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates("CA certificate", ca)? {
            let added = roots.add(certificate);
            added.map_err(|error| LinkError::Pem { what: "CA certificate", reason: error.to_string() })?;
        }
        let chain = certificates("certificate", chain)?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| LinkError::Pem { what: "private key", reason: error.to_string() })?;
        Ok(LinkIdentity { roots: Arc::new(roots), chain, key: Arc::new(key) })
    }

    fn client_config(&self) -> Result<ClientConfig, LinkError> {
        let mut config = ClientConfig::builder_with_provider(portway_tls::provider())
            .with_protocol_versions(&[&TLS13])?
            .with_root_certificates(Arc::clone(&self.roots))
            .with_client_auth_cert(self.chain.clone(), self.key.clone_key())?;
        config.alpn_protocols = vec![ALPN_H2.to_vec()];
        Ok(config)
    }

    fn server_config(&self) -> Result<ServerConfig, LinkError> {
        let provider = portway_tls::provider();
        let edges =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&self.roots), Arc::clone(&provider)).build()?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(edges)
            .with_single_cert(self.chain.clone(), self.key.clone_key())?;
        config.alpn_protocols = vec![ALPN_H2.to_vec()];
        Ok(config)
    }
}

/// The key stays out of sight.
impl std::fmt::Debug for LinkIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LinkIdentity(..)")
    }
}

/// A client of the control plane at `address` (`host:port`), whose certificate must be for `name`. It connects with the first call, and
/// again after a loss; calls meanwhile fail with a status for which [`crate::should_retry`] is true. Call this within a Tokio runtime.
///
/// # Errors
/// When identity or name do not fit.
pub fn remote(address: &str, name: &str, identity: &LinkIdentity) -> Result<ControlClient, LinkError> {
    let tls = TlsConnector::from(Arc::new(identity.client_config()?));
    let server_name =
        ServerName::try_from(name.to_owned()).map_err(|source| LinkError::Name { name: name.to_owned(), source })?;
    let address: Arc<str> = address.into();
    let connector = service_fn(move |_: Uri| {
        let (tls, server_name, address) = (tls.clone(), server_name.clone(), Arc::clone(&address));
        async move {
            let connecting = async {
                let tcp = TcpStream::connect(&*address).await?;
                tcp.set_nodelay(true)?;
                tls.connect(server_name, tcp).await
            };
            let late = |_| io::Error::new(io::ErrorKind::TimedOut, "the control plane did not finish the handshake");
            Ok::<_, io::Error>(TokioIo::new(timeout(HANDSHAKE_DEADLINE, connecting).await.map_err(late)??))
        }
    });
    // The address is the connector's; gRPC wants a name to put into its requests.
    let channel = Endpoint::from_static("http://control.portway.invalid")
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT)
        .keep_alive_while_idle(true)
        .connect_with_connector_lazy(connector);
    Ok(ControlClient::new(channel))
}

/// Serves the control plane to edges that present a certificate of the identity's CA, until `stop`; calls under way then finish.
///
/// # Errors
/// When the identity does not fit, or the gRPC server fails. A connection that fails is logged and ends alone.
///
/// # Cancel safety
/// Dropping it cuts every connection; edges connect again.
pub async fn serve_remote<S: ControlPlane>(
    listener: TcpListener,
    identity: &LinkIdentity,
    service: S,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), LinkError> {
    let acceptor = TlsAcceptor::from(Arc::new(identity.server_config()?));
    let service =
        ControlPlaneServer::new(service).max_decoding_message_size(MAX_MESSAGE).max_encoding_message_size(MAX_MESSAGE);
    let (ready, incoming) = mpsc::channel(WAITING);
    let serving = Server::builder()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(CALLS)
        .http2_keepalive_interval(Some(PING_EVERY))
        .http2_keepalive_timeout(Some(PING_TIMEOUT))
        .add_service(service)
        .serve_with_incoming_shutdown(ReceiverStream::new(incoming).map(Ok::<_, io::Error>), stop);
    tokio::select! {
        served = serving => Ok(served?),
        () = accept(listener, acceptor, ready) => Ok(()),
    }
}

/// Accepts for ever; handshakes run beside each other.
async fn accept(listener: TcpListener, acceptor: TlsAcceptor, ready: mpsc::Sender<TlsStream<TcpStream>>) {
    let mut handshakes = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if handshakes.len() < HANDSHAKES => match accepted {
                Ok((tcp, peer)) => {
                    let (acceptor, ready) = (acceptor.clone(), ready.clone());
                    handshakes.spawn(async move {
                        match timeout(HANDSHAKE_DEADLINE, handshake(acceptor, tcp)).await {
                            // When the server is gone, so is the connection.
                            Ok(Ok(stream)) => drop(ready.send(stream).await),
                            Ok(Err(error)) => tracing::info!(%peer, %error, "a connection to the control link was refused"),
                            Err(_) => tracing::info!(%peer, "a connection to the control link did not finish its handshake"),
                        }
                    });
                }
                Err(error) => {
                    // Out of file descriptors, most likely: accepting again at once would only spin.
                    tracing::error!(%error, "the control link cannot accept");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = handshakes.join_next() => {}
        }
    }
}

async fn handshake(acceptor: TlsAcceptor, tcp: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    tcp.set_nodelay(true)?;
    acceptor.accept(tcp).await
}

fn certificates(what: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, LinkError> {
    let read = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    match read {
        Ok(certificates) if certificates.is_empty() => {
            Err(LinkError::Pem { what, reason: "it holds no certificate".to_owned() })
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(LinkError::Pem { what, reason: error.to_string() }),
    }
}
