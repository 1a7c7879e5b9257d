//! The protobuf messages of Portway's own links, and their conversion to and from words and rules.
//!
//! It holds no services (those are in `portway-rpc`), opens nothing and waits for nothing. The files in `proto/` at the top of the
//! repository are the documentation of every field; `cargo xtask codegen` makes `src/gen` from them.

/// Messages of the control stream between an agent and an edge.
pub mod agent {
    /// Version 1.
    #[expect(missing_docs, reason = "generated; documented in proto/portway/agent/v1/agent.proto")]
    pub mod v1 {
        include!("gen/portway.agent.v1.rs");
    }
}

/// Messages between an edge and the control plane.
pub mod control {
    /// Version 1.
    #[expect(missing_docs, reason = "generated; documented in proto/portway/control/v1/control.proto")]
    pub mod v1 {
        include!("gen/portway.control.v1.rs");
    }
}
