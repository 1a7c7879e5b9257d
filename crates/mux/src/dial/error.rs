//! Why no session was dialled.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use portway_names::ConnectUrl;
use portway_tls::TlsProblem;

use super::ProxyUrl;
use crate::{Carrier, CloseReason};

/// No session to `target`. `Display` names every address and carrier that was tried and what each said.
#[derive(Debug)]
pub struct DialError {
    target: ConnectUrl,
    attempts: Vec<DialAttempt>,
}

/// One try, by one carrier to one address.
#[derive(Debug)]
pub struct DialAttempt {
    /// The carrier.
    pub carrier: Carrier,
    /// The address; `None` when the name was not resolved here.
    pub address: Option<SocketAddr>,
    /// What went wrong.
    pub cause: DialCause,
}

/// What went wrong with one try, sorted by what a person can do about it.
#[derive(Debug, thiserror::Error)]
pub enum DialCause {
    /// The name cannot be resolved. Remedy: check the name and the DNS server.
    #[error("name look-up failed: {0}")]
    Dns(#[source] io::Error),
    /// The name has no address.
    #[error("the name has no address")]
    NoAddress,
    /// Nobody listens there. Remedy: check the port, or start the server.
    #[error("connection refused")]
    Refused,
    /// No answer. Remedy: check firewalls; for QUIC, UDP may be blocked.
    #[error("no answer within {:.1} s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// There is no way to that address.
    #[error("unreachable: {0}")]
    Unreachable(#[source] io::Error),
    /// The TLS handshake failed.
    #[error("{0}")]
    Tls(TlsProblem),
    /// The server speaks TLS, but not this protocol: something else listens there, or something in between opens TLS.
    #[error("the server there does not speak portway/1 (no such ALPN name)")]
    AlpnMissing,
    /// The proxy did not connect.
    #[error("proxy {proxy}: {error}")]
    Proxy {
        /// The proxy, without its password.
        proxy: ProxyUrl,
        /// What it said.
        error: ProxyError,
    },
    /// QUIC failed below TLS.
    #[error("{0}")]
    Quic(#[source] CloseReason),
    /// Something else.
    #[error("{0}")]
    Io(#[source] io::Error),
}

/// Why a proxy made no connection.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// The proxy itself cannot be reached.
    #[error("cannot be reached: {0}")]
    Unreachable(#[source] io::Error),
    /// It takes the connection and says nothing: mostly it speaks another protocol.
    #[error("no answer within {:.1} s; does it speak {speaks}?", .within.as_secs_f64())]
    Silent {
        /// How long was waited.
        within: Duration,
        /// What it was taken for, and how another kind of proxy is written.
        speaks: &'static str,
    },
    /// It has connected, and nothing comes back from there.
    #[error("it has connected, but nothing came back through it within {:.1} s", .0.as_secs_f64())]
    NothingThrough(Duration),
    /// An HTTP proxy answered with another status than 2xx.
    #[error("answered {status}{}", needs_login(*.status))]
    Status {
        /// The HTTP status.
        status: u16,
    },
    /// A SOCKS5 proxy refused (RFC 1928 section 6).
    #[error("refused: {}", socks_reply(*.reply))]
    SocksReply {
        /// The reply code.
        reply: u8,
    },
    /// A SOCKS5 proxy wants a login that was not given, or does not accept the given one.
    #[error("login needed or not accepted")]
    SocksLogin,
    /// Its answer is not what the protocol says.
    #[error("its answer is not {0}")]
    Malformed(&'static str),
    /// The connection to it broke.
    #[error("connection failed: {0}")]
    Io(#[source] io::Error),
}

impl DialError {
    pub(crate) fn new(target: ConnectUrl, attempts: Vec<DialAttempt>) -> Self {
        Self { target, attempts }
    }

    /// What was dialled.
    pub fn target(&self) -> &ConnectUrl {
        &self.target
    }

    /// Every try, in the order in which they failed.
    pub fn attempts(&self) -> &[DialAttempt] {
        &self.attempts
    }

    /// The cause that tells most: that of the try that came furthest.
    pub fn cause(&self) -> Option<&DialCause> {
        self.attempts.iter().map(|attempt| &attempt.cause).max_by_key(|cause| cause.distance())
    }
}

impl DialAttempt {
    pub(super) fn new(carrier: Carrier, address: Option<SocketAddr>, cause: DialCause) -> Self {
        Self { carrier, address, cause }
    }
}

impl DialCause {
    /// Sorts an error of a socket or of a TLS stream.
    pub(super) fn from_io(error: io::Error) -> Self {
        match portway_tls::explain_io(&error) {
            Some(TlsProblem::NoCommonProtocol) => return Self::AlpnMissing,
            Some(problem) => return Self::Tls(problem),
            None => {}
        }
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::AddrNotAvailable => Self::Unreachable(error),
            _ => Self::Io(error),
        }
    }

    /// How far the try came before it failed.
    fn distance(&self) -> u8 {
        match self {
            Self::NoAddress => 0,
            Self::Dns(_) => 1,
            Self::TimedOut(_) => 2,
            Self::Unreachable(_) => 3,
            Self::Io(_) | Self::Quic(_) => 4,
            Self::Refused => 5,
            Self::Proxy { .. } => 6,
            Self::AlpnMissing => 7,
            Self::Tls(_) => 8,
        }
    }
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot connect to {}", self.target)?;
        for (index, attempt) in self.attempts.iter().enumerate() {
            f.write_str(if index == 0 { ": " } else { "; " })?;
            attempt.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for DialError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause().map(|cause| cause as _)
    }
}

impl fmt::Display for DialAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => write!(f, "{} {address}: {}", self.carrier, self.cause),
            None => write!(f, "{}: {}", self.carrier, self.cause),
        }
    }
}

fn needs_login(status: u16) -> &'static str {
    if status == 407 { " (it wants a login: write it as user:password@ in the proxy URL)" } else { "" }
}

fn socks_reply(reply: u8) -> &'static str {
    match reply {
        1 => "general failure",
        2 => "not allowed by its rules",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "time to live expired",
        7 => "command not supported",
        8 => "address type not supported",
        _ => "unknown reply",
    }
}
