//! Sessions and binds of native agents.

use std::time::Duration;

use portway_mux::{Carrier, Dialer};
use portway_names::ConnectUrl;
use portway_proto::ReplicaRecord;
use portway_proto::agent::v1::{Hello, Unbind, agent_message, edge_message};

use crate::testing::{BASE, FakeControl, TOKEN, TestAgent, TestEdge, eventually, soon};

const OTHER_TOKEN: &str = "2bbbbbbbbbbbbbbbbbbbbbbbbbb_0123456789abcdefghijkl";

#[tokio::test]
async fn an_agent_is_welcomed_and_binds() {
    let edge = TestEdge::start().await;
    let mut agent = edge.agent().await;
    let welcome = agent.welcome.clone().unwrap();
    assert!(welcome.session_id.starts_with("ts_"));
    assert_eq!((welcome.region.as_str(), welcome.base_domain.as_str()), ("local", BASE));
    assert_eq!(welcome.account_name, "account 1");

    let bound = agent.bind("https://app.portway.test").await.unwrap();
    assert_eq!(bound.url, format!("https://app.portway.test:{}", edge.https.port()));
    assert!(bound.endpoint_id.starts_with("ep_"));
    let label = agent.bind("shop").await.unwrap();
    assert_eq!(label.url, format!("https://shop.portway.test:{}", edge.https.port()));
    let random = agent.bind("http://").await.unwrap();
    assert!(random.url.ends_with(&format!(".portway.test:{}", edge.http.port())), "{}", random.url);
    assert_ne!(bound.endpoint, label.endpoint);

    let status = edge.edge().status();
    assert_eq!((status.sessions, status.endpoints.len()), (1, 3));
    assert!(edge.metrics().contains("portway_edge_endpoints{scheme=\"https\"} 2"), "{}", edge.metrics());

    agent.send(agent_message::Message::Unbind(Unbind { endpoint: label.endpoint })).await;
    assert!(matches!(agent.next().await, Some(edge_message::Message::Unbound(u)) if u.endpoint == label.endpoint));
    assert_eq!(edge.edge().status().endpoints.len(), 2);
    eventually("the lease goes back", || edge.control.releases() == 1).await;
}

#[tokio::test]
async fn an_agent_comes_by_quic_too() {
    let edge = TestEdge::start_with(|config| config.shards = 2).await;
    let target: ConnectUrl = format!("connect.{BASE}:{}", edge.https.port()).parse().unwrap();
    let dialer = Dialer::new(target, &edge.roots()).unwrap().addresses(vec![edge.https]);
    let session = soon(dialer.dial_carrier(Carrier::Quic)).await.unwrap();
    let mut agent = soon(TestAgent::over(session, TOKEN, [1; 16], 1)).await.unwrap();
    agent.bind("https://app.portway.test").await.unwrap();
    let status = edge.edge().status();
    assert_eq!(status.endpoints[0].carrier, "quic");
}

#[tokio::test]
async fn wrong_tokens_are_refused_and_then_not_heard() {
    let edge = TestEdge::start_with(|config| {
        config.limits.loopback_exempt = false;
        config.limits.bad_tokens_per_minute = 2;
    })
    .await;
    for _ in 0..2 {
        let refusal = TestAgent::connect(&edge, OTHER_TOKEN, [1; 16], 1).await.err().unwrap();
        assert_eq!((refusal.code.as_str(), refusal.retryable), ("ERR_NGROK_107", false));
    }
    let refusal = TestAgent::connect(&edge, TOKEN, [1; 16], 1).await.err().unwrap();
    assert_eq!((refusal.code.as_str(), refusal.retryable), ("ERR_PORTWAY_42902", true));
    assert!(edge.metrics().contains("limit=\"bad_tokens_per_minute\""));
}

#[tokio::test]
async fn malformed_hellos_are_refused_with_their_code() {
    let edge = TestEdge::start().await;
    let refusal = TestAgent::connect(&edge, "with space", [1; 16], 1).await.err().unwrap();
    assert_eq!(refusal.code, "ERR_NGROK_105");

    let mut agent = TestAgent::silent(edge.session().await).await;
    agent.send(agent_message::Message::Hello(Hello { version_major: 9, ..Hello::default() })).await;
    let Some(edge_message::Message::Refusal(refusal)) = agent.next().await else { panic!("no refusal") };
    assert_eq!(refusal.code, "ERR_NGROK_120");

    let mut agent = TestAgent::silent(edge.session().await).await;
    agent.send(agent_message::Message::Unbind(Unbind { endpoint: 1 })).await;
    let Some(edge_message::Message::Refusal(refusal)) = agent.next().await else { panic!("no refusal") };
    assert_eq!(refusal.code, "ERR_NGROK_109");
    soon(agent.session.closed()).await;
}

