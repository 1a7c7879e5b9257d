//! Whole-system tests: a real server in process with real sockets and real TLS, agents against it, faulty links, upstreams that
//! record, and clients.
//!
//! For tests only: no product crate depends on it.

mod client;
mod cluster;
mod link;
mod pebble;
mod resolver;
mod upstream;

pub use client::{Client, Response};
pub use cluster::{Cluster, Predecessor};
pub use link::Link;
pub use pebble::{Behaviour, Pebble, free_ports};
pub use resolver::Resolver;
pub use upstream::{EchoUpstream, HttpUpstream, RecordedRequest};
