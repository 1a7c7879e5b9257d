//! What is online, in the words of the REST interface.

use portway_names::{EdgeId, EndpointUrl, Region, SshCredentialId, TunnelId};
use portway_proto::{EndpointRecord, SessionProtocol, SessionRecord};
use portway_store::Timestamp;

use super::{Entry, Process};

/// A session of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveSession {
    /// What the edge says of it.
    pub record: SessionRecord,
    /// The region of the edge.
    pub region: Region,
    /// The edge process that it is at.
    pub(super) process: u64,
}

/// An endpoint of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveEndpoint {
    /// What the edge says of it.
    pub record: EndpointRecord,
    /// The region of the edge.
    pub region: Region,
}

/// An edge process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveEdge {
    /// The edge; while it is replaced, two processes have its id.
    pub id: EdgeId,
    /// Its region.
    pub region: Region,
    /// Version of its program.
    pub version: String,
    /// When the process began, in milliseconds since 1970 by its own clock.
    pub started_at_ms: i64,
    /// When its last report began.
    pub connected_at: Timestamp,
    /// Whether it reports now; when not, it is forgotten within seconds.
    pub connected: bool,
    /// It sends its agents away and ends.
    pub draining: bool,
    /// Sessions that it reported.
    pub sessions: usize,
    /// Endpoints that it reported.
    pub endpoints: usize,
}

impl LiveSession {
    /// Id of what the agent logged in with: `cr_…`, or `sshcr_…` for an SSH key.
    pub fn credential_id(&self) -> String {
        match self.record.ssh_key {
            true => SshCredentialId::new(*self.record.credential.ksuid()).to_string(),
            false => self.record.credential.to_string(),
        }
    }

    /// The protocol of the session as clients of ngrok know it.
    pub fn transport(&self) -> &'static str {
        match self.record.protocol {
            SessionProtocol::Native | SessionProtocol::Ngrok => "ngrok/v2",
            SessionProtocol::Ssh => "ssh",
        }
    }
}

impl LiveEndpoint {
    /// The id that it has as a tunnel: with the same KSUID.
    pub fn tunnel_id(&self) -> TunnelId {
        TunnelId::new(*self.record.id.ksuid())
    }

    /// The URL as visitors write it; empty for one that is found by labels.
    pub fn public_url(&self) -> String {
        self.record.url.as_ref().map(EndpointUrl::to_string).unwrap_or_default()
    }

    /// The scheme of the URL; empty for one that is found by labels.
    pub fn scheme(&self) -> &'static str {
        self.record.url.as_ref().map_or("", |url| url.scheme.as_str())
    }

    /// The host of the URL; empty for one that is found by labels.
    pub fn host(&self) -> String {
        self.record.url.as_ref().map(|url| url.host.to_string()).unwrap_or_default()
    }

    /// The port of the URL, written or not; 0 for one that is found by labels.
    pub fn port(&self) -> u16 {
        self.record.url.as_ref().map_or(0, EndpointUrl::effective_port)
    }

    /// Host and port; empty for one that is found by labels.
    pub fn hostport(&self) -> String {
        self.record.url.as_ref().map(|url| format!("{}:{}", url.host, url.effective_port())).unwrap_or_default()
    }

    /// From where it can be reached: `public` or `internal`.
    pub fn binding(&self) -> &'static str {
        if self.record.internal { "internal" } else { "public" }
    }

    /// The protocol between agent and service: `http1` or `http2`, empty where it is not HTTP.
    pub fn upstream_protocol(&self) -> &'static str {
        match &self.record.url {
            Some(url) if url.scheme.is_http() => match self.record.upstream_http2 {
                true => "http2",
                false => "http1",
            },
            _ => "",
        }
    }
}

impl LiveEdge {
    pub(super) fn of(process: &Process) -> Self {
        let sessions = process.items.values().filter(|entry| matches!(entry, Entry::Session(_))).count();
        LiveEdge {
            id: process.info.id.clone(),
            region: process.info.region.clone(),
            version: process.info.version.clone(),
            started_at_ms: process.info.started_at_ms,
            connected_at: process.connected_at,
            connected: process.report.is_some(),
            draining: process.info.draining,
            sessions,
            endpoints: process.items.len() - sessions,
        }
    }
}
