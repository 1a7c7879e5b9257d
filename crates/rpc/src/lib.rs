//! The gRPC services where control plane and edge meet: stubs, channels, deadlines, status with public error code.
//!
//! It decides nothing and stores nothing: the control plane implements the service, the edge calls it.

/// The generated service between an edge and the control plane.
pub mod control {
    include!("gen/portway.control.v1.rs");
}
