//! The keys by which an endpoint knows what an earlier process on its address has sent.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use quinn::EndpointConfig;

use super::connection_ids::ConnectionIds;

/// Least time between two stateless resets of an endpoint. quinn's own 20 ms would let a restarted edge tell 50 agents a second, and ten
/// thousand of them after three minutes. A reset costs one HMAC and is shorter than the packet that it answers, so that it neither
/// amplifies nor loops.
const RESET_INTERVAL: Duration = Duration::from_micros(50);

/// What stateless resets (RFC 9000 section 10.3) and connection ids are made with. An endpoint with the keys of a process that was killed
/// answers the packets of its sessions with resets, so that their other ends know at once instead of after the idle timeout.
#[derive(Clone)]
pub struct QuicKeys {
    reset: Arc<hmac::Key>,
    connection_ids: Arc<hmac::Key>,
}

impl QuicKeys {
    /// Keys made from a secret that is the same at every start and used for nothing else.
    pub fn from_secret(secret: &[u8; 32]) -> Self {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let reset = hmac::sign(&secret, b"stateless reset");
        let connection_ids = hmac::sign(&secret, b"connection ids");
        let key = |secret: hmac::Tag| Arc::new(hmac::Key::new(hmac::HMAC_SHA256, secret.as_ref()));
        Self { reset: key(reset), connection_ids: key(connection_ids) }
    }

    /// Keys that no other endpoint has: sessions of an earlier process end by their idle timeout.
    pub fn random() -> Self {
        Self::from_secret(&rand::random())
    }

    /// What makes the connection ids of one more listener.
    pub(super) fn connection_ids(&self) -> ConnectionIds {
        ConnectionIds::new(self.connection_ids.clone())
    }

    pub(super) fn endpoint_config(&self, ids: ConnectionIds) -> EndpointConfig {
        let mut config = EndpointConfig::new(self.reset.clone());
        config.cid_generator(move || Box::new(ids.clone())).min_reset_interval(RESET_INTERVAL);
        config
    }
}

impl fmt::Debug for QuicKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("QuicKeys([REDACTED])")
    }
}
