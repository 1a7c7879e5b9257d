//! Authoritative DNS: the zones of an installation, answered over UDP and TCP.
//!
//! [`reply`] makes a reply from a query, without sockets or a clock; [`Server`] carries both. What there is at a name is said by whoever
//! implements [`Zones`]; it is asked for every query, so that a change is served from the next query on. Names outside the zones are
//! refused: this is no resolver, and no amplifier either (limits in [`Server`]). [`Resolver`] asks other servers, for whoever checks what stands there.

mod lookup;
mod rate;
mod reply;
mod server;
mod zones;

pub use lookup::{Kind, LookupError, Resolver};
pub use reply::{MAX_UDP_LEN, Transport, reply};
pub use server::{Counters, Outcome, Server};
pub use zones::{Caa, Found, Node, Zone, Zones};
