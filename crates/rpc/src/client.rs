//! The client an edge holds: the generated stub with a deadline on every call.

use std::future::Future;
use std::time::Duration;

use portway_proto::control::v1::{
    AuthenticateReply, AuthenticateRequest, ClaimReply, ClaimRequest, EdgeCommand, EdgeReport, ReleaseRequest, Update,
    WatchRequest,
};
use tokio_stream::Stream;
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};

use crate::control::control_plane_client::ControlPlaneClient;

/// Largest message either side accepts, in bytes. A snapshot part is at most 1 MiB of resources; the rest is room for one resource
/// that is larger than a part (a certificate with very many names).
pub const MAX_MESSAGE: usize = 4 << 20;
/// How long a credential lookup may take. An agent waits for it during its handshake, and retries itself.
pub const AUTHENTICATE_DEADLINE: Duration = Duration::from_secs(5);
/// How long a claim may take. Longer than a lookup, because it waits for the disk, and a thousand agents may come back together.
pub const CLAIM_DEADLINE: Duration = Duration::from_secs(10);
/// How long a release may take; as a claim.
pub const RELEASE_DEADLINE: Duration = Duration::from_secs(10);
/// How long a watch may take to begin. The stream itself has no deadline; it ends when either side goes.
pub const WATCH_DEADLINE: Duration = Duration::from_secs(10);
/// How long a report may take to begin; as a watch.
pub const REPORT_DEADLINE: Duration = Duration::from_secs(10);

/// Calls the control plane. Cheap to clone; every clone shares one connection, from whatever runtime it is called.
///
/// Failures are a [`Status`]: [`crate::public_error`] finds the text for the agent in it, [`crate::should_retry`] tells whether the
/// same call may work later.
#[derive(Debug, Clone)]
pub struct ControlClient {
    inner: ControlPlaneClient<Channel>,
}

impl ControlClient {
    /// A client on a channel that leads to a control plane.
    pub fn new(channel: Channel) -> Self {
        let inner = ControlPlaneClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE);
        Self { inner }
    }

    /// Follows the replica: a snapshot or the missed changes, then every change as it comes.
    ///
    /// # Errors
    /// A status when the watch cannot begin within [`WATCH_DEADLINE`]; later the stream yields one and ends. Watch again with the
    /// epoch and version of the last update applied.
    ///
    /// # Cancel safety
    /// Dropping the future or the stream ends the watch; nothing is lost, because a new watch continues by version.
    pub async fn watch(&self, request: WatchRequest) -> Result<Streaming<Update>, Status> {
        let mut inner = self.inner.clone();
        // No grpc-timeout here: it would end the stream, not only its beginning.
        within(WATCH_DEADLINE, inner.watch(request)).await
    }

    /// Looks a credential up that is not in the replica yet.
    ///
    /// # Errors
    /// A status after [`AUTHENTICATE_DEADLINE`] or when the control plane cannot answer. "No such credential" is not an error.
    ///
    /// # Cancel safety
    /// It only reads.
    pub async fn authenticate(&self, request: AuthenticateRequest) -> Result<AuthenticateReply, Status> {
        let mut inner = self.inner.clone();
        within(AUTHENTICATE_DEADLINE, inner.authenticate(timed(request, AUTHENTICATE_DEADLINE))).await
    }

    /// Leases a name.
    ///
    /// # Errors
    /// A status with a public error when the name is refused; without one when the control plane cannot answer within
    /// [`CLAIM_DEADLINE`].
    ///
    /// # Cancel safety
    /// A claim that was sent may still be granted when the future is dropped. Claim again (the same agent gets the same lease), or
    /// leave the lease to end with its edge.
    pub async fn claim(&self, request: ClaimRequest) -> Result<ClaimReply, Status> {
        let mut inner = self.inner.clone();
        within(CLAIM_DEADLINE, inner.claim(timed(request, CLAIM_DEADLINE))).await
    }

    /// Gives leases back. Unknown leases and old fences are ignored.
    ///
    /// # Errors
    /// A status when the control plane cannot answer within [`RELEASE_DEADLINE`].
    ///
    /// # Cancel safety
    /// A release that was sent may still happen when the future is dropped; releasing again changes nothing.
    pub async fn release(&self, request: ReleaseRequest) -> Result<(), Status> {
        let mut inner = self.inner.clone();
        within(RELEASE_DEADLINE, inner.release(timed(request, RELEASE_DEADLINE))).await.map(|_| ())
    }

    /// Reports what is online, and receives commands for agents. The control plane reads `reports` as fast as it can: what it has not
    /// taken waits in their stream.
    ///
    /// # Errors
    /// A status when the report cannot begin within [`REPORT_DEADLINE`]; later the stream of commands yields one and ends, or ends
    /// without one when the control plane stops. Report again then, from the beginning.
    ///
    /// # Cancel safety
    /// Dropping the future or the stream ends the report.
    pub async fn report(
        &self,
        reports: impl Stream<Item = EdgeReport> + Send + 'static,
    ) -> Result<Streaming<EdgeCommand>, Status> {
        let mut inner = self.inner.clone();
        within(REPORT_DEADLINE, inner.report(reports)).await
    }
}

/// The deadline travels with the request, so that the control plane stops working on what nobody waits for.
fn timed<T>(message: T, deadline: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    request
}

async fn within<T>(deadline: Duration, call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, Status> {
    match tokio::time::timeout(deadline, call).await {
        Ok(answer) => answer.map(Response::into_inner),
        Err(_) => Err(Status::deadline_exceeded(format!("the control plane did not answer within {deadline:?}"))),
    }
}
