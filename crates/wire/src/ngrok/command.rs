//! What the server tells an agent: stop, restart, update, and that an endpoint is no more.

use bytes::{BufMut, Bytes, BytesMut};
use portway_codes::PublicError;
use serde_json::{Map, Value, json};

use super::fields::{Fields, MessageError};
use crate::StreamType;

/// Longest reason of an agent that does not obey, in bytes.
const MAX_REASON_LEN: usize = 4096;

/// `Stop` or `Restart`, without fields: the bytes of its stream. The answer is one object, possibly without the end of the stream.
#[must_use]
pub fn command(stream_type: StreamType) -> Bytes {
    message(stream_type, &json!({}))
}

/// `Update` to `version`, or to the newest one when it is empty.
#[must_use]
pub fn update_command(version: &str, permit_major: bool) -> Bytes {
    message(StreamType::UPDATE, &json!({ "Version": version, "PermitMajorVersion": permit_major }))
}

/// `StopTunnel`: the endpoint of this bind id is no more. No answer comes.
#[must_use]
pub fn stop_tunnel(id: &str, why: &PublicError) -> Bytes {
    let message_of = json!({ "Id": id, "Message": why.text, "ErrorCode": why.code.name() });
    message(StreamType::STOP_TUNNEL, &message_of)
}

/// What the answer to a command says went wrong; none when the agent obeys.
///
/// # Errors
/// The field that is wrong.
pub fn command_error(answer: &Map<String, Value>) -> Result<Option<String>, MessageError> {
    let error = Fields::new(answer).text("Error", MAX_REASON_LEN)?;
    Ok(Some(error).filter(|error| !error.is_empty()))
}

fn message(stream_type: StreamType, object: &Value) -> Bytes {
    let text = object.to_string();
    let mut out = BytesMut::with_capacity(StreamType::LEN + text.len());
    out.put_slice(&stream_type.to_bytes());
    out.put_slice(text.as_bytes());
    out.freeze()
}

#[cfg(test)]
mod tests {
    use portway_codes::Code;

    use super::*;

    #[test]
    fn commands_start_with_their_type_word() {
        assert_eq!(command(StreamType::STOP)[..], *b"\0\0\0\x05{}");
        assert_eq!(command(StreamType::RESTART)[..], *b"\0\0\0\x04{}");
        let stopped = stop_tunnel("b1", &Code::ERR_NGROK_300.with("revoked"));
        let message: Value = serde_json::from_slice(&stopped[4..]).unwrap();
        assert_eq!(message, json!({ "Id": "b1", "Message": "revoked", "ErrorCode": "ERR_NGROK_300" }));
    }

    #[test]
    fn an_answer_obeys_or_says_why_not() {
        let error = |value: Value| command_error(value.as_object().unwrap()).unwrap();
        assert_eq!(error(json!({})), None);
        assert_eq!(error(json!({ "error": "" })), None);
        assert_eq!(error(json!({ "Error": "no" })), Some("no".to_owned()));
    }
}
