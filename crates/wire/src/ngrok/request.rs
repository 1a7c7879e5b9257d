//! One JSON object at the start of a stream, without a length before or a mark behind it.

use bytes::BytesMut;
use serde_json::{Map, Value};

/// Most bytes of a request: certificates and policies stand inside of it.
pub const MAX_REQUEST_LEN: usize = 1024 * 1024;
/// Deepest nesting; requests of SDKs have five levels.
const MAX_DEPTH: u32 = 32;

/// Most values, lists and objects included: a short one costs far more memory than text. Requests of SDKs have some hundred.
const MAX_VALUES: u32 = 16_384;

/// Why the bytes of a stream are no request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// More than [`MAX_REQUEST_LEN`] bytes and no end.
    #[error("the message is longer than {MAX_REQUEST_LEN} bytes")]
    TooLong,
    /// Objects in objects beyond any use.
    #[error("the message is nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
    /// More values than any use has.
    #[error("the message has more than {MAX_VALUES} values")]
    TooManyValues,
    /// Something else than an object.
    #[error("the message is no JSON object")]
    NoObject,
    /// Not JSON.
    #[error("the message is not valid JSON: {0}")]
    Malformed(String),
    /// The stream ended within the object.
    #[error("the message ends after {0} bytes, in the middle")]
    Truncated(usize),
}

/// Finds and reads the one object of a request, however it is split. Each byte is looked at once before the object is complete.
#[derive(Debug, Default)]
pub struct RequestDecoder {
    buffer: BytesMut,
    scan: Scan,
}

/// Where in the text of an object the scanner is.
#[derive(Debug, Default)]
struct Scan {
    depth: u32,
    /// Commas and opened levels: as many values at most.
    values: u32,
    in_string: bool,
    escaped: bool,
}

impl RequestDecoder {
    /// A decoder for one stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes more bytes; the object once it is complete. What follows it is dropped: SDKs add a line feed at most.
    ///
    /// # Errors
    /// [`RequestError`] when the bytes cannot become a request; the decoder is then of no more use.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Option<Map<String, Value>>, RequestError> {
        let bytes = if self.buffer.is_empty() { bytes.trim_ascii_start() } else { bytes };
        match (self.buffer.first().or(bytes.first()), bytes) {
            (Some(b'{'), _) => {}
            (Some(_), _) => return Err(RequestError::NoObject),
            (None, _) => return Ok(None),
        }
        let end = self.scan.end(bytes)?;
        let taken = end.unwrap_or(bytes.len());
        if self.buffer.len() + taken > MAX_REQUEST_LEN {
            return Err(RequestError::TooLong);
        }
        self.buffer.extend_from_slice(&bytes[..taken]);
        if end.is_none() {
            return Ok(None);
        }
        match serde_json::from_slice(&self.buffer) {
            Ok(object) => Ok(Some(object)),
            Err(error) => Err(RequestError::Malformed(error.to_string())),
        }
    }

    /// The stream ended before the object was complete.
    #[must_use]
    pub fn truncated(&self) -> RequestError {
        RequestError::Truncated(self.buffer.len())
    }
}

impl Scan {
    /// Where the object that is being scanned ends in `bytes`: the place behind its last brace.
    fn end(&mut self, bytes: &[u8]) -> Result<Option<usize>, RequestError> {
        for (at, byte) in bytes.iter().enumerate() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => {
                    self.depth += 1;
                    self.count_value()?;
                    if self.depth > MAX_DEPTH {
                        return Err(RequestError::TooDeep);
                    }
                }
                b',' => self.count_value()?,
                b'}' | b']' => {
                    // The first byte opened a level, so there is one to close.
                    self.depth -= 1;
                    if self.depth == 0 {
                        return Ok(Some(at + 1));
                    }
                }
                _ => {}
            }
        }
        Ok(None)
    }

    fn count_value(&mut self) -> Result<(), RequestError> {
        self.values += 1;
        if self.values > MAX_VALUES { Err(RequestError::TooManyValues) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(text: &str) -> Result<Option<Map<String, Value>>, RequestError> {
        RequestDecoder::new().push(text.as_bytes())
    }

    #[test]
    fn an_object_is_found_in_front_of_anything() {
        assert_eq!(whole(r#"{"Id":"a}\"{"}"#).unwrap().unwrap()["Id"], "a}\"{");
        assert_eq!(whole("{}\n").unwrap(), Some(Map::new()));
        assert_eq!(whole(" \r\n{}{}").unwrap(), Some(Map::new()));
        assert_eq!(whole("  ").unwrap(), None);
        assert_eq!(whole(r#"{"a":"#).unwrap(), None);
    }

    #[test]
    fn what_is_no_object_is_refused_with_a_reason() {
        for text in ["[]", "1", "\"x\"", "null", "GET / HTTP/1.1"] {
            assert_eq!(whole(text), Err(RequestError::NoObject), "{text}");
        }
        assert!(matches!(whole("{]"), Err(RequestError::Malformed(_))));
        assert!(matches!(whole("{\"a\":\"\u{0}\"}"), Err(RequestError::Malformed(_))));
        assert_eq!(whole(&"{\"a\":".repeat(40)), Err(RequestError::TooDeep));
    }

    #[test]
    fn many_small_values_are_no_message() {
        let list = |count: usize| format!("{{\"a\":[{}{{}}]}}", "0,".repeat(count));
        let most = MAX_VALUES as usize - 3;
        assert_eq!(whole(&list(most)).unwrap().unwrap()["a"].as_array().unwrap().len(), most + 1);
        assert_eq!(whole(&list(most + 1)), Err(RequestError::TooManyValues));
        assert!(whole(&format!("{{\"a\":\"{}\"}}", ",[{".repeat(100_000))).unwrap().is_some(), "text is no value");
    }

    #[test]
    fn an_endless_message_is_given_up() {
        let mut decoder = RequestDecoder::new();
        let mut outcome = decoder.push(b"{\"a\":\"");
        for _ in 0..=MAX_REQUEST_LEN / 4096 {
            if outcome.is_ok() {
                outcome = decoder.push(&[b'x'; 4096]);
            }
        }
        assert_eq!(outcome, Err(RequestError::TooLong));
    }

    proptest! {
        #[test]
        fn split_anywhere_it_is_the_same_object(
            text in "[ -~\u{e9}]{0,40}",
            number in any::<i32>(),
            cuts in prop::collection::vec(1..7usize, 1..20),
        ) {
            let object = serde_json::json!({ "Text": text, "Inner": { "Number": number, "List": ["}", "\\", text] } });
            let bytes = serde_json::to_vec(&object).unwrap();
            let (mut decoder, mut got, mut at) = (RequestDecoder::new(), None, 0);
            for cut in cuts.into_iter().cycle() {
                let to = (at + cut).min(bytes.len());
                got = decoder.push(&bytes[at..to]).unwrap();
                at = to;
                if got.is_some() || at == bytes.len() {
                    break;
                }
            }
            prop_assert_eq!(at, bytes.len());
            prop_assert_eq!(got.map(Value::Object), Some(object));
        }

        #[test]
        fn any_bytes_end_in_an_object_an_error_or_a_wait(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            let _ = RequestDecoder::new().push(&bytes);
        }
    }
}
