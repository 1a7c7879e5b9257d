//! Where an endpoint's connections go: the address as a user writes it, and dialling it.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use portway_mux::ErrorCode;
use portway_names::Scheme;
use portway_tls::{Roots, explain_io};
use rustls_pki_types::ServerName;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::upstream_tls;

/// Time for name resolution, TCP and TLS together. Longer than any healthy local service needs, shorter than a visitor's patience.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);
/// Head start of one address over the next (RFC 8305 section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// A local service that connections are forwarded to.
#[derive(Debug, Clone)]
pub struct Upstream {
    place: Place,
    tls: Option<Tls>,
    /// `http://localhost:8080`, `localhost:22`, `unix:/run/app.sock`: for people.
    display: String,
    /// What a rewritten Host header says: host, and port where it is not the scheme's own.
    authority: String,
}

#[derive(Debug, Clone)]
enum Place {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}

#[derive(Debug, Clone)]
struct Tls {
    name: ServerName<'static>,
    config: Arc<rustls::ClientConfig>,
}

/// Why an upstream address cannot be used.
#[derive(Debug, Clone, Eq, PartialEq, thiserror::Error)]
#[error("the address {address:?} cannot be forwarded to: {reason}")]
pub struct UpstreamError {
    /// What was given.
    pub address: String,
    /// What is wrong with it, and what to write instead.
    pub reason: String,
}

/// How TLS towards an upstream is done.
#[derive(Debug, Clone, Default)]
pub(crate) struct UpstreamTls {
    /// Check the certificate against these; off by default, as the services are local and mostly self-signed.
    pub(crate) verify: Option<Roots>,
    /// The service speaks HTTP/2.
    pub(crate) http2: bool,
}

/// Why an upstream was not reached.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct DialFailure {
    /// What the edge is told.
    pub(crate) code: ErrorCode,
    /// What a person is told.
    pub(crate) text: String,
}

/// A connection to an upstream.
#[derive(Debug)]
pub(crate) enum UpstreamIo {
    Tcp(TcpStream),
    Unix(UnixStream),
    TcpTls(Box<TlsStream<TcpStream>>),
    UnixTls(Box<TlsStream<UnixStream>>),
}

impl Upstream {
    /// Reads an address as people write it for an endpoint of the given kind: `8080`, `localhost:8080`, `[::1]:80`, `http://…`, `https://…`,
    /// `tls://…`, `tcp://…`, `unix:/path`. For http endpoints a bare `443` or `host:443` means https.
    ///
    /// # Errors
    /// An address without what is needed, with a path, or with an unknown scheme.
    pub fn parse(text: &str, kind: Scheme) -> Result<Self, UpstreamError> {
        Self::parse_with(text, kind, UpstreamTls::default())
    }

    pub(crate) fn parse_with(text: &str, kind: Scheme, tls: UpstreamTls) -> Result<Self, UpstreamError> {
        let fail = |reason: &str| UpstreamError { address: text.to_owned(), reason: reason.to_owned() };
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err(fail("it is empty; write a port, host:port, a URL or unix:/path"));
        }
        if let Some(path) = trimmed.strip_prefix("unix:") {
            return Self::unix(path.strip_prefix("//").unwrap_or(path))
                .ok_or_else(|| fail("write unix:/absolute/path"));
        }
        let (scheme, rest) = match trimmed.split_once("://") {
            Some((scheme, rest)) => (Some(UpstreamScheme::parse(scheme, kind).map_err(|reason| fail(&reason))?), rest),
            None => (None, trimmed),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if let Some(at) = authority.find(['/', '?', '#']) {
            return Err(fail(&format!(
                "{:?} is after the address; only scheme, host and port can be given",
                &authority[at..]
            )));
        }
        if authority.contains('@') {
            return Err(fail("user names and passwords cannot be part of it"));
        }
        let (host, port) = split_authority(authority).map_err(|reason| fail(&reason))?;
        let http = matches!(kind, Scheme::Http | Scheme::Https);
        let scheme = scheme.unwrap_or(match port {
            _ if !http => UpstreamScheme::Tcp,
            Some(443) => UpstreamScheme::Https,
            _ => UpstreamScheme::Http,
        });
        let Some(port) = port.or(scheme.default_port()) else {
            return Err(fail("the port is missing; write host:port"));
        };
        Self::tcp(scheme, &host, port, &tls).map_err(|reason| fail(&reason))
    }

