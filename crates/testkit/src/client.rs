//! A visitor: HTTP/1.1 or HTTP/2 to public URLs, always to the cluster's addresses whatever the name says.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{HeaderMap, Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use portway_names::Host;
use portway_tls::Roots;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Makes connections as a visitor would.
#[derive(Debug, Clone)]
pub struct Client {
    ca: Vec<u8>,
    https: SocketAddr,
    http: SocketAddr,
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Header fields.
    pub headers: HeaderMap,
    /// The body, whole.
    pub body: Bytes,
    /// Trailer fields, where there were any.
    pub trailers: Option<HeaderMap>,
}

impl Response {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header field as text; empty when absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// Any byte stream, boxed: this is a test client.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

impl Client {
    /// Trusts `ca` (PEM); sends https to one address and http to the other.
    pub fn new(ca: &[u8], https: SocketAddr, http: SocketAddr) -> Self {
        Self { ca: ca.to_owned(), https, http }
    }

    /// For plain HTTP to one address.
    pub fn plain(http: SocketAddr) -> Self {
        Self { ca: Vec::new(), https: http, http }
    }

    /// A connection for the scheme and host of `uri`, TLS included, and whether it speaks HTTP/2.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn connect(&self, uri: &Uri, alpn: &[&[u8]]) -> Result<(Box<dyn Io>, bool)> {
        if uri.scheme_str() == Some("http") {
            let tcp = TcpStream::connect(self.http).await?;
            tcp.set_nodelay(true)?;
            return Ok((Box::new(tcp), false));
        }
        let host: Host = uri.host().context("a URL with a host")?.parse()?;
        let tcp = TcpStream::connect(self.https).await?;
        tcp.set_nodelay(true)?;
        let config = portway_tls::client_config(&Roots::Pem(self.ca.clone()), alpn)?;
        let tls = TlsConnector::from(config).connect(portway_tls::server_name(&host), tcp).await?;
        let h2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok((Box::new(tls), h2))
    }

    /// GET by HTTP/1.1 on a connection of its own.
    ///
    /// # Errors
    /// When there is no complete answer.
    pub async fn get(&self, url: &str) -> Result<Response> {
        self.send(Request::get(url).body(Full::<Bytes>::default())?).await
    }

    /// A call of the REST interface with this key: the status, and what came back; null for nothing.
    ///
    /// # Errors
    /// When there is no complete answer, or one that is no JSON.
    pub async fn call_api(&self, key: &str, url: &str, method: &str, body: Value) -> Result<(u16, Value)> {
        let mut request = Request::builder()
            .method(method)
            .uri(url)
            .header("authorization", format!("Bearer {key}"))
            .header("ngrok-version", "2");
        if !body.is_null() {
            request = request.header("content-type", "application/json");
        }
        let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
        let response = self.send(request.body(Full::new(body))?).await?;
        let reply = if response.body.is_empty() { Value::Null } else { serde_json::from_slice(&response.body)? };
        Ok((response.status, reply))
    }

    /// One request by HTTP/1.1 on a connection of its own; the Host field is made from the URL where it is missing.
    ///
    /// # Errors
    /// When there is no complete answer.
    pub async fn send<B>(&self, request: Request<B>) -> Result<Response>
    where
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (io, _) = self.connect(request.uri(), &[b"http/1.1"]).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io)).await?;
        let driver = tokio::spawn(connection.with_upgrades());
        let response = sender.send_request(origin_form(request)?).await?;
        let response = collect(response).await;
        driver.abort();
        response
    }

    /// One request by HTTP/2 on a connection of its own.
    ///
    /// # Errors
    /// When HTTP/2 is not negotiated, or there is no complete answer.
    pub async fn send_h2<B>(&self, request: Request<B>) -> Result<Response>
    where
        B: Body + Send + Unpin + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (io, h2) = self.connect(request.uri(), &[b"h2"]).await?;
        if !h2 && request.uri().scheme_str() == Some("https") {
            bail!("HTTP/2 was not negotiated");
        }
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(io)).await?;
        let driver = tokio::spawn(connection);
        let response = collect(sender.send_request(request).await?).await;
        driver.abort();
        response
    }

    /// The roots this client trusts, as a TLS configuration.
    ///
    /// # Errors
    /// When the CA is unusable.
    pub fn tls(&self, alpn: &[&[u8]]) -> Result<Arc<tokio_rustls::rustls::ClientConfig>> {
        Ok(portway_tls::client_config(&Roots::Pem(self.ca.clone()), alpn)?)
    }
}

/// Reads an answer to its end.
///
/// # Errors
/// When the body breaks off.
async fn collect(response: hyper::Response<Incoming>) -> Result<Response> {
    let (head, body) = response.into_parts();
    let body = body.collect().await?;
    let trailers = body.trailers().cloned();
    Ok(Response { status: head.status.as_u16(), headers: head.headers, body: body.to_bytes(), trailers })
}

/// HTTP/1.1 to an origin: the path in the request line, the name in the Host field.
fn origin_form<B>(request: Request<B>) -> Result<Request<B>> {
    let (mut head, body) = request.into_parts();
    if !head.headers.contains_key(http::header::HOST) {
        let host = head.uri.authority().context("a URL with a host")?.as_str().parse()?;
        head.headers.insert(http::header::HOST, host);
    }
    head.uri = head.uri.path_and_query().map_or("/", |path| path.as_str()).parse()?;
    Ok(Request::from_parts(head, body))
}
