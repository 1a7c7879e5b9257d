//! From a query to its reply.

use std::net::IpAddr;

use hickory_proto::op::{Edns, Header, Message, MessageType, Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsCode, EdnsOption};
use hickory_proto::rr::rdata::{A, AAAA, CAA, HINFO, NS, SOA, TXT};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};
use portway_names::HostName;

use crate::{Found, Node, Zone, Zones};

/// Longest reply over UDP in bytes: it fits into one packet everywhere (DNS flag day 2020).
pub const MAX_UDP_LEN: usize = 1232;
/// Longest reply over UDP to who says nothing about it (RFC 1035 section 2.3.4).
const PLAIN_UDP_LEN: usize = 512;
/// Shortest message: its header.
const HEADER_LEN: usize = 12;

/// Seconds that addresses are remembered for: edges come and go.
const ADDRESS_TTL: u32 = 30;
/// Seconds that challenges are remembered for: the next one has another text.
const TEXT_TTL: u32 = 1;
/// Seconds that what makes a zone is remembered for.
const ZONE_TTL: u32 = 3600;
/// Seconds that a name is remembered not to exist (RFC 2308 section 5).
const NEGATIVE_TTL: u32 = 30;
/// Bytes of a text that fit into one string of a TXT record (RFC 1035 section 3.3).
const STRING_LEN: usize = 255;
/// Most parents of a name that is no host name that are tried: as many as a name has labels (RFC 1035 section 2.3.4).
const MAX_LABELS: usize = 127;

/// What a query came over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A long reply is cut, and asked for again over TCP.
    Udp,
    /// Any length that a message can have.
    Tcp,
}

/// The reply to a query from `peer`; none for what is no query at all, which nobody waits for a reply to.
pub fn reply(query: &[u8], peer: IpAddr, transport: Transport, zones: &impl Zones) -> Option<Vec<u8>> {
    let header = Header::read(&mut BinDecoder::new(query.get(..HEADER_LEN)?)).ok()?.metadata;
    if header.message_type == MessageType::Response {
        return None;
    }
    if header.op_code != OpCode::Query {
        return encoded(&refusal(&header, ResponseCode::NotImp), usize::MAX);
    }
    let Ok(query) = Message::from_vec(query) else {
        return encoded(&refusal(&header, ResponseCode::FormErr), usize::MAX);
    };
    let mut reply = answered(&query, peer, zones);
    let limit = match (transport, &query.edns) {
        (Transport::Tcp, _) => usize::from(u16::MAX),
        (Transport::Udp, Some(edns)) => usize::from(edns.max_payload()).clamp(PLAIN_UDP_LEN, MAX_UDP_LEN),
        (Transport::Udp, None) => PLAIN_UDP_LEN,
    };
    if let Some(edns) = &query.edns {
        let mut own = reply.edns.take().unwrap_or_default();
        own.set_max_payload(MAX_UDP_LEN as u16).set_version(0).set_dnssec_ok(edns.flags().dnssec_ok);
        reply.set_edns(own);
    }
    encoded(&reply, limit)
}

/// The message as bytes; without its records when it would be longer than `limit` (RFC 2181 section 9).
fn encoded(message: &Message, limit: usize) -> Option<Vec<u8>> {
    let whole = message.to_vec().ok()?;
    if whole.len() <= limit {
        return Some(whole);
    }
    let mut cut = Message::response(message.metadata.id, message.metadata.op_code);
    cut.metadata = message.metadata;
    cut.metadata.truncation = true;
    cut.queries = message.queries.clone();
    cut.edns = message.edns.clone();
    cut.to_vec().ok()
}

fn refusal(query: &Metadata, code: ResponseCode) -> Message {
    let mut reply = Message::response(query.id, query.op_code);
    reply.metadata.recursion_desired = query.recursion_desired;
    reply.metadata.response_code = code;
    reply
}

fn answered(query: &Message, peer: IpAddr, zones: &impl Zones) -> Message {
    let mut reply = refusal(&query.metadata, ResponseCode::NoError);
    // As it was asked, letter by letter: resolvers check the case that they chose. Several questions are not repeated: they may be long.
    if let [question] = query.queries.as_slice() {
        reply.queries = vec![question.clone()];
    }
    let code = match (&query.edns, query.queries.as_slice()) {
        (Some(edns), _) if edns.version() > 0 => ResponseCode::BADVERS,
        (_, [question]) => {
            let subnet = subnet(query);
            let client = subnet.map_or(peer, ClientSubnet::addr);
            return match find(question, client, zones) {
                Ok((name, found)) => {
                    fill(&mut reply, question, &name, &found);
                    if let Some(subnet) = subnet {
                        let scope = found.node.as_ref().map_or(0, |node| node.scope).min(subnet.source_prefix());
                        let mut edns = Edns::new();
                        let told = ClientSubnet::new(subnet.addr(), subnet.source_prefix(), scope);
                        edns.options_mut().insert(EdnsOption::Subnet(told));
                        reply.set_edns(edns);
                    }
                    reply
                }
                Err(code) => {
                    reply.metadata.response_code = code;
                    reply
                }
            };
        }
        _ => ResponseCode::FormErr,
    };
    reply.metadata.response_code = code;
    reply
}

