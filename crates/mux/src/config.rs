//! What a session is told about its side and its limits.

use std::fmt;
use std::time::Duration;

/// What carries a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Carrier {
    /// muxado frames over TLS over TCP.
    Tcp,
    /// QUIC over UDP.
    Quic,
}

impl Carrier {
    /// `tcp` or `quic`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Quic => "quic",
        }
    }
}

impl fmt::Display for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which side of the session this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The side that dialled.
    Agent,
    /// The side that accepted.
    Edge,
}

/// Which protocol's agents are at the other end of the TCP carrier: they differ in habits below the level of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Native agents and edges.
    #[default]
    Native,
    /// Unmodified ngrok SDKs (`docs/spec/muxado.md`, "Towards ngrok SDKs").
    Ngrok,
}

/// Limits and habits of one session. [`SessionConfig::agent`] and [`SessionConfig::edge`] are the sets in use; change single fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    /// Who is at the other end. On QUIC there are native peers only.
    pub dialect: Dialect,
    /// Streams open at one time. Bounds the stream table of either side.
    pub max_streams: usize,
    /// Streams of the peer that wait for [`Session::accept`](crate::Session::accept); one more is refused.
    pub max_unaccepted: usize,
    /// Streams the peer may open in a second, in the long run; one more is refused.
    pub opens_per_second: u32,
    /// Bytes of receive window that a whole session may have handed out beyond the initial windows; with QUIC, the connection's
    /// receive window.
    pub memory_budget: usize,
    /// Credit of a fresh stream on the TCP carrier, bytes. Both sides assume 262,144; it is not negotiated.
    pub initial_window: u32,
    /// Largest credit a stream grows to on the TCP carrier, bytes: 16 MiB is 160 MB/s at 100 ms.
    pub max_window: u32,
    /// Time between pings on the TCP carrier.
    pub heartbeat_interval: Duration,
    /// How long a ping may go without an answer before the peer is taken for dead; a dead link is noticed within interval plus
    /// tolerance. On QUIC half of that sum is both, and half as much again the idle timeout.
    pub heartbeat_tolerance: Duration,
    /// Longest silence of this side on a QUIC session before it sends a keep-alive packet. An edge that was killed and started again can
    /// tell its agents only when they send something, so agents do it often: it costs them two small packets an interval.
    pub quic_keep_alive: Duration,
    /// Streams a QUIC peer may have open before it has shown that it needs more: the limit is doubled up to `max_streams` while half of
    /// it is in use. quinn keeps about 70 bytes for each allowed stream, used or not.
    pub quic_initial_streams: u32,
    /// Receive window of a QUIC stream, bytes. quinn cannot grow it, so it is fixed between two harms: throughput is window / RTT,
    /// and `memory_budget / quic_stream_window` streams with stalled readers stall the whole connection.
    pub quic_stream_window: u32,
}

impl SessionConfig {
    /// For the dialling side: it runs a few sessions at most, so they may be generous.
    pub const fn agent() -> Self {
        Self {
            dialect: Dialect::Native,
            max_streams: 8192,
            max_unaccepted: 1024,
            opens_per_second: 20_000,
            memory_budget: 256 * 1024 * 1024,
            initial_window: 262_144,
            max_window: 16 * 1024 * 1024,
            heartbeat_interval: Duration::from_secs(10),
            heartbeat_tolerance: Duration::from_secs(15),
            quic_keep_alive: Duration::from_secs(2),
            quic_initial_streams: 256,
            quic_stream_window: 8 * 1024 * 1024,
        }
    }

    /// For the accepting side: tens of thousands of sessions, most of them idle, from peers that nobody knows well. An agent opens one
    /// control stream, and more only for the ngrok protocol, so few streams are allowed until they are used.
    pub const fn edge() -> Self {
        Self {
            max_streams: 8192,
            max_unaccepted: 128,
            opens_per_second: 200,
            memory_budget: 128 * 1024 * 1024,
            quic_keep_alive: Duration::from_secs(10),
            quic_initial_streams: 16,
            ..Self::agent()
        }
    }

    /// The same limits towards an ngrok SDK: windows that it cannot use are not granted, and no more streams are opened than one family
    /// of them survives (512, its own included).
    #[must_use]
    pub fn towards_ngrok(&self) -> Self {
        let ngrok = portway_muxado::Config::ngrok();
        Self {
            dialect: Dialect::Ngrok,
            max_streams: self.max_streams.min(ngrok.max_streams),
            // Each bind is a stream: an agent that comes back opens one for each of its endpoints as fast as it is answered.
            opens_per_second: self.opens_per_second.max(2_000),
            initial_window: ngrok.initial_window,
            max_window: ngrok.max_window,
            ..self.clone()
        }
    }
}
