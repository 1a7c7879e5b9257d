//! Replies to queries of every kind, good and bad.

use std::collections::HashMap;
use std::sync::Arc;

use hickory_proto::rr::RecordType::{self, A, AAAA, ANY, AXFR, CAA, MX, NS, SOA, TXT};
use proptest::prelude::*;

use super::*;
use crate::Caa;

/// `example.com` with a name server, a text, many addresses and nothing else.
struct Little(HashMap<HostName, Node>);

const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

impl Zones for Little {
    fn find(&self, name: &HostName, client: IpAddr) -> Option<Found> {
        let apex: HostName = "example.com".parse().unwrap();
        if *name != apex && !name.is_below(&apex) {
            return None;
        }
        let mut node = self.0.get(name).cloned();
        if let Some(node) = node.as_mut().filter(|node| node.scope > 0) {
            node.addresses = vec![client];
        }
        let zone = Zone { apex, nameservers: vec!["ns.example.com".parse().unwrap()], serial: 7 };
        Some(Found { zone: Arc::new(zone), node })
    }
}

fn zones() -> Little {
    let addresses = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    let both = Node { addresses: addresses(&["192.0.2.7", "2001:db8::7"]), ..Node::default() };
    let many = (0..200).map(|last| IpAddr::from([192, 0, 2, last])).collect();
    let caa = Caa { tag: "issue".to_owned(), value: "ca.example; account=1".to_owned() };
    let nodes = [
        ("example.com", Node { caa: vec![caa], ..both.clone() }),
        ("ns.example.com", both),
        ("_acme-challenge.example.com", Node { texts: vec!["one".into(), "x".repeat(300)], ..Node::default() }),
        ("many.example.com", Node { addresses: many, ..Node::default() }),
        ("near.example.com", Node { scope: 24, ..Node::default() }),
    ];
    Little(nodes.into_iter().map(|(name, node)| (name.parse().unwrap(), node)).collect())
}

fn query(name: &str, wanted: RecordType) -> Message {
    let mut message = Message::query();
    message.metadata.id = 4711;
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), wanted));
    message
}

fn ask_over(transport: Transport, query: &Message) -> Message {
    let bytes = reply(&query.to_vec().unwrap(), PEER, transport, &zones()).expect("a reply");
    Message::from_vec(&bytes).unwrap()
}

fn ask(name: &str, wanted: RecordType) -> Message {
    ask_over(Transport::Udp, &query(name, wanted))
}

fn data(reply: &Message) -> Vec<String> {
    reply.answers.iter().map(|record| record.data.to_string()).collect()
}

#[test]
fn what_is_there_is_answered() {
    let reply = ask("eXample.COM.", A);
    assert_eq!((reply.metadata.id, reply.metadata.response_code), (4711, ResponseCode::NoError));
    assert!(reply.metadata.authoritative && reply.metadata.recursion_desired && !reply.metadata.recursion_available);
    assert_eq!(reply.queries[0].name().to_ascii(), "eXample.COM.", "in the letters of the question");
    assert_eq!((data(&reply), reply.answers[0].ttl), (vec!["192.0.2.7".to_owned()], ADDRESS_TTL));
    assert_eq!(reply.answers[0].name.to_ascii(), "eXample.COM.");
    assert_eq!(data(&ask("example.com.", AAAA)), ["2001:db8::7"]);
    assert_eq!(data(&ask("example.com.", NS)), ["ns.example.com."]);
    let soa = "ns.example.com. hostmaster.example.com. 7 3600 600 604800 30";
    assert_eq!(data(&ask("example.com.", SOA)), [soa]);
    assert_eq!(data(&ask("example.com.", CAA)), ["0 issue \"ca.example; account=1\""]);
    let texts = ask("_acme-challenge.example.com.", TXT);
    assert_eq!(texts.answers.len(), 2);
    let RData::TXT(long) = &texts.answers[1].data else { panic!("{texts}") };
    assert_eq!(long.txt_data.iter().map(|part| part.len()).collect::<Vec<_>>(), [255, 45]);
    let any = ask("example.com.", ANY);
    assert_eq!(any.answers.len(), 1, "little for those who want everything");
}

#[test]
fn what_is_not_there_is_denied_by_the_zone() {
    for (name, wanted, code) in [
        ("none.example.com.", A, ResponseCode::NXDomain),
        ("ns.example.com.", MX, ResponseCode::NoError),
        ("ns.example.com.", NS, ResponseCode::NoError),
        ("*.ns.example.com.", A, ResponseCode::NXDomain),
    ] {
        let reply = ask(name, wanted);
        assert_eq!((reply.metadata.response_code, reply.answers.len()), (code, 0), "{name}");
        assert!(reply.metadata.authoritative);
        let [soa] = &reply.authorities[..] else { panic!("{reply}") };
        assert_eq!((soa.name.to_ascii(), soa.ttl), ("example.com.".to_owned(), NEGATIVE_TTL));
    }
}

