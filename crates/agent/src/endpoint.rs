//! Endpoints as callers ask for them and hold them.

use std::fmt;
use std::sync::Arc;

use portway_names::{Scheme, WantedUrl};
use portway_proto::agent::v1::{Bind, TlsTermination, UpstreamProtocol};
use portway_tls::Roots;
use tokio::sync::{mpsc, oneshot};

use crate::agent::Agent;
use crate::binding::{Served, Target};
use crate::error::BindError;
use crate::listener::{LISTEN_BACKLOG, Listener};
use crate::metrics::Metrics;
use crate::promised::Promised;
use crate::supervisor::Command;
use crate::upstream::{Upstream, UpstreamTls};

/// Longest metadata (docs/spec/native-protocol.md, `Bind.metadata`).
pub(crate) const MAX_METADATA: usize = 4096;
/// Longest description (docs/spec/native-protocol.md, `Bind.description`).
const MAX_DESCRIPTION: usize = 255;

/// What the upstream sees in the Host header.
#[derive(Debug, Clone, Default, Eq, PartialEq)]
pub enum HostHeader {
    /// What the visitor sent.
    #[default]
    Preserve,
    /// The upstream's own host and port.
    Rewrite,
    /// This value.
    Value(String),
}

impl From<&str> for HostHeader {
    fn from(text: &str) -> Self {
        match text {
            "" | "preserve" => Self::Preserve,
            "rewrite" => Self::Rewrite,
            value => Self::Value(value.to_owned()),
        }
    }
}

/// Version of the PROXY protocol header that stands in front of each connection.
#[derive(Debug, Clone, Copy, Eq, PartialEq)]
pub enum ProxyProtocol {
    /// The text form.
    V1,
    /// The binary form.
    V2,
}

/// Everything that can be said about an endpoint besides where it forwards to.
#[derive(Debug, Clone, Default, Eq, PartialEq)]
pub struct EndpointOptions {
    /// For display, at most 255 bytes.
    pub name: String,
    /// Wanted URL; empty asks for any name (or port).
    pub url: String,
    /// For people, at most 255 bytes.
    pub description: String,
    /// Opaque text, at most 4096 bytes.
    pub metadata: String,
    /// Host header of http endpoints.
    pub host_header: HostHeader,
    /// PROXY protocol towards the upstream.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// The upstream of an http endpoint speaks HTTP/2 (without upgrade).
    pub upstream_http2: bool,
    /// The edge ends the visitor's TLS on a tls endpoint; otherwise the upstream does.
    pub tls_edge: bool,
    /// Check the certificate of an https or tls upstream against the host's roots, or against `upstream_ca`.
    pub verify_upstream_tls: bool,
    /// Certificates in PEM form that the upstream's is checked against instead of the host's roots.
    pub upstream_ca: Option<Vec<u8>>,
}

/// An endpoint being described. Made by [`Agent::http`] and its siblings; ends in [`Self::forward_to`] or [`Self::listen`].
#[derive(Debug, Clone)]
#[must_use = "nothing is opened before forward_to or listen"]
pub struct EndpointBuilder {
    agent: Agent,
    kind: Scheme,
    options: EndpointOptions,
}

impl EndpointBuilder {
    pub(crate) fn new(agent: Agent, kind: Scheme) -> Self {
        Self { agent, kind, options: EndpointOptions::default() }
    }

