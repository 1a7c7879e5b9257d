//! The address that an agent dials.

use std::fmt;
use std::str::FromStr;

use crate::host::split_port;
use crate::{Host, HostNameError};

/// Port of a connect URL that names none.
pub const DEFAULT_CONNECT_PORT: u16 = 443;

/// Host and port that an agent dials: `connect.example.com`, `host:8443`, `10.0.0.1:8443`, `[::1]:8443`, with or without `https://` or
/// `tls://` in front.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectUrl {
    /// Name or address.
    pub host: Host,
    /// Port, the same for TCP and UDP.
    pub port: u16,
}

/// Why a text is no connect URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectUrlError {
    /// Nothing there.
    #[error("the connect URL is empty, write for example connect.example.com:443")]
    Empty,
    /// A scheme other than https and tls. Agents always use TLS.
    #[error("the connect URL has a scheme other than https:// and tls://; agents connect with TLS only")]
    Scheme,
    /// A path, query, fragment or user information.
    #[error("the connect URL consists of a host and a port only")]
    Trailing,
    /// An IPv6 address without brackets.
    #[error("write the IPv6 address of the connect URL in brackets, as in [::1]:443")]
    Brackets,
    /// A host or port that is none.
    #[error("connect URL: {0}")]
    Host(#[from] HostNameError),
}

impl FromStr for ConnectUrl {
    type Err = ConnectUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("tls") => rest,
            Some(_) => return Err(ConnectUrlError::Scheme),
            None => text,
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.is_empty() {
            return Err(ConnectUrlError::Empty);
        }
        if authority.contains(['/', '?', '#', '@', '\\']) {
            return Err(ConnectUrlError::Trailing);
        }
        if authority.parse::<std::net::Ipv6Addr>().is_ok() {
            return Err(ConnectUrlError::Brackets);
        }
        let (host, port) = split_port(authority)?;
        Ok(Self { host: host.parse()?, port: port.unwrap_or(DEFAULT_CONNECT_PORT) })
    }
}

impl fmt::Display for ConnectUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connect_urls() {
        let cases = [
            ("connect.example.com", "connect.example.com:443"),
            ("Connect.Example.com.:8443", "connect.example.com:8443"),
            ("https://connect.example.com/", "connect.example.com:443"),
            ("TLS://connect.example.com:1", "connect.example.com:1"),
            ("10.0.0.1:8443", "10.0.0.1:8443"),
            ("[::1]:8443", "[::1]:8443"),
            ("[::1]", "[::1]:443"),
            ("localhost:8443", "localhost:8443"),
        ];
        for (text, printed) in cases {
            let url: ConnectUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), printed);
            assert_eq!(printed.parse(), Ok(url));
        }
    }

    #[test]
    fn what_is_no_connect_url() {
        use ConnectUrlError as E;
        let cases = [
            ("", E::Empty),
            ("https://", E::Empty),
            ("http://connect.example.com", E::Scheme),
            ("tcp://connect.example.com", E::Scheme),
            ("connect.example.com/x", E::Trailing),
            ("user@connect.example.com", E::Trailing),
            ("::1", E::Brackets),
            ("connect.example.com:0", E::Host(HostNameError::BadPort)),
            (":443", E::Host(HostNameError::Empty)),
            ("a..b", E::Host(HostNameError::EmptyLabel)),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<ConnectUrl>(), Err(error), "{text}");
        }
    }
}
