//! What an agent asks for when it wants an endpoint.

use portway_names::{HostNameError, Scheme, WantedUrl, split_host_port};

use crate::agent::v1::{Bind, TlsTermination, UpstreamProtocol};
use crate::field::{at_most, parse, unknown};
use crate::{FieldError, FieldFault, MAX_DESCRIPTION_LEN, MAX_FORWARDS_TO_LEN, MAX_LABEL_LEN, MAX_METADATA_LEN};

/// A [`Bind`] whose fields are checked. Lengths, values and their combination with the scheme are; whether the account may have the
/// URL is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindRequest {
    /// The wanted URL.
    pub url: WantedUrl,
    /// What the agent forwards to, for display only. At most [`MAX_FORWARDS_TO_LEN`] bytes.
    pub forwards_to: String,
    /// The upstream speaks HTTP/2 with prior knowledge, otherwise HTTP/1.1. http and https only.
    pub upstream_http2: bool,
    /// PROXY protocol header in front of each stream.
    pub proxy_protocol: Option<ProxyVersion>,
    /// Value for the Host header of forwarded requests, `None` keeps the visitor's. http and https only; a host with or without port.
    pub host_header: Option<String>,
    /// The edge ends TLS, otherwise the agent gets the visitor's bytes untouched. tls only.
    pub tls_edge: bool,
    /// Opaque text of the user, at most [`MAX_METADATA_LEN`] bytes.
    pub metadata: String,
    /// Text of the user, at most [`MAX_DESCRIPTION_LEN`] bytes.
    pub description: String,
    /// Name in the agent's configuration, for display. At most [`MAX_LABEL_LEN`] bytes.
    pub name: String,
}

/// Version of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProxyVersion {
    /// Text.
    V1,
    /// Binary.
    V2,
}

impl BindRequest {
    /// A request for this URL with every option at its default.
    pub fn new(url: WantedUrl) -> Self {
        Self {
            url,
            forwards_to: String::new(),
            upstream_http2: false,
            proxy_protocol: None,
            host_header: None,
            tls_edge: false,
            metadata: String::new(),
            description: String::new(),
            name: String::new(),
        }
    }

    /// The message, with the number that its answer will carry.
    pub fn to_message(&self, request: u32) -> Bind {
        let upstream = if self.upstream_http2 { UpstreamProtocol::Http2 } else { UpstreamProtocol::Unspecified };
        let termination = if self.tls_edge { TlsTermination::Edge } else { TlsTermination::Unspecified };
        Bind {
            request,
            url: self.url.to_string(),
            forwards_to: self.forwards_to.clone(),
            upstream_protocol: upstream.into(),
            proxy_protocol: match self.proxy_protocol {
                None => 0,
                Some(ProxyVersion::V1) => 1,
                Some(ProxyVersion::V2) => 2,
            },
            host_header: self.host_header.clone().unwrap_or_default(),
            tls_termination: termination.into(),
            metadata: self.metadata.clone(),
            description: self.description.clone(),
            name: self.name.clone(),
        }
    }
}

impl TryFrom<Bind> for BindRequest {
    type Error = FieldError;

    fn try_from(message: Bind) -> Result<Self, FieldError> {
        let url: WantedUrl = parse("url", &message.url)?;
        let scheme = url.scheme;
        let upstream_http2 = match UpstreamProtocol::try_from(message.upstream_protocol) {
            Ok(UpstreamProtocol::Unspecified | UpstreamProtocol::Http1) => false,
            Ok(UpstreamProtocol::Http2) => only_for("upstream_protocol", scheme, scheme.is_http())?,
            Err(_) => return Err(unknown("upstream_protocol", message.upstream_protocol)),
        };
        let proxy_protocol = match message.proxy_protocol {
            0 => None,
            1 => Some(ProxyVersion::V1),
            2 => Some(ProxyVersion::V2),
            other => return Err(unknown("proxy_protocol", other)),
        };
        let tls_edge = match TlsTermination::try_from(message.tls_termination) {
            Ok(TlsTermination::Unspecified | TlsTermination::Passthrough) => false,
            Ok(TlsTermination::Edge) => only_for("tls_termination", scheme, scheme == Scheme::Tls)?,
            Err(_) => return Err(unknown("tls_termination", message.tls_termination)),
        };
        Ok(BindRequest {
            url,
            forwards_to: at_most("forwards_to", message.forwards_to, MAX_FORWARDS_TO_LEN)?,
            upstream_http2,
            proxy_protocol,
            host_header: host_header(message.host_header, scheme)?,
            tls_edge,
            metadata: at_most("metadata", message.metadata, MAX_METADATA_LEN)?,
            description: at_most("description", message.description, MAX_DESCRIPTION_LEN)?,
            name: at_most("name", message.name, MAX_LABEL_LEN)?,
        })
    }
}

/// What will stand in every forwarded request must be a host, with or without port, and nothing else.
fn host_header(value: String, scheme: Scheme) -> Result<Option<String>, FieldError> {
    if value.is_empty() {
        return Ok(None);
    }
    only_for("host_header", scheme, scheme.is_http())?;
    let fault = |error: HostNameError| FieldError::new("host_header", error);
    split_host_port(&value).map_err(fault)?;
    Ok(Some(value))
}

fn only_for(field: &'static str, scheme: Scheme, applies: bool) -> Result<bool, FieldError> {
    if applies { Ok(true) } else { Err(FieldError::new(field, FieldFault::NotForScheme(scheme))) }
}
