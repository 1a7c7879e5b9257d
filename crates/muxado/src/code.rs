//! Error codes of RST and GOAWAY.

use std::fmt;

/// Why a stream or a session ended (`docs/spec/muxado.md`, "Error codes"). Codes from 0x100 are used between native peers only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ErrorCode(pub u32);

impl ErrorCode {
    /// No error.
    pub const NONE: Self = Self(0);
    /// The peer broke the protocol.
    pub const PROTOCOL: Self = Self(1);
    /// A fault of the sender.
    pub const INTERNAL: Self = Self(2);
    /// The peer sent more than its window.
    pub const FLOW_CONTROL: Self = Self(3);
    /// Data for a stream that is not open.
    pub const STREAM_CLOSED: Self = Self(4);
    /// The stream is not wanted.
    pub const STREAM_REFUSED: Self = Self(5);
    /// The application gave the stream up.
    pub const STREAM_CANCELLED: Self = Self(6);
    /// The stream was reset.
    pub const STREAM_RESET: Self = Self(7);
    /// A frame of a forbidden size.
    pub const FRAME_SIZE: Self = Self(8);
    /// Too many streams wait to be accepted.
    pub const ACCEPT_QUEUE_FULL: Self = Self(9);
    /// The peer asks for too much.
    pub const ENHANCE_YOUR_CALM: Self = Self(10);
    /// The peer has gone away.
    pub const REMOTE_GONE_AWAY: Self = Self(11);
    /// No stream ids are left, or too many streams are open.
    pub const STREAMS_EXHAUSTED: Self = Self(12);
    /// A write took too long.
    pub const WRITE_TIMEOUT: Self = Self(13);
    /// The session was closed.
    pub const SESSION_CLOSED: Self = Self(14);
    /// The transport ended.
    pub const PEER_EOF: Self = Self(15);
    /// Native: the upstream refused the connection.
    pub const UPSTREAM_REFUSED: Self = Self(0x100);
    /// Native: the upstream did not answer in time.
    pub const UPSTREAM_TIMEOUT: Self = Self(0x101);
    /// Native: no route to the upstream.
    pub const UPSTREAM_UNREACHABLE: Self = Self(0x102);
    /// Native: the upstream's name does not resolve.
    pub const UPSTREAM_NAME: Self = Self(0x103);
    /// Native: TLS with the upstream failed.
    pub const UPSTREAM_TLS: Self = Self(0x104);
    /// Native: the stream's head names an endpoint that the agent does not have.
    pub const UNKNOWN_ENDPOINT: Self = Self(0x105);
    /// Native: the agent has no room for another connection.
    pub const AGENT_BUSY: Self = Self(0x106);

    /// The name of a known code, for logs.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::NONE => "no error",
            Self::PROTOCOL => "protocol error",
            Self::INTERNAL => "internal error",
            Self::FLOW_CONTROL => "flow control violated",
            Self::STREAM_CLOSED => "stream closed",
            Self::STREAM_REFUSED => "stream refused",
            Self::STREAM_CANCELLED => "stream cancelled",
            Self::STREAM_RESET => "stream reset",
            Self::FRAME_SIZE => "frame size",
            Self::ACCEPT_QUEUE_FULL => "accept queue full",
            Self::ENHANCE_YOUR_CALM => "enhance your calm",
            Self::REMOTE_GONE_AWAY => "remote gone away",
            Self::STREAMS_EXHAUSTED => "streams exhausted",
            Self::WRITE_TIMEOUT => "write timeout",
            Self::SESSION_CLOSED => "session closed",
            Self::PEER_EOF => "peer closed the transport",
            Self::UPSTREAM_REFUSED => "upstream refused the connection",
            Self::UPSTREAM_TIMEOUT => "upstream did not answer in time",
            Self::UPSTREAM_UNREACHABLE => "upstream is unreachable",
            Self::UPSTREAM_NAME => "upstream name does not resolve",
            Self::UPSTREAM_TLS => "TLS with the upstream failed",
            Self::UNKNOWN_ENDPOINT => "unknown endpoint",
            Self::AGENT_BUSY => "agent is busy",
            _ => return None,
        })
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "error code {:#x}", self.0),
        }
    }
}
