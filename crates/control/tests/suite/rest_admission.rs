//! From which addresses the REST interface may be called, and changes that would lock their maker out.

use std::net::IpAddr;

use portway_control::admin::{Admin, AdminError, RestrictionType};
use serde_json::{Value, json};

use crate::Running;
use crate::rest::{ELSEWHERE, request};

impl Running {
    /// Status and code of a call from an address; without a body it is a harmless one.
    async fn from(&self, peer: &str, method: &str, target: &str, body: Value) -> (u16, String) {
        self.sent(peer, request(&self.api_key, method, target, body)).await
    }

    async fn forced(&self, method: &str, target: &str, body: Value) -> (u16, String) {
        let mut request = request(&self.api_key, method, target, body);
        request.headers_mut().insert("portway-force", "true".parse().unwrap());
        self.sent(&IpAddr::from(ELSEWHERE).to_string(), request).await
    }

    async fn sent(&self, peer: &str, request: http::Request<bytes::Bytes>) -> (u16, String) {
        let response = self.answer_from(peer.parse().unwrap(), request).await;
        let body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
        (response.status().as_u16(), body["error_code"].as_str().unwrap_or_default().to_owned())
    }

    async fn self_from(&self, peer: &str) -> u16 {
        let (status, code) = self.from(peer, "GET", "/self", Value::Null).await;
        assert_eq!(code, if status == 200 { "" } else { "ERR_NGROK_220" }, "{peer}");
        status
    }

    /// The id of a new resource.
    async fn made(&self, target: &str, body: Value) -> String {
        self.done("POST", target, body).await["id"].as_str().unwrap().to_owned()
    }

    async fn rule(&self, policy: &str, action: &str, cidr: &str) -> String {
        self.made("/ip_policy_rules", json!({"ip_policy_id": policy, "action": action, "cidr": cidr})).await
    }
}

const LOCKED_OUT: (u16, &str) = (409, "ERR_PORTWAY_40905");
const REFUSED: (u16, &str) = (403, "ERR_NGROK_220");

fn is(answer: &(u16, String), wanted: (u16, &str)) -> bool {
    (answer.0, answer.1.as_str()) == wanted
}

#[tokio::test]
async fn calls_are_refused_as_the_rules_say_now() {
    let running = Running::start().await;
    let policy = running.made("/ip_policies", json!({})).await;
    let restriction = json!({"type": "api", "ip_policy_ids": [policy]});
    let restriction = format!("/ip_restrictions/{}", running.made("/ip_restrictions", restriction).await);
    assert_eq!(running.self_from("198.51.100.1").await, 200, "it warns only");
    running.rule(&policy, "allow", "203.0.113.0/24").await;
    running.done("PATCH", &restriction, json!({"enforced": true})).await;
    assert_eq!((running.self_from("198.51.100.1").await, running.self_from("203.0.113.9").await), (403, 200));
    assert_eq!(running.self_from("::ffff:203.0.113.9").await, 200);
    // It comes before everything else that is wrong with a call, and counts for every operation.
    for (method, target) in [("DELETE", restriction.as_str()), ("GET", "/ip_policies?limit=0")] {
        assert!(is(&running.from("198.51.100.1", method, target, Value::Null).await, REFUSED), "{target}");
    }

    let office = running.rule(&policy, "allow", "198.51.100.0/24").await;
    assert_eq!(running.self_from("198.51.100.1").await, 200);
    let guests = running.rule(&policy, "deny", "198.51.100.128/25").await;
    assert_eq!((running.self_from("198.51.100.1").await, running.self_from("198.51.100.200").await), (200, 403));
    running.done("PATCH", &format!("/ip_policy_rules/{guests}"), json!({"cidr": "198.51.100.0/25"})).await;
    assert_eq!((running.self_from("198.51.100.1").await, running.self_from("198.51.100.200").await), (403, 200));
    running.done("DELETE", &format!("/ip_policy_rules/{guests}"), Value::Null).await;
    running.done("DELETE", &format!("/ip_policy_rules/{office}"), Value::Null).await;
    assert_eq!(running.self_from("198.51.100.200").await, 403);
    let other = running.made("/ip_policies", json!({})).await;
    running.rule(&other, "allow", "198.51.100.0/24").await;
    running.done("PATCH", &restriction, json!({"ip_policy_ids": [policy, other]})).await;
    assert_eq!(running.self_from("198.51.100.1").await, 200);
    running.done("PATCH", &restriction, json!({"ip_policy_ids": [policy]})).await;
    assert_eq!(running.self_from("198.51.100.1").await, 403);
    running.done("DELETE", &restriction, Value::Null).await;
    assert_eq!(running.self_from("198.51.100.1").await, 200);
}

#[tokio::test]
async fn a_policy_may_have_more_rules_than_a_page() {
    const RULES: usize = portway_store::PAGE_MAX as usize + 5;
    let running = Running::start().await;
    let policy = running.made("/ip_policies", json!({})).await;
    let peers: Vec<String> = (0..RULES).map(|n| format!("198.51.{}.{}", n / 256, n % 256)).collect();
    for peer in &peers {
        running.rule(&policy, "allow", &format!("{peer}/32")).await;
    }
    running.rule(&policy, "allow", "203.0.113.0/24").await;
    let restriction = json!({"type": "api", "enforced": true, "ip_policy_ids": [policy]});
    running.made("/ip_restrictions", restriction).await;
    for peer in &peers {
        assert_eq!(running.self_from(peer).await, 200, "{peer}");
    }
    assert_eq!(running.self_from("198.51.99.99").await, 403);
}

