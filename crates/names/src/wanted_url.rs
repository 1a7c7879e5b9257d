//! The URL that somebody asks for.

use std::fmt;
use std::str::FromStr;

use crate::endpoint_url::authority;
use crate::{EndpointUrl, EndpointUrlError, HostName, HostNameError, HostPattern, Scheme};

/// What an agent asks to serve: a URL in which host and port may be left for the other side to choose.
///
/// Accepted texts: a full URL (`https://app.example.com`, `tcp://1.tcp.example.com:20001`), a scheme alone (`https://`, `tcp://`: any
/// name or port), `tcp://:20001` (any host, this port), a host (`app.example.com`, which means https), and a bare label (`app`,
/// `https://app`), which [`WantedUrl::resolve`] puts below the base domain. Port 0 of a tcp URL means any port.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WantedUrl {
    /// What it speaks.
    pub scheme: Scheme,
    /// The host, `None` for any.
    pub host: Option<HostPattern>,
    /// The port, `None` for the scheme's own or, for tcp, any.
    pub port: Option<u16>,
}

/// Why a text is no wanted URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WantedUrlError {
    /// Nothing there.
    #[error("the URL is empty, write for example https://app.example.com, or https:// for any name")]
    Empty,
    /// An IP address where a name is needed.
    #[error("an endpoint URL needs a host name, not an IP address")]
    Address,
    /// A URL that is not complete where a complete one is needed.
    #[error("the URL leaves the host open")]
    NoHost,
    /// Anything else.
    #[error(transparent)]
    Url(#[from] EndpointUrlError),
}

impl WantedUrl {
    /// Any URL of a scheme.
    pub const fn any(scheme: Scheme) -> Self {
        Self { scheme, host: None, port: None }
    }

    /// Puts a host of one label (`app`, `*.app`) below `base`; other hosts stay.
    ///
    /// # Errors
    ///
    /// When the whole name becomes too long.
    pub fn resolve(&self, base: &HostName) -> Result<WantedUrl, HostNameError> {
        let bare = |name: &HostName| !name.as_str().contains('.');
        let host = match &self.host {
            Some(HostPattern::Exact(name)) if bare(name) => {
                Some(HostPattern::Exact(HostName::join(name.as_str(), base)?))
            }
            Some(HostPattern::Wildcard(name)) if bare(name) => {
                Some(HostPattern::Wildcard(HostName::join(name.as_str(), base)?))
            }
            other => other.clone(),
        };
        Ok(WantedUrl { host, ..self.clone() })
    }

    /// The endpoint URL, when nothing is left open.
    ///
    /// # Errors
    ///
    /// When the host is open, or the port of a tcp URL.
    pub fn complete(&self) -> Result<EndpointUrl, WantedUrlError> {
        let host = self.host.clone().ok_or(WantedUrlError::NoHost)?;
        Ok(EndpointUrl::new(self.scheme, host, self.port)?)
    }
}

impl FromStr for WantedUrl {
    type Err = WantedUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(WantedUrlError::Empty);
        }
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (scheme.parse().map_err(EndpointUrlError::from)?, rest),
            None => (Scheme::Https, text),
        };
        let authority = authority(rest)?;
        let authority = match authority.strip_suffix(":0") {
            Some(host) if scheme == Scheme::Tcp => host,
            _ => authority,
        };
        let (host, port) = crate::host::split_port(authority).map_err(EndpointUrlError::from)?;
        let host = if host.is_empty() { None } else { Some(pattern(host)?) };
        if scheme == Scheme::Tcp && host.as_ref().is_some_and(HostPattern::is_wildcard) {
            return Err(EndpointUrlError::TcpWildcard.into());
        }
        Ok(WantedUrl { scheme, host, port: port.filter(|_| port != scheme.default_port()) })
    }
}

impl From<EndpointUrl> for WantedUrl {
    fn from(url: EndpointUrl) -> Self {
        WantedUrl { scheme: url.scheme, host: Some(url.host), port: url.port }
    }
}

