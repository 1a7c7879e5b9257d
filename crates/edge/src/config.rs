//! What an edge is told at start: names, ports, limits, grace.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use portway_mux::{QuicKeys, SessionConfig};
use portway_names::{HostName, Region};

use portway_ssh::Front as SshFront;

use crate::dedicated::Dedicated;
use crate::ngrok::ResumeKey;
use crate::own::OwnService;

/// Configuration of one edge. Resolved: flags and files are read elsewhere.
#[derive(Debug, Clone)]
pub struct EdgeConfig {
    /// Stable name of this edge towards the control plane.
    pub edge_id: String,
    /// Region told to agents.
    pub region: Region,
    /// Number of shards; see [`default_shards`].
    pub shards: usize,
    /// Ports that TCP endpoints may have.
    pub tcp_ports: RangeInclusive<u16>,
    /// Host in the URLs of TCP endpoints; the base domain when absent.
    pub tcp_host: Option<HostName>,
    /// Address that TCP endpoints listen on.
    pub tcp_bind: IpAddr,
    /// Port in the URLs of https and tls endpoints. 0: the port of the first https listener.
    pub https_port: u16,
    /// Port in the URLs of http endpoints. 0: the port of the first http listener.
    pub http_port: u16,
    /// Limits on what peers can make grow.
    pub limits: Limits,
    /// How sessions with agents are driven: windows, memory, heartbeats.
    pub session: SessionConfig,
    /// Keys of the QUIC listener. An edge that takes the same at every start can tell agents that its predecessor was killed; with random
    /// ones they notice by their idle timeout.
    pub quic_keys: QuicKeys,
    /// Seals what ngrok SDKs bring back when they connect again. Edges that share agents have the same; with a random one, agents of an edge
    /// that was restarted are new to it.
    pub resume_key: ResumeKey,
    /// Speaks SSH with users' clients; none: SSH is not served.
    pub ssh: Option<Arc<SshFront>>,
    /// Addresses that belong to one connect URL each.
    pub dedicated: Dedicated,
    /// Services of the installation itself, by their names.
    pub own: Vec<OwnService>,
    /// How long running streams may take after the edge began to drain.
    pub drain_grace: Duration,
    /// How long the lease of a name outlives the session that held it without saying goodbye: the time an agent has to come
    /// back before another agent may have the name.
    pub lease_grace: Duration,
}

impl Default for EdgeConfig {
    fn default() -> Self {
        EdgeConfig {
            edge_id: "edge".to_owned(),
            region: "local".parse().expect("a constant of the allowed alphabet"),
            shards: default_shards(),
            tcp_ports: 20_000..=20_999,
            tcp_host: None,
            tcp_bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            https_port: 0,
            http_port: 0,
            limits: Limits::default(),
            session: SessionConfig::edge(),
            quic_keys: QuicKeys::random(),
            resume_key: ResumeKey::random(),
            ssh: None,
            dedicated: Dedicated::default(),
            own: Vec::new(),
            drain_grace: Duration::from_secs(30),
            lease_grace: Duration::from_secs(60),
        }
    }
}

/// Shards of an edge that is not told a number: one a processor, at most 16.
///
/// One single-threaded runtime a core beats a work-stealing one by 40 to 80 % on small requests, because no wake-up crosses threads.
/// More than 16 were never measured, and an edge that big is told its number.
pub fn default_shards() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(16)
}

