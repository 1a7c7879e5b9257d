//! Dialling through a proxy.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::str::FromStr;

use base64::prelude::{BASE64_STANDARD, Engine};
use bytes::{Bytes, BytesMut};
use portway_names::{ConnectUrl, Host};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Url;

use super::ProxyError;
use super::resolve::resolve;

/// A proxy that carries the TCP connection: `http://[user:password@]host[:port]` (HTTP CONNECT) or `socks5://[user:password@]host[:port]`
/// (`socks5h://` is the same: the proxy resolves the name). `Display` and `Debug` leave the password out.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl {
    kind: ProxyKind,
    host: Host,
    port: u16,
    login: Option<(String, String)>,
}

/// What the proxy speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ProxyKind {
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

impl ProxyUrl {
    /// What the proxy is taken for, for a person whose proxy may be of another kind.
    pub(super) fn speaks(&self) -> &'static str {
        match self.kind {
            ProxyKind::Http => "HTTP (a SOCKS5 proxy is written socks5://host:port)",
            ProxyKind::Socks5 => "SOCKS5 (an HTTP proxy is written http://host:port)",
        }
    }

    /// Connects through the proxy. Also gives the bytes that came behind the proxy's answer.
    pub(super) async fn connect(&self, target: &ConnectUrl) -> Result<(TcpStream, Bytes), ProxyError> {
        let mut socket = self.reach().await?;
        let early = match self.kind {
            ProxyKind::Http => self.connect_http(&mut socket, target).await?,
            ProxyKind::Socks5 => self.connect_socks5(&mut socket, target).await.map(|()| Bytes::new())?,
        };
        Ok((socket, early))
    }

    /// Connects to the proxy itself, one address after the other: proxies stand close by, and fail fast or not at all.
    async fn reach(&self) -> Result<TcpStream, ProxyError> {
        let addresses = resolve(&self.host, self.port).await;
        let addresses = addresses.map_err(|cause| ProxyError::Unreachable(io::Error::other(cause.to_string())))?;
        let socket = TcpStream::connect(&addresses[..]).await.map_err(ProxyError::Unreachable)?;
        socket.set_nodelay(true).map_err(ProxyError::Io)?;
        Ok(socket)
    }

    /// RFC 9110 section 9.3.6.
    async fn connect_http(&self, socket: &mut TcpStream, target: &ConnectUrl) -> Result<Bytes, ProxyError> {
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        if let Some((user, password)) = &self.login {
            let login = BASE64_STANDARD.encode(format!("{user}:{password}"));
            request.push_str(&format!("Proxy-Authorization: Basic {login}\r\n"));
        }
        request.push_str("\r\n");
        socket.write_all(request.as_bytes()).await.map_err(ProxyError::Io)?;
        let mut answer = BytesMut::new();
        let head = loop {
            if let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") {
                break answer.split_to(end + 4);
            }
            if answer.len() > ANSWER_MAX {
                return Err(ProxyError::Malformed("HTTP (its head is too long)"));
            }
            if socket.read_buf(&mut answer).await.map_err(ProxyError::Io)? == 0 {
                return Err(ProxyError::Io(io::ErrorKind::UnexpectedEof.into()));
            }
        };
        match http_status(&head) {
            Some(200..=299) => Ok(answer.freeze()),
            Some(status) => Err(ProxyError::Status { status }),
            None => Err(ProxyError::Malformed("HTTP")),
        }
    }

    /// RFC 1928 sections 3 to 6, with the login of RFC 1929 section 2.
    async fn connect_socks5(&self, socket: &mut TcpStream, target: &ConnectUrl) -> Result<(), ProxyError> {
        let methods: &[u8] = if self.login.is_some() { &[5, 2, 0, 2] } else { &[5, 1, 0] };
        socket.write_all(methods).await.map_err(ProxyError::Io)?;
        let [version, method] = read_array(socket).await?;
        match (version, method, &self.login) {
            (5, 0, _) => {}
            (5, 2, Some((user, password))) => {
                let mut login = vec![1, user.len() as u8];
                login.extend_from_slice(user.as_bytes());
                login.push(password.len() as u8);
                login.extend_from_slice(password.as_bytes());
                socket.write_all(&login).await.map_err(ProxyError::Io)?;
                let [_, status] = read_array(socket).await?;
                if status != 0 {
                    return Err(ProxyError::SocksLogin);
                }
            }
            (5, ..) => return Err(ProxyError::SocksLogin),
            _ => return Err(ProxyError::Malformed("SOCKS5")),
        }
        socket.write_all(&socks_request(target)).await.map_err(ProxyError::Io)?;
        let [version, reply, _, kind] = read_array(socket).await?;
        if version != 5 {
            return Err(ProxyError::Malformed("SOCKS5"));
        }
        if reply != 0 {
            return Err(ProxyError::SocksReply { reply });
        }
        // The address it connected from, and a port: of no use here.
        let length = match kind {
            1 => 4,
            4 => 16,
            3 => usize::from(read_array::<1>(socket).await?[0]),
            _ => return Err(ProxyError::Malformed("SOCKS5")),
        };
        let mut rest = [0; 255 + 2];
        socket.read_exact(&mut rest[..length + 2]).await.map_err(ProxyError::Io)?;
        Ok(())
    }
}

