//! The muxado session as a state machine, without sockets, tasks or a clock.
//!
//! [`Machine`] takes received bytes and the time, and gives events, stream bytes and bytes to send; it never waits, never reads a clock
//! and never buffers more for a peer than its [`Config`] says. The protocol is described in `docs/spec/muxado.md`.

mod code;
mod config;
mod fault;
mod machine;

pub use code::ErrorCode;
pub use config::{Config, Role};
pub use fault::{FaultReason, OpenRefused, PeerFault, StreamFault};
pub use machine::{Event, Machine, StreamId};
