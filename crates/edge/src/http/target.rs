//! Where a request goes: which host it names, without doubt, and which endpoint serves that.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::header::HOST;
use http::uri::{Authority, PathAndQuery};
use http::{HeaderValue, Method, Request, Uri, Version};
use portway_codes::{Code, PublicError};
use portway_names::{Host, HostName, Scheme, is_reserved, split_host_port};

use super::connection::Connection;
use super::fault;
use super::headers::Provenance;
use crate::endpoint::Endpoint;
use crate::reserved;

/// A host as one visitor's connection asked for it. Requests of a connection nearly always ask for the same, so it is worked out once.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// The host as the visitor wrote it: what compares, and what travels on.
    pub(super) raw: HeaderValue,
    pub(super) name: HostName,
    pub(super) authority: Authority,
    pub(super) provenance: Provenance,
}

/// Where a request goes.
#[derive(Debug)]
pub(super) enum Target {
    /// To an endpoint's upstream.
    Endpoint(Arc<Endpoint>),
    /// Back to the visitor, who is to come by https.
    Https(HeaderValue),
}

/// Works out what host a request names.
pub(super) fn asked<B>(request: &Request<B>, connection: &Connection) -> Result<Arc<Asked>, PublicError> {
    if request.method() == Method::CONNECT {
        return Err(Code::ERR_PORTWAY_40003.with("This is not a proxy: CONNECT is refused."));
    }
    check_path(request)?;
    let mut hosts = request.headers().get_all(HOST).iter();
    let (host, more) = (hosts.next(), hosts.next());
    if more.is_some() {
        return Err(Code::ERR_PORTWAY_40002.plain());
    }
    let raw = match (request.uri().authority(), host) {
        (None, Some(host)) => host.as_bytes(),
        (Some(authority), None) if request.version() == Version::HTTP_2 => authority.as_str().as_bytes(),
        (Some(authority), Some(host)) => {
            if !same_host(authority.as_str(), host) {
                return Err(
                    Code::ERR_PORTWAY_40001.with("The target of the request and its Host name different hosts.")
                );
            }
            host.as_bytes()
        }
        _ => return Err(Code::ERR_PORTWAY_40002.plain()),
    };
    if let Some(last) = connection.last_asked()
        && last.raw.as_bytes() == raw
    {
        return Ok(last);
    }
    let asked = Arc::new(parse(raw, connection)?);
    connection.remember(&asked);
    Ok(asked)
}

fn parse(raw: &[u8], connection: &Connection) -> Result<Asked, PublicError> {
    let bad = |_| Code::ERR_PORTWAY_40002.plain();
    let text = std::str::from_utf8(raw).map_err(|_| Code::ERR_PORTWAY_40002.plain())?;
    let (host, _) = split_host_port(text).map_err(bad)?;
    let Host::Name(name) = host else {
        return Err(fault::offline(&format_args!("{}://{text}", connection.visitor.scheme)));
    };
    let unusable = || Code::ERR_PORTWAY_40002.plain();
    let raw = HeaderValue::from_bytes(raw).map_err(|_| unusable())?;
    let authority = text.parse().map_err(|_| unusable())?;
    let forwarded =
        format!("for={};host=\"{text}\";proto={}", forwarded_node(connection.visitor.peer), connection.visitor.scheme);
    let provenance = Provenance {
        client: connection.client.clone(),
        proto: connection.proto.clone(),
        forwarded: forwarded.parse().map_err(|_| unusable())?,
    };
    Ok(Asked { raw, name, authority, provenance })
}

/// RFC 7239 section 6: an IPv6 address stands in brackets and quotes.
fn forwarded_node(peer: SocketAddr) -> String {
    match peer.ip().to_canonical() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("\"[{ip}]\""),
    }
}

/// What an upstream would read otherwise than we do is refused: a target is a path, or the asterisk of OPTIONS.
fn check_path<B>(request: &Request<B>) -> Result<(), PublicError> {
    let path = request.uri().path();
    let fits = path.starts_with('/') || (path == "*" && request.method() == Method::OPTIONS);
    // Absolute targets without a path have an empty one, which means "/".
    let empty = path.is_empty() && request.uri().authority().is_some();
    if fits || empty { Ok(()) } else { Err(Code::ERR_PORTWAY_40001.with("The target of the request is not a path.")) }
}

fn same_host(authority: &str, host: &HeaderValue) -> bool {
    let Ok(host) = host.to_str() else { return false };
    authority == host || matches!((split_host_port(authority), split_host_port(host)), (Ok(a), Ok(b)) if a == b)
}

/// The endpoint of a host, on the connection it was asked for.
pub(super) fn find(connection: &Connection, asked: &Asked, uri: &Uri) -> Result<Target, PublicError> {
    let (edge, visitor) = (&connection.edge, &connection.visitor);
    let found = reserved::http(edge, visitor.scheme, &asked.name);
    if let Some(sni) = &visitor.sni
        && *sni != asked.name
    {
        // RFC 9110 section 7.4: what was checked for one name (certificate, and later policy) does not hold for another.
        let by_sni = reserved::http(edge, visitor.scheme, sni);
        let same = matches!((&found, &by_sni), (Some(a), Some(b)) if a.url == b.url);
        if !same {
            return Err(Code::ERR_PORTWAY_42101.plain());
        }
    }
    if let Some(endpoint) = found {
        if !showed_certificate(connection, &endpoint) {
            return Err(Code::ERR_PORTWAY_42101.plain());
        }
        return Ok(Target::Endpoint(endpoint));
    }
    if visitor.scheme == Scheme::Http && reserved::http(edge, Scheme::Https, &asked.name).is_some() {
        return https_location(&asked.name, edge.config.https_port, uri).map(Target::Https);
    }
    if edge.replica.base_domain().is_some_and(|base| asked.name == base || is_reserved(&asked.name, &base)) {
        return Err(fault::kept(&asked.name));
    }
    // With the port that the visitor used: people compare it with the address bar.
    Err(fault::offline(&format_args!("{}://{}", visitor.scheme, asked.authority)))
}

/// Whether the handshake of the connection checked what the endpoint asks of visitors. It may have been made when the name led to nobody, or to a
/// registration that asked for nothing.
fn showed_certificate(connection: &Connection, endpoint: &Endpoint) -> bool {
    let Connection { edge, visitor, .. } = connection;
    let tls = endpoint.options.actions.as_ref().and_then(|actions| actions.tls(&edge.replica.authorities));
    let wanted = tls.as_ref().and_then(|tls| tls.client_authorities.as_ref());
    wanted.is_none_or(|wanted| visitor.client_authorities.as_ref() == Some(wanted))
}

fn https_location(host: &HostName, port: u16, uri: &Uri) -> Result<HeaderValue, PublicError> {
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let path = if path.starts_with('/') { path } else { "/" };
    let location = match port {
        0 | 443 => format!("https://{host}{path}"),
        port => format!("https://{host}:{port}{path}"),
    };
    HeaderValue::try_from(location).map_err(|_| Code::ERR_PORTWAY_40001.plain())
}