    /// The address in its normal form, for display.
    pub fn display(&self) -> &str {
        &self.display
    }

    /// Tries whether something answers there, and closes the connection again.
    ///
    /// # Errors
    /// The sentence for the user.
    pub async fn probe(&self) -> Result<(), String> {
        self.dial().await.map(drop).map_err(|failure| failure.to_string())
    }

    /// Host and, where it is not the scheme's own, port: what a rewritten Host header says.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    fn unix(path: &str) -> Option<Self> {
        path.starts_with('/').then(|| Self {
            place: Place::Unix(PathBuf::from(path)),
            tls: None,
            display: format!("unix:{path}"),
            authority: "localhost".to_owned(),
        })
    }

    fn tcp(scheme: UpstreamScheme, host: &str, port: u16, options: &UpstreamTls) -> Result<Self, String> {
        let bracketed = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let tls = match scheme {
            UpstreamScheme::Http | UpstreamScheme::Tcp => None,
            UpstreamScheme::Https | UpstreamScheme::Tls => Some(Tls {
                name: ServerName::try_from(host.to_owned()).map_err(|_| format!("{host:?} is not a host name"))?,
                config: upstream_tls::client_config(scheme.alpn(options.http2), options.verify.as_ref())
                    .map_err(|error| format!("the certificates to check it against cannot be used: {error}"))?,
            }),
        };
        let authority =
            if scheme.default_port() == Some(port) { bracketed.clone() } else { format!("{bracketed}:{port}") };
        let display = match scheme.prefix() {
            "" => format!("{bracketed}:{port}"),
            prefix => format!("{prefix}://{bracketed}:{port}"),
        };
        Ok(Self { place: Place::Tcp { host: host.to_owned(), port }, tls, display, authority })
    }

    /// Opens a connection.
    ///
    /// Cancel safety: dropping the future abandons the attempt.
    pub(crate) async fn dial(&self) -> Result<UpstreamIo, DialFailure> {
        match tokio::time::timeout(DIAL_TIMEOUT, self.dial_untimed()).await {
            Ok(result) => result,
            Err(_) => Err(self
                .failure(ErrorCode::UPSTREAM_TIMEOUT, format_args!("no answer within {} s", DIAL_TIMEOUT.as_secs()))),
        }
    }

    async fn dial_untimed(&self) -> Result<UpstreamIo, DialFailure> {
        match &self.place {
            Place::Unix(path) => {
                let stream = UnixStream::connect(path).await.map_err(|error| self.io_failure(&error))?;
                Ok(match &self.tls {
                    None => UpstreamIo::Unix(stream),
                    Some(tls) => UpstreamIo::UnixTls(Box::new(self.handshake(tls, stream).await?)),
                })
            }
            Place::Tcp { host, port } => {
                let addresses = resolve(host, *port).await.map_err(|error| {
                    self.failure(ErrorCode::UPSTREAM_NAME, format_args!("{host:?} cannot be resolved: {error}"))
                })?;
                let stream = connect_first(&addresses).await.map_err(|error| self.io_failure(&error))?;
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "the upstream socket takes no TCP_NODELAY");
                }
                Ok(match &self.tls {
                    None => UpstreamIo::Tcp(stream),
                    Some(tls) => UpstreamIo::TcpTls(Box::new(self.handshake(tls, stream).await?)),
                })
            }
        }
    }

    async fn handshake<IO>(&self, tls: &Tls, stream: IO) -> Result<TlsStream<IO>, DialFailure>
    where
        IO: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    {
        TlsConnector::from(tls.config.clone()).connect(tls.name.clone(), stream).await.map_err(|error| {
            let reason = explain_io(&error).map_or_else(|| error.to_string(), |problem| problem.to_string());
            self.failure(ErrorCode::UPSTREAM_TLS, format_args!("the TLS handshake failed: {reason}"))
        })
    }

    fn io_failure(&self, error: &io::Error) -> DialFailure {
        let code = match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => ErrorCode::UPSTREAM_REFUSED,
            io::ErrorKind::TimedOut => ErrorCode::UPSTREAM_TIMEOUT,
            _ => ErrorCode::UPSTREAM_UNREACHABLE,
        };
        self.failure(code, format_args!("{error}"))
    }

    fn failure(&self, code: ErrorCode, reason: fmt::Arguments<'_>) -> DialFailure {
        DialFailure { code, text: format!("{} was not reached: {reason}", self.display) }
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.display)
    }
}

