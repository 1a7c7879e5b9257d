//! The rest of DNS, as a test needs it: a resolver with records of its own, which asks servers under test for the zones that are theirs.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{CAA, CNAME, NS};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Longest wait for a server under test.
const PATIENCE: Duration = Duration::from_secs(2);
/// CNAME records that are followed.
const CNAMES_MAX: usize = 8;

/// A resolver on loopback. It ends with this value.
#[derive(Debug)]
pub struct Resolver {
    address: SocketAddr,
    known: Arc<Mutex<Known>>,
    serving: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Known {
    /// By name in lower case with the last dot.
    records: BTreeMap<String, Vec<RData>>,
    /// Zones and who answers for them.
    zones: Vec<(Name, SocketAddr)>,
}

impl Resolver {
    /// Starts one that knows nothing.
    ///
    /// # Errors
    /// When there is no socket for it.
    pub async fn start() -> Result<Resolver> {
        let socket = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?);
        let (address, known) = (socket.local_addr()?, Arc::new(Mutex::new(Known::default())));
        let serving = tokio::spawn(serve(socket, Arc::clone(&known)));
        Ok(Resolver { address, known, serving })
    }

    /// Where it listens, over UDP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Has the server at `address` answer for a zone, as if it had been delegated.
    ///
    /// # Errors
    /// When the name is none.
    pub fn delegate(&self, zone: &str, address: SocketAddr) -> Result<()> {
        let zone = Name::from_utf8(zone)?.to_lowercase();
        let mut known = self.known();
        known.zones.retain(|(other, _)| *other != zone);
        known.zones.push((absolute(zone), address));
        Ok(())
    }

    /// Takes a delegation back.
    ///
    /// # Errors
    /// When the name is none.
    pub fn undelegate(&self, zone: &str) -> Result<()> {
        let zone = absolute(Name::from_utf8(zone)?.to_lowercase());
        self.known().zones.retain(|(other, _)| *other != zone);
        Ok(())
    }

    /// Makes the record that a name is an alias, in the place of all it had; `*.` stands for any names below.
    ///
    /// # Errors
    /// When a name is none.
    pub fn alias(&self, name: &str, target: &str) -> Result<()> {
        let target = absolute(Name::from_utf8(target)?);
        self.set(name, vec![RData::CNAME(CNAME(target))])
    }

    /// Makes the record of an address, in the place of all the name had.
    ///
    /// # Errors
    /// When the name is none.
    pub fn address_of(&self, name: &str, address: Ipv4Addr) -> Result<()> {
        self.set(name, vec![RData::A(address.into())])
    }

    /// Makes the records of name servers, in the place of all the name had.
    ///
    /// # Errors
    /// When a name is none.
    pub fn name_servers(&self, name: &str, servers: &[&str]) -> Result<()> {
        let servers = servers.iter().map(|server| Ok(RData::NS(NS(absolute(Name::from_utf8(server)?)))));
        let servers = servers.collect::<Result<_>>()?;
        self.set(name, servers)
    }

    /// Makes a record of who may issue certificates, in the place of all the name had.
    ///
    /// # Errors
    /// When the name is none.
    pub fn issuer(&self, name: &str, issuer: &str) -> Result<()> {
        let mut caa = CAA::new_issue(false, None, Vec::new());
        caa.value = issuer.as_bytes().to_vec();
        self.set(name, vec![RData::CAA(caa)])
    }

    /// Forgets all records of a name.
    ///
    /// # Errors
    /// When the name is none.
    pub fn forget(&self, name: &str) -> Result<()> {
        self.known().records.remove(&key(&absolute(Name::from_utf8(name)?)));
        Ok(())
    }

    fn set(&self, name: &str, records: Vec<RData>) -> Result<()> {
        self.known().records.insert(key(&absolute(Name::from_utf8(name)?)), records);
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn absolute(mut name: Name) -> Name {
    name.set_fqdn(true);
    name
}

fn key(name: &Name) -> String {
    name.to_lowercase().to_ascii()
}

async fn serve(socket: Arc<UdpSocket>, known: Arc<Mutex<Known>>) {
    let mut buffer = [0; 4096];
    while let Ok((len, peer)) = socket.recv_from(&mut buffer).await {
        let Ok(query) = Message::from_vec(&buffer[..len]) else { continue };
        let (socket, known) = (Arc::clone(&socket), Arc::clone(&known));
        tokio::spawn(async move {
            if let Ok(reply) = answer(&query, &known).await.to_vec() {
                let _ = socket.send_to(&reply, peer).await;
            }
        });
    }
}

async fn answer(query: &Message, known: &Mutex<Known>) -> Message {
    let mut reply = Message::response(query.metadata.id, OpCode::Query);
    reply.metadata.recursion_desired = true;
    reply.metadata.recursion_available = true;
    reply.queries = query.queries.clone();
    let Some(question) = query.queries.first() else { return reply };
    let (mut name, wanted) = (absolute(question.name().clone()), question.query_type());
    for _ in 0..CNAMES_MAX {
        let (own, server) = {
            let known = known.lock().unwrap_or_else(PoisonError::into_inner);
            let own = known.records.get(&key(&name)).or_else(|| known.records.get(&key(&wildcard(&name))));
            let zones = known.zones.iter().filter(|(zone, _)| zone.zone_of(&name.to_lowercase()));
            (own.cloned(), zones.max_by_key(|(zone, _)| zone.num_labels()).map(|(_, server)| *server))
        };
        let Some(own) = own else {
            match server {
                Some(server) => match forward(&name, wanted, server).await {
                    Ok(theirs) => {
                        reply.metadata.response_code = theirs.metadata.response_code;
                        reply.answers.extend(theirs.answers);
                    }
                    Err(_) => reply.metadata.response_code = ResponseCode::ServFail,
                },
                None => reply.metadata.response_code = ResponseCode::NXDomain,
            }
            return reply;
        };
        let record = |data: &RData| Record::from_rdata(name.clone(), 1, data.clone());
        reply.answers.extend(own.iter().filter(|data| data.record_type() == wanted).map(record));
        let alias =
            own.iter().find_map(|data| if let RData::CNAME(CNAME(target)) = data { Some(target) } else { None });
        match alias {
            Some(target) if wanted != RecordType::CNAME => {
                reply.answers.push(Record::from_rdata(name.clone(), 1, RData::CNAME(CNAME(target.clone()))));
                name = target.clone();
            }
            _ => return reply,
        }
    }
    reply
}

fn wildcard(name: &Name) -> Name {
    name.base_name().prepend_label("*").unwrap_or_default()
}

async fn forward(name: &Name, wanted: RecordType, server: SocketAddr) -> Result<Message> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    socket.connect(server).await?;
    let mut query = Message::new(1, MessageType::Query, OpCode::Query);
    query.add_query(Query::query(name.clone(), wanted));
    socket.send(&query.to_vec()?).await?;
    let mut buffer = [0; 4096];
    let len = timeout(PATIENCE, socket.recv(&mut buffer)).await.context("no reply")??;
    Ok(Message::from_vec(&buffer[..len])?)
}
