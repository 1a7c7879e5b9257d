//! HTTP and HTTPS endpoints: visitors' requests to the upstreams of agents and their responses back.
//!
//! Nothing is buffered beyond one chunk a direction, and nothing is decided twice: what routes a request is what is forwarded. A
//! connection with everything that belongs to it is one task; see `Upstream` for why.

mod body;
mod compress;
mod connection;
mod exchange;
mod fault;
mod frames;
mod guard;
mod guarded;
mod headers;
mod idle_timer;
mod lent_io;
mod nudge;
mod outgoing;
mod page;
mod rules;
mod serve;
mod target;
mod tasks;
mod turn;
mod upgrade;
mod upstream;
mod upstream_h2;
mod upstream_io;
mod visitor_io;
mod websocket;

#[cfg(test)]
mod tests;

pub(crate) use serve::serve;