/// The network that a resolver asks for.
fn subnet(query: &Message) -> Option<&ClientSubnet> {
    match query.edns.as_ref()?.option(EdnsCode::Subnet)? {
        EdnsOption::Subnet(subnet) => Some(subnet),
        _ => None,
    }
}

/// The name of the question, as far as it is a host name, and what is there.
fn find(question: &Query, client: IpAddr, zones: &impl Zones) -> Result<(HostName, Found), ResponseCode> {
    if question.query_class() != DNSClass::IN || matches!(question.query_type(), RecordType::AXFR | RecordType::IXFR) {
        return Err(ResponseCode::Refused);
    }
    let mut name = question.name().to_lowercase();
    let mut odd = false;
    for _ in 0..MAX_LABELS {
        if name.is_root() {
            break;
        }
        if let Ok(host) = name.to_ascii().parse::<HostName>() {
            let mut found = zones.find(&host, client).ok_or(ResponseCode::Refused)?;
            // What is below a host name and is none does not exist.
            found.node = found.node.filter(|_| !odd);
            return Ok((host, found));
        }
        (name, odd) = (name.base_name(), true);
    }
    Err(ResponseCode::Refused)
}

/// Puts in what is known, or that there is nothing.
fn fill(reply: &mut Message, question: &Query, name: &HostName, Found { zone, node }: &Found) {
    reply.metadata.authoritative = true;
    let owner = question.name();
    let is_apex = *name == zone.apex && node.is_some();
    match node {
        Some(node) => reply.answers = records(owner, question.query_type(), zone, node, is_apex),
        None => reply.metadata.response_code = ResponseCode::NXDomain,
    }
    if reply.answers.is_empty() {
        // RFC 2308 section 3.
        reply.authorities.extend(soa(zone));
    }
}

fn records(owner: &Name, wanted: RecordType, zone: &Zone, node: &Node, is_apex: bool) -> Vec<Record> {
    let record = |ttl: u32, data: RData| Record::from_rdata(owner.clone(), ttl, data);
    match wanted {
        RecordType::A => {
            let v4 = node.addresses.iter().filter_map(|ip| if let IpAddr::V4(ip) = ip { Some(*ip) } else { None });
            v4.map(|ip| record(ADDRESS_TTL, RData::A(A(ip)))).collect()
        }
        RecordType::AAAA => {
            let v6 = node.addresses.iter().filter_map(|ip| if let IpAddr::V6(ip) = ip { Some(*ip) } else { None });
            v6.map(|ip| record(ADDRESS_TTL, RData::AAAA(AAAA(ip)))).collect()
        }
        RecordType::TXT => node.texts.iter().map(|text| record(TEXT_TTL, RData::TXT(txt(text)))).collect(),
        RecordType::CAA => {
            let caa = node.caa.iter().map(|caa| {
                let mut data = CAA::new_issue(false, None, Vec::new());
                (data.tag, data.value) = (caa.tag.clone(), caa.value.clone().into_bytes());
                record(ZONE_TTL, RData::CAA(data))
            });
            caa.collect()
        }
        RecordType::NS if is_apex => {
            let names = zone.nameservers.iter().filter_map(dns_name);
            names.map(|name| record(ZONE_TTL, RData::NS(NS(name)))).collect()
        }
        RecordType::SOA if is_apex => soa(zone).into_iter().map(|soa| record(soa.ttl, soa.data)).collect(),
        // RFC 8482 section 4.2: who asks for everything gets little.
        RecordType::ANY => vec![record(ZONE_TTL, RData::HINFO(HINFO::new("RFC8482".to_owned(), String::new())))],
        _ => Vec::new(),
    }
}

fn txt(text: &str) -> TXT {
    TXT::from_bytes(text.as_bytes().chunks(STRING_LEN).collect())
}

/// The record that every zone has, with the time that its absences are remembered for.
fn soa(zone: &Zone) -> Option<Record> {
    let apex = dns_name(&zone.apex)?;
    let primary = zone.nameservers.first().and_then(dns_name)?;
    let contact = Name::from_labels(["hostmaster"]).and_then(|local| local.append_domain(&apex)).ok()?;
    let data = SOA::new(primary, contact, zone.serial, 3600, 600, 604_800, NEGATIVE_TTL);
    Some(Record::from_rdata(apex, NEGATIVE_TTL, RData::SOA(data)))
}

fn dns_name(host: &HostName) -> Option<Name> {
    let mut name = Name::from_ascii(host.as_str()).ok()?;
    name.set_fqdn(true);
    Some(name)
}

#[cfg(test)]
mod tests;