#[tokio::test]
async fn a_token_newer_than_the_replica_is_asked_for() {
    let edge = TestEdge::start().await;
    edge.control.put_unseen(FakeControl::credential(OTHER_TOKEN, 2, &[]));
    let agent = TestAgent::connect(&edge, OTHER_TOKEN, [2; 16], 1).await.unwrap();
    assert_eq!(agent.welcome.unwrap().account_name, "account 2");
}

#[tokio::test]
async fn a_revoked_token_ends_its_sessions_and_no_others() {
    let edge = TestEdge::start().await;
    let other = FakeControl::credential(OTHER_TOKEN, 2, &[]);
    edge.control.put(ReplicaRecord::Credential(other.clone()));
    let mut revoked = TestAgent::connect(&edge, OTHER_TOKEN, [2; 16], 1).await.unwrap();
    let mut kept = edge.agent().await;
    revoked.bind("https://gone.portway.test").await.unwrap();
    kept.bind("https://kept.portway.test").await.unwrap();

    edge.control.remove(&other.id.to_string());
    let Some(edge_message::Message::Refusal(refusal)) = revoked.next().await else { panic!("no refusal") };
    assert_eq!((refusal.code.as_str(), refusal.retryable), ("ERR_NGROK_300", false));
    soon(revoked.session.closed()).await;
    let urls: Vec<_> = edge.edge().status().endpoints.into_iter().map(|endpoint| endpoint.url).collect();
    assert_eq!(urls, ["https://kept.portway.test"]);
    assert!(kept.session.close_reason().is_none());
    let refusal = TestAgent::connect(&edge, OTHER_TOKEN, [2; 16], 2).await.err().unwrap();
    assert_eq!(refusal.code, "ERR_NGROK_107");
}

#[tokio::test]
async fn rules_are_held_at_bind_and_when_they_change() {
    let edge = TestEdge::start().await;
    let rules = ["bind:*.team.portway.test", "bind:own.portway.test"];
    edge.control.put(ReplicaRecord::Credential(FakeControl::credential(OTHER_TOKEN, 2, &rules)));
    let mut agent = TestAgent::connect(&edge, OTHER_TOKEN, [2; 16], 1).await.unwrap();
    let refused = agent.bind("https://other.portway.test").await.unwrap_err();
    assert_eq!((refused.code.as_str(), refused.retryable), ("ERR_NGROK_316", false));
    let port = edge.https.port();
    assert!(refused.text.contains(&format!("https://other.portway.test:{port}.")), "{}", refused.text);
    assert_eq!(agent.bind("https://team.portway.test").await.unwrap_err().code, "ERR_NGROK_316");
    let team = agent.bind("https://a.team.portway.test").await.unwrap();
    agent.bind("https://own.portway.test").await.unwrap();

    edge.control.put(ReplicaRecord::Credential(FakeControl::credential(OTHER_TOKEN, 2, &rules[1..])));
    let Some(edge_message::Message::EndpointClosed(closed)) = agent.next().await else { panic!("not closed") };
    assert_eq!((closed.endpoint, closed.code.as_str()), (team.endpoint, "ERR_NGROK_316"));
    assert!(closed.text.contains(&team.url), "{}", closed.text);
    assert_eq!(edge.edge().status().endpoints.len(), 1);
}

#[tokio::test]
async fn names_that_cannot_be_had_are_refused_with_their_code() {
    let edge = TestEdge::start().await;
    edge.control.put(ReplicaRecord::Credential(FakeControl::credential(OTHER_TOKEN, 2, &[])));
    let mut agent = edge.agent().await;
    let bound = agent.bind("https://app.portway.test").await.unwrap();
    let mut code_of = async |url: &str| agent.bind(url).await.unwrap_err().code;
    assert_eq!(code_of("https://connect.portway.test").await, "ERR_NGROK_347");
    assert_eq!(code_of("https://app.portway.test:1").await, "ERR_PORTWAY_40004");
    assert_eq!(code_of("https://app.portway.test").await, "ERR_NGROK_334");
    assert_eq!(code_of("tls://app.portway.test").await, "ERR_NGROK_334");
    assert_eq!(code_of("https://10.0.0.1").await, "ERR_NGROK_330");
    assert_eq!(code_of("tcp://elsewhere.test:20000").await, "ERR_NGROK_307");
    assert_eq!(code_of("tcp://:1").await, "ERR_NGROK_307");

    let mut other = TestAgent::connect(&edge, OTHER_TOKEN, [2; 16], 1).await.unwrap();
    let refused = other.bind("https://app.portway.test").await.unwrap_err();
    assert_eq!(refused.code, "ERR_NGROK_334");
    assert!(refused.text.contains(&bound.url), "{} for {}", refused.text, bound.url);
    let refused = agent.bind("https://app.portway.test").await.unwrap_err();
    assert!(refused.text.contains(&bound.url), "{}", refused.text);
    assert_eq!(other.bind("http://app.portway.test").await.unwrap().request, 2);
}