    /// The wanted URL: `https://app.example.com`, a host, a label below the base domain, `tcp://` for any port, and so on.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.options.url = url.into();
        self
    }

    /// A name for display.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.options.name = name.into();
        self
    }

    /// A text for people, at most 255 bytes.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.options.description = description.into();
        self
    }

    /// An opaque text, at most 4096 bytes.
    pub fn metadata(mut self, metadata: impl Into<String>) -> Self {
        self.options.metadata = metadata.into();
        self
    }

    /// The Host header the upstream sees; http endpoints only.
    pub fn host_header(mut self, host_header: impl Into<HostHeader>) -> Self {
        self.options.host_header = host_header.into();
        self
    }

    /// Puts a PROXY protocol header in front of each connection.
    pub fn proxy_protocol(mut self, version: ProxyProtocol) -> Self {
        self.options.proxy_protocol = Some(version);
        self
    }

    /// The upstream speaks HTTP/2; http endpoints only.
    pub fn upstream_http2(mut self, on: bool) -> Self {
        self.options.upstream_http2 = on;
        self
    }

    /// The edge ends the visitor's TLS; tls endpoints only.
    pub fn tls_edge(mut self, on: bool) -> Self {
        self.options.tls_edge = on;
        self
    }

    /// Checks the certificate of an https or tls upstream against the host's roots. Off by default: local services mostly sign their own.
    pub fn verify_upstream_tls(mut self, on: bool) -> Self {
        self.options.verify_upstream_tls = on;
        self
    }

    /// Checks the certificate of an https or tls upstream against these, in PEM form.
    pub fn upstream_ca(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.options.verify_upstream_tls = true;
        self.options.upstream_ca = Some(pem.into());
        self
    }

    /// Replaces everything said so far.
    pub fn options(mut self, options: EndpointOptions) -> Self {
        self.options = options;
        self
    }

    /// Opens the endpoint and forwards its connections to `address`; forms as [`Upstream::parse`] reads them.
    ///
    /// An upstream that is down is no error: visitors are told, and it is dialled anew for each connection.
    ///
    /// Cancel safety: dropping the future gives the endpoint up again.
    ///
    /// # Errors
    /// A URL, address or option that makes no sense, or the edge's refusal.
    pub async fn forward_to(self, address: impl AsRef<str>) -> Result<Endpoint, BindError> {
        let (spec, upstream) = describe(self.kind, self.options, address.as_ref())?;
        let (endpoint, answer) = ask(self.agent, spec, Target::Forward(Box::new(upstream)), false).await?;
        answer.map(|()| endpoint)
    }

    /// Like [`Self::forward_to`], but a refusal of the edge gives nothing up: the endpoint is asked for again, for ever, and the refusal
    /// is returned beside it. Until the edge agrees its URL is empty and its state is
    /// [`EndpointState::Refused`](crate::EndpointState::Refused).
    ///
    /// Cancel safety: dropping the future gives the endpoint up again.
    ///
    /// # Errors
    /// A URL, address or option that makes no sense, or an agent that was closed.
    pub async fn keep_forwarding_to(
        self,
        address: impl AsRef<str>,
    ) -> Result<(Endpoint, Option<BindError>), BindError> {
        let (spec, upstream) = describe(self.kind, self.options, address.as_ref())?;
        let (endpoint, answer) = ask(self.agent, spec, Target::Forward(Box::new(upstream)), true).await?;
        Ok((endpoint, answer.err()))
    }

    /// Opens the endpoint and hands its connections to the program.
    ///
    /// Cancel safety: dropping the future gives the endpoint up again.
    ///
    /// # Errors
    /// A URL or option that makes no sense, or the edge's refusal.
    pub async fn listen(self) -> Result<Listener, BindError> {
        let spec = BindSpec::new(self.kind, self.options, "(this program)", "localhost")?;
        let (sender, connections) = mpsc::channel(LISTEN_BACKLOG);
        let (endpoint, answer) = ask(self.agent, spec, Target::Listen(sender), false).await?;
        answer.map(|()| Listener::new(endpoint, connections))
    }
}

/// Checks everything that can be checked without an edge.
pub(crate) fn describe(
    kind: Scheme,
    options: EndpointOptions,
    address: &str,
) -> Result<(BindSpec, Upstream), BindError> {
    let roots = match &options.upstream_ca {
        Some(pem) => Roots::Pem(pem.clone()),
        None => Roots::Host,
    };
    let tls = UpstreamTls { verify: options.verify_upstream_tls.then_some(roots), http2: options.upstream_http2 };
    let upstream = Upstream::parse_with(address, kind, tls)?;
    Ok((BindSpec::new(kind, options, upstream.display(), upstream.authority())?, upstream))
}

/// Asks the edge for an endpoint; the endpoint and the edge's first answer. `keep`: a refusal does not give it up.
async fn ask(
    agent: Agent,
    spec: BindSpec,
    target: Target,
    keep: bool,
) -> Result<(Endpoint, Result<(), BindError>), BindError> {
    let (commands, served) = agent.serve(spec, target);
    let (reply, answer) = oneshot::channel();
    commands.send(Command::Bind { served: served.clone(), reply, keep }).map_err(|_| BindError::Closed)?;
    let endpoint = Endpoint { served, commands, closed: false };
    let answer = answer.await.map_err(|_| BindError::Closed)?;
    Ok((endpoint, answer))
}

/// An open endpoint. It stays open, over reconnects, until it is closed or dropped, or its agent is.
pub struct Endpoint {
    served: Arc<Served>,
    commands: mpsc::UnboundedSender<Command>,
    closed: bool,
}

impl Endpoint {
    /// The public URL.
    pub fn url(&self) -> String {
        self.served.url().map(|url| url.to_string()).unwrap_or_default()
    }

    /// The id the edge gave it, `ep_` and a KSUID. A new session gives a new one.
    pub fn id(&self) -> String {
        self.served.id()
    }

    /// The name given to it, or empty.
    pub fn name(&self) -> &str {
        &self.served.spec.options.name
    }

    /// What connections go to, in its normal form.
    pub fn forwards_to(&self) -> &str {
        &self.served.spec.forwards_to
    }

    /// Its counters.
    pub fn metrics(&self) -> Metrics {
        self.served.counters.read()
    }

