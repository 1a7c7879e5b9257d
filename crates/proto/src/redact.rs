//! `Debug` of the messages that hold a secret: everything but the secret.

use std::fmt;

use crate::AgentId;
use crate::agent::v1::Hello;
use crate::control::v1::Certificate;

/// Stands where the secret would.
const REDACTED: &str = "[redacted]";

impl fmt::Debug for Hello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let agent_id = AgentId::from_field("agent_id", &self.agent_id).map(|id| id.to_string()).unwrap_or_default();
        f.debug_struct("Hello")
            .field("version", &format_args!("{}.{}", self.version_major, self.version_minor))
            .field("authtoken", &REDACTED)
            .field("agent_id", &agent_id)
            .field("generation", &self.generation)
            .field("agent_version", &self.agent_version)
            .field("os", &self.os)
            .field("arch", &self.arch)
            .field("client_type", &self.client_type)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("names", &self.names)
            .field("chain", &self.chain.len())
            .field("private_key", &REDACTED)
            .field("connect", &self.connect)
            .field("attached", &self.attached)
            .finish()
    }
}
