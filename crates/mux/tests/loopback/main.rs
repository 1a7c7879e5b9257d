//! The crate as its users see it, over real sockets on loopback.

#![expect(clippy::unwrap_used, reason = "a test whose set-up fails has failed")]

mod dialing;
mod handover;
mod liveness;
mod one_way;
mod piping;
mod restarts;
mod sessions;
mod support;
