//! Dialling through a proxy.

use std::fmt;
use std::str::FromStr;

use portway_names::Host;

/// A proxy that carries the TCP connection: `http://[user:password@]host[:port]` (HTTP CONNECT) or `socks5://[user:password@]host[:port]`
/// (`socks5h://` is the same: the proxy resolves the name). `Display` and `Debug` leave the password out.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl {
    pub(super) kind: ProxyKind,
    pub(super) host: Host,
    pub(super) port: u16,
    pub(super) login: Option<(String, String)>,
}

/// What the proxy speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProxyKind {
    Http,
    Socks5,
}

/// Why a text is no [`ProxyUrl`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyUrlError {
    /// Another scheme.
    #[error("proxy URL has scheme {0:?}; http:// and socks5:// are supported")]
    Scheme(String),
    /// No URL at all.
    #[error("not a proxy URL; write http://host:port or socks5://host:port")]
    Malformed,
    /// User or password is too long for the protocol (255 bytes for SOCKS5).
    #[error("proxy user or password is longer than 255 bytes")]
    LoginTooLong,
}

impl FromStr for ProxyUrl {
    type Err = ProxyUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let _ = text;
        Err(ProxyUrlError::Malformed)
    }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.kind {
            ProxyKind::Http => "http",
            ProxyKind::Socks5 => "socks5",
        };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProxyUrl({self}, login: {})", self.login.is_some())
    }
}
