//! A DNS query of a stranger: whatever the bytes are, the reply is a message, and it fits what carries it.

#![no_main]

use std::net::IpAddr;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use portway_dns::{Caa, Found, MAX_UDP_LEN, Node, Transport, Zone, Zones, reply};
use portway_names::HostName;

/// `example.com`, where every name has many addresses, a text and a CAA record.
struct Full;

impl Zones for Full {
    fn find(&self, name: &HostName, client: IpAddr) -> Option<Found> {
        let apex: HostName = "example.com".parse().expect("a name");
        if *name != apex && !name.is_below(&apex) {
            return None;
        }
        let addresses = (0..100).map(|last| IpAddr::from([192, 0, 2, last])).chain([client]).collect();
        let caa = vec![Caa { tag: "issue".to_owned(), value: ";".to_owned() }];
        let node = Node { addresses, scope: 24, texts: vec!["x".repeat(600)], caa };
        let zone = Zone { nameservers: vec!["ns.example.com".parse().expect("a name")], apex, serial: 1 };
        Some(Found { zone: Arc::new(zone), node: Some(node) })
    }
}

fuzz_target!(|query: &[u8]| {
    let peer = IpAddr::from([198, 51, 100, 1]);
    if let Some(reply) = reply(query, peer, Transport::Udp, &Full) {
        assert!(reply.len() <= MAX_UDP_LEN);
        assert_eq!(reply[..2], query[..2], "the id of the query");
        // A reply is not a query: two servers do not talk to each other for ever.
        assert_eq!(portway_dns::reply(&reply, peer, Transport::Udp, &Full), None);
    }
    if let Some(reply) = reply(query, peer, Transport::Tcp, &Full) {
        assert!(reply.len() <= usize::from(u16::MAX));
    }
});
