//! The control plane: accounts, credentials, certificates, leases, and the snapshot every edge follows.
//!
//! It never carries a visitor's byte and knows nothing of sessions or streams: edges reach it only through the service of
//! `portway-rpc`, and it reaches edges only by what that service's watch yields. Durable state is in `portway-store`; what is decided
//! here survives a kill at any moment.

pub mod admin;

mod authority;
mod bootstrap;
mod certificates;
mod config;
mod desk;
mod directory;
mod error;
mod kept;
mod password;
mod plane;
mod policy;
mod presence;
mod random;
mod resource;
mod rest;
mod seal;
mod service;
mod watch;

pub use bootstrap::Bootstrap;
pub use config::{ControlConfig, DEFAULT_LEASE_TTL, DomainPolicy};
pub use directory::DataDir;
pub use error::OpenError;
pub use plane::Control;
pub use portway_api::BaseUrl;
pub use portway_store::{DatabaseUrl, DatabaseUrlError, Health};
pub use rest::{RateLimit, RestApi};
pub use service::ControlService;
