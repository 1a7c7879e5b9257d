//! TLS configurations, hot-swapped certificate resolver and root sets.
//!
//! It decides which certificate, which roots and which cipher suites are used; it never opens a socket, issues a certificate or keeps a
//! key on disk. The crypto provider is aws-lc-rs and is always passed explicitly, so a program that embeds this crate may have installed
//! another one.

mod certified;
mod challenge;
mod client;
mod endpoint;
mod explain;
mod pinned;
mod provider;
mod read_ahead;
mod server;
mod store;

pub use certified::{CertifiedKey, CertifiedKeyError};
pub use challenge::{ALPN_ACME, ChallengeError, challenge_config};
pub use client::{Roots, RootsError, client_config, separate_resumption, server_name};
pub use endpoint::{EndpointTls, EndpointTlsError, TlsVersions, endpoint_server_config};
pub use explain::{TlsProblem, explain, explain_io};
pub use pinned::{PinnedAuthority, pinned_config};
pub use provider::{provider, warm_up};
pub use read_ahead::ReadAhead;
pub use server::{ACCESS_DENIED_ALERT, UNRECOGNIZED_NAME_ALERT, server_config};
pub use store::{CertEntry, CertName, CertNameError, CertStore};

/// ALPN name of the native session protocol, on TCP and on QUIC.
pub const ALPN_PORTWAY: &[u8] = b"portway/1";
