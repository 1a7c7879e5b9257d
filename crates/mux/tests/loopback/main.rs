//! The crate as its users see it, over real sockets on loopback.

mod dialing;
mod liveness;
mod piping;
mod sessions;
mod support;
