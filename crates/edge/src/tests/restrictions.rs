//! IP restrictions of accounts, for agents and for visitors of TCP and TLS endpoints. All of them come from 127.0.0.1.

use std::sync::Arc;

use portway_access::{IpAction, RestrictionType};
use portway_names::{AccountId, Scheme};
use portway_proto::ReplicaRecord;
use portway_proto::agent::v1::edge_message;
use portway_wire::StreamType;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::actions::{act, acting};
use super::ssh;
use crate::replica::Admission;
use crate::restriction::check_policies;
use crate::testing::ip::{policy, policy_id, restriction, rule};
use crate::testing::{FakeControl, TOKEN, TestAgent, TestEdge, TestSdk, ask, auth, eventually, soon};

const OTHER_TOKEN: &str = "2bbbbbbbbbbbbbbbbbbbbbbbbbb_0123456789abcdefghijkl";
/// A network that nobody here comes from.
const ELSEWHERE: &str = "192.0.2.0/24";

/// The account of [`TOKEN`].
fn account() -> AccountId {
    FakeControl::credential(TOKEN, 1, &[]).account
}

fn allow(control: &FakeControl, network: &str) {
    control.put(rule(account(), 1, 1, network, IpAction::Allow));
}

/// Restricts the account to a policy with one rule, which allows this network.
fn restrict(control: &FakeControl, kind: RestrictionType, enforced: bool, network: &str) {
    control.put(policy(account(), 1));
    allow(control, network);
    control.put(ReplicaRecord::IpRestriction(restriction(account(), kind, enforced, &[1])));
}

/// Waits until the edge has this rule.
async fn heard(edge: &TestEdge, network: &str) {
    let ip = network.split('/').next().unwrap().parse().unwrap();
    let replica = &edge.edge().state().replica;
    let says = || replica.ip_verdict(account(), &policy_id(1), ip) == Some(IpAction::Allow);
    eventually("the edge has the rule", says).await;
}

/// Waits until the edge decides so about 127.0.0.1.
async fn decided(edge: &TestEdge, kind: RestrictionType, admission: Admission) {
    let (replica, ip) = (&edge.edge().state().replica, "127.0.0.1".parse().unwrap());
    eventually("the edge decides so", || replica.admission(account(), kind, ip) == admission).await;
}

/// What a visitor of a TCP port gets for five bytes: the same, or nothing.
async fn visit(url: &str) -> Option<[u8; 5]> {
    let port = url.rsplit_once(':').unwrap().1;
    let visiting = async {
        let mut visitor = TcpStream::connect(format!("127.0.0.1:{port}")).await.ok()?;
        visitor.write_all(b"hello").await.ok()?;
        let mut got = [0; 5];
        visitor.read_exact(&mut got).await.ok()?;
        Some(got)
    };
    soon(visiting).await
}

#[tokio::test]
async fn agents_from_elsewhere_have_no_session_until_the_rules_change() {
    let edge = TestEdge::start().await;
    edge.control.put(ReplicaRecord::Credential(FakeControl::credential(OTHER_TOKEN, 2, &[])));
    restrict(&edge.control, RestrictionType::Agent, true, ELSEWHERE);
    decided(&edge, RestrictionType::Agent, Admission::Refused).await;
    let refusal = TestAgent::connect(&edge, TOKEN, [1; 16], 1).await.err().unwrap();
    assert_eq!((refusal.code.as_str(), refusal.retryable), ("ERR_NGROK_115", false));
    assert!(refusal.text.contains("127.0.0.1"), "{}", refusal.text);
    let sdk = TestSdk::dial(&edge).await;
    let answer = soon(ask(&sdk, StreamType::AUTH, &auth(TOKEN, &json!(""), &json!("")))).await.unwrap();
    assert!(answer["Error"].as_str().unwrap().contains("ERR_NGROK_115"), "{answer}");
    // Others are not concerned, nor are the visitors of this account.
    TestAgent::connect(&edge, OTHER_TOKEN, [2; 16], 1).await.unwrap();
    let metrics = edge.metrics();
    assert!(metrics.contains("ip_restricted_total{restriction=\"agent\",outcome=\"Refused\"} 2"), "{metrics}");

    allow(&edge.control, "127.0.0.0/8");
    decided(&edge, RestrictionType::Agent, Admission::Admitted).await;
    let mut agent = edge.agent().await;
    let url = agent.bind("tcp://").await.unwrap().url;
    let echoing = agent.echo_all();
    assert_eq!(visit(&url).await.as_ref(), Some(b"hello"));
    echoing.abort();
}

#[tokio::test]
async fn sessions_end_when_their_address_is_no_longer_admitted() {
    let edge = TestEdge::start().await;
    edge.control.put(ReplicaRecord::Credential(FakeControl::credential(OTHER_TOKEN, 2, &[])));
    restrict(&edge.control, RestrictionType::Agent, true, "127.0.0.1/32");
    let (mut agent, sdk) = (edge.agent().await, TestSdk::connect(&edge, TOKEN, None).await);
    let other = TestAgent::connect(&edge, OTHER_TOKEN, [2; 16], 1).await.unwrap();
    agent.bind("https://app.portway.test").await.unwrap();
    let bound = sdk.bind("https", json!({})).await;

    edge.control.put(rule(account(), 1, 2, "127.0.0.0/30", IpAction::Deny));
    let Some(edge_message::Message::Refusal(refusal)) = agent.next().await else { panic!("no refusal") };
    assert_eq!((refusal.code.as_str(), refusal.retryable), ("ERR_NGROK_115", false));
    let (kind, message, _stream) = sdk.next().await;
    assert_eq!((kind, &message["Id"]), (StreamType::STOP_TUNNEL, &bound["Id"]));
    assert_eq!(message["ErrorCode"], "ERR_NGROK_115");
    soon(agent.session.closed()).await;
    soon(sdk.session.closed()).await;
    eventually("offline", || edge.edge().status().endpoints.is_empty()).await;
    assert!(other.session.close_reason().is_none());
}

