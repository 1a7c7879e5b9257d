//! The other side of the interface: calls to send, and what their replies say. Sending is for the caller.

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Request, StatusCode};
use percent_encoding::utf8_percent_encode;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::query::ESCAPED;
use crate::{BaseUrl, Body, ErrorBody, Operation, SERVED_VERSION, VERSION};

/// A call of an operation.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// The operation.
    pub operation: Operation,
    /// The parameters of its path, in order.
    pub parameters: &'a [&'a str],
    /// Names and values of the query.
    pub query: &'a [(&'a str, &'a str)],
    /// What is sent; for operations that take an object.
    pub body: Option<&'a Value>,
}

/// Why a call cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// More or fewer parameters than the path has, or an empty one.
    #[error("the operation needs {0} parameters in its path, none of them empty")]
    Parameters(usize),
    /// A body for an operation that takes none, or none for one that needs it.
    #[error("the operation takes no body, or needs one")]
    Body,
    /// The key has characters that a header cannot have.
    #[error("the API key has characters that no key has")]
    Key,
}

/// Why a reply says nothing that was wanted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ReplyError {
    /// The server refused the call.
    #[error("{} ({})", .0.msg, .0.error_code)]
    Refused(ErrorBody),
    /// The reply is not one of this interface: another program may answer at the address.
    #[error("the reply with status {0} cannot be understood; is it the address of a Portway or ngrok API?")]
    Strange(StatusCode),
}

impl Call<'_> {
    /// The request to send.
    ///
    /// # Errors
    ///
    /// What of the call does not fit the operation.
    pub fn request(&self, base: &BaseUrl, key: &SecretString) -> Result<Request<Vec<u8>>, CallError> {
        let spec = self.operation.spec();
        let body = match (spec.body, self.body) {
            (Body::Json(_) | Body::Empty, Some(body)) => body.to_string().into_bytes(),
            (Body::Empty, None) => b"{}".to_vec(),
            (Body::None, None) => Vec::new(),
            (Body::Json(_), None) | (Body::None, Some(_)) => return Err(CallError::Body),
        };
        let mut bearer =
            HeaderValue::try_from(format!("Bearer {}", key.expose_secret())).map_err(|_| CallError::Key)?;
        bearer.set_sensitive(true);
        let mut request = Request::new(body);
        *request.method_mut() = spec.method.clone();
        *request.uri_mut() = base.uri(&self.target()?).parse().expect("a base and an escaped path are an address");
        request.headers_mut().insert(AUTHORIZATION, bearer);
        request.headers_mut().insert(VERSION, HeaderValue::from_static(SERVED_VERSION));
        if !matches!(spec.body, Body::None) {
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        Ok(request)
    }

    /// Path and query.
    fn target(&self) -> Result<String, CallError> {
        let spec = self.operation.spec();
        let wanted = spec.parameters().count();
        if self.parameters.len() != wanted || self.parameters.contains(&"") {
            return Err(CallError::Parameters(wanted));
        }
        let mut values = self.parameters.iter();
        let parts = spec.path.split('/').map(|part| match part.starts_with('{') {
            true => utf8_percent_encode(values.next().unwrap_or(&""), ESCAPED).to_string(),
            false => part.to_owned(),
        });
        let path = parts.collect::<Vec<_>>().join("/");
        let escaped = |text| utf8_percent_encode(text, ESCAPED);
        let query: Vec<String> =
            self.query.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect();
        Ok(if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) })
    }
}

/// What a reply says: an object of the type that the operation gives, `()` where it gives nothing, a [`Value`] for any of them.
///
/// # Errors
///
/// The server's refusal, or that the reply cannot be understood.
pub fn read_reply<T: DeserializeOwned>(status: StatusCode, body: &[u8]) -> Result<T, ReplyError> {
    let strange = |_| ReplyError::Strange(status);
    if !status.is_success() {
        return Err(ReplyError::Refused(serde_json::from_slice(body).map_err(strange)?));
    }
    serde_json::from_slice(if body.is_empty() { b"null" } else { body }).map_err(strange)
}

