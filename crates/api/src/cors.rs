//! What browsers are told about calls from other sites (WHATWG Fetch, section 3.3: the CORS protocol).

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method};

use crate::{OPERATION_ID, Route, route};

/// For how many seconds a browser may remember the answer to a preflight.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// Headers for every answer to a request with an `Origin`. A key is sent in a header of its own, never by the browser by itself, so any
/// site may call.
pub fn cors_headers(request: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(origin) = request.get(ORIGIN) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, OPERATION_ID.into());
        // Caches must not give one site's answer to another.
        headers.insert(VARY, ORIGIN.into());
    }
    headers
}

/// The headers of the answer to a preflight, status 204; nothing when the request is none, or the path leads nowhere.
pub fn preflight(method: &Method, path: &str, request: &HeaderMap) -> Option<HeaderMap> {
    if *method != Method::OPTIONS
        || !request.contains_key(ORIGIN)
        || !request.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
    {
        return None;
    }
    let Route::OtherMethods(methods) = route(method, path) else { return None };
    let mut headers = cors_headers(request);
    headers.remove(ACCESS_CONTROL_EXPOSE_HEADERS);
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, method_list(&methods));
    if let Some(asked) = request.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
    }
    headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    Some(headers)
}

/// Methods as a header has them: for `Allow`, too.
pub fn method_list(methods: &[Method]) -> HeaderValue {
    let methods = methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    HeaderValue::try_from(methods).expect("methods are ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> HeaderMap {
        HeaderMap::from_iter([
            (ORIGIN, HeaderValue::from_static("https://a.example")),
            (ACCESS_CONTROL_REQUEST_METHOD, HeaderValue::from_static("PATCH")),
            (ACCESS_CONTROL_REQUEST_HEADERS, HeaderValue::from_static("authorization, ngrok-version")),
        ])
    }

    #[test]
    fn preflights_are_answered() {
        let answer = preflight(&Method::OPTIONS, "/vaults/vault_1", &request()).unwrap();
        assert_eq!(answer[ACCESS_CONTROL_ALLOW_ORIGIN], "https://a.example");
        assert_eq!(answer[ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
        assert_eq!(answer[ACCESS_CONTROL_ALLOW_METHODS], "GET, PATCH, DELETE");
        assert_eq!(answer[ACCESS_CONTROL_ALLOW_HEADERS], "authorization, ngrok-version");
        assert_eq!(answer[ACCESS_CONTROL_MAX_AGE], "600");
    }

    #[test]
    fn other_requests_are_no_preflights() {
        assert_eq!(preflight(&Method::GET, "/vaults", &request()), None);
        assert_eq!(preflight(&Method::OPTIONS, "/nowhere", &request()), None);
        for name in [ORIGIN, ACCESS_CONTROL_REQUEST_METHOD] {
            let mut headers = request();
            headers.remove(name);
            assert_eq!(preflight(&Method::OPTIONS, "/vaults", &headers), None);
        }
        assert!(cors_headers(&HeaderMap::new()).is_empty());
    }
}
