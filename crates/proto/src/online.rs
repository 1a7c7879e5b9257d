//! What an edge reports as online, checked.

use std::collections::BTreeMap;
use std::net::IpAddr;

use portway_names::{AccountId, CredentialId, EdgeId, EndpointId, EndpointUrl, Region, SessionId};

use crate::connection::{address, ip_field};
use crate::control::v1::{AgentProtocol, AgentSession, EdgeInfo, OnlineEndpoint, OnlineItem, OnlineKey, online_item};
use crate::field::{at_most, parse};
use crate::{FieldError, FieldFault, MAX_LABEL_LEN};

/// Longest name that an edge process gives itself, in bytes.
const MAX_PROCESS_LEN: usize = 64;

/// An [`EdgeInfo`] whose fields are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeRecord {
    /// The edge.
    pub id: EdgeId,
    /// Which process of it; each has another name.
    pub process: String,
    /// Its region.
    pub region: Region,
    /// Version of the program.
    pub version: String,
    /// Milliseconds since 1970, by its own clock.
    pub started_at_ms: i64,
    /// It sends its agents away and ends.
    pub draining: bool,
}

/// Names an item for as long as its session lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemKey {
    /// The session.
    pub session: SessionId,
    /// The endpoint in it; 0 is the session itself.
    pub number: u32,
}

/// An [`OnlineItem`] whose fields are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnlineRecord {
    /// A session.
    Session(SessionRecord),
    /// An endpoint.
    Endpoint(EndpointRecord),
}

/// An agent's session. Texts are as the agent said them; the edge limits their lengths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub account: AccountId,
    /// What its agent logged in with.
    pub credential: CredentialId,
    /// The credential is an SSH key.
    pub ssh_key: bool,
    /// What the agent speaks.
    pub protocol: SessionProtocol,
    /// Address that the agent connected from.
    pub ip: IpAddr,
    /// Version of the agent.
    pub agent_version: String,
    /// Operating system of the agent.
    pub os: String,
    /// Opaque text of the user.
    pub metadata: String,
    /// Milliseconds since 1970, by the edge's clock.
    pub started_at_ms: i64,
}

/// What an agent speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SessionProtocol {
    /// Portway's own protocol.
    Native,
    /// The protocol of ngrok's SDKs.
    Ngrok,
    /// SSH.
    Ssh,
}

/// An endpoint of a session. Texts are as the agent said them; the edge limits their lengths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointRecord {
    /// The session that serves it.
    pub session: SessionId,
    /// Its number in the session, from 1.
    pub number: u32,
    /// Whose it is.
    pub account: AccountId,
    /// Its id. Connections of one agent that serve it together have the same.
    pub id: EndpointId,
    /// As visitors write it; none for one that is found by labels.
    pub url: Option<EndpointUrl>,
    /// Only endpoints of the same account reach it.
    pub internal: bool,
    /// Others of the account may serve the same URL.
    pub pooled: bool,
    /// Its name in the agent's configuration.
    pub name: String,
    /// Text of the user.
    pub description: String,
    /// Opaque text of the user.
    pub metadata: String,
    /// What the agent forwards to.
    pub forwards_to: String,
    /// The upstream of an http or https endpoint speaks HTTP/2 with prior knowledge.
    pub upstream_http2: bool,
    /// A Traffic Policy document; empty when it has none.
    pub traffic_policy: String,
    /// What it is found by, when it has no URL.
    pub labels: BTreeMap<String, String>,
    /// Milliseconds since 1970, by the edge's clock.
    pub started_at_ms: i64,
}

impl ItemKey {
    /// A session itself.
    pub fn of_session(session: SessionId) -> Self {
        ItemKey { session, number: 0 }
    }

    /// The message.
    pub fn to_message(self) -> OnlineKey {
        OnlineKey { session_id: self.session.to_string(), number: self.number }
    }
}

impl TryFrom<OnlineKey> for ItemKey {
    type Error = FieldError;

    fn try_from(message: OnlineKey) -> Result<Self, FieldError> {
        Ok(ItemKey { session: parse("session_id", &message.session_id)?, number: message.number })
    }
}

impl OnlineRecord {
    /// What names it.
    pub fn key(&self) -> ItemKey {
        match self {
            OnlineRecord::Session(session) => ItemKey::of_session(session.id),
            OnlineRecord::Endpoint(endpoint) => ItemKey { session: endpoint.session, number: endpoint.number },
        }
    }

    /// The message.
    pub fn to_message(&self) -> OnlineItem {
        let item = match self {
            OnlineRecord::Session(session) => online_item::Item::Session(session.to_message()),
            OnlineRecord::Endpoint(endpoint) => online_item::Item::Endpoint(endpoint.to_message()),
        };
        OnlineItem { item: Some(item) }
    }
}

impl TryFrom<OnlineItem> for OnlineRecord {
    type Error = FieldError;