    /// Gives the endpoint up and waits until the edge has taken it off, or one second. Running connections go on.
    pub async fn close(mut self) {
        self.closed = true;
        let (done, finished) = oneshot::channel();
        if self.commands.send(Command::Unbind { key: self.served.key, done: Some(done) }).is_ok() {
            // An error means that the agent is gone, and the endpoint with it.
            let _gone = tokio::time::timeout(UNBIND_PATIENCE, finished).await;
        }
    }
}

/// How long [`Endpoint::close`] waits for the edge. Longer than any healthy round trip.
const UNBIND_PATIENCE: std::time::Duration = std::time::Duration::from_secs(1);

impl Drop for Endpoint {
    fn drop(&mut self) {
        if !self.closed {
            // An error means that the agent is gone, and the endpoint with it.
            let _gone = self.commands.send(Command::Unbind { key: self.served.key, done: None });
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("url", &self.url())
            .field("forwards_to", &self.forwards_to())
            .finish_non_exhaustive()
    }
}

/// What is asked of the edge, checked.
#[derive(Debug)]
pub(crate) struct BindSpec {
    kind: Scheme,
    pub(crate) options: EndpointOptions,
    pub(crate) forwards_to: String,
    pub(crate) wanted: String,
    host_header: String,
}

impl BindSpec {
    fn new(kind: Scheme, options: EndpointOptions, forwards_to: &str, authority: &str) -> Result<Self, BindError> {
        let http = kind.is_http();
        for (given, allowed, option) in [
            (options.host_header != HostHeader::Preserve, http, "host_header"),
            (options.upstream_http2, http, "the upstream protocol http2"),
            (options.tls_edge, kind == Scheme::Tls, "ending TLS at the edge"),
        ] {
            if given && !allowed {
                return Err(BindError::Option { option, scheme: kind });
            }
        }
        for (what, text, limit) in [
            ("name", &options.name, MAX_DESCRIPTION),
            ("description", &options.description, MAX_DESCRIPTION),
            ("metadata", &options.metadata, MAX_METADATA),
        ] {
            if text.len() > limit {
                return Err(BindError::TooLong { what, length: text.len(), limit });
            }
        }
        let host_header = match &options.host_header {
            HostHeader::Preserve => String::new(),
            HostHeader::Rewrite => authority.to_owned(),
            HostHeader::Value(value) => value.clone(),
        };
        Ok(Self {
            kind,
            wanted: wanted_url(kind, &options.url)?,
            host_header,
            forwards_to: forwards_to.to_owned(),
            options,
        })
    }

    /// What the upstream of an http endpoint is to speak.
    pub(crate) fn promised(&self) -> Option<Promised> {
        let promised = if self.options.upstream_http2 { Promised::Http2 } else { Promised::Http1 };
        self.kind.is_http().then_some(promised)
    }

    /// The message that asks for the endpoint, at `assigned` when it had a URL before.
    pub(crate) fn message(&self, request: u32, assigned: Option<&str>) -> Bind {
        let options = &self.options;
        let protocol = if options.upstream_http2 { UpstreamProtocol::Http2 } else { UpstreamProtocol::Http1 };
        let termination = if options.tls_edge { TlsTermination::Edge } else { TlsTermination::Passthrough };
        Bind {
            request,
            url: assigned.unwrap_or(&self.wanted).to_owned(),
            forwards_to: self.forwards_to.clone(),
            upstream_protocol: protocol.into(),
            proxy_protocol: match options.proxy_protocol {
                None => 0,
                Some(ProxyProtocol::V1) => 1,
                Some(ProxyProtocol::V2) => 2,
            },
            host_header: self.host_header.clone(),
            tls_termination: termination.into(),
            metadata: options.metadata.clone(),
            description: options.description.clone(),
            name: options.name.clone(),
        }
    }
}

/// The URL to ask for: what the user wrote, with the scheme of the kind of endpoint where none was written.
fn wanted_url(kind: Scheme, text: &str) -> Result<String, BindError> {
    let fail = |reason: String| BindError::Url { url: text.to_owned(), reason };
    let text = text.trim();
    if kind == Scheme::Tcp && !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(fail(format!("a port alone is no URL; write tcp://:{text}")));
    }
    let default = match kind {
        Scheme::Http | Scheme::Https => "https",
        Scheme::Tcp => "tcp",
        Scheme::Tls => "tls",
    };
    let wanted = if text.contains("://") { text.to_owned() } else { format!("{default}://{text}") };
    let parsed: WantedUrl = wanted.parse().map_err(|error| fail(format!("{error}")))?;
    let fits = match kind {
        Scheme::Http | Scheme::Https => matches!(parsed.scheme, Scheme::Http | Scheme::Https),
        other => parsed.scheme == other,
    };
    if fits { Ok(wanted) } else { Err(fail(format!("its scheme does not fit a {kind} endpoint; use {default}://"))) }
}