impl fmt::Display for WantedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme)?;
        if let Some(host) = &self.host {
            write!(f, "{host}")?;
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for WantedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// A pattern; a text that is an address, or would be read as one, is refused in words that say so.
fn pattern(host: &str) -> Result<HostPattern, WantedUrlError> {
    match host.parse() {
        Ok(pattern) => Ok(pattern),
        Err(HostNameError::NumericEnd) => Err(WantedUrlError::Address),
        Err(_) if host.starts_with('[') => Err(WantedUrlError::Address),
        Err(error) => Err(EndpointUrlError::Host(error).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SchemeError;

    fn wanted(text: &str) -> WantedUrl {
        text.parse().unwrap()
    }

    #[test]
    fn what_can_be_asked_for() {
        // Text, how it prints, and how it prints when resolved below example.org.
        let cases = [
            ("https://", "https://", "https://"),
            ("http://", "http://", "http://"),
            ("tcp://", "tcp://", "tcp://"),
            ("tls://", "tls://", "tls://"),
            ("app.example.com", "https://app.example.com", "https://app.example.com"),
            ("app.example.com:443", "https://app.example.com", "https://app.example.com"),
            ("app.example.com:8443", "https://app.example.com:8443", "https://app.example.com:8443"),
            ("*.example.com", "https://*.example.com", "https://*.example.com"),
            ("App", "https://app", "https://app.example.org"),
            ("http://app", "http://app", "http://app.example.org"),
            ("tls://*.app", "tls://*.app", "tls://*.app.example.org"),
            ("tcp://:20001", "tcp://:20001", "tcp://:20001"),
            ("tcp://1.tcp.example.com:20001", "tcp://1.tcp.example.com:20001", "tcp://1.tcp.example.com:20001"),
            ("tcp://tcp:20001", "tcp://tcp:20001", "tcp://tcp.example.org:20001"),
            ("tcp://1.tcp.example.com:0", "tcp://1.tcp.example.com", "tcp://1.tcp.example.com"),
            ("tcp://:0", "tcp://", "tcp://"),
            ("https://App.Example.com./", "https://app.example.com", "https://app.example.com"),
        ];
        let base: HostName = "example.org".parse().unwrap();
        for (text, printed, resolved) in cases {
            assert_eq!(wanted(text).to_string(), printed);
            assert_eq!(wanted(printed), wanted(text));
            assert_eq!(wanted(text).resolve(&base).unwrap().to_string(), resolved);
        }
    }

    #[test]
    fn what_cannot() {
        use WantedUrlError as E;
        let host = |error: HostNameError| E::Url(EndpointUrlError::Host(error));
        let cases = [
            ("", E::Empty),
            ("ssh://example.com", E::Url(EndpointUrlError::Scheme(SchemeError))),
            ("https://10.0.0.1", E::Address),
            ("10.0.0.1:80", E::Address),
            ("tcp://[::1]:80", E::Address),
            ("8080", E::Address),
            ("app.example.com/path", E::Url(EndpointUrlError::Trailing)),
            ("me@app.example.com", E::Url(EndpointUrlError::Trailing)),
            ("a..b", host(HostNameError::EmptyLabel)),
            ("a b", host(HostNameError::BadCharacter(' '))),
            ("https://a:b", host(HostNameError::BadPort)),
            ("https://a.b:0", host(HostNameError::BadPort)),
            ("a.*.com", host(HostNameError::BadWildcard)),
            ("tcp://*.example.com:1", E::Url(EndpointUrlError::TcpWildcard)),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<WantedUrl>(), Err(error), "{text}");
        }
    }

    #[test]
    fn completing() {
        assert_eq!(wanted("app.example.com").complete().unwrap().to_string(), "https://app.example.com");
        assert_eq!(wanted("https://").complete(), Err(WantedUrlError::NoHost));
        assert_eq!(wanted("tcp://a.b").complete(), Err(WantedUrlError::Url(EndpointUrlError::NoPort)));
        let url: EndpointUrl = "tcp://a.b:7".parse().unwrap();
        assert_eq!(WantedUrl::from(url.clone()).complete(), Ok(url));
    }
}
