//! Control plane and edge in one process: settings, start, admin address, upgrade in place, drain order.
//!
//! It joins the two by the in-memory gRPC channel and decides nothing about traffic or accounts itself; a process that runs one role
//! alone differs only in the channel.

mod acme_settings;
mod admin;
mod api;
mod bootstrap;
mod config;
mod dns;
mod handover;
mod quic_later;
mod ready;
mod server;
mod settings;
mod sockets;
mod ssh;
mod writable;

pub use acme_settings::AcmeSettings;
pub use config::{ConfigError, ServerConfig};
pub use handover::HandoverError;
pub use portway_control::Online;
pub use portway_edge::{EdgeStatus, EndpointStatus};
pub use ready::Ready;
pub use server::{Order, Server, StartError};
pub use settings::{
    DomainPolicy, FileError, LimitSettings, LogFormat, PortRange, PortRangeError, Settings, Span, SpanError,
};
pub use sockets::BindError;
