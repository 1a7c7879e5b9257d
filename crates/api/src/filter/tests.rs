//! Filters: what they say, and what is refused.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const SCOPE: FilterScope = FilterScope::list(fields![
    "id",
    "created_at",
    "metadata",
    "type",
    "port",
    "pooling_enabled",
    "bindings",
    "binding" = "bindings",
    "principal.id",
    "credential" = "credential.id",
    "credential.id",
    "region",
    "nothing",
]);

fn now() -> Timestamp {
    Timestamp::parse("2025-06-10T00:00:00Z").unwrap()
}

fn matches(filter: &str) -> bool {
    let object = json!({
        "id": "ep_1", "created_at": "2025-06-01T12:00:00Z", "metadata": "{\"a\": \"b\"}", "type": "ephemeral", "port": 443,
        "pooling_enabled": true, "bindings": ["public"], "principal": {"id": "usr_1"}, "credential": {"id": "cr_1"}, "region": "eu", "nothing": null,
    });
    SCOPE.read(filter).unwrap_or_else(|error| panic!("{filter}: {error}")).matches(&object, now())
}

#[test]
fn what_holds() {
    for filter in [
        "true",
        "obj.pooling_enabled",
        "obj.region == \"eu\"",
        "\"eu\" == obj.region",
        "obj.region != 'us' && obj.port == 443",
        "obj.region == \"us\" || obj.port >= 443 && obj.port < 444",
        "!(obj.region == \"us\")",
        "!!obj.pooling_enabled",
        "obj.region in [\"us\", \"eu\"]",
        "\"public\" in obj.bindings",
        "\"public\" in obj.binding",
        "obj.bindings == [\"public\"]",
        "size(obj.bindings) == 1",
        "obj.region.size() == 2",
        "size(obj.nothing) == 0",
        "obj.nothing == null",
        "obj.region != null",
        "obj.metadata.contains(\"\\\"a\\\"\")",
        "obj.region.startsWith(\"e\") && obj.region.endsWith(\"u\")",
        "obj.created_at > timestamp(\"2025-06-01T13:00:00+02:00\")",
        "obj.created_at < timestamp(time.now).subtract(\"7d\")",
        "obj.created_at > timestamp(time.now).subtract(\"8d12h1s\")",
        "timestamp(time.now).add(\"1s\") > timestamp(time.now)",
        "obj.principal.id == \"usr_1\"",
        "obj.credential.id == \"cr_1\"",
        "obj.credential == \"cr_1\"",
        "obj.type == \"agent\"",
        "obj.type == \"ephemeral\"",
        "obj.type in [\"cloud\", \"agent\"]",
        "obj.port == 443.0 && obj.port > -1",
        "obj.port != \"443\"",
        "(obj.region == \"eu\") == true",
    ] {
        assert!(matches(filter), "{filter}");
        assert!(!matches(&format!("!({filter})")), "!({filter})");
    }
}

#[test]
fn and_binds_before_or() {
    assert!(matches("true || false && false"));
    assert!(!matches("(true || false) && false"));
}

#[test]
fn values_of_different_kinds_are_in_no_order() {
    for filter in [
        "obj.region < 7",
        "obj.region > 7",
        "obj.nothing < 7",
        "obj.created_at < 7",
        "obj.region > timestamp(time.now)",
    ] {
        assert!(!matches(filter), "{filter}");
    }
}

