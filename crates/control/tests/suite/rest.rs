//! The REST interface: what holds for every call.

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request, Response, StatusCode};
use portway_api::OPERATION_ID;
use serde_json::{Value, json};

use crate::Running;

/// An address of the documentation's range: not this host.
pub(crate) const ELSEWHERE: [u8; 4] = [203, 0, 113, 7];

impl Running {
    /// A call by the first account's key, with its status and body; null when there is none.
    pub(crate) async fn call(&self, method: &str, target: &str, body: Value) -> (u16, Value) {
        let response = self.call_as(&self.api_key, method, target, body).await;
        let status = response.status().as_u16();
        let body = response.into_body();
        (status, if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() })
    }

    /// A call that must succeed.
    pub(crate) async fn done(&self, method: &str, target: &str, body: Value) -> Value {
        let (status, reply) = self.call(method, target, body).await;
        assert!((200..300).contains(&status), "{method} {target}: {status} {reply}");
        reply
    }

    /// A call that must be refused, with its status and code.
    pub(crate) async fn refused(&self, method: &str, target: &str, body: Value) -> (u16, String) {
        let (status, reply) = self.call(method, target, body).await;
        assert!(status >= 400, "{method} {target}: {status} {reply}");
        assert_eq!(reply["status_code"], status, "{reply}");
        (status, reply["error_code"].as_str().unwrap().to_owned())
    }

    pub(crate) async fn call_as(&self, key: &str, method: &str, target: &str, body: Value) -> Response<Bytes> {
        self.answer(request(key, method, target, body)).await
    }

    pub(crate) async fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        self.answer_from(ELSEWHERE.into(), request).await
    }

    pub(crate) async fn answer_from(&self, peer: IpAddr, request: Request<Bytes>) -> Response<Bytes> {
        let (head, body) = request.into_parts();
        let request = Request::from_parts(head, std::future::ready(Ok(body)));
        self.rest.answer(peer, &"https://api.example.com".parse().unwrap(), request).await
    }
}

pub(crate) fn request(key: &str, method: &str, target: &str, body: Value) -> Request<Bytes> {
    let mut request = Request::builder()
        .method(method)
        .uri(target)
        .header(AUTHORIZATION, format!("Bearer {key}"))
        .header("ngrok-version", "2");
    let body = if body.is_null() {
        Bytes::new()
    } else {
        request = request.header(CONTENT_TYPE, "application/json");
        body.to_string().into()
    };
    request.body(body).unwrap()
}

fn code(response: &Response<Bytes>) -> String {
    let body: Value = serde_json::from_slice(response.body()).unwrap();
    let id = response.headers()[OPERATION_ID].to_str().unwrap();
    assert!(id.starts_with("op_") && body["details"]["operation_id"] == id, "{body}");
    assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    body["error_code"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_call_without_a_key_of_ours_is_refused_by_the_reason() {
    let running = Running::start().await;
    let call = |key: &str| {
        let request = Request::get("/ip_policies").header("ngrok-version", "2");
        let request = if key.is_empty() { request } else { request.header(AUTHORIZATION, key) };
        running.answer(request.body(Bytes::new()).unwrap())
    };
    let strange = format!("Bearer {}_{}", "0".repeat(27), "a".repeat(32));
    let authtoken = format!("Bearer {}", running.authtoken);
    for (key, wanted) in [
        ("", "ERR_NGROK_200"),
        ("Digest x", "ERR_NGROK_201"),
        ("Bearer x", "ERR_NGROK_202"),
        (strange.as_str(), "ERR_NGROK_203"),
        (authtoken.as_str(), "ERR_NGROK_207"),
    ] {
        let response = call(key).await;
        assert_eq!((response.status(), code(&response).as_str()), (StatusCode::UNAUTHORIZED, wanted), "{key}");
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
    }
}

#[tokio::test]
async fn paths_methods_versions_and_bodies_are_checked() {
    let running = Running::start().await;
    let response = running.call_as(&running.api_key, "GET", "/nowhere", Value::Null).await;
    assert_eq!((response.status(), code(&response).as_str()), (StatusCode::NOT_FOUND, "ERR_PORTWAY_40401"));
    let response = running.call_as(&running.api_key, "PUT", "/ip_policies", Value::Null).await;
    assert_eq!((response.status(), code(&response).as_str()), (StatusCode::METHOD_NOT_ALLOWED, "ERR_PORTWAY_40501"));
    assert_eq!(response.headers()[ALLOW], "POST, GET");
    let request = Request::get("/ip_policies").header(AUTHORIZATION, format!("Bearer {}", running.api_key));
    let response = running.answer(request.body(Bytes::new()).unwrap()).await;
    assert_eq!((response.status(), code(&response).as_str()), (StatusCode::BAD_REQUEST, "ERR_NGROK_218"));
    for (body, wanted) in [(json!({"name": "x"}), "ERR_NGROK_214"), (json!([1]), "ERR_NGROK_215")] {
        assert_eq!(running.refused("POST", "/ip_policies", body).await, (400, wanted.to_owned()));
    }
    assert_eq!(running.refused("GET", "/ip_policies?limit=0", Value::Null).await.1, "ERR_NGROK_233");
}

#[tokio::test]
async fn browsers_may_call_and_the_document_is_open_to_all() {
    let running = Running::start().await;
    let request = Request::builder()
        .method(Method::OPTIONS)
        .uri("/ip_policies")
        .header("origin", "https://a.example")
        .header("access-control-request-method", "POST");
    let response = running.answer(request.body(Bytes::new()).unwrap()).await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(response.headers()["access-control-allow-origin"], "https://a.example");
    let response = running.answer(Request::get("/openapi.json").body(Bytes::new()).unwrap()).await;
    let document: Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!((response.status(), document["openapi"].as_str()), (StatusCode::OK, Some("3.1.0")));
    assert_eq!(document["servers"][0]["url"], "https://api.example.com");
}

#[tokio::test]
async fn the_body_of_a_stranger_is_not_waited_for() {
    let running = Running::start().await;
    let request = Request::post("/ip_policies").header("ngrok-version", "2");
    let request = request.body(std::future::pending()).unwrap();
    let base = "https://api.example.com".parse().unwrap();
    let response = running.rest.answer(ELSEWHERE.into(), &base, request).await;
    assert_eq!((response.status(), code(&response).as_str()), (StatusCode::UNAUTHORIZED, "ERR_NGROK_200"));
}
