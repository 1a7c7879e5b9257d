//! `add-headers` and `remove-headers`, of requests and of responses.

use std::fmt;

use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::ConfigError;

/// Entries of one action; the documented limit.
pub(crate) const ENTRIES_MAX: usize = 10;
/// Bytes of a value. Longer than any header should be, and a sixteenth of what a response head may have.
const VALUE_MAX: usize = 4_096;
/// Bytes of names and values that all changes of one direction have together: a quarter of what a head may have. Thousands of endpoints keep them.
pub(crate) const BYTES_MAX: usize = 16 * 1024;

/// Fields that frame a message, or concern one hop of its way (RFC 9110 section 7.6.1): the edge sets them, and whoever could change them could
/// make one message read as two. `expect` decides who sends the body when.
const OF_THE_EDGE: [&str; 12] = [
    "connection",
    "content-length",
    "expect",
    "http2-settings",
    "keep-alive",
    "ngrok-error-code",
    "proxy-connection",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
];
/// Names that `add-headers` refuses besides, as documented.
const NEVER_ADDED: [&str; 2] = ["user-agent", "ngrok-skip-browser-warning"];
/// Names that `remove-headers` refuses besides: the first as documented; a request needs the other.
const NEVER_REMOVED: [&str; 2] = ["user-agent", "host"];
/// Characters of a wrong value that an error repeats.
const SHOWN_MAX: usize = 64;

/// Configuration of `add-headers`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddHeadersConfig {
    /// Names and values, 1 to 10, in order.
    #[serde(deserialize_with = "pairs")]
    pub headers: Vec<(String, String)>,
}

/// Configuration of `remove-headers`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveHeadersConfig {
    /// Names, 1 to 10.
    pub headers: Vec<String>,
}

/// One compiled action on the header of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderChange {
    /// Appends; what is there stays. `host` of a request is replaced instead.
    Add(Vec<(HeaderName, HeaderValue)>),
    /// Removes every field of these names.
    Remove(Vec<HeaderName>),
}

impl HeaderChange {
    /// Type of the action that adds.
    pub const ADD: &str = "add-headers";
    /// Type of the action that removes.
    pub const REMOVE: &str = "remove-headers";

    /// Compiles `add-headers`.
    ///
    /// # Errors
    /// None (2223) or more than 10 (2218) entries; a name or value that HTTP does not allow, or a name that is the edge's (2204).
    pub fn add(config: &AddHeadersConfig) -> Result<HeaderChange, ConfigError> {
        check_count(Self::ADD, config.headers.len(), ENTRIES_MAX)?;
        let entries = config.headers.iter().map(|(name, value)| entry(format!("headers.{name}"), name, value));
        entries.collect::<Result<_, _>>().map(HeaderChange::Add)
    }

    /// Compiles `remove-headers`.
    ///
    /// # Errors
    /// None (2223) or more than 10 (2218) entries; a name that HTTP does not allow, or that is the edge's (2204).
    pub fn remove(config: &RemoveHeadersConfig) -> Result<HeaderChange, ConfigError> {
        check_count(Self::REMOVE, config.headers.len(), ENTRIES_MAX)?;
        let names = config.headers.iter().enumerate();
        names
            .map(|(at, text)| removable(format!("headers[{at}]"), text))
            .collect::<Result<_, _>>()
            .map(HeaderChange::Remove)
    }

    /// Changes a header.
    pub fn apply(&self, headers: &mut HeaderMap) {
        match self {
            HeaderChange::Add(entries) => {
                for (name, value) in entries {
                    headers.append(name.clone(), value.clone());
                }
            }
            HeaderChange::Remove(names) => names.iter().for_each(|name| {
                headers.remove(name);
            }),
        }
    }

    /// Bytes of its names and values.
    pub(crate) fn size(&self) -> usize {
        match self {
            HeaderChange::Add(entries) => entries.iter().map(|(name, value)| name.as_str().len() + value.len()).sum(),
            HeaderChange::Remove(names) => names.iter().map(|name| name.as_str().len()).sum(),
        }
    }
}

/// The error of changes that have more than [`BYTES_MAX`].
pub(crate) fn too_large() -> ConfigError {
    ConfigError::value(HeaderChange::ADD, "headers", "all header changes of one direction have more than 16,384 bytes")
}

pub(crate) fn check_count(action: &'static str, count: usize, max: usize) -> Result<(), ConfigError> {
    match count {
        0 => Err(ConfigError::empty(action, "headers")),
        count if count > max => Err(ConfigError::too_many(action, "headers", max)),
        _ => Ok(()),
    }
}

