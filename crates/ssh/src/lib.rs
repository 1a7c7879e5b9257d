//! The SSH front: one SSH connection in, a checked request and streams for visitors out.
//!
//! `ssh -R 443:localhost:8080 HOST http` becomes an endpoint without an agent. This crate speaks SSH and understands the command; it never
//! decides who may have a name, never binds anything, and never keeps a key: whose a credential is, it asks its caller ([`Gate`]).
//!
//! The caller gives each connection to [`Front::accept`], binds what [`Accepted::endpoints`] ask for, tells the user by
//! [`Accepted::terminal`], and opens a stream for each visitor with [`Forwarded::open`]. It is over when [`SshSession::closed`] says so or
//! [`Events`] say that the user wants it.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use portway_ssh::{AcceptError, Front, Gate, Happening};
//! use tokio::net::TcpStream;
//!
//! async fn serve<G: Gate>(front: &Front, stream: TcpStream, gate: Arc<G>) -> Result<(), AcceptError> {
//!     let (peer, local) = (stream.peer_addr().unwrap(), stream.local_addr().unwrap());
//!     let mut accepted = front.accept(stream, peer, local, gate).await?;
//!     // Here each of `accepted.endpoints` is bound; when that fails, `accepted.terminal.fail(&error)` tells the user and ends it.
//!     accepted.terminal.online("Demo", "eu", &["https://app.example.com"]);
//!     tokio::select! {
//!         // One of several may also be taken back: `Happening::Cancelled`.
//!         Some(Happening::Quit) = accepted.events.next() => accepted.terminal.end(0, "").await,
//!         reason = accepted.session.closed() => println!("{reason}"),
//!     }
//!     Ok(())
//! }
//! ```

mod command;
mod front;
mod handler;
mod host_keys;
mod inflow;
mod limits;
mod line;
mod login;
mod printable;
mod session;
mod terminal;
mod visitor;
mod wanted;

pub use command::{
    BasicAuth, Command, HeaderField, Kind, MAX_COMMAND_LEN, MAX_REPEATS, MAX_WORDS, Options, Parsed, ProxyVersion,
    Target, help, parse,
};
pub use front::{AcceptError, Accepted, Events, Front, Happening, Wanted};
pub use host_keys::{HostKeyError, HostKeys};
pub use limits::Limits;
pub use login::{Gate, Offer, OfferedKey};
pub use session::SshSession;
pub use terminal::{RequestLines, Terminal};
pub use visitor::{Forwarded, OpenError};
pub use wanted::{MAX_ADDRESS_LEN, wanted};