#[tokio::test]
async fn nobody_locks_themselves_out_without_saying_so() {
    let running = Running::start().await;
    let (policy, empty) =
        (running.made("/ip_policies", json!({})).await, running.made("/ip_policies", json!({})).await);
    let create = |enforced: bool| json!({"type": "api", "enforced": enforced, "ip_policy_ids": [policy]});
    let refused = async |method: &str, target: &str, body: Value| {
        let answer = running.from("203.0.113.7", method, target, body).await;
        assert!(is(&answer, LOCKED_OUT), "{method} {target}: {answer:?}");
    };
    refused("POST", "/ip_restrictions", create(true)).await;
    // Others may be restricted as one likes.
    for kind in ["agent", "endpoints", "dashboard"] {
        running.made("/ip_restrictions", json!({"type": kind, "enforced": true, "ip_policy_ids": [policy]})).await;
    }
    let restriction = format!("/ip_restrictions/{}", running.made("/ip_restrictions", create(false)).await);
    refused("PATCH", &restriction, json!({"enforced": true})).await;
    let rule = format!("/ip_policy_rules/{}", running.rule(&policy, "allow", "203.0.113.0/24").await);
    running.done("PATCH", &restriction, json!({"enforced": true})).await;
    running.done("PATCH", &restriction, json!({"description": "the office"})).await;

    refused("PATCH", &restriction, json!({"ip_policy_ids": [empty]})).await;
    let deny = json!({"ip_policy_id": policy, "action": "deny", "cidr": "203.0.113.0/28"});
    refused("POST", "/ip_policy_rules", deny.clone()).await;
    refused("PATCH", &rule, json!({"cidr": "198.51.100.0/24"})).await;
    refused("DELETE", &rule, Value::Null).await;
    running.done("PATCH", &rule, json!({"cidr": "203.0.113.7/32"})).await;
    // Of a policy that is not applied, or somebody else's address.
    let harmless = running.rule(&empty, "deny", "203.0.113.7/32").await;
    running.done("DELETE", &format!("/ip_policy_rules/{harmless}"), Value::Null).await;
    let other = running.rule(&policy, "deny", "203.0.113.8/32").await;
    running.done("DELETE", &format!("/ip_policy_rules/{other}"), Value::Null).await;
    // What is not there is said first.
    let nowhere = format!("ipp_{}", "0".repeat(27));
    let answer = running.from("203.0.113.7", "PATCH", &restriction, json!({"ip_policy_ids": [nowhere]})).await;
    assert!(is(&answer, (400, "ERR_NGROK_1801")), "{answer:?}");

    assert_eq!(running.self_from("203.0.113.7").await, 200);
    assert_eq!(running.forced("POST", "/ip_policy_rules", deny).await.0, 201);
    assert_eq!(running.self_from("203.0.113.7").await, 403);
}

#[tokio::test]
async fn the_operator_lifts_a_restriction_beside_the_server() {
    let running = Running::start().await;
    let policy = running.made("/ip_policies", json!({})).await;
    let restriction = json!({"type": "api", "enforced": true, "ip_policy_ids": [policy]});
    assert_eq!(running.forced("POST", "/ip_restrictions", restriction).await.0, 201);
    assert_eq!(running.self_from("203.0.113.7").await, 403);
    let admin = Admin::open(running.dir.path()).await.unwrap();
    let listed = admin.restrictions().await.unwrap();
    assert_eq!((listed.len(), listed[0].kind.as_str(), listed[0].enforced), (1, "api", true));
    assert_eq!(listed[0].policies.iter().map(ToString::to_string).collect::<Vec<_>>(), [policy]);
    let found = admin.restriction_of(None, RestrictionType::Api).await.unwrap();
    assert_eq!(found, listed[0].id);
    let none = admin.restriction_of(None, RestrictionType::Agent).await;
    assert!(matches!(none, Err(AdminError::NoRestriction { kind: RestrictionType::Agent, .. })), "{none:?}");
    let lifted = admin.lift(&listed[0].id).await.unwrap();
    assert_eq!((lifted.id, lifted.enforced), (listed[0].id, false));
    assert_eq!(running.self_from("203.0.113.7").await, 200);
    assert!(!admin.lift(&lifted.id).await.unwrap().enforced, "once more does not harm");

    let log = running.store().await.audit_log(&lifted.account, None, 1).await.unwrap();
    assert_eq!((log[0].audit.who.as_str(), log[0].audit.action.as_str()), ("portway admin", "ip-restrictions update"));
    assert!(log[0].audit.before.is_some() && log[0].audit.after.as_ref().unwrap().contains("\"enforced\":false"));
    let unknown = format!("ipx_{}", "0".repeat(27)).parse().unwrap();
    assert!(matches!(admin.lift(&unknown).await, Err(AdminError::UnknownRestriction(id)) if id == unknown));
}