/// An entry that may be added. White space around the value does not belong to it (RFC 9110 section 5.5).
pub(crate) fn entry(field: String, name: &str, value: &str) -> Result<(HeaderName, HeaderValue), ConfigError> {
    let fault = |why: &str| ConfigError::value(HeaderChange::ADD, field.clone(), why);
    let name = header_name(name).ok_or_else(|| fault(&format!("{} is no name of a header", shown(name))))?;
    if OF_THE_EDGE.contains(&name.as_str()) || NEVER_ADDED.contains(&name.as_str()) {
        return Err(fault(&format!("the header {name} cannot be added")));
    }
    let value = value.trim_matches([' ', '\t']);
    if value.len() > VALUE_MAX {
        return Err(fault("the value is longer than 4,096 bytes"));
    }
    let no_value = |_| fault("the value has a character that a header cannot have, such as a line end");
    let value = HeaderValue::from_bytes(value.as_bytes()).map_err(no_value)?;
    if name == header::HOST && Authority::try_from(value.as_bytes()).map_or(true, |host| host.as_str().contains('@')) {
        return Err(fault("the value is no host"));
    }
    Ok((name, value))
}

/// A name that may be removed.
pub(crate) fn removable(field: String, name: &str) -> Result<HeaderName, ConfigError> {
    let fault = |why: &str| ConfigError::value(HeaderChange::REMOVE, field.clone(), why);
    let name = header_name(name).ok_or_else(|| fault(&format!("{} is no name of a header", shown(name))))?;
    if OF_THE_EDGE.contains(&name.as_str()) || NEVER_REMOVED.contains(&name.as_str()) {
        return Err(fault(&format!("the header {name} cannot be removed")));
    }
    Ok(name)
}

/// The beginning of what somebody wrote, in quotes and with nothing in it that a terminal obeys.
pub(crate) fn shown(text: &str) -> String {
    format!("{:?}", text.chars().take(SHOWN_MAX).collect::<String>())
}

fn header_name(text: &str) -> Option<HeaderName> {
    HeaderName::from_bytes(text.as_bytes()).ok().filter(|name| name.as_str().len() <= 256)
}

/// What changes in the header of requests. The host stands apart: over HTTP/2 it is no header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestHeaders {
    changes: Vec<HeaderChange>,
    host: Option<HeaderValue>,
}

impl RequestHeaders {
    /// Adds a change behind those that are there.
    pub fn push(&mut self, mut change: HeaderChange) {
        if let HeaderChange::Add(entries) = &mut change {
            entries.retain(|(name, value)| {
                let is_host = *name == header::HOST;
                if is_host {
                    self.host = Some(value.clone());
                }
                !is_host
            });
        }
        self.changes.push(change);
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.changes.len()
    }

    /// Bytes of all names and values, but those of a host.
    pub(crate) fn size(&self) -> usize {
        self.changes.iter().map(HeaderChange::size).sum()
    }

    /// The host that requests are forwarded with instead of the visitor's.
    pub fn host(&self) -> Option<&HeaderValue> {
        self.host.as_ref()
    }

    /// Makes the other changes, in order. What is removed goes under its spelling with underscores for hyphens as well, and the other way
    /// round: CGI and its descendants cannot tell them apart.
    pub fn apply(&self, headers: &mut HeaderMap) {
        for change in &self.changes {
            match change {
                HeaderChange::Add(_) => change.apply(headers),
                HeaderChange::Remove(names) => remove_alike(names, headers),
            }
        }
    }

    /// Takes out of trailers what is removed from headers: who reads the message may take one for the other.
    pub fn apply_to_trailers(&self, trailers: &mut HeaderMap) {
        for change in &self.changes {
            if let HeaderChange::Remove(names) = change {
                remove_alike(names, trailers);
            }
        }
    }
}

fn remove_alike(names: &[HeaderName], headers: &mut HeaderMap) {
    let gone = |found: &&HeaderName| names.iter().any(|name| is_alike(name.as_str(), found.as_str()));
    let found: Vec<HeaderName> = headers.keys().filter(gone).cloned().collect();
    for name in found {
        headers.remove(name);
    }
}

fn is_alike(a: &str, b: &str) -> bool {
    let hyphen = |byte: u8| if byte == b'_' { b'-' } else { byte };
    a.len() == b.len() && a.bytes().map(hyphen).eq(b.bytes().map(hyphen))
}

/// The entries of a map, in its order. A name given twice stays twice.
fn pairs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, String)>, D::Error> {
    struct Pairs;
    impl<'de> Visitor<'de> for Pairs {
        type Value = Vec<(String, String)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map of header names and values")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut pairs = Vec::new();
            while let Some(pair) = map.next_entry()? {
                if pairs.len() > ENTRIES_MAX {
                    return Err(A::Error::custom("there are more than 10 headers"));
                }
                pairs.push(pair);
            }
            Ok(pairs)
        }
    }
    deserializer.deserialize_map(Pairs)
}

#[cfg(test)]
mod tests {
    use portway_codes::Code;
    use proptest::prelude::*;

    use super::*;

    fn add(entries: &[(&str, &str)]) -> Result<HeaderChange, ConfigError> {
        let headers = entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        HeaderChange::add(&AddHeadersConfig { headers })
    }

    fn remove(names: &[&str]) -> Result<HeaderChange, ConfigError> {
        HeaderChange::remove(&RemoveHeadersConfig { headers: names.iter().map(|&name| name.to_owned()).collect() })
    }

