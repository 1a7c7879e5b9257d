//! Which fields of a message cross the edge: hop-by-hop rules (RFC 9110 section 7.6.1) and what the edge says about the visitor.

use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, FORWARDED, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use portway_wire::http1_guard::is_forbidden_trailer;

use super::page::ERROR_CODE;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Fields that only the edge may set: whatever a visitor sends under these names, or under their spelling with underscores (which CGI
/// and its descendants cannot tell apart), is dropped.
const TRUSTED: [&str; 10] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-server",
    "x-forwarded-prefix",
    "x-forwarded-ssl",
    "x-real-ip",
    "ngrok-error-code",
];

/// What the edge says about a visitor in each of its requests.
#[derive(Debug, Clone)]
pub(super) struct Provenance {
    /// Address of the visitor.
    pub(super) client: HeaderValue,
    /// "http" or "https".
    pub(super) proto: HeaderValue,
    /// `Forwarded` (RFC 7239 section 4) for the host that was asked for.
    pub(super) forwarded: HeaderValue,
}

/// What a request asks of its connection, once its hop-by-hop fields are taken off.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wishes {
    /// The protocol to change to; the request must be answered by 101 or not change.
    pub(super) upgrade: Option<HeaderValue>,
    /// The visitor takes trailers.
    pub(super) trailers: bool,
}

/// How the request travels on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hop {
    Http1,
    Http2,
}

/// Takes off what ends at the edge, and returns what it asked for. `may_upgrade`: the visitor speaks HTTP/1.1.
pub(super) fn strip_request(headers: &mut HeaderMap, may_upgrade: bool) -> Wishes {
    let seen = Seen::in_fields(headers);
    let mut wishes = Wishes::default();
    if seen.te {
        wishes.trailers = headers.get_all(TE).iter().any(|value| has_token(value, "trailers"));
        headers.remove(TE);
    }
    if seen.upgrade {
        let upgrade = headers.remove(UPGRADE);
        let named = headers.get_all(CONNECTION).iter().any(|value| has_token(value, "upgrade"));
        // HTTP/2 in the clear would carry requests past the edge unseen: RFC 9113 section 3.1 deprecates the upgrade anyway.
        wishes.upgrade = upgrade.filter(|value| may_upgrade && named && !has_token(value, "h2c"));
        headers.remove(HTTP2_SETTINGS);
    }
    if seen.connection {
        remove_named_by_connection(headers);
    }
    if seen.hop_by_hop {
        for name in [KEEP_ALIVE, PROXY_CONNECTION, TRANSFER_ENCODING] {
            headers.remove(name);
        }
    }
    if seen.trusted {
        remove_trusted(headers);
    }
    wishes
}

