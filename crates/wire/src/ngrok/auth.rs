//! `Auth`: who the agent is, and what it can do.

use std::time::Duration;

use portway_proto::{MAX_LABEL_LEN, MAX_METADATA_LEN};
use secrecy::SecretString;
use serde_json::{Map, Value};

use super::fields::{Fields, MessageError};

/// Longest authtoken that is looked at, in bytes. Real ones have about 50.
const MAX_AUTHTOKEN_LEN: usize = 512;
/// Longest resume data, in bytes: what this server gives out has under 200.
const MAX_RESUME_LEN: usize = 1024;
/// Longest reason why a command is not supported, in bytes.
const MAX_REASON_LEN: usize = 1024;
/// Protocol versions that an agent may offer.
const MAX_VERSIONS: usize = 16;

/// A checked `Auth`. Whether the authtoken is valid is not.
#[derive(Debug, Clone)]
pub struct Auth {
    /// The version of the protocol to answer with: 3 where the agent offers it.
    pub version: &'static str,
    /// What an earlier answer gave; empty for a new session.
    pub client_id: String,
    /// What an earlier answer gave; empty for a new session.
    pub cookie: String,
    /// The credential, possibly empty.
    pub authtoken: SecretString,
    /// Version of the outermost client.
    pub agent_version: String,
    /// Operating system.
    pub os: String,
    /// Architecture.
    pub arch: String,
    /// Programs and libraries with their versions.
    pub user_agent: String,
    /// `ngrok-rust`, `ngrok-go`, or what the application set.
    pub client_type: String,
    /// Opaque text of the user, at most [`MAX_METADATA_LEN`] bytes.
    pub metadata: String,
    /// How often the agent says that it pings; none where it says nothing of use.
    pub heartbeat_interval: Option<Duration>,
    /// How much longer it waits for an answer.
    pub heartbeat_tolerance: Option<Duration>,
    /// Which connection of a session with several it is: 0 for the first.
    pub leg: u32,
    /// What the agent does when it is told to stop.
    pub stop: Remote,
    /// What the agent does when it is told to restart.
    pub restart: Remote,
    /// What the agent does when it is told to update itself.
    pub update: Remote,
}

/// Whether an agent obeys a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remote {
    /// It does.
    Supported,
    /// It does not, for this reason.
    Unsupported(String),
    /// It is too old to say.
    Unknown,
}

/// The two implementations of the protocol, which differ in habits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClientFamily {
    /// The Rust crate, and the Python, Node and Java packages made of it.
    Rust,
    /// The Go module and what embeds it.
    Go,
}

impl Auth {
    /// Reads an `Auth`.
    ///
    /// # Errors
    /// The field that is wrong.
    pub fn read(message: &Map<String, Value>) -> Result<Self, MessageError> {
        let top = Fields::new(message);
        let extra = top.object("Extra", "Extra")?;
        let offered = top.texts("Version", MAX_VERSIONS, MAX_LABEL_LEN)?;
        let offers = |version: &str| offered.iter().any(|offer| offer == version);
        let version = match (offers("3"), offers("2")) {
            (true, _) => "3",
            (_, true) => "2",
            _ => return Err(top.error("Version", "offers neither version 2 nor 3 of the protocol")),
        };
        let label = |key| extra.text(key, MAX_LABEL_LEN);
        Ok(Self {
            version,
            client_id: top.text("ClientId", MAX_RESUME_LEN)?,
            cookie: extra.text("Cookie", MAX_RESUME_LEN)?,
            authtoken: extra.text("AuthToken", MAX_AUTHTOKEN_LEN)?.into(),
            agent_version: label("Version")?,
            os: label("OS")?,
            arch: label("Arch")?,
            user_agent: extra.text("UserAgent", MAX_REASON_LEN)?,
            client_type: label("ClientType")?,
            metadata: extra.text("Metadata", MAX_METADATA_LEN)?,
            heartbeat_interval: nanoseconds(extra.number("HeartbeatInterval")?),
            heartbeat_tolerance: nanoseconds(extra.number("HeartbeatTolerance")?),
            leg: u32::try_from(extra.number("LegNumber")?).map_err(|_| extra.error("LegNumber", "is out of range"))?,
            stop: remote(extra, "StopUnsupportedError")?,
            restart: remote(extra, "RestartUnsupportedError")?,
            update: remote(extra, "UpdateUnsupportedError")?,
        })
    }

