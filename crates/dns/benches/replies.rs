//! What a reply costs, without sockets.

use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Name, RecordType};
use portway_dns::{Found, Node, Transport, Zone, Zones, reply};
use portway_names::HostName;

/// One zone, in which every name has two addresses.
struct Everywhere(Arc<Zone>);

impl Zones for Everywhere {
    fn find(&self, _: &HostName, _: IpAddr) -> Option<Found> {
        let addresses = vec![IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2])];
        Some(Found { zone: Arc::clone(&self.0), node: Some(Node { addresses, ..Node::default() }) })
    }
}

fn replies(criterion: &mut Criterion) {
    let apex: HostName = "example.com".parse().expect("a name");
    let nameservers = vec!["ns.example.com".parse().expect("a name")];
    let zones = Everywhere(Arc::new(Zone { apex, nameservers, serial: 1 }));
    let peer = IpAddr::from([198, 51, 100, 1]);
    for (what, kind) in [("two addresses", RecordType::A), ("none of its kind", RecordType::TXT)] {
        let mut query = Message::query();
        query.add_query(Query::query(Name::from_ascii("app.example.com.").expect("a name"), kind));
        let query = query.to_vec().expect("a message");
        criterion.bench_function(what, |bencher| {
            bencher.iter(|| reply(black_box(&query), peer, Transport::Udp, &zones));
        });
    }
}

criterion_group!(benches, replies);
criterion_main!(benches);
