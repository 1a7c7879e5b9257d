//! The HTTP side of an edge on real sockets, with agents and upstreams that do exactly what a test says.

mod actions;
mod bodies;
mod breaker;
mod compression;
mod fixture;
mod http2;
mod refusals;
mod requests;
mod restrictions;
mod upgrades;
mod webhooks;
mod websockets;