#[derive(Debug, Clone, Copy, Eq, PartialEq)]
enum UpstreamScheme {
    Http,
    Https,
    Tcp,
    Tls,
}

impl UpstreamScheme {
    fn parse(text: &str, kind: Scheme) -> Result<Self, String> {
        let scheme = match text.to_ascii_lowercase().as_str() {
            "http" | "h2c" => Self::Http,
            "https" => Self::Https,
            "tcp" => Self::Tcp,
            "tls" => Self::Tls,
            "file" => return Err("serving files is not built yet; run a file server and give its address".to_owned()),
            _ => {
                return Err(format!("{text:?} is not a scheme to forward to; use http, https, tcp, tls or unix:/path"));
            }
        };
        match kind {
            Scheme::Http | Scheme::Https if matches!(scheme, Self::Tcp | Self::Tls) => {
                Err(format!("an {kind} endpoint forwards to http:// or https://"))
            }
            Scheme::Tcp | Scheme::Tls if matches!(scheme, Self::Http | Self::Https) => {
                Err(format!("a {kind} endpoint forwards to host:port or tls://host:port"))
            }
            _ => Ok(scheme),
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Tcp => "",
            Self::Tls => "tls",
        }
    }

    fn default_port(self) -> Option<u16> {
        match self {
            Self::Http => Some(80),
            Self::Https => Some(443),
            Self::Tcp | Self::Tls => None,
        }
    }

    fn alpn(self, http2: bool) -> &'static [&'static [u8]] {
        match self {
            Self::Https if http2 => &[b"h2"],
            Self::Https => &[b"http/1.1"],
            _ => &[],
        }
    }
}

/// Host without brackets, and the port. A bare number is a port of localhost.
fn split_authority(text: &str) -> Result<(String, Option<u16>), String> {
    let port_of = |digits: &str| match digits.parse::<u16>() {
        Ok(port) if port != 0 => Ok(port),
        _ => Err(format!("{digits:?} is not a port; ports are 1 to 65535")),
    };
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(("localhost".to_owned(), Some(port_of(text)?)));
    }
    if let Some(rest) = text.strip_prefix('[') {
        let Some((literal, after)) = rest.split_once(']') else {
            return Err("the closing ] of the IPv6 address is missing".to_owned());
        };
        Ipv6Addr::from_str(literal).map_err(|_| format!("{literal:?} is not an IPv6 address"))?;
        return match after.strip_prefix(':') {
            Some(digits) => Ok((literal.to_owned(), Some(port_of(digits)?))),
            None if after.is_empty() => Ok((literal.to_owned(), None)),
            None => Err(format!("{after:?} follows the IPv6 address")),
        };
    }
    let (host, port) = match text.split_once(':') {
        Some((_, rest)) if rest.contains(':') => return Err("write an IPv6 address in brackets: [::1]:8080".to_owned()),
        Some((host, digits)) => (host, Some(port_of(digits)?)),
        None => (text, None),
    };
    let host = if host.is_empty() { "localhost" } else { host };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !host.bytes().all(allowed) {
        return Err(format!("{host:?} is not a host name"));
    }
    Ok((host.to_owned(), port))
}

/// The addresses of a host. `localhost` is both loopback addresses and needs no resolver.
async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(ip) = IpAddr::from_str(host) {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    if host.eq_ignore_ascii_case("localhost") {
        return Ok(vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]);
    }
    let found: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
    if found.is_empty() { Err(io::Error::new(io::ErrorKind::NotFound, "it has no address")) } else { Ok(found) }
}

/// Connects to whichever address answers first: the next one is tried when one fails or is silent for a moment.
async fn connect_first(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut waiting = addresses.iter();
    let mut running = FuturesUnordered::new();
    let mut first_error = None;
    loop {
        match waiting.next() {
            Some(&address) => running.push(TcpStream::connect(address)),
            None if running.is_empty() => {
                return Err(first_error.unwrap_or_else(|| io::Error::new(io::ErrorKind::NotFound, "it has no address")));
            }
            None => {}
        }
        let more = waiting.len() > 0;
        tokio::select! {
            Some(result) = running.next() => match result {
                Ok(stream) => return Ok(stream),
                Err(error) => { first_error.get_or_insert(error); }
            },
            () = tokio::time::sleep(ATTEMPT_DELAY), if more => {}
        }
    }
}

#[cfg(test)]
mod tests;