#[tokio::test]
async fn sessions_and_endpoints_have_limits() {
    let edge = TestEdge::start_with(|config| {
        config.limits.sessions_per_account = 1;
        config.limits.endpoints_per_session = 2;
    })
    .await;
    let mut agent = edge.agent().await;
    agent.bind("https://a.portway.test").await.unwrap();
    agent.bind("https://b.portway.test").await.unwrap();
    assert_eq!(agent.bind("https://c.portway.test").await.unwrap_err().code, "ERR_NGROK_324");
    let refusal = TestAgent::connect(&edge, TOKEN, [2; 16], 1).await.err().unwrap();
    assert_eq!((refusal.code.as_str(), refusal.retryable), ("ERR_NGROK_108", true));
    agent.session.abort();
    eventually("the place is free again", || edge.edge().status().sessions == 0).await;
    TestAgent::connect(&edge, TOKEN, [2; 16], 1).await.unwrap();
}

#[tokio::test]
async fn a_session_that_binds_in_a_loop_is_told_to_wait() {
    let edge = TestEdge::start_with(|config| {
        config.limits.binds_per_minute = 1;
        config.limits.endpoints_per_session = 2;
    })
    .await;
    let mut agent = edge.agent().await;
    for _ in 0..4 {
        // What is refused counts as well: it costs as much.
        assert_ne!(agent.bind("https://*.*.portway.test").await.unwrap_err().code, "ERR_NGROK_350");
    }
    let claims = edge.control.claims();
    let refused = agent.bind("https://a.portway.test").await.unwrap_err();
    assert_eq!((refused.code.as_str(), refused.retryable), ("ERR_NGROK_350", true));
    assert!(refused.text.contains("1 a minute after the first 4. Try again in "), "{}", refused.text);
    assert_eq!(edge.control.claims(), claims);
    assert!(edge.metrics().contains("limits_reached_total{limit=\"binds_per_minute\"} 1"));
    // Another session has its own.
    let mut other = TestAgent::connect(&edge, TOKEN, [2; 16], 1).await.unwrap();
    other.bind("https://a.portway.test").await.unwrap();
}

#[tokio::test]
async fn a_newer_session_takes_its_names_over_and_a_late_one_does_not() {
    let edge = TestEdge::start_with(|config| config.shards = 2).await;
    let mut first = TestAgent::connect(&edge, TOKEN, [1; 16], 1).await.unwrap();
    first.bind("https://app.portway.test").await.unwrap();
    let port = first.bind("tcp://").await.unwrap().url;
    let claims = edge.control.claims();

    let mut second = TestAgent::connect(&edge, TOKEN, [1; 16], 2).await.unwrap();
    second.bind("https://app.portway.test").await.unwrap();
    assert_eq!(second.bind(&port).await.unwrap().url, port);
    assert_eq!(edge.control.claims(), claims, "own leases need no question");
    let refused = first.bind("https://app.portway.test").await.unwrap_err();
    assert_eq!(refused.code, "ERR_NGROK_334");
    eventually("only the new ones are online", || edge.edge().status().endpoints.len() == 2).await;
    assert!(first.session.close_reason().is_none(), "the old session keeps its streams");

    first.session.abort();
    eventually("the old session is gone", || edge.edge().status().sessions == 1).await;
    assert_eq!(edge.edge().status().endpoints.len(), 2);
    assert_eq!(edge.control.releases(), 0);
}

#[tokio::test]
async fn another_agent_of_the_account_gets_the_name_of_one_that_is_gone() {
    let edge = TestEdge::start().await;
    let mut first = TestAgent::connect(&edge, TOKEN, [1; 16], 1).await.unwrap();
    first.bind("https://app.portway.test").await.unwrap();
    let mut second = TestAgent::connect(&edge, TOKEN, [2; 16], 1).await.unwrap();
    assert_eq!(second.bind("https://app.portway.test").await.unwrap_err().code, "ERR_NGROK_334");
    first.session.abort();
    eventually("the first is gone", || edge.edge().status().sessions == 1).await;
    second.bind("https://app.portway.test").await.unwrap();
}

