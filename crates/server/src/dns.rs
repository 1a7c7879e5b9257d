//! Authoritative DNS of the installation: its zones, as the edge knows their names.
//!
//! Zones are the base domain, and every connect URL that an account delegated. Below the base domain every name leads to the edges, but for two
//! branches: `cname.`, where only the targets of reserved domains exist, and `acme-challenge.`.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::sync::Arc;

use portway_dns::{Caa, Found, Node, Server, Zone, Zones};
use portway_edge::KnownNames;
use portway_names::HostName;

use crate::config::ServerConfig;

/// The zones of an installation.
#[derive(Debug)]
struct OwnZones {
    names: KnownNames,
    /// Where the edge is reached, of both families.
    addresses: Vec<IpAddr>,
    /// The same of the connect URLs that have addresses of their own.
    dedicated: BTreeMap<HostName, Vec<IpAddr>>,
    /// The name servers of all zones: names below the base domain, which lead to the edge.
    nameservers: Vec<HostName>,
}

/// Answers for the names that the edge knows.
///
/// # Errors
/// When a socket cannot be used.
pub(crate) fn serve(config: &ServerConfig, names: KnownNames, udp: UdpSocket, tcp: TcpListener) -> io::Result<Server> {
    let addresses = config.public_ips.clone();
    let dedicated = config.dedicated_ips.clone();
    let zones = OwnZones { names, addresses, dedicated, nameservers: vec![config.connect_host()] };
    Server::start(udp, tcp, Arc::new(zones))
}

impl Zones for OwnZones {
    fn find(&self, name: &HostName, _: IpAddr) -> Option<Found> {
        let (apex, node) = match self.connect_zone(name) {
            Some(apex) => {
                let mut node = match self.names.is_connect_name(name) {
                    true => match self.dedicated.get(&apex) {
                        Some(addresses) => Some(Node { addresses: addresses.clone(), ..Node::default() }),
                        None => Some(self.edges()),
                    },
                    false => self.challenge(name),
                };
                if let Some(node) = node.as_mut().filter(|_| self.names.has_own_certificates(name)) {
                    // RFC 8659 section 4.2: no authority.
                    node.caa = vec![Caa { tag: "issue".to_owned(), value: ";".to_owned() }];
                }
                (apex, node)
            }
            None => {
                let base = self.names.base_domain()?;
                if *name != base && !name.is_below(&base) {
                    return None;
                }
                let node = self.below_base(name, &base);
                (base, node)
            }
        };
        let serial = self.names.version() as u32;
        Some(Found { zone: Arc::new(Zone { apex, nameservers: self.nameservers.clone(), serial }), node })
    }
}

impl OwnZones {
    /// The delegated zone that the name is in.
    fn connect_zone(&self, name: &HostName) -> Option<HostName> {
        let with_parents = std::iter::successors(Some(name.clone()), HostName::parent);
        with_parents.into_iter().find(|name| self.names.is_connect_zone(name))
    }

    fn below_base(&self, name: &HostName, base: &HostName) -> Option<Node> {
        let above: Vec<&str> = name.labels().rev().skip(base.labels().count()).collect();
        match above.as_slice() {
            // Something may be below them, so that they exist (RFC 8020 section 2).
            ["cname" | "acme-challenge"] | ["cname", _] => Some(Node::default()),
            ["cname", ..] => self.names.is_cname_target(name).then(|| self.edges()),
            ["acme-challenge", ..] => self.challenge(name),
            ["_acme-challenge"] => Some(self.challenge(name).unwrap_or_else(|| self.edges())),
            _ => Some(self.edges()),
        }
    }

    /// What a certificate authority looks for there.
    fn challenge(&self, name: &HostName) -> Option<Node> {
        let text = self.names.challenge(name)?;
        Some(Node { texts: vec![text], ..Node::default() })
    }

    fn edges(&self) -> Node {
        Node { addresses: self.addresses.clone(), ..Node::default() }
    }
}
