//! The REST interface on sockets: connections, their limits and time, and bodies read whole.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use portway_codes::{Code, PublicError};
use portway_control::{BaseUrl, RestApi};
use portway_edge::OwnVisitor;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Connections at once. Others wait to be accepted: a call is short, a program keeps a few connections.
const CONNECTIONS_MAX: usize = 1024;
/// How long a client may take for its first byte.
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take for the head of a request, and be silent between two.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a client may take for the body of a request; the longest has [`RestApi::MAX_BODY_LEN`] bytes.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Calls at once of an HTTP/2 connection.
const STREAMS_MAX: u32 = 100;
/// How long calls that run may take when the interface stops.
const STOP_GRACE: Duration = Duration::from_secs(5);
/// How long nothing is accepted after the system refused to: it has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The interface while it accepts calls.
#[derive(Debug)]
pub(crate) struct ApiFront {
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl ApiFront {
    /// Accepts calls on the listener, and those that come through the edge. `url` stands in every address that the interface gives out; where there is none, each caller is given back the host
    /// that it called.
    pub(crate) fn start(
        listener: TcpListener,
        visitors: mpsc::Receiver<OwnVisitor>,
        rest: RestApi,
        url: Option<BaseUrl>,
    ) -> ApiFront {
        let stop = CancellationToken::new();
        let connections = Connections::new(rest, url, listener.local_addr().ok());
        let running = tokio::spawn(serve(listener, visitors, connections, stop.clone()));
        ApiFront { stop, running }
    }

    /// Accepts no more calls and lets those finish that run.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.running.await {
            tracing::error!(%error, "the REST interface ended badly");
        }
    }
}

async fn serve(
    listener: TcpListener,
    mut visitors: mpsc::Receiver<OwnVisitor>,
    connections: Connections,
    stop: CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let (speaking, mut spoken) = mpsc::channel(1);
    loop {
        let socket = async {
            let slot = Arc::clone(&slots).acquire_owned().await.expect("it is never closed");
            Arrival::Socket(slot, listener.accept().await)
        };
        let accepted = async {
            tokio::select! {
                arrival = socket => arrival,
                Some((slot, stream, peer)) = spoken.recv() => Arrival::Spoken(slot, stream, peer),
                // The edge counts it among its own connections: it needs no slot.
                Some(visitor) = visitors.recv() => Arrival::Visitor(visitor),
            }
        };
        match stop.run_until_cancelled(accepted).await {
            None => break,
            Some(Arrival::Socket(slot, Ok((stream, peer)))) => {
                let speaking = speaking.clone();
                tokio::spawn(async move {
                    // A slot is not for those who say nothing: no timeout of a protocol runs before it is known which one it is.
                    if timeout(FIRST_BYTE_TIMEOUT, stream.readable()).await.is_ok_and(|ready| ready.is_ok()) {
                        let _ = speaking.send((slot, stream, peer)).await;
                    }
                });
            }
            Some(Arrival::Spoken(slot, stream, peer)) => {
                let _ = stream.set_nodelay(true);
                connections.serve("http", stream, peer, slot);
            }
            Some(Arrival::Socket(_, Err(error))) => {
                tracing::warn!(%error, "the REST interface cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
            Some(Arrival::Visitor(OwnVisitor { stream, peer, held })) => {
                connections.serve("https", stream, peer, held);
            }
        }
    }
    // Whoever does not finish in time is cut off with the process.
    let _ = timeout(STOP_GRACE, connections.running.shutdown()).await;
}

/// Where a connection comes from.
enum Arrival {
    Socket(OwnedSemaphorePermit, io::Result<(TcpStream, SocketAddr)>),
    /// The same, when its first byte is there.
    Spoken(OwnedSemaphorePermit, TcpStream, SocketAddr),
    Visitor(OwnVisitor),
}

/// The connections that are served.
struct Connections {
    builder: Builder<TokioExecutor>,
    running: GracefulShutdown,
    rest: RestApi,
    url: Option<BaseUrl>,
    local: Option<SocketAddr>,
}

impl Connections {
    fn new(rest: RestApi, url: Option<BaseUrl>, local: Option<SocketAddr>) -> Connections {
        let mut builder = Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
        builder.http2().timer(TokioTimer::new()).max_concurrent_streams(STREAMS_MAX).keep_alive_interval(HEAD_TIMEOUT);
        Connections { builder, running: GracefulShutdown::new(), rest, url, local }
    }

    /// Serves a connection; `held` is let go with it.
    fn serve<T>(&self, scheme: &'static str, stream: T, peer: SocketAddr, held: impl Send + 'static)
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (rest, url, local) = (self.rest.clone(), self.url.clone(), self.local);
        let service = service_fn(move |request| {
            let base = url.clone().or_else(|| origin(scheme, &request)).or_else(|| address(local));
            answer(rest.clone(), peer.ip(), base, request)
        });
        let connection = self.builder.serve_connection(TokioIo::new(stream), service).into_owned();
        let connection = self.running.watch(connection);
        tokio::spawn(async move {
            let _ = connection.await;
            drop(held);
        });
    }
}

/// Has the call answered. It is performed to its end although the client goes away: what follows from a change follows.
async fn answer(
    rest: RestApi,
    peer: IpAddr,
    base: Option<BaseUrl>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let Some(base) = base else { return Ok(rest.refuse(&head, &Code::ERR_PORTWAY_40002.plain()).map(Full::new)) };
    let (about, request) = (head.clone(), Request::from_parts(head, whole(body)));
    let asked = rest.clone();
    let answered = tokio::spawn(async move { asked.answer(peer, &base, request).await }).await;
    let response = answered.unwrap_or_else(|error| {
        tracing::error!(%error, "a call of the REST interface ended badly");
        rest.refuse(&about, &Code::ERR_NGROK_802.plain())
    });
    Ok(response.map(Full::new))
}

/// Reads a body whole, within its limits.
async fn whole(body: Incoming) -> Result<Bytes, PublicError> {
    match timeout(BODY_TIMEOUT, Limited::new(body, RestApi::MAX_BODY_LEN).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Err(_) => Err(Code::ERR_PORTWAY_40801.plain()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let text = format!("The body of the request is longer than {} bytes.", RestApi::MAX_BODY_LEN);
            Err(Code::ERR_PORTWAY_41302.with(text))
        }
        Ok(Err(_)) => Err(Code::ERR_NGROK_212.plain()),
    }
}

/// The origin that a caller called.
fn origin(scheme: &str, request: &Request<Incoming>) -> Option<BaseUrl> {
    let host = match request.uri().authority() {
        Some(authority) => authority.as_str(),
        None => request.headers().get(HOST)?.to_str().ok()?,
    };
    format!("{scheme}://{host}").parse().ok()
}

fn address(local: Option<SocketAddr>) -> Option<BaseUrl> {
    format!("http://{}", local?).parse().ok()
}