#[test]
fn what_is_no_host_name_is_nowhere() {
    let mut message = query("example.com.", A);
    for (labels, code) in [
        (vec![&b"b\x03d"[..], b"example", b"com"], ResponseCode::NXDomain),
        (vec![&b"a.b"[..], b"ns", b"example", b"com"], ResponseCode::NXDomain),
        (vec![&b"\xff"[..]; 60], ResponseCode::Refused),
    ] {
        message.queries[0].set_name(Name::from_labels(labels).unwrap());
        assert_eq!(ask_over(Transport::Udp, &message).metadata.response_code, code);
    }
}

#[test]
fn what_is_not_ours_is_refused() {
    let mut chaos = query("version.bind.", TXT);
    chaos.queries[0].set_query_class(DNSClass::CH);
    let mut two = query("example.com.", A);
    two.add_query(Query::query(Name::from_ascii("example.com.").unwrap(), AAAA));
    let mut none = query("example.com.", A);
    none.queries.clear();
    let mut notify = query("example.com.", SOA);
    notify.metadata.op_code = OpCode::Notify;
    let mut later = query("example.com.", A);
    let mut edns = Edns::new();
    edns.set_version(1);
    later.set_edns(edns);
    for (query, code) in [
        (query("example.org.", A), ResponseCode::Refused),
        (query("evilexample.com.", A), ResponseCode::Refused),
        (query("com.", A), ResponseCode::Refused),
        (query(".", NS), ResponseCode::Refused),
        (query("example.com.", AXFR), ResponseCode::Refused),
        (chaos, ResponseCode::Refused),
        (two, ResponseCode::FormErr),
        (none, ResponseCode::FormErr),
        (notify, ResponseCode::NotImp),
        (later, ResponseCode::BADVERS),
    ] {
        let reply = ask_over(Transport::Tcp, &query);
        assert_eq!(u16::from(reply.metadata.response_code), u16::from(code), "{query}");
        assert!(reply.answers.is_empty() && !reply.metadata.authoritative);
    }
}

#[test]
fn a_long_reply_comes_over_tcp() {
    let mut with_edns = query("many.example.com.", A);
    let mut edns = Edns::new();
    edns.set_max_payload(65_000);
    with_edns.set_edns(edns);
    for query in [query("many.example.com.", A), with_edns] {
        let bytes = reply(&query.to_vec().unwrap(), PEER, Transport::Udp, &zones()).unwrap();
        let cut = Message::from_vec(&bytes).unwrap();
        assert!(cut.metadata.truncation && cut.answers.is_empty() && bytes.len() <= PLAIN_UDP_LEN);
        assert_eq!(cut.edns.is_some(), query.edns.is_some());
        let whole = ask_over(Transport::Tcp, &query);
        assert!(!whole.metadata.truncation);
        assert_eq!(whole.answers.len(), 200);
    }
}

#[test]
fn questions_that_are_not_answered_are_not_sent_back() {
    let mut many = query("example.com.", A);
    let long = format!("{}.example.com.", ["a".repeat(60), "b".repeat(60), "c".repeat(60)].join("."));
    many.add_queries((0..30).map(|_| Query::query(Name::from_ascii(&long).unwrap(), A)));
    let bytes = many.to_vec().unwrap();
    let refused = reply(&bytes, PEER, Transport::Udp, &zones()).unwrap();
    assert_eq!(
        (refused.len(), Message::from_vec(&refused).unwrap().metadata.response_code),
        (HEADER_LEN, ResponseCode::FormErr)
    );
}

#[test]
fn a_resolver_asks_for_its_clients_network() {
    let mut query = query("near.example.com.", A);
    assert_eq!(data(&ask_over(Transport::Udp, &query)), [PEER.to_string()]);
    let mut edns = Edns::new();
    edns.options_mut().insert(EdnsOption::Subnet("198.51.100.0/20".parse().unwrap()));
    query.set_edns(edns);
    let reply = ask_over(Transport::Udp, &query);
    assert_eq!(data(&reply), ["198.51.100.0"]);
    let Some(EdnsOption::Subnet(told)) = reply.edns.as_ref().unwrap().option(EdnsCode::Subnet) else {
        panic!("{reply}")
    };
    assert_eq!((told.source_prefix(), told.scope_prefix()), (20, 20));
}

#[test]
fn what_is_no_query_is_not_answered() {
    let mut response = query("example.com.", A);
    response.metadata.message_type = MessageType::Response;
    for bytes in [response.to_vec().unwrap(), vec![0; HEADER_LEN - 1], Vec::new()] {
        assert_eq!(reply(&bytes, PEER, Transport::Udp, &zones()), None);
    }
    let mut broken = query("example.com.", A).to_vec().unwrap();
    broken.truncate(20);
    let reply = Message::from_vec(&reply(&broken, PEER, Transport::Udp, &zones()).unwrap()).unwrap();
    assert_eq!((reply.metadata.id, reply.metadata.response_code), (4711, ResponseCode::FormErr));
}

proptest! {
    #[test]
    fn no_bytes_are_answered_with_more_than_udp_carries(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..200),
        like_a_query: bool,
    ) {
        if like_a_query && bytes.len() > HEADER_LEN {
            bytes[2..HEADER_LEN].copy_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        }
        if let Some(reply) = reply(&bytes, PEER, Transport::Udp, &zones()) {
            prop_assert!(reply.len() <= MAX_UDP_LEN);
            prop_assert!(Message::from_vec(&reply).is_ok());
        }
    }
}