    fn lines(headers: &HeaderMap) -> Vec<String> {
        headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
    }

    #[test]
    fn changes_are_made_in_order() {
        let mut headers: HeaderMap = [(header::ACCEPT, HeaderValue::from_static("*/*"))].into_iter().collect();
        let mut changes = RequestHeaders::default();
        changes.push(add(&[("X-A", " 1 "), ("x-a", "2"), ("Accept", "text/html"), ("Host", "inner:8080")]).unwrap());
        changes.apply(&mut headers);
        assert_eq!(lines(&headers), ["accept: */*", "accept: text/html", "x-a: 1", "x-a: 2"]);
        assert_eq!(changes.host().unwrap(), "inner:8080");
        changes.push(remove(&["X-a"]).unwrap());
        changes.push(add(&[("x-a", "${conn.client_ip}")]).unwrap());
        changes.apply(&mut headers);
        assert_eq!(lines(&headers)[..3], ["accept: */*", "accept: text/html", "accept: text/html"]);
        assert_eq!(headers.get_all("x-a").iter().collect::<Vec<_>>(), ["${conn.client_ip}"]);
    }

    #[test]
    fn what_frames_or_lies_is_refused() {
        for name in OF_THE_EDGE {
            assert_eq!(add(&[(name, "x")]).unwrap_err().code, Code::ERR_NGROK_2204, "{name}");
            assert!(remove(&[&name.to_uppercase()]).is_err(), "{name}");
        }
        for (name, value) in [
            ("user-agent", "x"),
            ("Ngrok-Skip-Browser-Warning", "x"),
            ("", "x"),
            ("a b", "x"),
            ("a:", "x"),
            ("a\r\nb", "x"),
            ("ä", "x"),
            ("a", "x\r\nset-cookie: y"),
            ("a", "x\ny"),
            ("a", "x\0"),
            ("host", ""),
            ("host", "a b"),
            ("host", "user@a"),
            ("host", "a/b"),
        ] {
            let error = add(&[("x-good", "1"), (name, value)]).unwrap_err();
            assert_eq!((error.code, error.field), (Code::ERR_NGROK_2204, format!("headers.{name}")), "{name} {value}");
        }
        assert_eq!(remove(&["x", "user-agent"]).unwrap_err().field, "headers[1]");
        assert!(remove(&["host"]).is_err());
    }

    #[test]
    fn what_is_removed_goes_under_every_spelling() {
        let names =
            ["x-edge-auth", "x_edge_auth", "x-edge_auth", "x-edge-other", "x-edge-aut", "legacy-id", "legacy_id"];
        let all = || names.map(|name| (HeaderName::from_static(name), HeaderValue::from_static("1"))).into_iter();
        let mut changes = RequestHeaders::default();
        changes.push(remove(&["X-Edge-Auth", "legacy_id"]).unwrap());
        changes.push(add(&[("x-edge-auth", "2")]).unwrap());
        let (mut headers, mut trailers): (HeaderMap, HeaderMap) = (all().collect(), all().collect());
        changes.apply(&mut headers);
        changes.apply_to_trailers(&mut trailers);
        let sorted = |headers| {
            let mut lines = lines(headers);
            lines.sort();
            lines
        };
        assert_eq!(sorted(&headers), ["x-edge-aut: 1", "x-edge-auth: 2", "x-edge-other: 1"]);
        assert_eq!(sorted(&trailers), ["x-edge-aut: 1", "x-edge-other: 1"]);
    }

    #[test]
    fn refusals_name_the_header() {
        let why = |error: ConfigError| error.why;
        assert_eq!(why(remove(&["x", "Content-Length"]).unwrap_err()), "the header content-length cannot be removed");
        assert_eq!(why(add(&[("Trailer", "x")]).unwrap_err()), "the header trailer cannot be added");
        assert_eq!(why(remove(&["a\u{1b}b"]).unwrap_err()), r#""a\u{1b}b" is no name of a header"#);
        assert!(why(remove(&[&" ".repeat(1_000)]).unwrap_err()).len() < 100);
    }

    #[test]
    fn limits_hold() {
        assert_eq!(add(&[]).unwrap_err().code, Code::ERR_NGROK_2223);
        assert_eq!(remove(&["a"; 11]).unwrap_err().code, Code::ERR_NGROK_2218);
        assert_eq!(add(&[("a", "x"); 11]).unwrap_err().code, Code::ERR_NGROK_2218);
        assert!(add(&[("a", &"x".repeat(4_097))]).is_err());
    }

    proptest! {
        #[test]
        fn what_is_accepted_cannot_end_a_line(name in ".{0,12}", value in "[\\x00-\\x7f\u{80}-\u{ff}]{0,12}") {
            if let Ok(HeaderChange::Add(entries)) = add(&[(&name, &value)]) {
                for (name, value) in entries {
                    let bytes = value.as_bytes();
                    prop_assert!(!bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
                    prop_assert!(!OF_THE_EDGE.contains(&name.as_str()));
                }
            }
        }
    }
}
