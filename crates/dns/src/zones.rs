//! What is at a name, as replies are made from it.

use std::net::IpAddr;
use std::sync::Arc;

use portway_names::HostName;

/// The zones that are answered for.
pub trait Zones: Send + Sync + 'static {
    /// What is known of a name; none when it is in no zone. `client` is who wants to know: the network that a resolver asks for (RFC 7871 section 6), else
    /// the resolver. Called for every query, on the thread that serves them all: it must not block.
    fn find(&self, name: &HostName, client: IpAddr) -> Option<Found>;
}

/// A name in a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The zone: the deepest that the name is in.
    pub zone: Arc<Zone>,
    /// What is there; none when the name does not exist, and nothing exists below it (RFC 8020 section 2).
    pub node: Option<Node>,
}

/// A zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Its topmost name.
    pub apex: HostName,
    /// The name servers; the first one is the primary. A zone has at least one.
    pub nameservers: Vec<HostName>,
    /// Grows with every change (in the arithmetic of RFC 1982 section 3: it may wrap).
    pub serial: u32,
}

/// What is at a name that exists, beside what every apex has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Addresses of both families, the best one first.
    pub addresses: Vec<IpAddr>,
    /// Bits of the client's address that the addresses depend on; 0 when they are the same for everybody.
    pub scope: u8,
    /// Texts, of which each is a record.
    pub texts: Vec<String>,
    /// Who may issue certificates for the name and those below.
    pub caa: Vec<Caa>,
}

/// Who may issue certificates (RFC 8659 section 4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caa {
    /// `issue` or `issuewild`.
    pub tag: String,
    /// The domain of an authority, with parameters; `;` permits nobody.
    pub value: String,
}