#[tokio::test]
async fn a_restriction_that_is_not_enforced_only_warns() {
    let edge = TestEdge::start().await;
    restrict(&edge.control, RestrictionType::Agent, false, ELSEWHERE);
    decided(&edge, RestrictionType::Agent, Admission::Warned).await;
    let mut agent = edge.agent().await;
    let metrics = edge.metrics();
    assert!(metrics.contains("ip_restricted_total{restriction=\"agent\",outcome=\"Warned\"} 1"), "{metrics}");
    let record = restriction(account(), RestrictionType::Agent, true, &[1]);
    edge.control.put(ReplicaRecord::IpRestriction(record));
    let Some(edge_message::Message::Refusal(refusal)) = agent.next().await else { panic!("no refusal") };
    assert_eq!(refusal.code, "ERR_NGROK_115");
}

#[tokio::test]
async fn an_ssh_client_from_elsewhere_is_told_and_one_that_is_there_ends() {
    let edge = ssh::edge().await;
    restrict(&edge.control, RestrictionType::Agent, true, "127.0.0.0/8");
    let (user, options) = (format!("v2+{TOKEN}"), ["-R", "shop.portway.test:80:127.0.0.1:1"]);
    let Some((mut client, mut lines)) = ssh::ssh(&edge, &user, &options, &["http"]) else { return };
    ssh::line_with(&mut lines, "Forwarding").await;
    allow(&edge.control, ELSEWHERE);
    assert_eq!(ssh::line_with(&mut lines, "ERR_NGROK").await, "ERR_NGROK_115");
    assert_eq!(soon(client.wait()).await.unwrap().code(), Some(1));
    let Some((mut client, mut lines)) = ssh::ssh(&edge, &user, &options, &["http"]) else { return };
    assert_eq!(ssh::line_with(&mut lines, "ERR_NGROK").await, "ERR_NGROK_115");
    assert_eq!(soon(client.wait()).await.unwrap().code(), Some(1));
}

#[tokio::test]
async fn visitors_of_tcp_and_tls_endpoints_are_closed() {
    let edge = TestEdge::start().await;
    let mut agent = edge.agent().await;
    let tcp = agent.bind("tcp://").await.unwrap().url;
    agent.bind("tls://secret.portway.test").await.unwrap();
    let echoing = agent.echo_all();
    assert_eq!(visit(&tcp).await.as_ref(), Some(b"hello"));
    let refusals = |outcome: &str, count: usize| {
        format!("ip_restricted_total{{restriction=\"endpoints\",outcome=\"{outcome}\"}} {count}\n")
    };

    restrict(&edge.control, RestrictionType::Endpoints, false, ELSEWHERE);
    decided(&edge, RestrictionType::Endpoints, Admission::Warned).await;
    assert_eq!(visit(&tcp).await.as_ref(), Some(b"hello"));
    assert!(edge.metrics().contains(&refusals("Warned", 1)), "{}", edge.metrics());

    let record = restriction(account(), RestrictionType::Endpoints, true, &[1]);
    let id = record.id;
    edge.control.put(ReplicaRecord::IpRestriction(record));
    decided(&edge, RestrictionType::Endpoints, Admission::Refused).await;
    assert_eq!(visit(&tcp).await, None);
    let error = soon(super::actions::connect(&edge, "secret.portway.test", None)).await.unwrap_err();
    assert!(error.to_string().contains("AccessDenied"), "{error}");
    eventually("both are counted", || edge.metrics().contains(&refusals("Refused", 2))).await;

    edge.control.remove(&id.to_string());
    decided(&edge, RestrictionType::Endpoints, Admission::Admitted).await;
    assert_eq!(visit(&tcp).await.as_ref(), Some(b"hello"));
    assert!(agent.session.close_reason().is_none());
    echoing.abort();
}

#[tokio::test]
async fn an_endpoint_follows_the_policies_that_its_action_names() {
    let edge = TestEdge::start().await;
    let mut agent = edge.agent().await;
    let tcp = agent.bind("tcp://").await.unwrap().url;
    let echoing = agent.echo_all();
    let state = Arc::clone(edge.edge().state());
    let config = json!({"ip_policies": [policy_id(1).to_string()]});
    let check = || {
        let options = acting(&edge, Scheme::Tcp, "restrict-ips", &config);
        check_policies(&state, account(), &options).map_err(|refused| refused.error.code.number())
    };
    assert_eq!(check(), Err(2216));
    // One of another account is not there either.
    edge.control.put(policy(FakeControl::credential(OTHER_TOKEN, 2, &[]).account, 1));
    edge.control.put(policy(account(), 2));
    eventually("both are there", || state.replica.has_ip_policy(account(), &policy_id(2))).await;
    assert_eq!(check(), Err(2216));

    edge.control.put(policy(account(), 1));
    allow(&edge.control, ELSEWHERE);
    heard(&edge, ELSEWHERE).await;
    assert_eq!(check(), Ok(()));
    act(&edge, &tcp, "restrict-ips", &config);
    assert_eq!(visit(&tcp).await, None);
    allow(&edge.control, "127.0.0.0/8");
    heard(&edge, "127.0.0.0/8").await;
    assert_eq!(visit(&tcp).await.as_ref(), Some(b"hello"));
    edge.control.remove(&policy_id(1).to_string());
    eventually("the policy is gone", || check().is_err()).await;
    assert_eq!(visit(&tcp).await, None);
    echoing.abort();
}
