//! The agent: dials out to an edge, keeps a session alive for ever, and carries visitors' connections to local services.
//!
//! It never parses or changes what visitors and services say to each other (the edge does), and it never stores anything: what it
//! knows of the world is in memory and made anew from the network at every reconnect.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use portway_agent::{Agent, Roots};
//!
//! let agent = Agent::builder()
//!     .connect_url("connect.example.com:443")
//!     .authtoken(std::env::var("PORTWAY_AUTHTOKEN")?)
//!     // The CA of a server's own data directory; `Roots::Host` is for certificates that the machine trusts anyway.
//!     .roots(Roots::Pem(std::fs::read("ca.pem")?))
//!     .connect()
//!     .await?;
//!
//! // Forward an address ...
//! let web = agent.http().url("https://app.example.com").forward_to("http://localhost:3000").await?;
//! println!("{} is online", web.url());
//!
//! // ... or take the connections into the program.
//! let mut raw = agent.tcp().url("tcp://").listen().await?;
//! while let Some(connection) = raw.accept().await {
//!     println!("{} came to {}", connection.client_addr(), raw.url());
//! }
//! agent.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! The agent needs a tokio runtime with time and I/O; one thread (`new_current_thread`) is enough and is fastest.

mod agent;
mod binding;
mod builder;
mod carrier;
pub mod config;
mod endpoint;
mod error;
mod forward;
mod link;
mod listener;
mod metrics;
mod promised;
mod proxy;
mod region;
mod registrations;
mod remote;
mod sniff;
mod status;
mod supervisor;
mod upstream;
mod upstream_tls;

pub use agent::Agent;
pub use builder::AgentBuilder;
pub use endpoint::{Endpoint, EndpointBuilder, EndpointOptions, HostHeader, ProxyProtocol};
pub use error::{BindError, ConnectError};
pub use listener::{Connection, Listener};
pub use metrics::Metrics;
pub use portway_mux::{Carrier, CarrierChoice, DialCause, DialError, ProxyError};
pub use portway_names::{ConnectUrl, Scheme};
pub use portway_tls::{Roots, RootsError, TlsProblem};
pub use proxy::proxy_from_env;
pub use status::{EndpointState, EndpointStatus, Event, Online, Status};
pub use upstream::{Upstream, UpstreamError};