impl FromStr for ProxyUrl {
    type Err = ProxyUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text).map_err(|_| ProxyUrlError::Malformed)?;
        let (kind, default_port) = match url.scheme() {
            "http" => (ProxyKind::Http, 80),
            "socks5" | "socks5h" => (ProxyKind::Socks5, 1080),
            other => return Err(ProxyUrlError::Scheme(other.to_owned())),
        };
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(ProxyUrlError::Malformed);
        }
        let host = url.host_str().and_then(|host| host.parse().ok()).ok_or(ProxyUrlError::Malformed)?;
        let login = match (decode(url.username()), url.password().map(decode)) {
            (user, None) if user.is_empty() => None,
            (user, password) => Some((user, password.unwrap_or_default())),
        };
        if login.iter().any(|(user, password)| user.len() > LOGIN_MAX || password.len() > LOGIN_MAX) {
            return Err(ProxyUrlError::LoginTooLong);
        }
        Ok(Self { kind, host, port: url.port().unwrap_or(default_port), login })
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

/// Longest answer head of an HTTP proxy; real ones are a few hundred bytes.
const ANSWER_MAX: usize = 16 * 1024;

/// Longest user or password (RFC 1929 section 2).
const LOGIN_MAX: usize = 255;

fn decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn http_status(head: &[u8]) -> Option<u16> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    let line = std::str::from_utf8(line).ok()?;
    let (version, rest) = line.split_once(' ')?;
    let status = rest.get(..3).filter(|_| version.starts_with("HTTP/1."))?;
    status.parse().ok()
}

fn socks_request(target: &ConnectUrl) -> Vec<u8> {
    let mut request = vec![5, 1, 0];
    match &target.host {
        Host::Ip(IpAddr::V4(ip)) => {
            request.push(1);
            request.extend_from_slice(&ip.octets());
        }
        Host::Ip(IpAddr::V6(ip)) => {
            request.push(4);
            request.extend_from_slice(&ip.octets());
        }
        Host::Name(name) => {
            // A host name has at most 253 bytes.
            request.extend_from_slice(&[3, name.as_str().len() as u8]);
            request.extend_from_slice(name.as_str().as_bytes());
        }
    }
    request.extend_from_slice(&target.port.to_be_bytes());
    request
}

async fn read_array<const N: usize>(socket: &mut TcpStream) -> Result<[u8; N], ProxyError> {
    let mut bytes = [0; N];
    socket.read_exact(&mut bytes).await.map_err(ProxyError::Io)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_shown_without_the_password() {
        let url: ProxyUrl = "http://al%40ice:se%3Acret@proxy.example:3128".parse().unwrap();
        assert_eq!(url.to_string(), "http://proxy.example:3128");
        assert_eq!(url.login, Some(("al@ice".to_owned(), "se:cret".to_owned())));
        assert!(!format!("{url:?}").contains("cret"));
        let url: ProxyUrl = "socks5h://[::1]".parse().unwrap();
        assert_eq!((url.kind, url.to_string().as_str()), (ProxyKind::Socks5, "socks5://[::1]:1080"));
        assert_eq!("http://proxy".parse::<ProxyUrl>().unwrap().port, 80);
    }

    #[test]
    fn other_texts_are_refused() {
        assert_eq!("https://proxy:1".parse::<ProxyUrl>(), Err(ProxyUrlError::Scheme("https".to_owned())));
        for text in ["proxy:3128", "", "http://", "http://proxy/path", "http://proxy?x"] {
            assert!(text.parse::<ProxyUrl>().is_err(), "{text}");
        }
        let long = format!("socks5://{}:p@proxy", "u".repeat(256));
        assert_eq!(long.parse::<ProxyUrl>(), Err(ProxyUrlError::LoginTooLong));
    }

    #[test]
    fn only_an_http_1_status_line_is_an_answer() {
        assert_eq!(http_status(b"HTTP/1.1 200 Connection established\r\n"), Some(200));
        assert_eq!(http_status(b"HTTP/1.0 407\r\n"), Some(407));
        assert_eq!(http_status(b"SSH-2.0-x\r\n"), None);
        assert_eq!(http_status(b"HTTP/1.1 \xff\r\n"), None);
    }
}
