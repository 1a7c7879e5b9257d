//! The way to the authority: HTTPS with a deadline and a limit, and no redirects.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use portway_tls::{Roots, RootsError, client_config};
use tokio::time::timeout;

/// Longest wait for an answer, with everything in it. Authorities that are busy take seconds.
const DEADLINE: Duration = Duration::from_secs(30);
/// Bytes of the longest answer: a chain of certificates has less than a tenth.
const ANSWER_MAX: usize = 1 << 20;

pub(crate) struct Https {
    client: Client<HttpsConnector<HttpConnector>, BodyWrapper<Bytes>>,
}

impl Https {
    pub(crate) fn new(roots: &Roots) -> Result<Self, RootsError> {
        let tls = client_config(roots, &[])?;
        let connector =
            HttpsConnectorBuilder::new().with_tls_config((*tls).clone()).https_only().enable_http1().build();
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(connector) })
    }
}

impl Https {
    /// What is at a URL.
    pub(crate) async fn get(&self, url: &str) -> Result<Bytes, Error> {
        let request = Request::get(url).body(BodyWrapper::default())?;
        let mut response = self.request(request).await?;
        match response.parts.status {
            StatusCode::OK => response.body.into_bytes().await.map_err(Error::Other),
            status => Err(Error::Other(format!("{url} answers with the status {status}").into())),
        }
    }
}

impl HttpClient for Https {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let sending = self.client.request(request);
        Box::pin(async move {
            let exchange = async {
                let (head, body) = sending.await?.into_parts();
                let body = Limited::new(body, ANSWER_MAX).collect().await?.to_bytes();
                Ok(http::Response::from_parts(head, Full::new(body)))
            };
            match timeout(DEADLINE, exchange).await {
                Ok(Ok(response)) => Ok(response.into()),
                Ok(Err(error)) => Err(Error::Other(error)),
                Err(_) => {
                    let text = format!("{host} has not answered for {} s", DEADLINE.as_secs());
                    Err(Error::Other(io::Error::new(io::ErrorKind::TimedOut, text).into()))
                }
            }
        })
    }
}
