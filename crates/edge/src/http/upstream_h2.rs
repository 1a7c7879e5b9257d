//! An upstream that speaks HTTP/2: one connection over one stream, for all requests that one visitor's connection sends it.

use std::fmt;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http2};

use super::body::RequestBody;
use super::tasks::Spawner;
use super::upstream_io::{Link, UpstreamIo};
use crate::endpoint::Endpoint;

/// Window of one response. A large body needs window / round trip to the agent's upstream; 1 MiB covers 100 Mbit/s at 80 ms.
const STREAM_WINDOW: u32 = 1024 * 1024;

/// Window of all responses of a connection together.
const CONNECTION_WINDOW: u32 = 4 * STREAM_WINDOW;

/// Bytes of the fields of a response.
const HEADER_LIST_MAX: u32 = 64 * 1024;

/// A connection to an HTTP/2 upstream. Clones are the same connection.
#[derive(Clone)]
pub(super) struct UpstreamH2 {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) link: Arc<Link>,
    sender: http2::SendRequest<RequestBody>,
}

impl UpstreamH2 {
    /// HTTP/2 over a stream just opened. The connection's own future goes to `spawner`.
    pub(super) async fn new(endpoint: Arc<Endpoint>, io: UpstreamIo, spawner: &Spawner) -> hyper::Result<UpstreamH2> {
        let link = io.link();
        let (sender, driver) = http2::Builder::new(spawner.clone())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(HEADER_LIST_MAX)
            .handshake(io)
            .await?;
        let run = async move {
            // Its error reaches every request that is under way.
            let _ = driver.await;
        };
        hyper::rt::Executor::execute(spawner, run);
        Ok(UpstreamH2 { endpoint, link, sender })
    }

    /// Sends a request and waits for the head of its response.
    ///
    /// Cancel safety: dropped, the request is reset at the upstream.
    pub(super) async fn exchange(
        &mut self,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, TrySendError<Request<RequestBody>>> {
        self.link.begin(false);
        let answer = self.sender.try_send_request(request).await;
        self.link.end();
        answer
    }

    /// Whether the connection is over.
    pub(super) fn is_dead(&self) -> bool {
        self.sender.is_closed()
    }
}

impl fmt::Debug for UpstreamH2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamH2").field("endpoint", &self.endpoint.id).finish_non_exhaustive()
    }
}
