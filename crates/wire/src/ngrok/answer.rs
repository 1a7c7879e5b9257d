//! Answers: one shape for every SDK, all fields always there.

use bytes::Bytes;
use portway_codes::{Code, Family, PublicError};
use serde_json::{Value, json};

use super::bind::Opts;

/// Answer to an `Auth` that is accepted.
#[derive(Debug, Clone, Copy)]
pub struct AuthAnswer<'a> {
    /// Version of the protocol.
    pub version: &'a str,
    /// What the agent sends when it comes back.
    pub client_id: &'a str,
    /// What the agent sends when it comes back.
    pub cookie: &'a str,
    /// Version of this server.
    pub server_version: &'a str,
    /// Region of this edge.
    pub region: &'a str,
    /// The account, for display.
    pub account_name: &'a str,
    /// The session as the API calls it.
    pub session_id: &'a str,
}

/// Answer to a `Bind` that is accepted.
#[derive(Debug, Clone, Copy)]
pub struct BindAnswer<'a> {
    /// What visitors' streams refer to.
    pub id: &'a str,
    /// The public URL.
    pub url: &'a str,
    /// What the endpoint speaks.
    pub proto: &'a str,
    /// The options of the request, with the name that was assigned.
    pub opts: &'a Opts,
    /// What the agent sends when it comes back.
    pub token: &'a str,
    /// The endpoint as the API calls it.
    pub endpoint_id: &'a str,
}

impl AuthAnswer<'_> {
    /// The bytes of the answer; the stream is to be ended behind them.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        bytes(&json!({
            "Version": self.version,
            "ClientId": self.client_id,
            "Error": "",
            "Extra": {
                "Version": self.server_version,
                "Region": self.region,
                "Cookie": self.cookie,
                "AccountName": self.account_name,
                "SessionDuration": 0,
                "PlanName": "",
                "Banner": "",
                "DeprecationWarning": null,
                "ConnectAddresses": null,
                "AgentSessionID": self.session_id,
            },
        }))
    }
}

impl BindAnswer<'_> {
    /// The bytes of the answer; the stream is to be ended behind them.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        bytes(&json!({
            "Id": self.id,
            "URL": self.url,
            "Proto": self.proto,
            "Opts": self.opts.as_map(),
            "Error": "",
            "Extra": { "Token": self.token, "TunnelID": self.endpoint_id },
        }))
    }
}

/// Answer to a `StartTunnelWithLabel` that is accepted.
#[must_use]
pub fn labels_answer(id: &str) -> Bytes {
    bytes(&json!({ "Id": id, "Error": "" }))
}

/// Answer to a `SrvInfo`.
#[must_use]
pub fn region_answer(region: &str) -> Bytes {
    bytes(&json!({ "Region": region, "Error": "" }))
}

/// Answer to any request: refused, or done where nothing else is to be said. `Opts` and `Extra` keep decoders quiet that look at them
/// before they look at the error.
#[must_use]
pub fn error_answer(error: Option<&PublicError>) -> Bytes {
    let text = error.map(error_text).unwrap_or_default();
    bytes(&json!({ "Error": text, "Extra": null }))
}

/// An error as SDKs split it into message and code: the message, an empty line, the code on a line of its own. They know codes of
/// ngrok's catalogue only; one of ours stands in the message.
#[must_use]
pub fn error_text(error: &PublicError) -> String {
    let code = error.code.name();
    match error.code.family() {
        Family::Ngrok => format!("{}\n\n{code}\n", error.text.trim_end()),
        Family::Portway => format!("{} ({code})\n\n{}\n", error.text.trim_end(), nearest(error.code)),
    }
}

/// The code that SDKs may show for one of ours, by its meaning: they treat an error without a code as one of their own.
fn nearest(code: Code) -> &'static str {
    match code.status() {
        400 | 404 | 409 | 422 | 501 => Code::ERR_NGROK_301.name(),
        429 => Code::ERR_NGROK_350.name(),
        _ => Code::ERR_NGROK_802.name(),
    }
}

fn bytes(answer: &Value) -> Bytes {
    Bytes::from(answer.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_stands_on_a_line_of_its_own() {
        let error = Code::ERR_NGROK_107.with("The authtoken is unknown.\n");
        assert_eq!(error_text(&error), "The authtoken is unknown.\n\nERR_NGROK_107\n");
    }

    #[test]
    fn codes_of_ours_come_with_one_that_sdks_know() {
        let text = error_text(&Code::ERR_PORTWAY_42902.with("Too many."));
        assert_eq!(text, "Too many. (ERR_PORTWAY_42902)\n\nERR_NGROK_350\n");
    }
}
