//! One request and its reply, over a connection of its own.

use std::convert::Infallible;
use std::future::pending;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use http::header::{HOST, USER_AGENT};
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use portway_names::Host;
use portway_tls::{Roots, RootsError, TlsProblem, client_config, explain_io, server_name};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Longest time to a connection, TLS included: slow links need less, and nobody looks at a prompt for longer.
const CONNECT_TIME: Duration = Duration::from_secs(15);
/// Longest time to the whole reply. The longest call, a backup of a large database, takes less.
const REPLY_TIME: Duration = Duration::from_secs(300);
/// Longest reply in bytes: a full page of objects that are as long as the bodies they were made from.
const MAX_REPLY_LEN: usize = portway_api::MAX_PAGE * portway_api::MAX_BODY_LEN;

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error("the name {0} cannot be resolved: {1}")]
    Name(String, std::io::Error),
    #[error("{0} cannot be reached: {1}")]
    Connect(String, std::io::Error),
    #[error("{0} does not answer within {seconds} seconds", seconds = CONNECT_TIME.as_secs())]
    ConnectTime(String),
    #[error("{0} cannot be trusted: {1}")]
    Tls(String, TlsProblem),
    #[error("{0}")]
    Roots(#[from] RootsError),
    #[error("{0} is no HTTP server: {1}")]
    Http(String, hyper::Error),
    #[error("the reply of {0} was cut off: {1}")]
    Reply(String, Box<dyn std::error::Error + Send + Sync>),
    #[error("{0} has not answered for {seconds} seconds; whether it did what was asked is not known", seconds = REPLY_TIME.as_secs())]
    ReplyTime(String),
}

/// Sends a request to the server that its address names, and reads the whole reply. Redirects are not followed: the key is for this server.
///
/// # Errors
/// Why there is no reply. The server may have done what it was asked when the connection was lost after it was made.
pub(super) async fn send(request: Request<Vec<u8>>, roots: &Roots) -> Result<(StatusCode, Bytes), SendError> {
    let tls = request.uri().scheme_str() == Some("https");
    let port = request.uri().port_u16().unwrap_or(if tls { 443 } else { 80 });
    let address = request.uri().authority().map(ToString::to_string).unwrap_or_default();
    let host = request.uri().host().unwrap_or_default();
    let host: Host = host.parse().map_err(|error| {
        SendError::Name(host.to_owned(), std::io::Error::new(std::io::ErrorKind::InvalidInput, format!("{error}")))
    })?;
    let request = origin_form(request, &address);
    if !tls {
        let stream =
            within(CONNECT_TIME, connect(&host, port, &address), SendError::ConnectTime(address.clone())).await?;
        return within(REPLY_TIME, exchange(stream, request, &address), SendError::ReplyTime(address.clone())).await;
    }
    let connector = TlsConnector::from(client_config(roots, &[b"http/1.1"])?);
    let handshake = async {
        let stream = connect(&host, port, &address).await?;
        connector.connect(server_name(&host), stream).await.map_err(|error| match explain_io(&error) {
            Some(problem) => SendError::Tls(address.clone(), problem),
            None => SendError::Connect(address.clone(), error),
        })
    };
    let stream = within(CONNECT_TIME, handshake, SendError::ConnectTime(address.clone())).await?;
    within(REPLY_TIME, exchange(stream, request, &address), SendError::ReplyTime(address.clone())).await
}

async fn within<T>(
    time: Duration,
    work: impl Future<Output = Result<T, SendError>>,
    late: SendError,
) -> Result<T, SendError> {
    timeout(time, work).await.unwrap_or(Err(late))
}

/// The request as HTTP/1.1 has it on a connection to the server itself (RFC 9112 section 3.2.1).
fn origin_form(mut request: Request<Vec<u8>>, authority: &str) -> Request<Full<Bytes>> {
    let target = request.uri().path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from(target);
    let agent = HeaderValue::from_static(concat!("portway/", env!("CARGO_PKG_VERSION")));
    request.headers_mut().insert(USER_AGENT, agent);
    request.headers_mut().insert(HOST, HeaderValue::try_from(authority).expect("an authority of a URL is ASCII"));
    request.map(|body| Full::new(body.into()))
}

async fn connect(host: &Host, port: u16, address: &str) -> Result<TcpStream, SendError> {
    let found: Vec<SocketAddr> = match host {
        Host::Ip(ip) => vec![SocketAddr::new(*ip, port)],
        // Never asked of a resolver (RFC 6761 section 6.3), and not every system's own look-up knows it.
        Host::Name(name) if name.as_str() == "localhost" || name.as_str().ends_with(".localhost") => {
            vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]
        }
        Host::Name(name) => match lookup_host((name.as_str(), port)).await {
            Ok(found) => found.collect(),
            Err(error) => return Err(SendError::Name(name.to_string(), error)),
        },
    };
    let stream = TcpStream::connect(found.as_slice()).await;
    stream.map_err(|error| SendError::Connect(address.to_owned(), error))
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    request: Request<Full<Bytes>>,
    address: &str,
) -> Result<(StatusCode, Bytes), SendError> {
    let no_http = |error| SendError::Http(address.to_owned(), error);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(no_http)?;
    let reply = async {
        let response = sender.send_request(request).await.map_err(no_http)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_REPLY_LEN).collect().await;
        let body = body.map_err(|error| SendError::Reply(address.to_owned(), error))?;
        Ok((status, body.to_bytes()))
    };
    // What goes wrong with the connection is said by the reply that does not come.
    let carried = async {
        drop(connection.await);
        pending::<Infallible>().await
    };
    tokio::select! {
        reply = reply => reply,
        never = carried => match never {},
    }
}
