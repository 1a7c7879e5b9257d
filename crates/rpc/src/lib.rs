//! The gRPC services where control plane and edge meet: stubs, channels, deadlines, status with public error code.
//!
//! It decides nothing and stores nothing: the control plane implements the service, the edge calls it through [`ControlClient`].
//! One process joins the two with [`in_memory`]; with several machines the same service and the same client run over mutual TLS.

/// The generated service between an edge and the control plane.
#[expect(clippy::allow_attributes, clippy::allow_attributes_without_reason, reason = "generated")]
pub mod control {
    include!("gen/portway.control.v1.rs");
}

mod client;
mod memory;
mod remote;
mod status;

pub use client::{
    AUTHENTICATE_DEADLINE, CLAIM_DEADLINE, ControlClient, MAX_MESSAGE, RELEASE_DEADLINE, REPORT_DEADLINE,
    WATCH_DEADLINE,
};
pub use memory::in_memory;
pub use remote::{LinkError, LinkIdentity, remote, serve_remote};
pub use status::{public_error, should_retry, status_from};
