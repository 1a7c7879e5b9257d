//! The protobuf messages of Portway's own links, and their conversion to and from words and rules.
//!
//! It holds no services (those are in `portway-rpc`), opens nothing and waits for nothing. The files in `proto/` at the top of the
//! repository are the documentation of every field; `cargo xtask codegen` makes `src/gen` from them. A message from a peer is turned
//! into one of the checked values here before anything else looks at it; unknown fields and unknown members of a oneof are skipped.

mod agent_id;
mod bind;
mod claim;
mod command;
mod connection;
mod field;
mod hello;
mod ip_record;
mod online;
mod proof_record;
mod record;
mod redact;

pub use agent_id::AgentId;
pub use bind::{BindRequest, ProxyVersion};
pub use claim::Claim;
pub use command::{AgentCommand, CommandKind, MAX_REFUSAL_LEN, MAX_VERSION_LEN};
pub use connection::AddressError;
pub use field::{FieldError, FieldFault, url_code};
pub use hello::{AgentHello, HelloError, VERSION_MAJOR, VERSION_MINOR, is_authtoken};
pub use ip_record::{IpPolicyRecord, IpPolicyRuleRecord, IpRestrictionRecord};
pub use online::{EdgeRecord, EndpointRecord, ItemKey, OnlineRecord, SessionProtocol, SessionRecord};
pub use proof_record::{MAX_PROOF_LEN, ProofRecord};
pub use record::{
    CertificateAuthorityRecord, CertificateName, CertificateRecord, ConnectNameRecord, CredentialRecord, LeaseRecord,
    RecordError, ReplicaRecord, ReservedDomainRecord, SettingsRecord,
};

/// Longest metadata of a session or an endpoint, in bytes: what the REST interface allows too.
pub const MAX_METADATA_LEN: usize = 4096;

/// Longest description of an endpoint, in bytes: what the REST interface allows too.
pub const MAX_DESCRIPTION_LEN: usize = 255;

/// Longest name of an endpoint in its agent's configuration, and other words for display, in bytes.
pub const MAX_LABEL_LEN: usize = 255;

/// Longest text of what an endpoint forwards to, in bytes: a URL, or the path of a Unix socket.
pub const MAX_FORWARDS_TO_LEN: usize = 1024;

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

#[cfg(test)]
mod tests;