#[tokio::test]
async fn while_the_control_plane_is_away_own_names_come_back_and_new_ones_wait() {
    let edge = TestEdge::start_with(|config| config.limits.bind_timeout = Duration::from_millis(300)).await;
    let mut agent = edge.agent().await;
    agent.bind("https://app.portway.test").await.unwrap();
    // The lease is in the replica when its delta is; the next session proves it.
    eventually("the lease is in the replica", || edge.has_lease("https://app.portway.test")).await;
    edge.control.go_away();
    eventually("the control plane is away", || !edge.edge().status().control_connected).await;
    agent.session.abort();

    let mut back = TestAgent::connect(&edge, TOKEN, [1; 16], 2).await.unwrap();
    back.bind("https://app.portway.test").await.unwrap();
    let refused = back.bind("https://new.portway.test").await.unwrap_err();
    assert_eq!((refused.code.as_str(), refused.retryable), ("ERR_PORTWAY_50303", true));
    let refusal = TestAgent::connect(&edge, OTHER_TOKEN, [3; 16], 1).await.err().unwrap();
    assert_eq!((refusal.code.as_str(), refusal.retryable), ("ERR_PORTWAY_50303", true));

    edge.control.come_back();
    eventually("the control plane is back", || edge.edge().status().control_connected).await;
    back.bind("https://new.portway.test").await.unwrap();
}

/// A session over QUIC whose agent lives on a runtime of its own, which can be killed.
async fn killable(edge: &TestEdge) -> (tokio::runtime::Runtime, TestAgent) {
    let process = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let target: ConnectUrl = format!("connect.{BASE}:{}", edge.https.port()).parse().unwrap();
    let dialer = Dialer::new(target, &edge.roots()).unwrap().addresses(vec![edge.https]);
    let session = process.spawn(async move { dialer.dial_carrier(Carrier::Quic).await }).await.unwrap().unwrap();
    (process, TestAgent::over(session, TOKEN, [1; 16], 1).await.unwrap())
}

#[tokio::test]
async fn the_names_of_a_killed_agent_are_free_for_the_next_one_of_its_account() {
    let edge = TestEdge::start().await;
    let names = ["https://one.portway.test", "https://two.portway.test"];
    let (process, mut killed) = killable(&edge).await;
    for name in names {
        killed.bind(name).await.unwrap();
    }
    tokio::task::spawn_blocking(move || drop(process)).await.unwrap();

    let mut next = TestAgent::connect(&edge, TOKEN, [2; 16], 1).await.unwrap();
    for name in names {
        next.bind(name).await.unwrap();
    }
    eventually("the session of the killed agent is gone", || edge.edge().status().sessions == 1).await;
    assert_eq!(edge.edge().status().endpoints.len(), names.len());
}

#[tokio::test]
async fn an_agent_that_lives_keeps_its_names() {
    let edge = TestEdge::start().await;
    let (process, mut holder) = killable(&edge).await;
    holder.bind("https://app.portway.test").await.unwrap();
    let mut next = TestAgent::connect(&edge, TOKEN, [2; 16], 1).await.unwrap();
    for _ in 0..3 {
        assert_eq!(next.bind("https://app.portway.test").await.unwrap_err().code, "ERR_NGROK_334");
    }
    assert!(holder.session.close_reason().is_none());
    tokio::task::spawn_blocking(move || drop(process)).await.unwrap();
}

#[tokio::test]
async fn nobody_makes_the_edge_ask_the_agents_of_other_accounts() {
    let edge = TestEdge::start().await;
    edge.control.put(ReplicaRecord::Credential(FakeControl::credential(OTHER_TOKEN, 2, &[])));
    let (process, mut killed) = killable(&edge).await;
    killed.bind("https://app.portway.test").await.unwrap();
    tokio::task::spawn_blocking(move || drop(process)).await.unwrap();
    let mut stranger = TestAgent::connect(&edge, OTHER_TOKEN, [2; 16], 1).await.unwrap();
    assert_eq!(stranger.bind("https://app.portway.test").await.unwrap_err().code, "ERR_NGROK_334");
    assert_eq!(edge.edge().status().sessions, 2, "the silent session stays");
}