    fn try_from(message: OnlineItem) -> Result<Self, FieldError> {
        match message.item {
            None => Err(FieldError::new("item", FieldFault::Missing)),
            Some(online_item::Item::Session(session)) => session.try_into().map(OnlineRecord::Session),
            Some(online_item::Item::Endpoint(endpoint)) => endpoint.try_into().map(OnlineRecord::Endpoint),
        }
    }
}

impl EdgeRecord {
    /// The message.
    pub fn to_message(&self) -> EdgeInfo {
        EdgeInfo {
            edge_id: self.id.to_string(),
            process: self.process.clone(),
            region: self.region.to_string(),
            version: self.version.clone(),
            started_at_ms: self.started_at_ms,
            draining: self.draining,
        }
    }
}

impl TryFrom<EdgeInfo> for EdgeRecord {
    type Error = FieldError;

    fn try_from(message: EdgeInfo) -> Result<Self, FieldError> {
        if message.process.is_empty() {
            return Err(FieldError::new("process", FieldFault::Missing));
        }
        Ok(EdgeRecord {
            id: parse("edge_id", &message.edge_id)?,
            process: at_most("process", message.process, MAX_PROCESS_LEN)?,
            region: parse("region", &message.region)?,
            version: at_most("version", message.version, MAX_LABEL_LEN)?,
            started_at_ms: message.started_at_ms,
            draining: message.draining,
        })
    }
}

impl SessionRecord {
    fn to_message(&self) -> AgentSession {
        let protocol = match self.protocol {
            SessionProtocol::Native => AgentProtocol::Native,
            SessionProtocol::Ngrok => AgentProtocol::Ngrok,
            SessionProtocol::Ssh => AgentProtocol::Ssh,
        };
        AgentSession {
            session_id: self.id.to_string(),
            account_id: self.account.to_string(),
            credential_id: self.credential.to_string(),
            ssh_key: self.ssh_key,
            protocol: protocol.into(),
            ip: ip_field(self.ip),
            agent_version: self.agent_version.clone(),
            os: self.os.clone(),
            metadata: self.metadata.clone(),
            started_at_ms: self.started_at_ms,
        }
    }
}

impl TryFrom<AgentSession> for SessionRecord {
    type Error = FieldError;

    fn try_from(message: AgentSession) -> Result<Self, FieldError> {
        let protocol = match AgentProtocol::try_from(message.protocol) {
            Ok(AgentProtocol::Native) => SessionProtocol::Native,
            Ok(AgentProtocol::Ngrok) => SessionProtocol::Ngrok,
            Ok(AgentProtocol::Ssh) => SessionProtocol::Ssh,
            Ok(AgentProtocol::Unspecified) | Err(_) => {
                return Err(FieldError::new("protocol", FieldFault::Unknown(message.protocol.into())));
            }
        };
        let ip = address(&message.ip, 0).map_err(|error| FieldError::new("ip", error))?.ip();
        Ok(SessionRecord {
            id: parse("session_id", &message.session_id)?,
            account: parse("account_id", &message.account_id)?,
            credential: parse("credential_id", &message.credential_id)?,
            ssh_key: message.ssh_key,
            protocol,
            ip,
            agent_version: message.agent_version,
            os: message.os,
            metadata: message.metadata,
            started_at_ms: message.started_at_ms,
        })
    }
}

impl EndpointRecord {
    fn to_message(&self) -> OnlineEndpoint {
        OnlineEndpoint {
            session_id: self.session.to_string(),
            number: self.number,
            account_id: self.account.to_string(),
            endpoint_id: self.id.to_string(),
            url: self.url.as_ref().map(EndpointUrl::to_string).unwrap_or_default(),
            internal: self.internal,
            pooled: self.pooled,
            name: self.name.clone(),
            description: self.description.clone(),
            metadata: self.metadata.clone(),
            forwards_to: self.forwards_to.clone(),
            upstream_http2: self.upstream_http2,
            traffic_policy: self.traffic_policy.clone(),
            labels: self.labels.clone().into_iter().collect(),
            started_at_ms: self.started_at_ms,
        }
    }
}

impl TryFrom<OnlineEndpoint> for EndpointRecord {
    type Error = FieldError;

    fn try_from(message: OnlineEndpoint) -> Result<Self, FieldError> {
        if message.number == 0 {
            return Err(FieldError::new("number", FieldFault::Missing));
        }
        let url = Some(message.url).filter(|url| !url.is_empty()).map(|url| parse("url", &url)).transpose()?;
        Ok(EndpointRecord {
            session: parse("session_id", &message.session_id)?,
            number: message.number,
            account: parse("account_id", &message.account_id)?,
            id: parse("endpoint_id", &message.endpoint_id)?,
            url,
            internal: message.internal,
            pooled: message.pooled,
            name: message.name,
            description: message.description,
            metadata: message.metadata,
            forwards_to: message.forwards_to,
            upstream_http2: message.upstream_http2,
            traffic_policy: message.traffic_policy,
            labels: message.labels.into_iter().collect(),
            started_at_ms: message.started_at_ms,
        })
    }
}
