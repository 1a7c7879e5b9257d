//! The public URL of an endpoint.

use std::fmt;
use std::str::FromStr;

use crate::host::split_port;
use crate::{HostNameError, HostPattern, Scheme, SchemeError};

/// A complete public URL: scheme, host, and the port where it is not the scheme's own. Canonical when made by [`EndpointUrl::new`] or
/// read from text: then two equal URLs are equal values.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointUrl {
    /// What it speaks.
    pub scheme: Scheme,
    /// A name, or all names below one.
    pub host: HostPattern,
    /// The port, `None` when it is the scheme's own. Always there for tcp.
    pub port: Option<u16>,
}

/// Why a text is no endpoint URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointUrlError {
    /// No `://` in it.
    #[error("the URL has no scheme, write for example https://app.example.com")]
    NoScheme,
    /// A scheme that no endpoint has.
    #[error(transparent)]
    Scheme(#[from] SchemeError),
    /// A host or port that is none.
    #[error(transparent)]
    Host(#[from] HostNameError),
    /// A tcp URL without port.
    #[error("a tcp URL needs a port, as in tcp://host:20001")]
    NoPort,
    /// A tcp URL with a wildcard.
    #[error("a tcp URL cannot have a wildcard host")]
    TcpWildcard,
    /// A path, query, fragment or user information.
    #[error("an endpoint URL consists of scheme, host and port only")]
    Trailing,
}

impl EndpointUrl {
    /// Makes the canonical URL: the scheme's own port is left out.
    ///
    /// # Errors
    ///
    /// When a tcp URL has no port or a wildcard host, or the port is 0.
    pub fn new(scheme: Scheme, host: HostPattern, port: Option<u16>) -> Result<Self, EndpointUrlError> {
        if port == Some(0) {
            return Err(HostNameError::BadPort.into());
        }
        if scheme == Scheme::Tcp && port.is_none() {
            return Err(EndpointUrlError::NoPort);
        }
        if scheme == Scheme::Tcp && host.is_wildcard() {
            return Err(EndpointUrlError::TcpWildcard);
        }
        Ok(Self { scheme, host, port: port.filter(|_| port != scheme.default_port()) })
    }

    /// The port visitors connect to.
    pub fn effective_port(&self) -> u16 {
        self.port.or(self.scheme.default_port()).unwrap_or(0)
    }
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        match self.port.filter(|_| self.port != self.scheme.default_port()) {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl FromStr for EndpointUrl {
    type Err = EndpointUrlError;

    /// Reads `scheme://host[:port]`, with or without one slash at the end.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) = text.split_once("://").ok_or(EndpointUrlError::NoScheme)?;
        let scheme = scheme.parse()?;
        let (host, port) = split_port(authority(rest)?)?;
        Self::new(scheme, host.parse()?, port)
    }
}

/// What follows `://`, when it is nothing but an authority without user information.
pub(crate) fn authority(rest: &str) -> Result<&str, EndpointUrlError> {
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains(['/', '?', '#', '@', '\\']) { Err(EndpointUrlError::Trailing) } else { Ok(authority) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_spelling_for_each_url() {
        let cases = [
            ("https://app.example.com", "https://app.example.com"),
            ("HTTPS://App.Example.com.:443/", "https://app.example.com"),
            ("https://app.example.com:8443", "https://app.example.com:8443"),
            ("http://app.example.com:80", "http://app.example.com"),
            ("tls://*.example.com:443", "tls://*.example.com"),
            ("tcp://1.tcp.example.com:20001", "tcp://1.tcp.example.com:20001"),
            ("tcp://example.com:443", "tcp://example.com:443"),
        ];
        for (text, canonical) in cases {
            let url: EndpointUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), canonical);
            assert_eq!(canonical.parse(), Ok(url));
        }
    }

    #[test]
    fn what_is_no_endpoint_url() {
        use EndpointUrlError as E;
        let cases = [
            ("app.example.com", E::NoScheme),
            ("ftp://example.com", E::Scheme(SchemeError)),
            ("https://", E::Host(HostNameError::Empty)),
            ("https://:443", E::Host(HostNameError::Empty)),
            ("https://example.com/path", E::Trailing),
            ("https://example.com//", E::Trailing),
            ("https://example.com?x", E::Trailing),
            ("https://example.com#x", E::Trailing),
            ("https://user@example.com", E::Trailing),
            ("https://example.com\\@evil.com", E::Trailing),
            ("https://10.0.0.1", E::Host(HostNameError::NumericEnd)),
            ("https://example.com:0", E::Host(HostNameError::BadPort)),
            ("tcp://example.com", E::NoPort),
            ("tcp://*.example.com:20001", E::TcpWildcard),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<EndpointUrl>(), Err(error), "{text}");
        }
    }

    #[test]
    fn ports() {
        let url = |text: &str| text.parse::<EndpointUrl>().unwrap();
        assert_eq!(url("https://a.b").effective_port(), 443);
        assert_eq!(url("http://a.b").effective_port(), 80);
        assert_eq!(url("tcp://a.b:7").effective_port(), 7);
        let host: HostPattern = "a.b".parse().unwrap();
        assert_eq!(EndpointUrl::new(Scheme::Https, host.clone(), Some(443)), Ok(url("https://a.b")));
        assert!(EndpointUrl::new(Scheme::Https, host, Some(0)).is_err());
    }

    proptest! {
        #[test]
        fn printing_and_reading_again_changes_nothing(
            scheme in "https?|tcp|tls|HTTPS",
            host in "(\\*\\.)?[a-zA-Z0-9_]{1,8}\\.[a-zA-Z]{2,8}\\.?",
            port in proptest::option::of(any::<u16>()),
            slash in "/?",
        ) {
            let port = port.map(|port| format!(":{port}")).unwrap_or_default();
            if let Ok(url) = format!("{scheme}://{host}{port}{slash}").parse::<EndpointUrl>() {
                prop_assert_eq!(&url.to_string().parse(), &Ok(url.clone()));
                prop_assert_ne!(url.port, url.scheme.default_port().or(Some(0)));
            }
        }
    }
}
