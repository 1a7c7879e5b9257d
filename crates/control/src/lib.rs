//! The control plane: accounts, credentials, certificates, leases, and the snapshot every edge follows.
//!
//! It never carries a visitor's byte and knows of sessions only what edges report: edges reach it through the service of `portway-rpc`
//! alone, and it reaches edges by what that service's streams yield. Durable state is in `portway-store`; what is decided
//! here survives a kill at any moment.

pub mod admin;

mod authority;
mod bootstrap;
mod certificates;
mod commands;
mod config;
mod desk;
mod directory;
mod error;
mod issuance;
mod kept;
mod online;
mod password;
mod plane;
mod policy;
mod presence;
mod random;
mod report;
mod resource;
mod rest;
mod seal;
mod service;
mod ssh_signing;
mod turns;
mod watch;
mod x509;

pub use bootstrap::Bootstrap;
pub use commands::PublicResult;
pub use config::{ControlConfig, DEFAULT_LEASE_TTL, DomainPolicy};
pub use directory::DataDir;
pub use error::OpenError;
pub use issuance::AcmeConfig;
pub use online::{LiveEdge, LiveEndpoint, LiveSession, Online};
pub use plane::Control;
pub use portway_acme::{Authority, ExternalAccount, lets_encrypt};
pub use portway_api::BaseUrl;
pub use portway_proto::{AgentCommand, EndpointRecord, SessionProtocol, SessionRecord};
pub use portway_store::{DatabaseUrl, DatabaseUrlError, Health};
pub use rest::{RateLimit, RestApi};
pub use service::ControlService;
