//! Agents that come back as somebody else.

use portway_proto::ReplicaRecord;

use super::bystander::Bystander;
use super::*;
use crate::testing::FakeControl;

/// An authtoken of another account.
const OTHER: &str = "2cccccccccccccccccccccccccc_0123456789abcdefghijkl";

/// An edge with two accounts.
async fn two_accounts() -> TestEdge {
    let edge = TestEdge::start().await;
    edge.control.put(ReplicaRecord::Credential(FakeControl::credential(OTHER, 2, &[])));
    edge
}

/// The text with one of its characters changed.
fn tampered(text: &Value, place: usize) -> Value {
    let mut text = text.as_str().unwrap().as_bytes().to_vec();
    let place = place % text.len();
    text[place] = if text[place] == b'A' { b'B' } else { b'A' };
    json!(String::from_utf8(text).unwrap())
}

#[tokio::test]
async fn nobody_resumes_with_what_is_not_theirs() {
    let edge = two_accounts().await;
    let bystander = Bystander::connect(&edge).await;
    let owner = TestSdk::connect(&edge, TOKEN, None).await;
    let bound = owner.bind("https", json!({ "Domain": "app.portway.test" })).await;
    let stranger = TestSdk::connect(&edge, OTHER, None).await;
    let (id, cookie) = (&owner.welcome["ClientId"], &owner.welcome["Extra"]["Cookie"]);
    let tries = [
        (OTHER, id.clone(), cookie.clone()),
        (OTHER, stranger.welcome["ClientId"].clone(), cookie.clone()),
        (OTHER, id.clone(), stranger.welcome["Extra"]["Cookie"].clone()),
        (TOKEN, stranger.welcome["ClientId"].clone(), cookie.clone()),
        (TOKEN, id.clone(), bound["Extra"]["Token"].clone()),
        (TOKEN, id.clone(), tampered(cookie, 0)),
        (TOKEN, id.clone(), tampered(cookie, 30)),
        (TOKEN, tampered(id, 5), cookie.clone()),
        (TOKEN, json!("\r\n\u{1b}[2J"), json!("\0")),
        (TOKEN, json!("x".repeat(1024)), json!("A".repeat(1024))),
    ];
    for (token, client_id, cookie) in tries {
        let thief = TestSdk::connect_as(&edge, &auth(token, &client_id, &cookie)).await;
        assert_eq!(error(&thief.welcome), "", "it is a new agent");
        assert_ne!(&thief.welcome["ClientId"], id);
        let mut again = bind("https", bound["Opts"].clone());
        again["Id"] = bound["Id"].clone();
        again["Extra"]["Token"] = bound["Extra"]["Token"].clone();
        let answer = thief.ask(StreamType::BIND, &again).await;
        assert!(error(&answer).ends_with("ERR_NGROK_334\n"), "{answer}");
    }
    let long = TestSdk::connect_as(&edge, &auth(TOKEN, id, &json!("A".repeat(1025)))).await;
    assert!(error(&long.welcome).ends_with("ERR_NGROK_109\n"), "{}", long.welcome);
    assert_eq!(owner.ask(StreamType::SRV_INFO, &json!({})).await["Region"], "local");
    bystander.is_served().await;
}

#[tokio::test]
async fn a_token_of_another_endpoint_or_account_makes_a_new_endpoint() {
    let edge = two_accounts().await;
    let owner = TestSdk::connect(&edge, TOKEN, None).await;
    let bound = owner.bind("https", json!({ "Domain": "app.portway.test" })).await;
    let stranger = TestSdk::connect(&edge, OTHER, None).await;
    let token = &bound["Extra"]["Token"];
    for (place, token) in
        [token.clone(), tampered(token, 3), stranger.welcome["Extra"]["Cookie"].clone()].iter().enumerate()
    {
        let mut odd = bind("https", json!({ "Domain": format!("mine-{place}.portway.test") }));
        odd["Id"] = bound["Id"].clone();
        odd["Extra"]["Token"] = token.clone();
        let answer = stranger.ask(StreamType::BIND, &odd).await;
        assert_eq!(error(&answer), "");
        assert_ne!(answer["Extra"]["TunnelID"], bound["Extra"]["TunnelID"], "{token}");
    }
    // The ids of one session's binds mean nothing in another's.
    assert_eq!(error(&stranger.ask(StreamType::UNBIND, &json!({ "Id": bound["Id"] })).await), "");
    let patch = json!({ "TunnelId": bound["Extra"]["TunnelID"], "Description": "mine now" });
    let answer = stranger.ask(StreamType::PATCH_TUNNEL_STATE, &patch).await;
    assert!(error(&answer).ends_with("ERR_NGROK_301\n"), "{answer}");
    let status = edge.edge().status();
    assert!(status.endpoints.iter().any(|endpoint| endpoint.url.contains("app.portway.test")));
    assert_eq!(error(&owner.ask(StreamType::PATCH_TUNNEL_STATE, &patch).await), "");
}

#[tokio::test]
async fn a_token_is_good_for_its_own_url_only() {
    let edge = TestEdge::start().await;
    let sdk = TestSdk::connect(&edge, TOKEN, None).await;
    let bound = sdk.bind("https", json!({ "Domain": "app.portway.test" })).await;
    for opts in [json!({ "Domain": "other.portway.test" }), json!({})] {
        let mut again = bind("https", opts);
        again["Extra"]["Token"] = bound["Extra"]["Token"].clone();
        let other = sdk.ask(StreamType::BIND, &again).await;
        assert_eq!(error(&other), "");
        assert_ne!(other["Extra"]["TunnelID"], bound["Extra"]["TunnelID"], "two endpoints have one id");
    }
}

#[tokio::test]
async fn a_bind_id_that_is_used_already_or_absurd_is_replaced() {
    let edge = TestEdge::start().await;
    let sdk = TestSdk::connect(&edge, TOKEN, None).await;
    let mut ids = Vec::new();
    for id in ["one", "one", &"x".repeat(64), &"x".repeat(65), "\u{1b}]0;x\u{7}", ""] {
        let mut wanted = bind("https", json!({}));
        wanted["Id"] = json!(id);
        let bound = sdk.ask(StreamType::BIND, &wanted).await;
        assert_eq!(error(&bound), "", "{id:?}");
        ids.push(bound["Id"].as_str().unwrap().to_owned());
    }
    assert_eq!((&ids[0][..], &ids[2][..]), ("one", &"x".repeat(64)[..]));
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 6, "{ids:?}");
}
