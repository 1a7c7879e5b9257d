//! What stands before the port: a name or an address.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::{HostName, HostNameError};

/// A host name or an IP address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A name.
    Name(HostName),
    /// An address; in text an IPv6 one stands in brackets.
    Ip(IpAddr),
}

impl Host {
    /// The name, when it is one.
    pub fn name(&self) -> Option<&HostName> {
        match self {
            Host::Name(name) => Some(name),
            Host::Ip(_) => None,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => name.fmt(f),
            Host::Ip(IpAddr::V4(ip)) => ip.fmt(f),
            Host::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

impl From<HostName> for Host {
    fn from(name: HostName) -> Self {
        Host::Name(name)
    }
}

impl From<IpAddr> for Host {
    fn from(ip: IpAddr) -> Self {
        Host::Ip(ip)
    }
}

impl FromStr for Host {
    type Err = HostNameError;

    /// Reads a name, an IPv4 address, or an IPv6 address in brackets.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or(HostNameError::BadAddress)?;
            return inner.parse::<Ipv6Addr>().map(|ip| Host::Ip(ip.into())).map_err(|_| HostNameError::BadAddress);
        }
        if text.ends_with(|last: char| last.is_ascii_digit())
            && let Ok(ip) = text.parse::<Ipv4Addr>()
        {
            return Ok(Host::Ip(ip.into()));
        }
        text.parse().map(Host::Name)
    }
}

/// Reads the value of an HTTP `Host` header or `:authority` (RFC 9110 section 7.2): a host, and a port when there is one. Lower-cases,
/// and strips one trailing dot. An empty port (`example.com:`) is none, as RFC 3986 section 3.2.3 has it.
///
/// # Errors
///
/// For everything else: user information, spaces, percent signs, several colons outside brackets, bytes outside ASCII. Such a value is
/// ambiguous between programs, so it is refused and not repaired.
pub fn split_host_port(host_header: &str) -> Result<(Host, Option<u16>), HostNameError> {
    if !host_header.is_ascii() {
        let bad = host_header.chars().find(|c| !c.is_ascii());
        return Err(bad.map_or(HostNameError::Idna, HostNameError::BadCharacter));
    }
    let (host, port) = split_port(host_header)?;
    Ok((host.parse()?, port))
}

/// Splits at the colon that begins the port, without looking at the host.
pub(crate) fn split_port(text: &str) -> Result<(&str, Option<u16>), HostNameError> {
    let colon = if text.starts_with('[') {
        match text.find(']').map(|end| end + 1) {
            Some(end) if end == text.len() => None,
            Some(end) if text[end..].starts_with(':') => Some(end),
            _ => return Err(HostNameError::BadAddress),
        }
    } else {
        text.find(':')
    };
    match colon {
        None => Ok((text, None)),
        Some(at) => Ok((&text[..at], parse_port(&text[at + 1..])?)),
    }
}

/// Digits only, so no sign and no space; empty is none.
fn parse_port(text: &str) -> Result<Option<u16>, HostNameError> {
    if text.is_empty() {
        return Ok(None);
    }
    if text.len() > 5 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(HostNameError::BadPort);
    }
    match text.parse::<u16>() {
        Ok(0) | Err(_) => Err(HostNameError::BadPort),
        Ok(port) => Ok(Some(port)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_headers() {
        let name = |text: &str| Host::Name(text.parse().unwrap());
        let ip = |text: &str| Host::Ip(text.parse().unwrap());
        let cases = [
            ("example.com", name("example.com"), None),
            ("EXAMPLE.com.:8443", name("example.com"), Some(8443)),
            ("example.com:", name("example.com"), None),
            ("example.com:00443", name("example.com"), Some(443)),
            ("under_score.example.com", name("under_score.example.com"), None),
            ("xn--bcher-kva.example:1", name("xn--bcher-kva.example"), Some(1)),
            ("127.0.0.1:80", ip("127.0.0.1"), Some(80)),
            ("[::1]", ip("::1"), None),
            ("[::1]:", ip("::1"), None),
            ("[2001:DB8::1]:65535", ip("2001:db8::1"), Some(65535)),
        ];
        for (text, host, port) in cases {
            assert_eq!(split_host_port(text), Ok((host, port)), "{text}");
        }
    }

    #[test]
    fn host_headers_that_programs_would_read_differently() {
        use HostNameError as E;
        let cases = [
            ("", E::Empty),
            (":80", E::Empty),
            (".", E::Empty),
            (".example.com", E::EmptyLabel),
            ("example.com:0", E::BadPort),
            ("example.com:65536", E::BadPort),
            ("example.com:+80", E::BadPort),
            ("example.com: 80", E::BadPort),
            ("example.com:80:80", E::BadPort),
            ("example.com:000080", E::BadPort),
            ("example.com:80@evil.com", E::BadPort),
            ("a@example.com", E::BadCharacter('@')),
            ("example.com, evil.com", E::BadCharacter(',')),
            (" example.com", E::BadCharacter(' ')),
            ("example.com ", E::BadCharacter(' ')),
            ("example.com\t", E::BadCharacter('\t')),
            ("example.com/", E::BadCharacter('/')),
            ("example.com#", E::BadCharacter('#')),
            ("example%2ecom", E::BadCharacter('%')),
            ("bücher.example", E::BadCharacter('ü')),
            ("example。com", E::BadCharacter('。')),
            ("::1", E::BadPort),
            ("[::1", E::BadAddress),
            ("[::1]x", E::BadAddress),
            ("x[::1]", E::BadPort),
            ("[::1%25eth0]", E::BadAddress),
            ("[v1.x]", E::BadAddress),
            ("[127.0.0.1]", E::BadAddress),
            ("[]", E::BadAddress),
            ("127.0.0.01", E::NumericEnd),
            ("0x7f.1", E::NumericEnd),
            ("1.2.3.4.5", E::NumericEnd),
            ("*.example.com", E::BadWildcard),
        ];
        for (text, error) in cases {
            assert_eq!(split_host_port(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn a_host_prints_as_it_is_read() {
        for text in ["example.com", "10.0.0.1", "[::1]", "[2001:db8::1]"] {
            assert_eq!(text.parse::<Host>().unwrap().to_string(), text);
        }
    }
}
