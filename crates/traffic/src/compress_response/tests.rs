//! Which responses are compressed, and how.

use proptest::prelude::*;

use super::*;

fn action(names: Option<&[&str]>) -> Result<CompressResponse, ConfigError> {
    let algorithms = names.map(|names| names.iter().map(|&name| name.to_owned()).collect());
    CompressResponse::new(&CompressResponseConfig { algorithms })
}

fn map(fields: &[(&str, &str)]) -> HeaderMap {
    fields
        .iter()
        .map(|(name, value)| (HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap()))
        .collect()
}

#[test]
fn the_visitor_chooses() {
    use Algorithm::{Brotli, Deflate, Gzip};
    let (all, gzip) = (action(None).unwrap(), action(Some(&["gzip"])).unwrap());
    for (accept, by_all, by_gzip) in [
        (&[][..], None, None),
        (&[""], None, None),
        (&["gzip, deflate, br, zstd"], Some(Brotli), Some(Gzip)),
        (&["gzip", "br"], Some(Brotli), Some(Gzip)),
        (&["gzip;q=1.0, br;q=0.9"], Some(Gzip), Some(Gzip)),
        (&["x-gzip"], Some(Gzip), Some(Gzip)),
        (&["GZIP ; Q=0.5"], Some(Gzip), Some(Gzip)),
        (&["deflate"], Some(Deflate), None),
        (&["*"], Some(Brotli), Some(Gzip)),
        (&["br;q=0, *;q=0.1"], Some(Gzip), Some(Gzip)),
        (&["gzip;q=0"], None, None),
        (&["gzip;q=0.000"], None, None),
        (&["identity, gzip;q=0.5"], None, None),
        (&["identity;q=0.5, gzip;q=0.5"], Some(Gzip), Some(Gzip)),
        (&["identity;q=0, gzip;q=0.001"], Some(Gzip), Some(Gzip)),
        (&["gzip;q=2, br;q=abc, deflate;q=0.1234"], None, None),
        (&["zstd, compress"], None, None),
    ] {
        let headers: HeaderMap = accept.iter().map(|value| (ACCEPT_ENCODING, value.parse().unwrap())).collect();
        assert_eq!((all.negotiate(&headers), gzip.negotiate(&headers)), (by_all, by_gzip), "{accept:?}");
    }
}

#[test]
fn some_responses_stay_as_they_are() {
    let action = action(None).unwrap();
    let accept = map(&[("accept-encoding", "gzip")]);
    let decide = |method: &Method, status: u16, fields: &[(&str, &str)]| {
        action.decide(method, &accept, StatusCode::from_u16(status).unwrap(), &map(fields))
    };
    for (status, fields) in [
        (200, &[][..]),
        (200, &[("content-type", "text/event-stream")]),
        (200, &[("content-type", "image/svg+xml; charset=utf-8"), ("content-length", "5")]),
        (200, &[("content-encoding", "identity")]),
        (404, &[("content-type", "application/json")]),
        (500, &[("cache-control", "no-store, no-cache")]),
    ] {
        assert_eq!(decide(&Method::GET, status, fields), Compression::With(Algorithm::Gzip), "{status} {fields:?}");
        assert_eq!(decide(&Method::HEAD, status, fields), Compression::Leave);
    }
    for (status, fields) in [
        (101, &[][..]),
        (204, &[]),
        (205, &[]),
        (206, &[]),
        (304, &[]),
        (200, &[("content-length", "0")]),
        (200, &[("content-range", "bytes 0-1/2")]),
        (200, &[("content-encoding", "br")]),
        (200, &[("content-encoding", "identity"), ("content-encoding", "gzip")]),
        (200, &[("cache-control", "public, No-Transform")]),
        (200, &[("content-md5", "x")]),
        (200, &[("repr-digest", "sha-256=:x:")]),
        (200, &[("trailer", "Content-Digest")]),
        (200, &[("content-type", "image/png")]),
        (200, &[("content-type", "Application/ZIP; x=y")]),
        (200, &[("content-type", "font/woff2")]),
        (200, &[("content-type", "application/grpc+proto")]),
    ] {
        assert_eq!(decide(&Method::GET, status, fields), Compression::Leave, "{status} {fields:?}");
    }
    let other = action.decide(&Method::GET, &map(&[]), StatusCode::OK, &map(&[]));
    assert_eq!(other, Compression::VaryOnly);
}

#[test]
fn the_header_says_what_was_done() {
    let lines = |compression, fields: &[(&str, &str)]| {
        let mut headers = map(fields);
        adapt_headers(compression, &mut headers);
        let mut lines: Vec<String> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        lines.sort();
        lines
    };
    let gzip = Compression::With(Algorithm::Gzip);
    let plain = [("content-length", "9"), ("etag", "\"a\""), ("accept-ranges", "bytes"), ("vary", "Origin")];
    assert_eq!(
        lines(gzip, &plain),
        ["content-encoding: gzip", "etag: W/\"a\"", "vary: Accept-Encoding", "vary: Origin"]
    );
    assert_eq!(
        lines(Compression::VaryOnly, &plain[..2]),
        ["content-length: 9", "etag: \"a\"", "vary: Accept-Encoding"]
    );
    assert_eq!(lines(Compression::Leave, &plain[..1]), ["content-length: 9"]);
    let odd = [("etag", "W/\"a\""), ("vary", "origin, accept-encoding"), ("content-encoding", "identity")];
    assert_eq!(lines(gzip, &odd), ["content-encoding: gzip", "etag: W/\"a\"", "vary: origin, accept-encoding"]);
    assert_eq!(lines(gzip, &[("vary", "*")]), ["content-encoding: gzip", "vary: *"]);
}

#[test]
fn only_what_is_built_is_accepted() {
    assert_eq!(action(Some(&["deflate", "gzip"])).unwrap().algorithms, [Algorithm::Gzip, Algorithm::Deflate]);
    let code = |names: &[&str]| action(Some(names)).unwrap_err();
    assert_eq!(code(&[]).code.number(), 2223);
    assert_eq!(
        (code(&["gzip", "zstd"]).code.number(), code(&["gzip", "zstd"]).field.as_str()),
        (2204, "algorithms[1]")
    );
    assert_eq!(code(&["compress"]).code.number(), 40_004);
}

proptest! {
    #[test]
    fn nothing_is_chosen_that_was_not_accepted(accept in "[a-z*;=.,0-9q -]{0,60}") {
        let headers = map(&[("accept-encoding", &accept)]);
        if let Some(algorithm) = action(None).unwrap().negotiate(&headers) {
            prop_assert!(accept.contains(algorithm.name()) || accept.contains('*'));
        }
    }
}
