//! The edge: listeners, routing, admission, proxying, agent fronts, draining.
//!
//! It never touches durable state: what it serves comes from the control plane over [`portway_rpc`], and it serves on from its
//! replica while the control plane is away.

mod config;
mod edge;
mod http;
mod listeners;
mod metrics;
mod route;
mod state;
mod status;
mod visitor;

pub use config::{EdgeConfig, Limits, default_shards};
pub use edge::{Edge, StartError};
pub use listeners::Listeners;
pub use status::{EdgeStatus, EndpointStatus, RECENT_CONNECTIONS_MAX, RecentConnection};