#[test]
fn what_is_no_filter_is_refused() {
    for filter in [
        "",
        "obj",
        "obj.",
        "obj.region ==",
        "== 7",
        "obj.region = \"eu\"",
        "obj.region == \"eu",
        "obj.region == \"\\x\"",
        "(true",
        "true)",
        "true true",
        "7",
        "\"text\"",
        "null",
        "[true]",
        "!7",
        "7 && true",
        "obj.port + 1 == 2",
        "obj.port - 1 == 2",
        "obj.bindings[0] == \"public\"",
        "obj.port ? true : false",
        "type(obj.port) == int",
        "obj.region.matches(\"e.\")",
        "obj.unknown == 1",
        "other.region == \"eu\"",
        "obj.principal == null",
        "obj.principal.name == \"x\"",
        "obj.id.startsWith(\"ep_\")",
        "obj.principal.id.contains(\"usr\")",
        "obj.region in \"eu\"",
        "1 == \"1\"",
        "null < 1",
        "true < false",
        "timestamp(\"yesterday\") < timestamp(time.now)",
        "timestamp(time.then) < timestamp(time.now)",
        "timestamp(time.now).add(\"\") > timestamp(time.now)",
        "timestamp(time.now).add(\"7w\") > timestamp(time.now)",
        "timestamp(time.now).add(\"9223372036854775807d\") > timestamp(time.now)",
        "obj.region.add(\"7d\") == null",
        "obj.region == \"eu\" # comment",
    ] {
        let error = SCOPE.read(filter).map(drop).unwrap_err();
        assert_eq!(error.code, Code::ERR_NGROK_250, "{filter}");
    }
}

#[test]
fn length_and_depth_have_limits() {
    let nested = |depth| format!("{}true{}", "(".repeat(depth), ")".repeat(depth));
    assert!(SCOPE.read(&nested(MAX_FILTER_DEPTH - 1)).is_ok());
    assert!(SCOPE.read(&nested(MAX_FILTER_DEPTH)).is_err());
    assert!(SCOPE.read(&"!".repeat(4000)).is_err());
    assert!(SCOPE.read(&format!("true{}", " ".repeat(MAX_FILTER_LEN))).is_err());
    assert!(SCOPE.read("true || ".repeat(500).trim_end_matches("|| ")).is_ok());
}

#[test]
fn events_are_filtered_by_some_of_their_fields() {
    let kind = EventType::parse("http_request_complete.v0").unwrap();
    let scope = FilterScope::event(&kind);
    let event = json!({"conn": {"server_name": "a.example.com", "server_port": 80, "client_ip": "203.0.113.7"}});
    let filter = scope.check("ev.conn.server_name.matches(\"^a[.]\") && ev.conn.server_port == 80").unwrap();
    assert!(filter.matches(&event, now()));
    for (filter, code) in [
        ("ev.conn.server_port ==", Code::ERR_NGROK_5404),
        ("ev.conn.server_name.matches(\"(\")", Code::ERR_NGROK_5404),
        ("ev.conn.port == 1", Code::ERR_NGROK_5405),
        ("obj.conn.server_port == 1", Code::ERR_NGROK_5405),
        ("ev.http.response.status_code == 200", Code::ERR_NGROK_5406),
    ] {
        assert_eq!(scope.check(filter).map(drop).unwrap_err().code, Some(code), "{filter}");
    }
}

proptest! {
    #[test]
    fn nothing_panics(filter in "[a-z0-9.()\\[\\]!&|=<>\"', ]{0,60}") {
        if let Ok(filter) = SCOPE.read(&filter) {
            filter.matches(&json!({}), now());
        }
    }

    #[test]
    fn texts_are_found_as_they_are(text in "\\PC{0,40}", other in "\\PC{0,40}") {
        let quoted = format!("obj.region == {}", quote(&text));
        let filter = SCOPE.read(&quoted).unwrap();
        let asked_with = |text: &str| filter.matches(&json!({ "region": text }), now());
        prop_assert!(asked_with(&text));
        prop_assert_eq!(asked_with(&other), text == other);
    }

    #[test]
    fn logic_is_logic(a: bool, b: bool, c: bool) {
        let holds = |filter: String| SCOPE.read(&filter).unwrap().matches(&json!({}), now());
        prop_assert_eq!(holds(format!("{a} && {b} || !{c}")), a && b || !c);
        prop_assert_eq!(holds(format!("!({a} || {b}) == (!{a} && !{b})")), true);
    }
}

fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
