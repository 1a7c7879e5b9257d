//! What an endpoint speaks.

use std::fmt;
use std::str::FromStr;

/// The scheme of an endpoint URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// HTTP without TLS.
    Http,
    /// HTTP over TLS that the edge ends.
    Https,
    /// Bytes.
    Tcp,
    /// TLS, routed by server name.
    Tls,
}

/// Not one of the four schemes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the scheme is unknown, it must be http, https, tcp or tls")]
pub struct SchemeError;

impl Scheme {
    /// All of them.
    pub const ALL: [Scheme; 4] = [Scheme::Http, Scheme::Https, Scheme::Tcp, Scheme::Tls];

    /// The scheme in lower case, without `://`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
            Scheme::Tcp => "tcp",
            Scheme::Tls => "tls",
        }
    }

    /// The port that a URL of this scheme may leave out: 80, 443, 443; none for tcp.
    pub const fn default_port(self) -> Option<u16> {
        match self {
            Scheme::Http => Some(80),
            Scheme::Https | Scheme::Tls => Some(443),
            Scheme::Tcp => None,
        }
    }

    /// True for http and https.
    pub const fn is_http(self) -> bool {
        matches!(self, Scheme::Http | Scheme::Https)
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Scheme {
    type Err = SchemeError;

    /// Upper and lower case are the same (RFC 3986 section 3.1).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Scheme::ALL.into_iter().find(|scheme| scheme.as_str().eq_ignore_ascii_case(text)).ok_or(SchemeError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_print_and_read() {
        for scheme in Scheme::ALL {
            assert_eq!(scheme.to_string().parse(), Ok(scheme));
            assert_eq!(scheme.to_string().to_uppercase().parse(), Ok(scheme));
        }
        for text in ["", "ftp", "https:", "http "] {
            assert_eq!(text.parse::<Scheme>(), Err(SchemeError), "{text}");
        }
    }
}