/// Says who the visitor is, and asks the next hop for what the visitor wished. `host` is the Host as the visitor sent it.
pub(super) fn extend_request(
    headers: &mut HeaderMap,
    provenance: &Provenance,
    host: &HeaderValue,
    host_rewritten: Option<&HeaderValue>,
    wishes: &Wishes,
    hop: Hop,
) {
    headers.insert(X_FORWARDED_FOR, provenance.client.clone());
    headers.insert(X_FORWARDED_PROTO, provenance.proto.clone());
    headers.insert(X_FORWARDED_HOST, host.clone());
    headers.insert(FORWARDED, provenance.forwarded.clone());
    match hop {
        Hop::Http1 => {
            headers.insert(HOST, host_rewritten.unwrap_or(host).clone());
            if let Some(protocol) = &wishes.upgrade {
                headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
                headers.insert(UPGRADE, protocol.clone());
            } else if wishes.trailers {
                headers.insert(CONNECTION, HeaderValue::from_static("te"));
            }
        }
        Hop::Http2 => {
            // The authority says it; Expect would be answered by a response that cannot be passed on.
            headers.remove(HOST);
            headers.remove(EXPECT);
        }
    }
    if wishes.trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

/// Takes off a response what ends at the edge. The upgrade of a 101 stays.
pub(super) fn strip_response(status: StatusCode, headers: &mut HeaderMap) {
    let seen = Seen::in_fields(headers);
    let upgrade = if seen.upgrade { headers.remove(UPGRADE) } else { None };
    if seen.connection {
        remove_named_by_connection(headers);
    }
    if seen.te {
        headers.remove(TE);
    }
    if seen.hop_by_hop {
        for name in [KEEP_ALIVE, PROXY_CONNECTION, TRANSFER_ENCODING] {
            headers.remove(name);
        }
    }
    if seen.trusted {
        remove_where(headers, |name| is_alike(ERROR_CODE.as_str(), name));
    }
    if status == StatusCode::NO_CONTENT || status.is_informational() {
        // RFC 9110 section 8.6: no Content-Length here; HTTP/2 visitors would take it for a malformed message.
        headers.remove(CONTENT_LENGTH);
    }
    if status == StatusCode::SWITCHING_PROTOCOLS {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        if let Some(protocol) = upgrade {
            headers.insert(UPGRADE, protocol);
        }
    }
}

/// Takes out of trailers what would frame, route or authenticate a message, should somebody behind merge them into the header (RFC 9110
/// section 6.5.1).
pub(super) fn strip_trailers(trailers: &mut HeaderMap) {
    let forbidden = |name: &&HeaderName| is_forbidden_trailer(name.as_str().as_bytes());
    let names: Vec<HeaderName> = trailers.keys().filter(forbidden).cloned().collect();
    for name in names {
        trailers.remove(name);
    }
    remove_trusted(trailers);
}

/// Which of the special fields a message has: one walk instead of a look-up for each.
#[derive(Debug, Default)]
struct Seen {
    connection: bool,
    te: bool,
    upgrade: bool,
    hop_by_hop: bool,
    trusted: bool,
}

impl Seen {
    fn in_fields(headers: &HeaderMap) -> Seen {
        let mut seen = Seen::default();
        for name in headers.keys() {
            match *name {
                CONNECTION => seen.connection = true,
                TE => seen.te = true,
                UPGRADE => seen.upgrade = true,
                TRANSFER_ENCODING => seen.hop_by_hop = true,
                _ => {
                    let name = name.as_str();
                    match name.as_bytes()[0] {
                        b'k' | b'p' => {
                            seen.hop_by_hop |= name == KEEP_ALIVE.as_str() || name == PROXY_CONNECTION.as_str()
                        }
                        b'x' | b'f' | b'n' => seen.trusted |= is_trusted(name),
                        _ => {}
                    }
                }
            }
        }
        seen
    }
}

/// RFC 9110 section 7.6.1: what `Connection` names goes, and `Connection` itself. Not the fields that frame or route the message: to
/// name them is an attack. What only the edge sets is set afterwards, so naming it takes nothing away.
fn remove_named_by_connection(headers: &mut HeaderMap) {
    let mut named = Vec::new();
    for value in headers.get_all(CONNECTION) {
        for token in tokens(value) {
            // The usual words name no field, besides one that goes anyway.
            if token.eq_ignore_ascii_case(b"keep-alive") || token.eq_ignore_ascii_case(b"close") {
                continue;
            }
            if let Ok(name) = HeaderName::from_bytes(token)
                && !matches!(name, HOST | CONTENT_LENGTH)
            {
                named.push(name);
            }
        }
    }
    for name in named {
        headers.remove(name);
    }
    headers.remove(CONNECTION);
}

fn remove_trusted(headers: &mut HeaderMap) {
    remove_where(headers, is_trusted);
}

fn remove_where(headers: &mut HeaderMap, gone: impl Fn(&str) -> bool) {
    let names: Vec<HeaderName> = headers.keys().filter(|name| gone(name.as_str())).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// Whether a name is one of [`TRUSTED`].
fn is_trusted(name: &str) -> bool {
    TRUSTED.iter().any(|known| is_alike(known, name))
}

/// Whether a name is this one, underscores taken for hyphens. Names are lower case already.
fn is_alike(known: &str, name: &str) -> bool {
    known.len() == name.len() && known.bytes().zip(name.bytes()).all(|(a, b)| a == b || (a == b'-' && b == b'_'))
}

/// Whether a comma-separated value holds a token, in any case.
pub(super) fn has_token(value: &HeaderValue, token: &str) -> bool {
    tokens(value).any(|found| found.eq_ignore_ascii_case(token.as_bytes()))
}

fn tokens(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value.as_bytes().split(|&b| b == b',').map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_bytes(name.as_bytes()).expect("name"), value.parse().expect("value"));
        }
        headers
    }

    fn forwarded(fields: &[(&str, &str)], may_upgrade: bool) -> Vec<String> {
        let mut headers = map(fields);
        let wishes = strip_request(&mut headers, may_upgrade);
        let provenance = Provenance {
            client: HeaderValue::from_static("192.0.2.7"),
            proto: HeaderValue::from_static("https"),
            forwarded: HeaderValue::from_static("for=192.0.2.7;host=a.example;proto=https"),
        };
        extend_request(&mut headers, &provenance, &HeaderValue::from_static("a.example"), None, &wishes, Hop::Http1);
        let mut lines: Vec<String> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().expect("text"))).collect();
        lines.sort();
        lines
    }

    const OURS: [&str; 5] = [
        "forwarded: for=192.0.2.7;host=a.example;proto=https",
        "host: a.example",
        "x-forwarded-for: 192.0.2.7",
        "x-forwarded-host: a.example",
        "x-forwarded-proto: https",
    ];

    #[test]
    fn a_request_loses_what_it_must_and_nothing_else() {
        for (fields, kept) in [
            (&[("accept", "*/*"), ("cookie", "a=b")][..], &["accept: */*", "cookie: a=b"][..]),
            (&[("connection", "keep-alive, X-Secret"), ("x-secret", "1"), ("keep-alive", "timeout=5")], &[]),
            (&[("proxy-connection", "keep-alive"), ("transfer-encoding", "chunked")], &[]),
            (&[("x-forwarded-for", "6.6.6.6"), ("forwarded", "for=6.6.6.6"), ("x-real-ip", "6.6.6.6")], &[]),
            (&[("x_forwarded_for", "6.6.6.6"), ("x-forwarded_proto", "http"), ("x_real_ip", "6.6.6.6")], &[]),
            (&[("x-forwarded-port", "1"), ("x-forwarded-prefix", "/a"), ("ngrok_error_code", "x")], &[]),
            (
                &[("connection", "x-forwarded-for, forwarded, host, content-length"), ("content-length", "0")],
                &["content-length: 0"],
            ),
            (&[("te", "trailers, deflate")], &["connection: te", "te: trailers"]),
            (&[("te", "deflate")], &[]),
            (&[("connection", "Upgrade"), ("upgrade", "websocket")], &["connection: upgrade", "upgrade: websocket"]),
            (&[("upgrade", "websocket")], &[]),
            (&[("connection", "upgrade, http2-settings"), ("upgrade", "h2c"), ("http2-settings", "AAMAAABk")], &[]),
            (
                &[("x-forwarded-something", "kept"), ("x_other", "kept")],
                &["x-forwarded-something: kept", "x_other: kept"],
            ),
        ] {
            let mut expected: Vec<&str> = OURS.iter().chain(kept).copied().collect();
            expected.sort_unstable();
            assert_eq!(forwarded(fields, true), expected, "{fields:?}");
        }
    }

    #[test]
    fn only_http11_upgrades() {
        assert_eq!(forwarded(&[("connection", "upgrade"), ("upgrade", "websocket")], false), OURS);
    }

    #[test]
    fn trailers_frame_and_route_nothing_under_any_spelling() {
        let mut trailers = map(&[
            ("grpc-status", "0"),
            ("x_own", "kept"),
            ("content-length", "5"),
            ("content_length", "5"),
            ("transfer_encoding", "chunked"),
            ("host", "evil.example"),
            ("authorization", "x"),
            ("x_forwarded_for", "6.6.6.6"),
        ]);
        strip_trailers(&mut trailers);
        let mut names: Vec<&str> = trailers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["grpc-status", "x_own"]);
    }

    #[test]
    fn a_response_loses_what_it_must_and_nothing_else() {
        for (status, fields, kept) in [
            (200, &[("server", "x"), ("date", "y")][..], &["date: y", "server: x"][..]),
            (200, &[("connection", "close, x-hop"), ("x-hop", "1"), ("keep-alive", "timeout=5")], &[]),
            (200, &[("ngrok-error-code", "ERR_NGROK_1"), ("transfer-encoding", "chunked"), ("upgrade", "h2c")], &[]),
            (
                200,
                &[("ngrok_error-code", "ERR_NGROK_1"), ("ngrok_error_code", "ERR_NGROK_1"), ("x_real_ip", "1")],
                &["x_real_ip: 1"],
            ),
            (204, &[("content-length", "5")], &[]),
            (304, &[("content-length", "5")], &["content-length: 5"]),
            (101, &[("connection", "Upgrade"), ("upgrade", "x")], &["connection: upgrade", "upgrade: x"]),
        ] {
            let mut headers = map(fields);
            strip_response(StatusCode::from_u16(status).expect("status"), &mut headers);
            let mut lines: Vec<String> =
                headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().expect("text"))).collect();
            lines.sort();
            assert_eq!(lines, kept, "{status} {fields:?}");
        }
    }
}
