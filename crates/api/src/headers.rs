//! Rules about the headers of a request.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName};
use portway_codes::{Code, PublicError};
use portway_names::{ApiKeyId, CredentialId};
use secrecy::{ExposeSecret, SecretString};

use crate::{Body, Operation};

/// The request header with the version of the interface.
pub const VERSION: HeaderName = HeaderName::from_static("ngrok-version");

/// The request header that asks for a change although it locks its maker out of the interface.
pub const FORCE: HeaderName = HeaderName::from_static("portway-force");

/// The version of the interface that is served.
pub const SERVED_VERSION: &str = "2";

/// Characters of the first part of a key, a KSUID, and the least of its second part.
const KEY_PARTS: (usize, usize) = (27, 16);
/// Longest key in bytes.
const MAX_KEY_LEN: usize = 128;

/// Checks which version of the interface a request is for.
///
/// # Errors
///
/// 218 when it does not say, 217 when it is another one.
pub fn check_version(headers: &HeaderMap) -> Result<(), PublicError> {
    match headers.get(VERSION).map(|value| value.as_bytes().trim_ascii()) {
        None | Some(b"") => Err(Code::ERR_NGROK_218.plain()),
        Some(version) if version == SERVED_VERSION.as_bytes() => Ok(()),
        Some(_) => Err(Code::ERR_NGROK_217.plain()),
    }
}

/// Whether a request is to be done although it locks its maker out: only `true` says so.
pub fn is_forced(headers: &HeaderMap) -> bool {
    headers.get(FORCE).is_some_and(|value| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"true"))
}

/// Checks that a body, if there is one, is expected and JSON. A client that names a type without sending a body is left alone.
///
/// # Errors
///
/// 211 for a body that is not expected, 216 without a type, 210 with another one.
pub fn check_content(headers: &HeaderMap, operation: Operation, body: &[u8]) -> Result<(), PublicError> {
    let spec = operation.spec();
    match (spec.body, body.is_empty()) {
        (Body::None, true) | (Body::Empty, _) => return Ok(()),
        (Body::None, false) => {
            return Err(Code::ERR_NGROK_211.with(format!("A {} request of {} takes no body.", spec.method, spec.path)));
        }
        // Clients leave the body out when none of its fields is set.
        (_, true) if spec.check_body(body).is_ok() => return Ok(()),
        _ => {}
    }
    let Some(kind) = headers.get(CONTENT_TYPE) else { return Err(Code::ERR_NGROK_216.plain()) };
    let kind = kind.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    match kind {
        "" => Err(Code::ERR_NGROK_216.plain()),
        _ if kind.eq_ignore_ascii_case("application/json") => Ok(()),
        _ => Err(Code::ERR_NGROK_210.plain()),
    }
}

/// The API key of a request. Whether there is such a key is for the caller to say, with code 203, or 207 when it is an authtoken.
///
/// # Errors
///
/// 200 without the header, 201 for another scheme, 206 and 208 for ids of authtokens and keys, 202 for what is no key at all.
pub fn api_key(headers: &HeaderMap) -> Result<SecretString, PublicError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Err(Code::ERR_NGROK_200.plain()) };
    let value = value.to_str().ok().filter(|_| values.next().is_none()).ok_or(Code::ERR_NGROK_201.plain())?.trim();
    if value.is_empty() {
        return Err(Code::ERR_NGROK_200.plain());
    }
    let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
    let key: SecretString = if scheme.eq_ignore_ascii_case("bearer") {
        rest.trim().into()
    } else if scheme.eq_ignore_ascii_case("basic") {
        basic(rest.trim()).ok_or(Code::ERR_NGROK_202.plain())?
    } else {
        return Err(Code::ERR_NGROK_201.plain());
    };
    check_key(key.expose_secret())?;
    Ok(key)
}