/// Everything a peer can make grow, and where it ends.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Open connections of one client address (an IPv6 /64 counts as one). A browser opens tens, a company behind one address
    /// hundreds; a flood from one host ends here, well before the descriptor limit.
    pub connections_per_address: u32,
    /// Open connections of the whole edge. Keeps a reserve below the usual limit of 65,536 descriptors for upstream work.
    pub connections: u32,
    /// TLS and QUIC handshakes one client address may begin a second, with twice that as a burst. A core does about 3,000; many agents
    /// behind one address that come back together must not be turned away, because some wait two minutes then.
    pub handshakes_per_address: u32,
    /// Handshakes the edge begins a second, with twice that as a burst: the processor is not spent on strangers only.
    pub handshakes_per_second: u32,
    /// Handshakes under way at once: what slow peers can hold (a ClientHello buffer and a descriptor each).
    pub handshakes_half_open: u32,
    /// Time for the ClientHello and the TLS handshake together.
    pub handshake_timeout: Duration,
    /// Whether addresses of the loopback network are free of the limits per address: what comes from there is this host itself,
    /// often a proxy that speaks for many.
    pub loopback_exempt: bool,
    /// Rejected credentials one client address may send a minute before it is refused unheard.
    pub bad_tokens_per_minute: u32,
    /// Questions to the control plane under way at once (unknown credentials, names). More wait.
    pub control_calls: usize,
    /// Sessions of one account.
    pub sessions_per_account: u32,
    /// Endpoints of one session.
    pub endpoints_per_session: u32,
    /// Percent of a session's streams that visitors of one address may have: of the 500 towards an ngrok SDK a quarter is more than browsers
    /// ask for, and leaves room for three more who take all they get. 100 where a proxy with one address speaks for all visitors.
    pub streams_per_address_percent: u32,
    /// SSH connections that have not logged in and said what to serve, at once: each may hold a hundred kilobytes for a minute.
    pub ssh_logins: u32,
    /// Those of one address: more than all machines of an office that come back together need.
    pub ssh_logins_per_address: u32,
    /// Binds one session may ask for a minute, after a burst of twice the endpoints it may have: an agent that comes back asks for all of its
    /// endpoints at once and may do so again, one that asks in a loop does not keep the database of the control plane busy, where each
    /// bind is a transaction.
    pub binds_per_minute: u32,
    /// Binds of one session under way at once; more are not read until one is answered.
    pub binds_in_flight: usize,
    /// Time for the first message of an agent after its handshake.
    pub hello_timeout: Duration,
    /// Time that an agent may leave a control message unread before its session is aborted.
    pub control_write_timeout: Duration,
    /// Time within which a bind is answered: a temporary fault of the control plane is tried again until then.
    pub bind_timeout: Duration,
    /// Time a TCP or TLS connection may stay without a byte in either direction. None: for ever.
    pub pipe_idle_timeout: Option<Duration>,

    /// Time for the head of a request, from its first byte or from the end of the handshake.
    pub http_head_timeout: Duration,
    /// Time a visitor's HTTP connection may stay without a request.
    pub http_idle_timeout: Duration,
    /// Bytes of a request head: request line and fields.
    pub http_head_bytes: usize,
    /// Fields of a request head. Browsers send 20 to 40. The parser has memory for 100 at hand; a higher limit costs two allocations a
    /// request.
    pub http_header_count: usize,
    /// Requests under way at once on one HTTP/2 connection.
    pub http2_streams: u32,
    /// Time without progress in either direction of a message, after which a request is given up. None: for ever.
    pub http_body_idle_timeout: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections_per_address: 4_096,
            connections: 60_000,
            handshakes_per_address: 1_000,
            handshakes_per_second: 20_000,
            handshakes_half_open: 8_192,
            handshake_timeout: Duration::from_secs(10),
            loopback_exempt: true,
            bad_tokens_per_minute: 30,
            control_calls: 64,
            sessions_per_account: 100_000,
            endpoints_per_session: 1_024,
            streams_per_address_percent: 25,
            ssh_logins: 512,
            ssh_logins_per_address: 64,
            binds_per_minute: 600,
            binds_in_flight: 32,
            hello_timeout: Duration::from_secs(10),
            control_write_timeout: Duration::from_secs(10),
            bind_timeout: Duration::from_secs(10),
            pipe_idle_timeout: None,
            http_head_timeout: Duration::from_secs(15),
            http_idle_timeout: Duration::from_secs(75),
            http_head_bytes: 64 * 1024,
            http_header_count: 100,
            http2_streams: 128,
            http_body_idle_timeout: Some(Duration::from_secs(300)),
        }
    }
}

impl Limits {
    /// Binds one session may ask for at once.
    pub(crate) fn binds_burst(&self) -> u32 {
        self.endpoints_per_session.saturating_mul(2).max(1)
    }
}