    /// Which implementation it is. Only Go sends the field `Fingerprint` or names itself so; the rest is of the other kind.
    #[must_use]
    pub fn family(&self) -> ClientFamily {
        if self.user_agent.contains("ngrok-go/") || self.client_type.contains("ngrok-go") {
            ClientFamily::Go
        } else {
            ClientFamily::Rust
        }
    }
}

fn nanoseconds(number: i64) -> Option<Duration> {
    u64::try_from(number).ok().filter(|number| *number > 0).map(Duration::from_nanos)
}

fn remote(extra: Fields<'_>, key: &'static str) -> Result<Remote, MessageError> {
    Ok(match extra.optional_text(key, MAX_REASON_LEN)? {
        None => Remote::Unknown,
        Some(reason) if reason.is_empty() => Remote::Supported,
        Some(reason) => Remote::Unsupported(reason),
    })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<Auth, MessageError> {
        let Value::Object(object) = value else { panic!("no object") };
        Auth::read(&object)
    }

    #[test]
    fn both_spellings_of_the_token_are_read() {
        for key in ["AuthToken", "Authtoken", "authtoken"] {
            let auth = read(json!({ "Version": ["3", "2"], "Extra": { key: "tok" } })).unwrap();
            assert_eq!(auth.authtoken.expose_secret(), "tok", "{key}");
            assert_eq!((auth.version, auth.leg), ("3", 0));
        }
    }

    #[test]
    fn version_2_alone_is_answered_with_2_and_others_are_refused() {
        assert_eq!(read(json!({ "Version": ["2"] })).unwrap().version, "2");
        assert_eq!(read(json!({ "Version": ["4", "1"] })).unwrap_err().field, "Version");
        assert_eq!(read(json!({})).unwrap_err().field, "Version");
    }

    #[test]
    fn what_the_agent_obeys_is_told_by_three_kinds_of_value() {
        let extra =
            json!({ "StopUnsupportedError": "", "RestartUnsupportedError": "no", "UpdateUnsupportedError": null });
        let auth = read(json!({ "Version": ["3"], "Extra": extra })).unwrap();
        assert_eq!(auth.stop, Remote::Supported);
        assert_eq!(auth.restart, Remote::Unsupported("no".to_owned()));
        assert_eq!(auth.update, Remote::Unknown);
    }

    #[test]
    fn a_wrong_type_names_the_field() {
        let error = read(json!({ "Version": ["3"], "Extra": { "Metadata": 7 } })).unwrap_err();
        assert_eq!(error.to_string(), "Extra.Metadata: must be a string, and is a number");
        let error = read(json!({ "Version": ["3"], "Extra": { "Metadata": "x".repeat(4097) } })).unwrap_err();
        assert_eq!(error.to_string(), "Extra.Metadata: 4097 bytes are more than the 4096 that are allowed");
        let error = read(json!({ "Version": ["3"], "Extra": [] })).unwrap_err();
        assert_eq!(error.to_string(), "Extra: must be an object, and is a list");
        let error = read(json!({ "Version": ["3"], "Extra": { "LegNumber": -1 } })).unwrap_err();
        assert_eq!(error.field, "Extra.LegNumber");
    }

    #[test]
    fn go_is_told_from_the_rest() {
        let auth = |user_agent: &str| {
            read(json!({ "Version": ["3"], "Extra": { "UserAgent": user_agent } })).unwrap().family()
        };
        assert_eq!(auth("ngrok-go/2.1.1"), ClientFamily::Go);
        assert_eq!(auth("ngrok-javascript/1.7.0 ngrok-rust/0.18.0"), ClientFamily::Rust);
    }
}
