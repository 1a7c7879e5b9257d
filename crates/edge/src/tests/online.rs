//! What the control plane hears of sessions and endpoints, its commands to agents, and names that it takes back.

use bytes::Bytes;
use portway_codes::Code;
use portway_proto::agent::v1::{CommandAnswer, RemoteCommand, Unbind, agent_message, edge_message};
use portway_proto::{AgentCommand, EndpointRecord, OnlineRecord, SessionProtocol, SessionRecord};
use portway_wire::StreamType;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::testing::{FakeControl, TOKEN, TestAgent, TestEdge, TestSdk, auth, bind, eventually, soon};

fn sessions(control: &FakeControl) -> Vec<SessionRecord> {
    let session = |record| match record {
        OnlineRecord::Session(session) => Some(session),
        OnlineRecord::Endpoint(_) => None,
    };
    control.online().into_iter().filter_map(session).collect()
}

fn endpoints(control: &FakeControl) -> Vec<EndpointRecord> {
    let endpoint = |record| match record {
        OnlineRecord::Endpoint(endpoint) => Some(endpoint),
        OnlineRecord::Session(_) => None,
    };
    control.online().into_iter().filter_map(endpoint).collect()
}

async fn reported(control: &FakeControl, count: (usize, usize)) {
    let what = format!("{count:?} sessions and endpoints are reported");
    eventually(&what, || (sessions(control).len(), endpoints(control).len()) == count).await;
}

