//! How an agent introduces itself.

use std::time::Duration;

use portway_codes::{Code, PublicError};
use portway_names::KSUID_TEXT_LEN;
use secrecy::{ExposeSecret, SecretString};

use crate::agent::v1::{Hello, RemoteCommand};
use crate::field::at_most;
use crate::{AgentId, CommandKind, FieldError, MAX_LABEL_LEN, MAX_METADATA_LEN};

/// Major version of the agent protocol. Another major version is refused.
pub const VERSION_MAJOR: u32 = 1;

/// Minor version of the agent protocol. Any minor version is understood.
pub const VERSION_MINOR: u32 = 0;

/// Longest authtoken that is looked at, in bytes. Real ones have about 60.
const MAX_AUTHTOKEN_LEN: usize = 512;

/// Shortest heartbeat interval and tolerance: below it pings are load without use.
const MIN_HEARTBEAT: Duration = Duration::from_secs(1);

/// Longest heartbeat interval and tolerance: above it a dead session would hold its names for too long.
const MAX_HEARTBEAT: Duration = Duration::from_secs(300);

/// A [`Hello`] whose fields are checked. Whether the authtoken is valid is not.
#[derive(Clone, Debug)]
pub struct AgentHello {
    /// Minor version that the agent speaks.
    pub version_minor: u32,
    /// The credential.
    pub authtoken: SecretString,
    /// Which agent process it is.
    pub agent_id: AgentId,
    /// Counts the sessions of the agent process.
    pub generation: u64,
    /// Version of the agent program.
    pub agent_version: String,
    /// Operating system.
    pub os: String,
    /// Architecture.
    pub arch: String,
    /// Program or library that embeds the agent.
    pub client_type: String,
    /// Opaque text of the user, at most [`MAX_METADATA_LEN`] bytes.
    pub metadata: String,
    /// How often the agent promises to ping, `None` for the default.
    pub heartbeat_interval: Option<Duration>,
    /// How much longer the edge should wait, `None` for the default.
    pub heartbeat_tolerance: Option<Duration>,
    /// Commands that the agent obeys.
    pub obeys: Vec<CommandKind>,
}

/// Why a session cannot begin with this [`Hello`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// Another major version.
    #[error("the agent speaks version {major}.{minor} of the agent protocol, this server version {VERSION_MAJOR}")]
    Version {
        /// Major version of the agent.
        major: u32,
        /// Minor version of the agent.
        minor: u32,
    },
    /// No text that could be an authtoken of any installation.
    #[error("the authtoken does not have the form of an authtoken")]
    Authtoken,
    /// Longer than [`MAX_METADATA_LEN`].
    #[error(transparent)]
    Metadata(FieldError),
    /// Interval out of range.
    #[error("heartbeat_interval_ms: {0} ms is not between 1 s and 5 min")]
    HeartbeatInterval(u32),
    /// Tolerance out of range.
    #[error("heartbeat_tolerance_ms: {0} ms is not between 1 s and 5 min")]
    HeartbeatTolerance(u32),
    /// Another field.
    #[error(transparent)]
    Field(#[from] FieldError),
}

impl HelloError {
    /// The public code.
    pub fn code(&self) -> Code {
        match self {
            HelloError::Version { .. } => Code::ERR_NGROK_120,
            HelloError::Authtoken => Code::ERR_NGROK_105,
            HelloError::Metadata(_) => Code::ERR_NGROK_100,
            HelloError::HeartbeatInterval(_) => Code::ERR_NGROK_111,
            HelloError::HeartbeatTolerance(_) => Code::ERR_NGROK_112,
            HelloError::Field(_) => Code::ERR_NGROK_109,
        }
    }
}

impl From<&HelloError> for PublicError {
    fn from(error: &HelloError) -> Self {
        let code = error.code();
        match error {
            HelloError::Version { major, .. } => {
                let newer = if *major > VERSION_MAJOR { "server" } else { "agent" };
                code.with(format!("The session is refused: {error}. Update the {newer}."))
            }
            HelloError::Authtoken => code.plain(),
            _ => code.with(format!("The session is refused: {error}. Change the agent's settings, or update it.")),
        }
    }
}

impl AgentHello {
    /// The message. It holds the authtoken in the open: encode it at once, and never log it.
    pub fn to_message(&self) -> Hello {
        Hello {
            version_major: VERSION_MAJOR,
            version_minor: self.version_minor,
            authtoken: self.authtoken.expose_secret().to_owned(),
            agent_id: self.agent_id.to_field(),
            generation: self.generation,
            agent_version: self.agent_version.clone(),
            os: self.os.clone(),
            arch: self.arch.clone(),
            client_type: self.client_type.clone(),
            metadata: self.metadata.clone(),
            heartbeat_interval_ms: self.heartbeat_interval.map_or(0, to_millis),
            heartbeat_tolerance_ms: self.heartbeat_tolerance.map_or(0, to_millis),
            obeys: self.obeys.iter().map(|kind| RemoteCommand::from(*kind).into()).collect(),
        }
    }
}

impl TryFrom<Hello> for AgentHello {
    type Error = HelloError;

    fn try_from(message: Hello) -> Result<Self, HelloError> {
        if message.version_major != VERSION_MAJOR {
            return Err(HelloError::Version { major: message.version_major, minor: message.version_minor });
        }
        if !is_authtoken(&message.authtoken) {
            return Err(HelloError::Authtoken);
        }
        Ok(AgentHello {
            version_minor: message.version_minor,
            authtoken: message.authtoken.into(),
            agent_id: AgentId::from_field("agent_id", &message.agent_id)?,
            generation: message.generation,
            agent_version: at_most("agent_version", message.agent_version, MAX_LABEL_LEN)?,
            os: at_most("os", message.os, MAX_LABEL_LEN)?,
            arch: at_most("arch", message.arch, MAX_LABEL_LEN)?,
            client_type: at_most("client_type", message.client_type, MAX_LABEL_LEN)?,
            metadata: at_most("metadata", message.metadata, MAX_METADATA_LEN).map_err(HelloError::Metadata)?,
            heartbeat_interval: heartbeat(message.heartbeat_interval_ms).map_err(HelloError::HeartbeatInterval)?,
            heartbeat_tolerance: heartbeat(message.heartbeat_tolerance_ms).map_err(HelloError::HeartbeatTolerance)?,
            obeys: CommandKind::known(&message.obeys),
        })
    }
}

/// Whether the text has the form `<KSUID>_<secret>`, both of base 62. A text that cannot be an authtoken is told apart from one
/// that is not known: people who copied half of it look in the right place then.
pub fn is_authtoken(text: &str) -> bool {
    let base62 = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    text.len() <= MAX_AUTHTOKEN_LEN
        && text.split_once('_').is_some_and(|(id, secret)| {
            id.len() == KSUID_TEXT_LEN && !secret.is_empty() && base62(id) && base62(secret)
        })
}

fn heartbeat(millis: u32) -> Result<Option<Duration>, u32> {
    match Duration::from_millis(millis.into()) {
        Duration::ZERO => Ok(None),
        time if (MIN_HEARTBEAT..=MAX_HEARTBEAT).contains(&time) => Ok(Some(time)),
        _ => Err(millis),
    }
}

fn to_millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}
