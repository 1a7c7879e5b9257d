//! Local services behind an agent: one that records requests, one that echoes bytes.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// A request as an upstream saw it.
#[derive(Debug, Clone)]
pub struct RecordedRequest {
    /// Method.
    pub method: String,
    /// Request target.
    pub target: String,
    /// Header fields.
    pub headers: HeaderMap,
    /// Body, whole.
    pub body: Bytes,
    /// Trailer fields, where there were any.
    pub trailers: Option<HeaderMap>,
    /// Connection it came on, counted from 1.
    pub connection: usize,
}

/// An HTTP service (HTTP/1 and HTTP/2 with prior knowledge) that answers 200 with the request's body, and records.
#[derive(Debug)]
pub struct HttpUpstream {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<RecordedRequest>>>,
    task: JoinHandle<()>,
}

impl HttpUpstream {
    /// Starts it on a free port.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let requests = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn(serve(listener, Arc::clone(&requests)));
        Ok(Self { address, requests, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for HttpUpstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, requests: Arc<Mutex<Vec<RecordedRequest>>>) {
    let mut connections = JoinSet::new();
    let mut count = 0;
    while let Ok((socket, _)) = listener.accept().await {
        count += 1;
        let requests = Arc::clone(&requests);
        let service = service_fn(move |request| answer(request, count, Arc::clone(&requests)));
        connections.spawn(async move {
            let server = auto::Builder::new(TokioExecutor::new());
            drop(server.serve_connection(TokioIo::new(socket), service).await);
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(
    request: Request<Incoming>,
    connection: usize,
    requests: Arc<Mutex<Vec<RecordedRequest>>>,
) -> Result<http::Response<BoxBody<Bytes, Infallible>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?;
    let trailers = body.trailers().cloned();
    let body = body.to_bytes();
    let record = RecordedRequest {
        method: head.method.to_string(),
        target: head.uri.to_string(),
        headers: head.headers,
        body: body.clone(),
        trailers: trailers.clone(),
        connection,
    };
    requests.lock().unwrap_or_else(PoisonError::into_inner).push(record);
    let body = match trailers {
        Some(trailers) => Full::new(body).with_trailers(async move { Some(Ok(trailers)) }).boxed(),
        None => Full::new(body).boxed(),
    };
    Ok(http::Response::new(body))
}

/// A TCP service that sends every byte back, and its own end after the peer's.
#[derive(Debug)]
pub struct EchoUpstream {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl EchoUpstream {
    /// Starts it on a free port.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut socket, _)) = listener.accept().await {
                connections.spawn(async move {
                    let mut buffer = vec![0; 64 * 1024];
                    while let Ok(count @ 1..) = socket.read(&mut buffer).await {
                        if socket.write_all(&buffer[..count]).await.is_err() {
                            return;
                        }
                    }
                    drop(socket.shutdown().await);
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for EchoUpstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}
