//! The edge: listeners, routing, admission, proxying, agent fronts, draining.
//!
//! It never touches durable state: what it serves comes from the control plane over [`portway_rpc`], and it serves on from its
//! replica while the control plane is away.

mod actions;
mod admission;
mod bind;
mod bind_tcp;
mod commands;
mod config;
mod control_link;
mod control_stream;
mod cut;
mod dedicated;
mod edge;
mod endpoint;
mod follow;
mod front;
mod http;
mod https_port;
mod known;
mod leases;
mod link;
mod listeners;
mod login;
mod metrics;
mod native;
mod ngrok;
mod online;
mod opening;
mod own;
mod paced;
mod plain_http;
mod ports;
mod quic_port;
mod recent;
mod replica;
mod report;
mod reserved;
mod restriction;
mod returning;
mod route;
mod session;
mod sessions;
mod shard;
mod shares;
mod ssh;
mod state;
mod status;
mod tcp;
mod termination;
mod visitor;

pub use config::{EdgeConfig, Limits, default_shards};
pub use dedicated::Dedicated;
pub use edge::{Edge, StartError};
pub use known::KnownNames;
pub use listeners::Listeners;
pub use ngrok::ResumeKey;
pub use own::{Held, OwnService, OwnStream, OwnVisitor};
pub use portway_mux::{QuicKeys, QuicSocket};
pub use portway_proto::AgentCommand;
pub use portway_ssh::{Front as SshFront, HostKeyError, HostKeys, Limits as SshLimits};
pub use status::{EdgeStatus, EndpointStatus, RECENT_MAX, RECENT_PATH_MAX, RecentConnection, RecentRequest};

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