/// RFC 7617 section 2: base64 of user and password. The key may be either, when the other is empty.
fn basic(encoded: &str) -> Option<SecretString> {
    if encoded.len() > 2 * MAX_KEY_LEN {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    match pair.split_once(':')? {
        ("", key) | (key, "") => Some(key.into()),
        _ => None,
    }
}

fn check_key(key: &str) -> Result<(), PublicError> {
    if key.parse::<ApiKeyId>().is_ok() {
        return Err(Code::ERR_NGROK_208.plain());
    }
    if key.parse::<CredentialId>().is_ok() {
        return Err(Code::ERR_NGROK_206.plain());
    }
    let letters = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric());
    match key.split_once('_') {
        Some((first, second))
            if first.len() == KEY_PARTS.0
                && second.len() >= KEY_PARTS.1
                && key.len() <= MAX_KEY_LEN
                && letters(first)
                && letters(second) =>
        {
            Ok(())
        }
        _ => Err(Code::ERR_NGROK_202.plain()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0ujtsYcgvSTl8PAuAdqWYSMnLOv_2abcdefghijklmnopqrstu";

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn the_version_is_two() {
        assert_eq!(check_version(&headers(VERSION, " 2 ")), Ok(()));
        assert_eq!(check_version(&HeaderMap::new()).unwrap_err().code, Code::ERR_NGROK_218);
        assert_eq!(check_version(&headers(VERSION, "")).unwrap_err().code, Code::ERR_NGROK_218);
        for version in ["1", "3", "2.0", "two"] {
            assert_eq!(check_version(&headers(VERSION, version)).unwrap_err().code, Code::ERR_NGROK_217);
        }
    }

    #[test]
    fn only_true_forces() {
        for (value, forced) in [("true", true), (" True ", true), ("", false), ("false", false), ("1", false)] {
            assert_eq!(is_forced(&headers(FORCE, value)), forced, "{value:?}");
        }
        assert!(!is_forced(&HeaderMap::new()));
    }

    #[test]
    fn bodies_are_json_where_they_are_expected() {
        use Operation::{
            EventSourcesUpdate, ReservedDomainsCreate, ReservedDomainsDelete, ReservedDomainsUpdate, TunnelSessionsStop,
        };
        let json = headers(CONTENT_TYPE, "Application/JSON; charset=utf-8");
        let code = |headers: &HeaderMap, operation, body: &str| {
            check_content(headers, operation, body.as_bytes()).err().map(|error| error.code.number())
        };
        assert_eq!(code(&json, ReservedDomainsCreate, "{}"), None);
        assert_eq!(code(&HeaderMap::new(), ReservedDomainsCreate, "{}"), Some(216));
        assert_eq!(code(&headers(CONTENT_TYPE, ""), ReservedDomainsCreate, "{}"), Some(216));
        assert_eq!(code(&headers(CONTENT_TYPE, "text/plain"), ReservedDomainsCreate, "{}"), Some(210));
        assert_eq!(code(&json, ReservedDomainsDelete, ""), None);
        assert_eq!(code(&json, ReservedDomainsDelete, "{}"), Some(211));
        assert_eq!(code(&HeaderMap::new(), TunnelSessionsStop, ""), None);
        assert_eq!(code(&HeaderMap::new(), EventSourcesUpdate, ""), None);
        assert_eq!(code(&HeaderMap::new(), ReservedDomainsCreate, ""), Some(216));
        assert_eq!(code(&HeaderMap::new(), ReservedDomainsUpdate, ""), Some(216));
        assert_eq!(code(&json, TunnelSessionsStop, "{}"), None);
        assert_eq!(code(&json, TunnelSessionsStop, "ts_1"), None);
    }

    #[test]
    fn keys_are_told_from_other_things() {
        let code = |value: &str| api_key(&headers(AUTHORIZATION, value)).err().map(|error| error.code.number());
        let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
        for value in
            [format!("Bearer {KEY}"), format!("bearer  {KEY} "), basic(&format!(":{KEY}")), basic(&format!("{KEY}:"))]
        {
            assert_eq!(api_key(&headers(AUTHORIZATION, &value)).unwrap().expose_secret(), KEY, "{value}");
        }
        assert_eq!(api_key(&HeaderMap::new()).unwrap_err().code.number(), 200);
        assert_eq!(code(""), Some(200));
        assert_eq!(code(KEY), Some(201));
        assert_eq!(code(&format!("Token {KEY}")), Some(201));
        for value in
            ["Bearer", "Bearer x", "Bearer a_b", "Basic !", &basic("a:b"), &format!("Bearer {KEY}{}", "a".repeat(99))]
        {
            assert_eq!(code(value), Some(202), "{value}");
        }
        assert_eq!(code("Bearer cr_0ujtsYcgvSTl8PAuAdqWYSMnLOv"), Some(206));
        assert_eq!(code("Bearer ak_0ujtsYcgvSTl8PAuAdqWYSMnLOv"), Some(208));
        let mut twice = headers(AUTHORIZATION, &format!("Bearer {KEY}"));
        twice.append(AUTHORIZATION, "Bearer x".parse().unwrap());
        assert_eq!(api_key(&twice).unwrap_err().code.number(), 201);
    }
}