#[tokio::test]
async fn a_native_session_and_its_endpoints_are_reported_while_they_live() {
    let edge = TestEdge::start().await;
    let control = &edge.control;
    let mut agent = edge.agent().await;
    let web = agent.bind_with("https://app.portway.test", |bind| {
        bind.forwards_to = "http://localhost:3000".to_owned();
        bind.name = "web".to_owned();
        bind.description = "a shop".to_owned();
        bind.metadata = "m".to_owned();
        bind.upstream_protocol = 2;
    });
    let web = web.await.unwrap();
    let tcp = agent.bind("tcp://").await.unwrap();
    reported(control, (1, 2)).await;

    let [session] = &sessions(control)[..] else { panic!("one session") };
    let id = agent.welcome.as_ref().unwrap().session_id.clone();
    assert_eq!((session.id.to_string(), session.protocol, session.ssh_key), (id, SessionProtocol::Native, false));
    assert_eq!((session.agent_version.as_str(), session.os.as_str()), ("0.0.1", "test"));
    assert_eq!((session.metadata.as_str(), session.ip.to_string().as_str()), ("of the session", "127.0.0.1"));
    let credential = FakeControl::credential(TOKEN, 1, &[]);
    assert_eq!((session.account, session.credential), (credential.account, credential.id));
    let [first, second] = &endpoints(control)[..] else { panic!("two endpoints") };
    assert_eq!((first.url.as_ref().unwrap().to_string(), first.id.to_string()), (web.url, web.endpoint_id));
    assert_eq!((first.session, first.number, first.account), (session.id, web.endpoint, session.account));
    assert_eq!((first.name.as_str(), first.description.as_str(), first.metadata.as_str()), ("web", "a shop", "m"));
    assert!(first.upstream_http2 && !first.internal && !first.pooled && first.labels.is_empty());
    assert_eq!(first.forwards_to, "http://localhost:3000");
    assert_eq!(second.url.as_ref().unwrap().to_string(), tcp.url);
    // A KSUID knows the second in which it was made.
    let made = i64::try_from(first.id.ksuid().unix_secs()).unwrap() * 1000;
    assert!((made - 1000..=made + 60_000).contains(&first.started_at_ms), "{made} {}", first.started_at_ms);

    agent.send(agent_message::Message::Unbind(Unbind { endpoint: web.endpoint })).await;
    reported(control, (1, 1)).await;
    agent.session.abort();
    reported(control, (0, 0)).await;
    let info = control.edge().unwrap();
    assert_eq!((info.id.as_str(), info.region.as_str(), info.draining), ("edge", "local", false));
    assert_eq!(info.version, env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn what_an_sdk_says_of_its_endpoints_is_reported_also_when_it_changes() {
    let edge = TestEdge::start().await;
    let sdk = TestSdk::connect(&edge, TOKEN, None).await;
    let mut wish = bind("https", json!({ "URL": "https://svc.internal" }));
    wish["Extra"] = json!({ "Metadata": "m", "Name": "svc", "PoolingEnabled": true });
    let bound = sdk.ask(StreamType::BIND, &wish).await;
    let labels = json!({ "Labels": { "edge": "e1" }, "ForwardsTo": "x", "Metadata": "l" });
    let labelled = sdk.ask(StreamType::START_TUNNEL_WITH_LABEL, &labels).await;
    reported(&edge.control, (1, 2)).await;
    let [session] = &sessions(&edge.control)[..] else { panic!("one session") };
    assert_eq!((session.protocol, session.agent_version.as_str()), (SessionProtocol::Ngrok, "0.19.0"));
    assert_eq!((session.os.as_str(), session.metadata.as_str()), ("linux", "m"));
    let [named, found] = &endpoints(&edge.control)[..] else { panic!("two endpoints") };
    assert_eq!(named.url.as_ref().unwrap().to_string(), "https://svc.internal");
    assert!(named.internal && named.pooled && named.name == "svc" && named.metadata == "m");
    assert_eq!((&found.url, found.labels["edge"].as_str(), found.metadata.as_str()), (&None, "e1", "l"));
    assert_eq!(
        (found.id.ksuid().to_string(), found.forwards_to.as_str()),
        (labelled["Id"].as_str().unwrap().to_owned(), "x")
    );

    let patch = json!({ "TunnelID": bound["Extra"]["TunnelID"], "Description": "other words" });
    sdk.ask(StreamType::PATCH_TUNNEL_STATE, &patch).await;
    let described = || endpoints(&edge.control).iter().any(|endpoint| endpoint.description == "other words");
    eventually("the other words are reported", described).await;
    sdk.ask(StreamType::UNBIND, &json!({ "Id": labelled["Id"] })).await;
    reported(&edge.control, (1, 1)).await;
}

#[tokio::test]
async fn everything_is_reported_again_when_the_control_plane_is_back() {
    let mut edge = TestEdge::start().await;
    let control = edge.control.clone();
    let mut agent = edge.agent().await;
    agent.bind("https://app.portway.test").await.unwrap();
    reported(&control, (1, 1)).await;
    let lists = control.lists();
    control.go_away();
    // Nobody waits for a control plane that is away.
    let _stays = TestAgent::connect(&edge, TOKEN, [2; 16], 1).await.unwrap();
    agent.session.abort();
    eventually("it is gone", || edge.edge().status().endpoints.is_empty()).await;
    control.come_back();
    eventually("a list comes", || control.lists() > lists).await;
    reported(&control, (1, 0)).await;
    let draining = tokio::spawn(edge.edge.take().unwrap().drain());
    eventually("the drain is reported", || control.edge().unwrap().draining).await;
    soon(draining).await.unwrap();
}

/// What came of the command with this id.
async fn outcome(control: &FakeControl, id: u64) -> (u32, String, bool) {
    eventually("an outcome comes", || control.outcomes().iter().any(|outcome| outcome.command_id == id)).await;
    let outcome = control.outcomes().into_iter().find(|outcome| outcome.command_id == id).unwrap();
    (outcome.code, outcome.text, outcome.unknown_session)
}

#[tokio::test]
async fn commands_of_the_control_plane_reach_agents() {
    let edge = TestEdge::start().await;
    let control = &edge.control;
    let mut agent = edge.agent().await;
    let id = agent.welcome.as_ref().unwrap().session_id.clone();
    reported(control, (1, 0)).await;

    control.command(1, &id, &AgentCommand::Stop);
    let Some(edge_message::Message::Command(stop)) = agent.next().await else { panic!("no command") };
    assert_eq!(stop.command(), RemoteCommand::Stop);
    let answer = |request, error: &str| {
        agent_message::Message::CommandAnswer(CommandAnswer { request, error: error.to_owned() })
    };
    // An answer to what was never asked is no answer.
    agent.send(answer(stop.request + 7, "who?")).await;
    agent.send(answer(stop.request, "")).await;
    assert_eq!(outcome(control, 1).await, (0, String::new(), false));

    control.command(2, &id, &AgentCommand::Update { version: "9".to_owned(), permit_major: true });
    let Some(edge_message::Message::Command(update)) = agent.next().await else { panic!("no command") };
    assert_eq!((update.command(), update.version.as_str(), update.permit_major), (RemoteCommand::Update, "9", true));
    agent.send(answer(update.request, "not today")).await;
    let (code, text, _) = outcome(control, 2).await;
    assert!(code == Code::ERR_NGROK_807.number() && text.contains("not today"), "{code} {text}");

    // It has not said that it obeys this one, and is not asked.
    control.command(3, &id, &AgentCommand::Restart);
    assert_eq!(outcome(control, 3).await.0, Code::ERR_NGROK_805.number());
    control.command(4, "ts_0ujtsYcgvSTl8PAuAdqWYSMnLOv", &AgentCommand::Stop);
    assert!(outcome(control, 4).await.2, "the session is not here");

    let mut obedient = auth(TOKEN, &json!(""), &json!(""));
    obedient["Extra"]["StopUnsupportedError"] = json!("");
    let sdk = TestSdk::connect_as(&edge, &obedient).await;
    control.command(5, sdk.welcome["Extra"]["AgentSessionID"].as_str().unwrap(), &AgentCommand::Stop);
    let (kind, _, mut stream) = sdk.next().await;
    assert_eq!(kind, StreamType::STOP);
    stream.write_chunk(Bytes::from_static(b"{}\n")).await.unwrap();
    assert_eq!(outcome(control, 5).await.0, 0);

    // An agent that goes away instead of answering.
    control.command(6, &id, &AgentCommand::Stop);
    agent.next().await;
    agent.session.abort();
    assert_eq!(outcome(control, 6).await.0, Code::ERR_NGROK_807.number());
}

/// What a visitor of a host gets.
async fn visit(edge: &TestEdge, host: &str) -> String {
    let mut visitor = TcpStream::connect(edge.http).await.unwrap();
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    visitor.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon(visitor.read_to_string(&mut answer)).await.unwrap();
    answer
}

#[tokio::test]
async fn an_endpoint_whose_name_is_taken_back_ends_and_its_session_goes_on() {
    let edge = TestEdge::start().await;
    let mut agent = edge.agent().await;
    let kept = agent.bind("https://kept.portway.test").await.unwrap();
    for (url, code) in [
        ("http://app.portway.test", "ERR_NGROK_319"),
        ("http://*.wild.portway.test", "ERR_NGROK_318"),
        ("tcp://", "ERR_NGROK_307"),
    ] {
        let bound = agent.bind(url).await.unwrap();
        let leased = if url == "tcp://" { bound.url.as_str() } else { url };
        edge.control.remove(&edge.control.lease_id(leased));
        let Some(edge_message::Message::EndpointClosed(closed)) = agent.next().await else {
            panic!("{url} not closed")
        };
        assert_eq!((closed.endpoint, closed.code.as_str()), (bound.endpoint, code));
        assert!(closed.text.contains("reservation was deleted"), "{}", closed.text);
    }
    let answer = visit(&edge, "app.portway.test").await;
    assert!(answer.starts_with("HTTP/1.1 404 ") && answer.contains("ERR_NGROK_3200"), "{answer}");
    let left: Vec<_> = edge.edge().status().endpoints.into_iter().map(|endpoint| endpoint.id).collect();
    assert_eq!(left, [kept.endpoint_id]);
    assert_eq!(edge.control.releases(), 0, "there is nothing to give back");

    let sdk = TestSdk::connect(&edge, TOKEN, None).await;
    let bound = sdk.bind("http", json!({ "Domain": "app.portway.test" })).await;
    edge.control.remove(&edge.control.lease_id("http://app.portway.test"));
    let (kind, message, _stream) = sdk.next().await;
    assert_eq!((kind, &message["Id"]), (StreamType::STOP_TUNNEL, &bound["Id"]));
    assert_eq!(message["ErrorCode"], "ERR_NGROK_319");
}

#[tokio::test]
async fn a_lease_that_ran_out_while_the_edge_was_away_is_asked_for_again() {
    let edge = TestEdge::start().await;
    let mut agent = edge.agent().await;
    let urls = ["https://one.portway.test", "https://two.portway.test"];
    for url in urls {
        agent.bind(url).await.unwrap();
    }
    edge.control.go_away();
    edge.control.forget_lease(urls[0]);
    let claims = edge.control.claims();
    edge.control.come_back();
    eventually("it is leased again", || edge.has_lease(urls[0]) && edge.control.claims() == claims + 1).await;
    assert_eq!(edge.edge().status().endpoints.len(), 2);
    // Also what is taken back right after the return may only have run out.
    edge.control.remove(&edge.control.lease_id(urls[0]));
    eventually("it is leased once more", || edge.has_lease(urls[0]) && edge.control.claims() == claims + 2).await;

    edge.control.go_away();
    edge.control.forget_lease(urls[1]);
    edge.control.refuse_claims(Code::ERR_NGROK_320);
    edge.control.come_back();
    let Some(edge_message::Message::EndpointClosed(closed)) = agent.next().await else { panic!("not closed") };
    assert_eq!(closed.code, "ERR_NGROK_320");
    assert_eq!(edge.edge().status().endpoints.len(), 1);
}
