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
        match text.parse::<Ipv4Addr>() {
            Ok(ip) => Ok(Host::Ip(ip.into())),
            Err(_) => text.parse().map(Host::Name),
        }
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
    if let Some(bad) = host_header.chars().find(|c| !c.is_ascii()) {
        return Err(HostNameError::BadCharacter(bad));
    }
    let (host, port) = split_port(host_header)?;
    Ok((host.parse()?, port))
}

/// Splits at the colon that begins the port, without looking at the host.
pub(crate) fn split_port(text: &str) -> Result<(&str, Option<u16>), HostNameError> {
    let colon = match text.rfind(']') {
        Some(end) if text[end + 1..].starts_with(':') => Some(end + 1),
        Some(end) if end + 1 == text.len() => None,
        Some(_) => return Err(HostNameError::BadAddress),
        None => text.find(':'),
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
