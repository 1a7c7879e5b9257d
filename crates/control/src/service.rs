//! The gRPC service for edges.

use std::pin::Pin;

use futures_util::Stream;
use portway_proto::control::v1::{
    AuthenticateReply, AuthenticateRequest, ClaimReply, ClaimRequest, ReleaseReply, ReleaseRequest, Update,
    WatchRequest,
};
use portway_rpc::control::control_plane_server::ControlPlane;
use tonic::{Request, Response, Status};

/// What edges call. Cheap to clone; all clones are one control plane.
#[derive(Debug, Clone)]
pub struct ControlService {}

#[tonic::async_trait]
impl ControlPlane for ControlService {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<Update, Status>> + Send>>;

    async fn watch(&self, _: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unavailable("not yet"))
    }

    async fn authenticate(&self, _: Request<AuthenticateRequest>) -> Result<Response<AuthenticateReply>, Status> {
        Err(Status::unavailable("not yet"))
    }

    async fn claim(&self, _: Request<ClaimRequest>) -> Result<Response<ClaimReply>, Status> {
        Err(Status::unavailable("not yet"))
    }

    async fn release(&self, _: Request<ReleaseRequest>) -> Result<Response<ReleaseReply>, Status> {
        Err(Status::unavailable("not yet"))
    }
}
