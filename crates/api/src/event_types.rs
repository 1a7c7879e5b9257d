//! Which events there are.

use portway_codes::Code;
use serde_json::{Value, json};

use crate::value::text;
use crate::{Described, Fault, Input, Schemas};

/// Resources whose creation, change and deletion are events.
const RESOURCES: [&str; 17] = [
    "api_key",
    "certificate_authority",
    "domain",
    "event_destination",
    "event_subscription",
    "ip_policy",
    "ip_policy_rule",
    "ip_restriction",
    "secret",
    "ssh_certificate_authority",
    "ssh_host_certificate",
    "ssh_public_key",
    "ssh_user_certificate",
    "tcp_address",
    "tls_certificate",
    "tunnel_credential",
    "vault",
];
const CHANGES: [&str; 3] = ["created", "updated", "deleted"];
const SESSIONS: [&str; 2] = ["agent_session_start", "agent_session_stop"];
/// Every type ends in the version of its fields.
const VERSION: &str = ".v0";

/// Fields of `http_request_complete.v0`, and whether events can be filtered by them.
pub(crate) const HTTP_FIELDS: &[(&str, bool)] = &[
    ("conn.client_ip", true),
    ("conn.server_ip", true),
    ("conn.server_name", true),
    ("conn.server_port", true),
    ("conn.start_ts", false),
    ("http.request.method", false),
    ("http.request.url.raw", false),
    ("http.request.url.scheme", false),
    ("http.request.url.host", false),
    ("http.request.url.path", false),
    ("http.request.url.query", false),
    ("http.request.headers", false),
    ("http.request.body_length", false),
    ("http.request.user_agent", false),
    ("http.response.status_code", false),
    ("http.response.headers", false),
    ("http.response.body_length", false),
    ("backend.connection_reused", false),
    ("basic_auth.decision", false),
    ("basic_auth.username", false),
    ("circuit_breaker.decision", false),
    ("compression.algorithm", false),
    ("compression.bytes_saved", false),
    ("ip_policy.decision", false),
    ("webhook_verification.decision", false),
    ("oauth.app_client_id", false),
    ("oauth.decision", false),
    ("oauth.user.id", false),
    ("oauth.user.name", false),
    ("tls.version", false),
    ("tls.cipher_suite", false),
    ("tls.client_cert.serial_number", false),
    ("tls.client_cert.subject.cn", false),
    ("ja4_fingerprint", false),
    ("traffic_policy.logs", false),
];

/// Fields of `tcp_connection_closed.v0`.
pub(crate) const TCP_FIELDS: &[(&str, bool)] = &[
    ("conn.client_ip", true),
    ("conn.server_ip", true),
    ("conn.server_name", true),
    ("conn.server_port", true),
    ("conn.start_ts", false),
    ("conn.end_ts", false),
    ("conn.bytes_in", false),
    ("conn.bytes_out", false),
    ("ip_policy.decision", false),
    ("ja4_fingerprint", false),
    ("traffic_policy.logs", false),
];

/// A type of events, as `ip_policy_created.v0`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventType(String);

impl EventType {
    /// Every type, in order.
    pub fn all() -> Vec<String> {
        let mut types: Vec<String> = RESOURCES
            .iter()
            .flat_map(|resource| CHANGES.map(|change| format!("{resource}_{change}{VERSION}")))
            .chain(SESSIONS.map(|session| format!("{session}{VERSION}")))
            .chain(["http_request_complete.v0".to_owned(), "tcp_connection_closed.v0".to_owned()])
            .collect();
        types.sort();
        types
    }

    /// The type of this name.
    ///
    /// # Errors
    ///
    /// 238 when there is none.
    pub fn parse(text: &str) -> Result<EventType, Fault> {
        let unknown = || Fault::coded(Code::ERR_NGROK_238, "there are no events of this type");
        let name = text.strip_suffix(VERSION).ok_or_else(unknown)?;
        let change = name
            .rsplit_once('_')
            .is_some_and(|(resource, change)| RESOURCES.contains(&resource) && CHANGES.contains(&change));
        let other = matches!(name, "http_request_complete" | "tcp_connection_closed") || SESSIONS.contains(&name);
        if change || other { Ok(EventType(text.to_owned())) } else { Err(unknown()) }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The fields that have to be chosen for events of this type and whether events can be filtered by them; none for events that are
    /// always sent whole.
    pub fn fields(&self) -> &'static [(&'static str, bool)] {
        match self.as_str() {
            "http_request_complete.v0" => HTTP_FIELDS,
            "tcp_connection_closed.v0" => TCP_FIELDS,
            _ => &[],
        }
    }
}

impl Described for EventType {
    fn schema(_: &mut Schemas) -> Value {
        json!({"type": "string", "enum": EventType::all()})
    }
}

impl Input for EventType {
    fn read(value: Value) -> Result<Self, Fault> {
        EventType::parse(&text(value)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_read_and_nothing_else() {
        let all = EventType::all();
        assert_eq!(all.len(), RESOURCES.len() * 3 + 4);
        for name in all {
            assert_eq!(EventType::parse(&name).unwrap().as_str(), name);
        }
        for name in ["", ".v0", "ip_policy_created", "ip_policy_created.v1", "ip_policy_made.v0", "_created.v0"] {
            assert_eq!(EventType::parse(name).unwrap_err().code, Some(Code::ERR_NGROK_238), "{name}");
        }
    }
}
