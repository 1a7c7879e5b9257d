//! What HTTP/2 requests must keep as well, because the upstream reads HTTP/1: there the guard has seen to it.

use http::header::{CONTENT_LENGTH, COOKIE};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, Version};
use portway_codes::{Code, PublicError};
use portway_names::Scheme;

/// Refuses what the guard refuses of an HTTP/1 request, and a target with another scheme than the connection's. `fields`: the most a
/// request may have.
pub(super) fn check<B>(request: &Request<B>, scheme: Scheme, fields: usize) -> Result<(), PublicError> {
    if let Some(named) = request.uri().scheme_str()
        && named != scheme.as_str()
    {
        // RFC 9110 section 7.4: whoever means another scheme means another origin.
        let text = format!("The target of the request has a scheme other than {scheme}, which it came by.");
        return Err(Code::ERR_PORTWAY_40001.with(text));
    }
    if request.version() != Version::HTTP_2 {
        return Ok(());
    }
    check_path(request)?;
    check_count(request.headers(), fields)?;
    check_framing(request.headers())
}

/// RFC 9113 section 8.3.1: a path begins with a slash, or is the asterisk of OPTIONS.
fn check_path<B>(request: &Request<B>) -> Result<(), PublicError> {
    let path = request.uri().path_and_query().map_or("", PathAndQuery::as_str);
    // CONNECT has none, and is refused for what it is.
    if path.starts_with('/') || path == "*" || request.method() == Method::CONNECT {
        return Ok(());
    }
    Err(Code::ERR_PORTWAY_40001.with("The target of the request is not a path."))
}

fn check_count(headers: &HeaderMap, most: usize) -> Result<(), PublicError> {
    // RFC 9113 section 8.2.3: one Cookie field may come in any number of pieces. How long they are together is limited elsewhere.
    let pieces = headers.get_all(COOKIE).iter().skip(1).count();
    if headers.len() - pieces > most {
        let text = format!("{} (more than {most} header fields)", Code::ERR_PORTWAY_43101.text());
        return Err(Code::ERR_PORTWAY_43101.with(text));
    }
    Ok(())
}

fn check_framing(headers: &HeaderMap) -> Result<(), PublicError> {
    // Servers with CGI-like variables take an underscore for a hyphen.
    if headers.keys().any(|name| matches!(name.as_str(), "content_length" | "transfer_encoding")) {
        return Err(Code::ERR_PORTWAY_40001
            .with("A field of the request has a name that some servers take for one that frames it."));
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    match (lengths.next(), lengths.next()) {
        (None, _) => Ok(()),
        (Some(one), None) if is_length(one.as_bytes()) => Ok(()),
        _ => Err(Code::ERR_PORTWAY_40001.with("The Content-Length of the request is not one number.")),
    }
}

/// RFC 9110 section 8.6: digits; without a leading zero, which some readers take for octal, and within what every reader can hold.
fn is_length(value: &[u8]) -> bool {
    let digits = !value.is_empty() && value.len() <= 18 && value.iter().all(u8::is_ascii_digit);
    digits && (value.len() == 1 || value[0] != b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(uri: &str, fields: &[(&str, &str)]) -> Option<Code> {
        let mut request = Request::get(uri).version(Version::HTTP_2);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        check(&request.body(()).expect("request"), Scheme::Https, 5).err().map(|error| error.code)
    }

    const URI: &str = "https://app.example.com/";

    #[test]
    fn what_http1_refuses_is_refused() {
        for (name, value) in [
            ("content_length", "5"),
            ("transfer_encoding", "chunked"),
            ("content-length", "00005"),
            ("content-length", "+5"),
            ("content-length", ""),
            ("content-length", "9999999999999999999"),
        ] {
            assert_eq!(code(URI, &[(name, value)]), Some(Code::ERR_PORTWAY_40001), "{name}: {value}");
        }
        assert_eq!(code(URI, &[("content-length", "0"), ("content_type", "x")]), None);
        assert_eq!(code("https://app.example.com?x", &[]), Some(Code::ERR_PORTWAY_40001));
    }

    #[test]
    fn the_scheme_is_the_connections() {
        for uri in ["http://app.example.com/", "ftp://app.example.com/", "httpss://app.example.com/"] {
            assert_eq!(code(uri, &[]), Some(Code::ERR_PORTWAY_40001), "{uri}");
        }
        assert_eq!(code("HTTPS://app.example.com/", &[]), None);
        assert_eq!(code("/", &[("host", "app.example.com")]), None);
    }

    #[test]
    fn pieces_of_a_cookie_are_one_field() {
        let many = |name| [(name, "a=b"); 6];
        assert_eq!(code(URI, &many("x-a")), Some(Code::ERR_PORTWAY_43101));
        assert_eq!(code(URI, &many("cookie")), None);
        assert_eq!(code(URI, &[&many("cookie")[..], &many("x-a")[..4]].concat()), None);
        assert_eq!(code(URI, &[&many("cookie")[..], &many("x-a")[..5]].concat()), Some(Code::ERR_PORTWAY_43101));
    }
}
