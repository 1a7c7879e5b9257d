//! Messages that no SDK would write.

use super::bystander::Bystander;
use super::*;
use crate::testing::RawSdk;
use crate::testing::frames::{FIN, RST, SYN, frame, question};

const QUESTIONS: [StreamType; 6] = [
    StreamType::AUTH,
    StreamType::BIND,
    StreamType::UNBIND,
    StreamType::START_TUNNEL_WITH_LABEL,
    StreamType::SRV_INFO,
    StreamType::PATCH_TUNNEL_STATE,
];

/// What is no JSON object, whatever it is asked for.
fn no_objects() -> Vec<(&'static str, Vec<u8>)> {
    let nested = |levels: usize| format!("{{\"a\":{}1{}}}", "[".repeat(levels), "]".repeat(levels));
    vec![
        ("a list", b"[]".to_vec()),
        ("a number", b"7".to_vec()),
        ("a text", b"\"{}\"".to_vec()),
        ("HTTP", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("wrong brackets", b"{]".to_vec()),
        ("no value", b"{\"a\":}".to_vec()),
        ("a byte that is no UTF-8", b"{\"a\":\"\xff\"}".to_vec()),
        ("half a surrogate", b"{\"a\":\"\\ud800\"}".to_vec()),
        ("a control character", b"{\"a\":\"\0\"}".to_vec()),
        ("a number beyond all", format!("{{\"a\":1{}}}", "0".repeat(400)).into_bytes()),
        ("deep nesting", nested(32).into_bytes()),
        ("endless nesting", "{\"a\":".repeat(10_000).into_bytes()),
        ("the same key for ever", [b"{".to_vec(), b"\"a\":1,".repeat(200_000)].concat()),
        ("a text for ever", [b"{\"a\":\"".to_vec(), vec![b'x'; 1_100_000]].concat()),
    ]
}

#[tokio::test]
async fn what_is_no_message_ends_the_session() {
    let edge = TestEdge::start().await;
    let bystander = Bystander::connect(&edge).await;
    for (what, bytes) in no_objects() {
        for kind in QUESTIONS {
            let mut raw = RawSdk::log_in(&edge).await;
            raw.send(&frame(SYN, 5, &kind.to_bytes())).await;
            for piece in bytes.chunks(16_384) {
                raw.send(&frame(0x10, 5, piece)).await;
            }
            let told = raw.rest().await;
            assert!(
                told.iter().all(|frame| frame.stream != 5 || frame.kind == 0 || frame.payload.is_empty()),
                "{what}: {told:?}"
            );
        }
        bystander.is_served().await;
    }
    bystander.is_alone(&edge).await;
}

#[tokio::test]
async fn what_is_no_login_ends_the_connection() {
    let edge = TestEdge::start().await;
    let bystander = Bystander::connect(&edge).await;
    let long = [b"{\"a\":\"".to_vec(), vec![b'x'; 16 * 1024], b"\"}".to_vec()].concat();
    let mut count = 0;
    for (what, bytes) in no_objects().into_iter().chain([("more than a login may be", long)]) {
        let mut raw = RawSdk::dial(&edge).await;
        raw.send(&question(3, StreamType::AUTH, &bytes[..bytes.len().min(200_000)])).await;
        let told = raw.rest().await;
        assert!(
            told.iter().all(|frame| matches!(frame.kind, FIN | RST) && frame.payload.len() <= 4),
            "{what}: {told:?}"
        );
        count += 1;
    }
    let counted = format!("handshake_failures_total{{stage=\"AgentHello\"}} {count}");
    eventually("every one is counted", || edge.metrics().contains(&counted)).await;
    bystander.is_alone(&edge).await;
}

#[tokio::test]
async fn streams_that_end_too_early_or_are_of_no_known_type_end_the_session() {
    let edge = TestEdge::start().await;
    let bystander = Bystander::connect(&edge).await;
    let whole = [&StreamType::BIND.to_bytes()[..], bind("https", json!({})).to_string().as_bytes()].concat();
    let truncated = (1..whole.len()).step_by(41).map(|length| whole[..length].to_vec());
    let types =
        [3, 4, 5, 6, 9, 11, 0x7FFF_FFFF, 0xFFFF_FFFE].map(|kind: u32| [&kind.to_be_bytes()[..], b"{}"].concat());
    for bytes in truncated.chain(types) {
        let mut raw = RawSdk::log_in(&edge).await;
        raw.send(&[frame(SYN, 5, &bytes), frame(FIN, 5, b"")].concat()).await;
        raw.rest().await;
    }
    bystander.is_alone(&edge).await;
}

/// The message with each of its values replaced by each of these.
fn mistyped(message: &Value) -> Vec<Value> {
    let wrong =
        [json!(null), json!(true), json!(-1), json!(1.5), json!("\u{0}\u{1b}[2J"), json!([[7]]), json!({ "x": {} })];
    let mut all: Vec<Value> = wrong.to_vec();
    match message {
        Value::Object(object) => {
            for (key, value) in object {
                for other in mistyped(value) {
                    let mut object = object.clone();
                    object.insert(key.clone(), other);
                    all.push(Value::Object(object));
                }
            }
        }
        Value::Array(list) => {
            for (place, value) in list.iter().enumerate() {
                for other in mistyped(value) {
                    let mut list = list.clone();
                    list[place] = other;
                    all.push(Value::Array(list));
                }
            }
        }
        _ => {}
    }
    all
}

/// A bind that says all there is to say.
fn full_bind() -> Value {
    bind(
        "https",
        json!({
            "URL": "", "Domain": "app.portway.test", "Hostname": "", "Auth": "", "Subdomain": "", "HostHeaderRewrite": false,
            "LocalURLScheme": null, "ProxyProto": 0, "Compression": {}, "CircuitBreaker": { "error_threshold": 0.5 },
            "IPRestriction": { "allow_cidrs": ["0.0.0.0/0"], "deny_cidrs": ["192.0.2.0/24"] },
            "BasicAuth": { "credentials": [{ "username": "u", "cleartext_password": "secret-words", "hashed_password": "" }] },
            "WebhookVerification": { "provider": "github", "secret": "s", "sealed_secret": "" }, "MutualTLSCA": null,
            "RequestHeaders": { "add": ["a:b"], "remove": ["c"], "addParsed": {} }, "ResponseHeaders": null,
            "WebsocketTCPConverter": {}, "UserAgentFilter": { "allow": ["x"], "deny": ["y"] }, "TrafficPolicy": null,
            "OAuth": null, "OIDC": null, "Policy": null,
        }),
    )
}

#[tokio::test]
async fn values_of_the_wrong_type_are_answered_and_the_session_goes_on() {
    let edge = TestEdge::start().await;
    let bystander = Bystander::connect(&edge).await;
    let sdk = TestSdk::connect(&edge, TOKEN, None).await;
    let bound = sdk.ask(StreamType::BIND, &full_bind()).await;
    assert_eq!(error(&bound), "");
    sdk.ask(StreamType::UNBIND, &json!({ "Id": bound["Id"] })).await;
    let labels = json!({ "Labels": { "edge": "e" }, "ForwardsTo": "x", "ForwardsProto": "", "Metadata": "m" });
    let patch = json!({ "TunnelId": "ep_x", "Name": "n", "Description": "d", "Metadata": "m", "PoolingEnabled": null, "TrafficPolicy": null });
    let messages = [
        (StreamType::BIND, full_bind()),
        (StreamType::BIND, bind("tcp", json!({ "URL": "", "Addr": "", "ProxyProto": 0 }))),
        (StreamType::START_TUNNEL_WITH_LABEL, labels),
        (StreamType::UNBIND, json!({ "Id": "x", "Extra": null })),
        (StreamType::PATCH_TUNNEL_STATE, patch),
    ];
    let (mut refused, mut done) = (0, 0);
    for (kind, message) in messages {
        for wrong in mistyped(&message).into_iter().filter(Value::is_object) {
            let answer = sdk.ask(kind, &wrong).await;
            let text = answer["Error"].as_str().unwrap();
            if text.is_empty() {
                done += 1;
                sdk.ask(StreamType::UNBIND, &json!({ "Id": answer["Id"] })).await;
            } else {
                refused += 1;
                let code = text.trim_end().rsplit('\n').next().unwrap();
                assert!(code.starts_with("ERR_NGROK_") && !text.contains('\u{1b}'), "{wrong}: {text:?}");
            }
        }
    }
    assert!(refused > 200 && done > 50, "{refused} refused, {done} done");
    drop(sdk);
    bystander.is_alone(&edge).await;
}

#[tokio::test]
async fn logins_with_values_of_the_wrong_type_are_refused_or_taken_and_never_in_between() {
    let edge = TestEdge::start().await;
    let bystander = Bystander::connect(&edge).await;
    for wrong in mistyped(&auth(TOKEN, &json!(""), &json!(""))).into_iter().filter(Value::is_object) {
        let sdk = TestSdk::connect_as(&edge, &wrong).await;
        let text = error(&sdk.welcome);
        if text.is_empty() {
            assert_eq!(sdk.ask(StreamType::SRV_INFO, &json!({})).await["Region"], "local");
        } else {
            let code = text.trim_end().rsplit('\n').next().unwrap();
            assert!(["ERR_NGROK_105", "ERR_NGROK_109"].contains(&code), "{wrong}: {text:?}");
            soon(sdk.session.closed()).await;
        }
    }
    bystander.is_alone(&edge).await;
}

#[tokio::test]
async fn unknown_and_repeated_fields_and_other_spellings_are_no_fault() {
    let edge = TestEdge::start().await;
    let mut raw = RawSdk::log_in(&edge).await;
    let messages = [
        &br#"{"Proto":"tcp","proto":"udp","PROTO":7,"Opts":{"x":[{}]},"Unheard":{"of":[1,2,3]}}"#[..],
        br#"{"proto":"udp","proto":"tcp","opts":{},"extra":{"y":null}}"#,
        b" \r\n\t{\"PROTO\":\"tcp\"}\n",
    ];
    for (number, message) in (5..).step_by(2).zip(messages) {
        raw.send(&question(number, StreamType::BIND, message)).await;
        assert_eq!(raw.answer(number).await["Error"], "", "{}", String::from_utf8_lossy(message));
    }
    assert_eq!(edge.edge().status().endpoints.len(), 3);
}
