//! Options as SDKs send them, and what is refused of them.

use serde_json::{Value, json};

use super::*;

fn actions(options: Value, scheme: Scheme) -> Result<Actions, PublicError> {
    serde_json::from_value::<Middleware>(options).unwrap().into_actions(scheme)
}

#[test]
fn options_as_sdks_send_them_are_understood() {
    let options = json!({
        "Domain": "app.example.com", "Auth": "", "ProxyProto": 0, "OAuth": null, "TrafficPolicy": "",
        "Compression": {},
        "CircuitBreaker": {"error_threshold": 0.25},
        "IPRestriction": {"allow_cidrs": ["10.0.0.0/8"], "deny_cidrs": null},
        "BasicAuth": {"credentials": [{"username": "user", "cleartext_password": "password"}]},
        "WebhookVerification": {"provider": "GitHub", "secret": "x", "sealed_secret": ""},
        "RequestHeaders": {"add": ["x-a: 1", "X-B:2:3", "host:inner"], "remove": ["x-c"], "addParsed": {}},
        "ResponseHeaders": {"add": ["x-a:1"]},
        "WebsocketTCPConverter": null,
        "UserAgentFilter": {"allow": ["a"], "deny": ["b"]},
    });
    let actions = actions(options, Scheme::Https).unwrap();
    assert!(actions.compress_response.is_some() && actions.circuit_breaker.is_some());
    assert!(actions.basic_auth.is_some() && actions.verify_webhook.is_some());
    assert!(actions.user_agent_filter.is_some() && !actions.websocket_tcp_converter);
    assert_eq!(actions.request_headers.host().unwrap(), "inner");
    let mut headers: http::HeaderMap = [("x-c".parse().unwrap(), "9".parse().unwrap())].into_iter().collect();
    actions.request_headers.apply(&mut headers);
    assert_eq!((&headers["x-a"], &headers["x-b"], headers.len()), (&"1".parse().unwrap(), &"2:3".parse().unwrap(), 2));
    assert_eq!(actions.response_headers.len(), 1);
    assert!(actions.restrict_ips[0].permits("10.1.1.1".parse().unwrap(), |_| None));
    assert!(self::actions(json!({}), Scheme::Tcp).unwrap().is_empty());
    assert!(self::actions(json!({"RequestHeaders": {}}), Scheme::Http).unwrap().is_empty());
}

#[test]
fn what_cannot_be_done_is_refused_by_name() {
    for (options, scheme, number, part) in [
        (
            json!({"BasicAuth": {"credentials": [{"username": "u", "hashed_password": "AAAA"}]}}),
            Scheme::Https,
            40_004,
            "hashed_password",
        ),
        (
            json!({"BasicAuth": {"credentials": [{"username": "a:b", "cleartext_password": "password"}]}}),
            Scheme::Https,
            2204,
            "username",
        ),
        (
            json!({"BasicAuth": {"credentials": [{"username": "u", "cleartext_password": "short"}]}}),
            Scheme::Https,
            360,
            "credentials[0]",
        ),
        (
            json!({"BasicAuth": {"credentials": [{"username": "u".repeat(129), "cleartext_password": "password"}]}}),
            Scheme::Https,
            359,
            "credentials[0]",
        ),
        (json!({"BasicAuth": {}}), Scheme::Https, 2223, "credentials"),
        (
            json!({"WebhookVerification": {"provider": "github", "sealed_secret": "AAAA"}}),
            Scheme::Https,
            40_004,
            "sealed_secret",
        ),
        (json!({"WebhookVerification": {"provider": "github"}}), Scheme::Https, 2223, "secret"),
        (json!({"WebhookVerification": {"provider": "sns", "secret": "x"}}), Scheme::Https, 40_004, "sns"),
        (json!({"CircuitBreaker": {"error_threshold": 1.5}}), Scheme::Https, 361, "error_threshold"),
        (json!({"IPRestriction": {"allow_cidrs": ["x"]}}), Scheme::Tcp, 362, "allow[0]"),
        (json!({"UserAgentFilter": {"allow": ["("]}}), Scheme::Https, 2090, "allow[0]"),
        (json!({"RequestHeaders": {"add": ["x"]}}), Scheme::Https, 2204, "add[0]"),
        (json!({"RequestHeaders": {"add": ["x:1", "content-length:5"]}}), Scheme::Https, 2204, "add[1]"),
        (
            json!({"ResponseHeaders": {"remove": ["a", "connection"]}}),
            Scheme::Https,
            2204,
            "remove[1]: the header connection",
        ),
        (
            json!({"ResponseHeaders": {"add": vec![format!("x:{}", "v".repeat(4_000)); 5]}}),
            Scheme::Https,
            2204,
            "16,384 bytes",
        ),
        (json!({"WebhookVerification": {"provider": "githup", "secret": "x"}}), Scheme::Https, 2204, "\"githup\""),
        (json!({"RequestHeaders": {"addParsed": {"a": "b"}}}), Scheme::Https, 40_004, "addParsed"),
        (json!({"MutualTLSCA": {"mutual_tls_ca": "!"}}), Scheme::Https, 14_002, "mutual_tls_ca"),
        (json!({"TLSTermination": {"cert": "AAAA"}}), Scheme::Tls, 14_001, "key"),
        (json!({"TLSTermination": {"sealed_key": "AAAA"}}), Scheme::Tls, 40_004, "sealed_key"),
        (json!({"Compression": {}}), Scheme::Tcp, 2205, "compress-response"),
        (json!({"TLSTermination": {}}), Scheme::Tcp, 2205, "terminate-tls"),
    ] {
        let error = actions(options, scheme).unwrap_err();
        assert_eq!(error.code.number(), number, "{error}");
        assert!(error.text.contains(part), "{error}");
    }
}

#[test]
fn unknown_fields_are_no_options() {
    for options in [
        json!({"Compression": {"level": 9}}),
        json!({"IPRestriction": {"allow": []}}),
        json!({"MutualTLSCA": {"mutual_tls_ca": "", "mode": "any"}}),
    ] {
        assert!(serde_json::from_value::<Middleware>(options.clone()).is_err(), "{options}");
    }
}

#[test]
fn tls_options_become_one_action() {
    let pem = |kind: &str| STANDARD.encode(format!("-----BEGIN {kind}-----\nAAAA\n-----END {kind}-----\n"));
    let tls = |options| actions(options, Scheme::Tls).unwrap().terminate_tls;
    assert!(tls(json!({"TLSTermination": null})).is_none());
    let own = tls(json!({"TLSTermination": {}})).unwrap();
    assert!(own.key_pair.is_none() && own.client_authorities.is_none());
    let pair = json!({"cert": pem("CERTIFICATE"), "key": pem("PRIVATE KEY")});
    let both = tls(json!({"TLSTermination": pair, "MutualTLSAtEdge": {"mutual_tls_ca": pem("CERTIFICATE")}})).unwrap();
    assert!(both.key_pair.is_some() && both.client_authorities.is_some());
}