#[cfg(test)]
mod tests {
    use portway_codes::Code;
    use serde_json::json;

    use super::*;
    use crate::{Query, Ref, Route, api_key, check_content, check_version, route};

    const KEY: &str = "0ujtsYcgvSTl8PAuAdqWYSMnLOv_2abcdefghijklmnopqrstu";

    fn request(call: &Call<'_>) -> Result<Request<Vec<u8>>, CallError> {
        call.request(&"https://api.example.com".parse().unwrap(), &KEY.into())
    }

    #[test]
    fn every_call_reaches_its_operation() {
        for spec in Operation::all() {
            let object = json!({});
            let call = Call {
                operation: spec.operation,
                parameters: &["a/b", "ü c"][..spec.parameters().count()],
                query: &[],
                body: Some(&object).filter(|_| matches!(spec.body, Body::Json(_))),
            };
            let request = request(&call).unwrap();
            let Route::Found(operation, parameters) = route(request.method(), request.uri().path()) else {
                panic!("{}", spec.name);
            };
            assert_eq!(operation, spec.operation);
            let found: Vec<&str> = spec.parameters().map(|name| parameters.get(name)).collect();
            assert_eq!(found, call.parameters);
            check_version(request.headers()).unwrap();
            check_content(request.headers(), operation, request.body()).unwrap();
            assert_eq!(api_key(request.headers()).unwrap().expose_secret(), KEY);
            assert!(!format!("{request:?}").contains(KEY));
        }
    }

    #[test]
    fn queries_arrive_as_they_are() {
        let filter = "obj.url == \"https://a.example/?b=c&d+e\"";
        let query = [("filter", filter), ("limit", "7")];
        let call = Call { operation: Operation::EndpointsList, parameters: &[], query: &query, body: None };
        let request = request(&call).unwrap();
        let query = Query::read(call.operation, request.uri().query().unwrap()).unwrap();
        let object = json!({"url": "https://a.example/?b=c&d+e"});
        assert!(query.filter.unwrap().matches(&object, crate::Timestamp::from_unix(0)));
        assert_eq!(query.limit, 7);
    }

    #[test]
    fn calls_that_do_not_fit_are_not_sent() {
        let object = json!({});
        let get = Call { operation: Operation::VaultsGet, parameters: &["vault_1"], query: &[], body: None };
        for parameters in [&[][..], &[""], &["a", "b"]] {
            let wrong = Call { parameters, ..get.clone() };
            assert_eq!(request(&wrong).unwrap_err(), CallError::Parameters(1));
        }
        assert_eq!(request(&Call { body: Some(&object), ..get.clone() }).unwrap_err(), CallError::Body);
        let update = Call { operation: Operation::VaultsUpdate, ..get.clone() };
        assert_eq!(request(&update).unwrap_err(), CallError::Body);
        let key = get.request(&"https://a.example".parse().unwrap(), &"a\nb".into());
        assert_eq!(key.unwrap_err(), CallError::Key);
    }

    #[test]
    fn replies_are_read() {
        let reply: Ref = read_reply(StatusCode::OK, br#"{"id": "x", "uri": "y", "newer": 1}"#).unwrap();
        assert_eq!(reply.id, "x");
        read_reply::<()>(StatusCode::NO_CONTENT, b"").unwrap();
        let error = ErrorBody::new(&Code::ERR_NGROK_203.plain(), "op_0ujtsYcgvSTl8PAuAdqWYSMnLOv".parse().unwrap());
        let body = serde_json::to_vec(&error).unwrap();
        assert_eq!(read_reply::<Ref>(StatusCode::UNAUTHORIZED, &body).unwrap_err(), ReplyError::Refused(error));
        for (status, body) in [(StatusCode::BAD_GATEWAY, "<html>"), (StatusCode::OK, "{}"), (StatusCode::OK, "")] {
            assert_eq!(read_reply::<Ref>(status, body.as_bytes()).unwrap_err(), ReplyError::Strange(status), "{body}");
        }
    }
}
