//! The sockets: datagrams one by one, connections within limits.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::rate::{Rate, Verdict};
use crate::{Transport, Zones, reply};

/// Longest query that is read. One question and its options have less than 1,000 bytes.
const MAX_QUERY_LEN: usize = 4096;
/// Replies a second over UDP to a network (/24 or /56): a busy resolver asks for less, as it remembers replies.
const REPLIES_PER_SECOND: NonZeroU32 = NonZeroU32::new(1000).expect("not zero");
/// TCP connections at once. The others wait for one that ends, which each does soon.
const MAX_CONNECTIONS: usize = 256;
/// Queries over one connection.
const MAX_QUERIES: usize = 100;
/// Longest wait for the next query of a connection, and for a reply to be taken (RFC 7766 section 6.2.3 wants seconds).
const IDLE: Duration = Duration::from_secs(5);
/// Wait after a failure of the sockets, so that a lasting one does not keep a thread busy.
const PAUSE: Duration = Duration::from_millis(10);

/// A running server. Dropping it ends it at once.
#[derive(Debug)]
pub struct Server {
    tasks: JoinSet<()>,
    stop: CancellationToken,
    counters: Arc<Counters>,
}

/// What became of a datagram or a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A reply was sent, whatever it said.
    Answered,
    /// A short reply was sent, because the network asks too often.
    Cut,
    /// None was sent, because the network asks too often or the socket is full.
    Dropped,
    /// It was no query.
    Ignored,
}

/// How many there were of each [`Outcome`] since the start.
#[derive(Debug, Default)]
pub struct Counters([AtomicU64; 4]);

impl Counters {
    /// How many.
    pub fn get(&self, outcome: Outcome) -> u64 {
        self.0[outcome as usize].load(Ordering::Relaxed)
    }

    fn count(&self, outcome: Outcome) {
        self.0[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }
}

impl Server {
    /// Serves on these sockets. Replies over UDP have at most [`crate::MAX_UDP_LEN`] bytes, and a network gets at most a thousand a second; a
    /// query has at most 4 KiB; 256 TCP connections are served at once, each for a hundred queries and while they are less than five seconds
    /// apart.
    ///
    /// # Errors
    /// When a socket cannot be used.
    pub fn start(udp: std::net::UdpSocket, tcp: std::net::TcpListener, zones: Arc<impl Zones>) -> io::Result<Server> {
        udp.set_nonblocking(true)?;
        tcp.set_nonblocking(true)?;
        let (udp, tcp) = (UdpSocket::from_std(udp)?, TcpListener::from_std(tcp)?);
        let (stop, counters) = (CancellationToken::new(), Arc::new(Counters::default()));
        let mut tasks = JoinSet::new();
        let datagrams = serve_datagrams(udp, Arc::clone(&zones), Arc::clone(&counters));
        tasks.spawn(until(stop.clone(), datagrams));
        let connections = serve_connections(tcp, zones, Arc::clone(&counters));
        tasks.spawn(until(stop.clone(), connections));
        Ok(Server { tasks, stop, counters })
    }

    /// What became of what came in.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Ends it, and waits until the sockets are free.
    ///
    /// # Cancel safety
    /// It ends all the same.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

async fn until(stop: CancellationToken, serving: impl Future<Output = ()>) {
    stop.run_until_cancelled(serving).await;
}

async fn serve_datagrams(socket: UdpSocket, zones: Arc<impl Zones>, counters: Arc<Counters>) {
    let (rate, mut buffer) = (Rate::new(REPLIES_PER_SECOND), [0; MAX_QUERY_LEN]);
    loop {
        let (len, peer) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            Err(error) => {
                // Of a peer that is gone; or worse, which is not for one datagram to find out.
                tracing::debug!(%error, "receiving a DNS query");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        counters.count(answer_datagram(&socket, &rate, &buffer[..len], peer, &*zones));
    }
}

fn answer_datagram(socket: &UdpSocket, rate: &Rate, query: &[u8], peer: SocketAddr, zones: &impl Zones) -> Outcome {
    // Port 0 is nobody's: the address is spoofed.
    if peer.port() == 0 {
        return Outcome::Ignored;
    }
    let verdict = rate.spend(peer.ip());
    if verdict == Verdict::Drop {
        return Outcome::Dropped;
    }
    let Some(mut reply) = reply(query, peer.ip().to_canonical(), Transport::Udp, zones) else {
        return Outcome::Ignored;
    };
    if verdict == Verdict::Cut {
        cut(&mut reply);
    }
    match socket.try_send_to(&reply, peer) {
        Ok(_) if verdict == Verdict::Cut => Outcome::Cut,
        Ok(_) => Outcome::Answered,
        Err(_) => Outcome::Dropped,
    }
}

/// Leaves the header, with the bit that says that there is more over TCP (RFC 1035 section 4.1.1).
fn cut(reply: &mut Vec<u8>) {
    const TRUNCATED: u8 = 0b10;
    reply.truncate(12);
    if let Some(flags) = reply.get_mut(2) {
        *flags |= TRUNCATED;
    }
    if let Some(counts) = reply.get_mut(4..) {
        counts.fill(0);
    }
}

async fn serve_connections(listener: TcpListener, zones: Arc<impl Zones>, counters: Arc<Counters>) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut running = JoinSet::new();
    loop {
        while running.try_join_next().is_some() {}
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let (zones, counters) = (Arc::clone(&zones), Arc::clone(&counters));
                running.spawn(async move {
                    // Whoever breaks off knows it already.
                    let _ = serve_connection(stream, peer.ip(), &*zones, &counters).await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "accepting a DNS connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// RFC 1035 section 4.2.2: each message has its length in front.
async fn serve_connection(
    mut stream: TcpStream,
    peer: IpAddr,
    zones: &impl Zones,
    counters: &Counters,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::new();
    for _ in 0..MAX_QUERIES {
        let len = usize::from(timeout(IDLE, stream.read_u16()).await??);
        if len > MAX_QUERY_LEN {
            counters.count(Outcome::Ignored);
            return Ok(());
        }
        buffer.resize(len, 0);
        timeout(IDLE, stream.read_exact(&mut buffer)).await??;
        let Some(reply) = reply(&buffer, peer.to_canonical(), Transport::Tcp, zones) else {
            counters.count(Outcome::Ignored);
            return Ok(());
        };
        let Ok(len) = u16::try_from(reply.len()) else { return Ok(()) };
        let framed = [&len.to_be_bytes()[..], &reply].concat();
        timeout(IDLE, stream.write_all(&framed)).await??;
        counters.count(Outcome::Answered);
    }
    Ok(())
}
