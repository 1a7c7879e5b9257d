//! The SSH front: one SSH connection in, a checked request and streams for visitors out.
//!
//! `ssh -R 443:localhost:8080 HOST http` becomes an endpoint without an agent. This crate speaks SSH and understands the command; it never
//! decides who may have a name, never binds anything, and never keeps a key: whom a credential belongs to is asked from the caller.

mod command;
mod printable;
mod wanted;

pub use command::{
    BasicAuth, Command, HeaderField, Kind, MAX_COMMAND_LEN, MAX_REPEATS, MAX_WORDS, Options, Parsed, ProxyVersion,
    Target, help, parse,
};
pub use wanted::{MAX_ADDRESS_LEN, wanted};
