//! Sessions and binds of ngrok SDKs.

mod bystander;
mod floods;
mod frames;
mod messages;
mod resumption;

use std::time::Duration;

use bytes::Bytes;
use portway_codes::Code;
use portway_wire::StreamType;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::AgentCommand;
use crate::testing::{BASE, FakeControl, TOKEN, TestEdge, TestSdk, ask, auth, bind, eventually, soon};

fn error(answer: &Value) -> &str {
    answer["Error"].as_str().unwrap()
}

fn port(url: &Value) -> u16 {
    url.as_str().unwrap().rsplit_once(':').unwrap().1.parse().unwrap()
}

#[tokio::test]
async fn an_sdk_logs_in_and_binds_every_protocol() {
    let edge = TestEdge::start().await;
    let sdk = TestSdk::connect(&edge, TOKEN, None).await;
    let extra = &sdk.welcome["Extra"];
    assert_eq!((error(&sdk.welcome), &sdk.welcome["Version"]), ("", &json!("3")));
    assert_eq!((&extra["Region"], &extra["AccountName"]), (&json!("local"), &json!("account 1")));
    assert!(extra["AgentSessionID"].as_str().unwrap().starts_with("ts_"));

    let opts = json!({ "Domain": "app.portway.test", "Hostname": "", "Auth": "", "Subdomain": "", "ProxyProto": 0 });
    let bound = sdk.bind("https", opts).await;
    assert_eq!((error(&bound), &bound["Proto"]), ("", &json!("https")));
    assert_eq!(bound["URL"], format!("https://app.portway.test:{}", edge.https.port()));
    let echoed = json!({
        "Domain": "app.portway.test", "Hostname": "app.portway.test", "Auth": "", "Subdomain": "", "ProxyProto": 0,
    });
    assert_eq!(bound["Opts"], echoed);
    assert_eq!(bound["Id"].as_str().unwrap().len(), 32);
    assert!(bound["Extra"]["TunnelID"].as_str().unwrap().starts_with("ep_"));

    let any = sdk.bind("http", json!({})).await;
    assert!(any["URL"].as_str().unwrap().starts_with("http://"), "{any}");
    assert!(any["Opts"]["Hostname"].as_str().unwrap().ends_with(BASE));
    let label = sdk.bind("https", json!({ "Subdomain": "shop" })).await;
    assert_eq!(label["Opts"]["Hostname"], "shop.portway.test");
    let url = sdk.bind("tls", json!({ "URL": "https://db.portway.test" })).await;
    assert_eq!(url["URL"], format!("tls://db.portway.test:{}", edge.https.port()));
    let tcp = sdk.bind("tcp", json!({ "Addr": "", "ProxyProto": 0 })).await;
    assert_eq!(tcp["Opts"]["Addr"], format!("portway.test:{}", port(&tcp["URL"])));
    assert_eq!(edge.edge().status().endpoints.len(), 5);

    assert_eq!(sdk.ask(StreamType::SRV_INFO, &json!({})).await["Region"], "local");
    for _ in 0..2 {
        assert_eq!(error(&sdk.ask(StreamType::UNBIND, &json!({ "Id": bound["Id"], "Extra": null })).await), "");
    }
    assert_eq!(edge.edge().status().endpoints.len(), 4);
}

#[tokio::test]
async fn visitors_streams_say_whom_they_are_for() {
    let edge = TestEdge::start().await;
    let sdk = TestSdk::connect(&edge, TOKEN, None).await;
    let bound = sdk.bind("tcp", json!({ "Addr": "", "ProxyProto": 1 })).await;
    let mut visitor = TcpStream::connect(("127.0.0.1", port(&bound["URL"]))).await.unwrap();
    visitor.write_all(b"hello").await.unwrap();
    let (kind, head, mut stream) = sdk.next().await;
    assert_eq!(kind, StreamType::PROXY);
    let client = visitor.local_addr().unwrap().to_string();
    let expected = json!({
        "Id": bound["Id"], "ClientAddr": client, "Proto": "tcp", "EdgeType": "0", "PassthroughTLS": false,
    });
    assert_eq!(head, expected);
    stream.write_chunk(Bytes::from_static(b"answer")).await.unwrap();
    stream.finish().await.unwrap();
    let mut answer = Vec::new();
    soon(visitor.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(answer, b"answer");
}

#[tokio::test]
async fn a_visitor_waits_until_the_agent_has_read_that_its_endpoint_is_there() {
    let edge = TestEdge::start().await;
    let sdk = TestSdk::connect(&edge, TOKEN, None).await;
    let mut question = sdk.session.open(Bytes::copy_from_slice(&StreamType::BIND.to_bytes())).await.unwrap();
    question.write_chunk(Bytes::from(bind("tcp", json!({})).to_string())).await.unwrap();
    let answer = soon(question.read_chunk(65_536)).await.unwrap().unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    let mut visitor = TcpStream::connect(("127.0.0.1", port(&answer["URL"]))).await.unwrap();
    visitor.write_all(b"early").await.unwrap();
    let accepted = tokio::time::timeout(Duration::from_millis(200), sdk.session.accept()).await;
    assert!(accepted.is_err(), "no stream before the agent's end of the bind");
    question.finish().await.unwrap();
    let (kind, ..) = sdk.next().await;
    assert_eq!(kind, StreamType::PROXY);
}

#[tokio::test]
async fn one_address_leaves_streams_of_a_session_to_others() {
    let edge = TestEdge::start_with(|config| {
        config.limits.loopback_exempt = false;
        config.session.max_streams = 8;
    })
    .await;
    let sdk = TestSdk::connect(&edge, TOKEN, None).await;
    sdk.bind("http", json!({ "Domain": "app.portway.test" })).await;
    let visit = async |from: &str| {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
        let mut visitor = socket.connect(edge.http).await.unwrap();
        visitor.write_all(b"GET / HTTP/1.1\r\nHost: app.portway.test\r\n\r\n").await.unwrap();
        visitor
    };
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push((visit("127.0.0.1").await, sdk.next().await));
    }
    let mut one_more = visit("127.0.0.1").await;
    let mut answer = vec![0; 4096];
    let read = soon(one_more.read(&mut answer)).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..read]);
    assert!(answer.starts_with("HTTP/1.1 429 ") && answer.contains("ERR_PORTWAY_42901"), "{answer}");
    assert!(edge.metrics().contains("limit=\"streams_per_address_percent\"} 1"), "{}", edge.metrics());
    let _other = visit("127.0.0.2").await;
    assert_eq!(sdk.next().await.0, StreamType::PROXY);
    held.pop();
    let _again = eventually_served(&edge, &sdk).await;
}

/// A visitor of the address whose stream has just ended.
async fn eventually_served(edge: &TestEdge, sdk: &TestSdk) -> TcpStream {
    for _ in 0..500 {
        let mut visitor = TcpStream::connect(edge.http).await.unwrap();
        visitor.write_all(b"GET / HTTP/1.1\r\nHost: app.portway.test\r\n\r\n").await.unwrap();
        tokio::select! {
            (kind, ..) = sdk.next() => {
                assert_eq!(kind, StreamType::PROXY);
                return visitor;
            }
            // Turned away again: the stream before it still counts.
            _ = visitor.readable() => {}
        }
    }
    panic!("the place of a visitor who left is never free");
}

#[tokio::test]
async fn errors_come_in_the_form_that_sdks_split() {
    let edge = TestEdge::start().await;
    let refused = TestSdk::connect(&edge, "2bbbbbbbbbbbbbbbbbbbbbbbbbb_0123456789abcdefghijkl", None).await;
    assert!(error(&refused.welcome).ends_with("\n\nERR_NGROK_107\n"), "{}", refused.welcome);
    soon(refused.session.closed()).await;
    for (token, text) in [("", "The agent sent no authtoken."), ("with space", "The authtoken ")] {
        let refused = TestSdk::connect(&edge, token, None).await;
        assert!(error(&refused.welcome).starts_with(text), "{}", refused.welcome);
        assert!(error(&refused.welcome).ends_with("\n\nERR_NGROK_105\n"), "{}", refused.welcome);
    }
    let sdk = TestSdk::connect(&edge, TOKEN, None).await;
    for (proto, opts, code) in [
        ("https", json!({ "OAuth": { "provider": "google" } }), "ERR_NGROK_301"),
        ("https", json!({ "TrafficPolicy": "{}" }), "ERR_NGROK_301"),
        ("https", json!({ "IPPolicyRef": "ipp_1" }), "ERR_NGROK_301"),
        ("tls", json!({ "MutualTLSAtAgent": true }), "ERR_NGROK_301"),
        ("https", json!({ "Domain": "connect.portway.test" }), "ERR_NGROK_347"),
        ("https", json!({ "Domain": "a..b" }), "ERR_NGROK_331"),
        ("https", json!({ "Domain": 7 }), "ERR_NGROK_301"),
        ("tcp", json!({ "Addr": "other.example.com:7" }), "ERR_NGROK_307"),
        ("tcp", json!({ "ProxyProto": 3 }), "ERR_NGROK_301"),
        ("udp", json!({}), "ERR_NGROK_301"),
    ] {
        let answer = sdk.bind(proto, opts.clone()).await;
        assert!(error(&answer).ends_with(&format!("\n\n{code}\n")), "{opts}: {answer}");
    }
    let text = "The option OAuth is not supported by this server. Open the endpoint without it.\n\nERR_NGROK_301\n";
    let mut policy = bind("https", json!({}));
    policy["Extra"]["IPPolicyRef"] = json!("ipp_1");
    let answer = sdk.ask(StreamType::BIND, &policy).await;
    assert!(error(&answer).starts_with("The option IPPolicyRef is not supported"), "{answer}");
    assert_eq!(error(&sdk.bind("https", json!({ "OAuth": {} })).await), text, "no other code stands in it");
    assert_eq!(edge.edge().status().endpoints.len(), 0);
}

#[tokio::test]
async fn an_agent_that_comes_back_takes_its_own_names_over() {
    let edge = TestEdge::start().await;
    let first = TestSdk::connect(&edge, TOKEN, None).await;
    let bound = first.bind("https", json!({ "Domain": "app.portway.test" })).await;
    let tcp = first.bind("tcp", json!({})).await;

    // The old connection is still there: nothing has told the edge that it is dead.
    let second = TestSdk::connect(&edge, TOKEN, Some(&first)).await;
    assert_eq!(second.welcome["ClientId"], first.welcome["ClientId"]);
    for old in [&bound, &tcp] {
        let mut again = bind(old["Proto"].as_str().unwrap(), old["Opts"].clone());
        again["Id"] = old["Id"].clone();
        again["Extra"]["Token"] = old["Extra"]["Token"].clone();
        let new = second.ask(StreamType::BIND, &again).await;
        assert_eq!((error(&new), &new["URL"], &new["Id"]), ("", &old["URL"], &old["Id"]));
        assert_eq!(new["Extra"]["TunnelID"], old["Extra"]["TunnelID"], "it is the same endpoint");
    }
    assert_eq!(edge.edge().status().endpoints.len(), 2);
    let mut visitor = TcpStream::connect(("127.0.0.1", port(&tcp["URL"]))).await.unwrap();
    visitor.write_all(b"x").await.unwrap();
    assert_eq!(second.next().await.0, StreamType::PROXY);
}

#[tokio::test]
async fn what_is_forged_counts_for_nothing() {
    let edge = TestEdge::start().await;
    let owner = TestSdk::connect(&edge, TOKEN, None).await;
    let bound = owner.bind("https", json!({ "Domain": "app.portway.test" })).await;
    for (client_id, cookie) in [
        (owner.welcome["ClientId"].clone(), json!("forged")),
        (json!("00000000000000000000000000000000"), owner.welcome["Extra"]["Cookie"].clone()),
    ] {
        let thief = TestSdk::connect_as(&edge, &auth(TOKEN, &client_id, &cookie)).await;
        assert_ne!(thief.welcome["ClientId"], owner.welcome["ClientId"]);
        let mut stolen = bind("https", json!({ "Domain": "app.portway.test" }));
        stolen["Id"] = bound["Id"].clone();
        let answer = thief.ask(StreamType::BIND, &stolen).await;
        assert!(error(&answer).ends_with("\n\nERR_NGROK_334\n"), "{answer}");
    }
    let mut odd = bind("https", json!({ "Domain": "other.portway.test" }));
    odd["Extra"]["Token"] = json!("forged");
    assert_eq!(error(&owner.ask(StreamType::BIND, &odd).await), "");
}

#[tokio::test]
async fn legs_of_one_agent_and_members_of_a_pool_serve_one_name_together() {
    let edge = TestEdge::start().await;
    let first = TestSdk::connect(&edge, TOKEN, None).await;
    let opts = json!({ "Domain": "app.portway.test" });
    let bound = first.bind("https", opts.clone()).await;
    let mut leg = auth(TOKEN, &first.welcome["ClientId"], &first.welcome["Extra"]["Cookie"]);
    leg["Extra"]["LegNumber"] = json!(1);
    let second = TestSdk::connect_as(&edge, &leg).await;
    let mut again = bind("https", bound["Opts"].clone());
    again["Id"] = bound["Id"].clone();
    assert_eq!(error(&second.ask(StreamType::BIND, &again).await), "");
    assert_eq!(edge.edge().status().endpoints.len(), 2);
    first.session.close("the end");
    eventually("one leg is left", || edge.edge().status().endpoints.len() == 1).await;
    assert!(edge.has_lease("https://app.portway.test"));

    let mut pooled = bind("https", json!({ "Domain": "pool.portway.test" }));
    pooled["Extra"]["PoolingEnabled"] = json!(true);
    let members = [TestSdk::connect(&edge, TOKEN, None).await, TestSdk::connect(&edge, TOKEN, None).await];
    for member in &members {
        assert_eq!(error(&member.ask(StreamType::BIND, &pooled).await), "");
    }
    // One session may have several members.
    let third = members[0].ask(StreamType::BIND, &pooled).await;
    assert_eq!(error(&third), "");
    assert_eq!(edge.edge().status().endpoints.len(), 4);
    assert_eq!(error(&members[0].ask(StreamType::UNBIND, &json!({ "Id": third["Id"] })).await), "");
    assert_eq!(edge.edge().status().endpoints.len(), 3);
    let alone = members[0].bind("https", json!({ "Domain": "pool.portway.test" })).await;
    assert!(error(&alone).ends_with("ERR_NGROK_334\n"), "{alone}");
}

#[tokio::test]
async fn internal_and_labelled_endpoints_are_not_for_visitors() {
    let edge = TestEdge::start().await;
    let sdk = TestSdk::connect(&edge, TOKEN, None).await;
    let internal = sdk.bind("https", json!({ "URL": "https://svc.internal" })).await;
    assert_eq!((error(&internal), &internal["URL"]), ("", &json!("https://svc.internal")));
    assert!(edge.tls("svc.internal", &[]).await.is_err(), "no certificate and no endpoint for it");
    let labels = json!({ "Labels": { "edge": "e1" }, "ForwardsTo": "x", "Metadata": "" });
    let labelled = sdk.ask(StreamType::START_TUNNEL_WITH_LABEL, &labels).await;
    assert_eq!((error(&labelled), labelled["Id"].is_string()), ("", true));
    assert_eq!(error(&sdk.ask(StreamType::UNBIND, &json!({ "Id": labelled["Id"] })).await), "");
    assert_eq!(edge.edge().status().endpoints.len(), 1);
}

#[tokio::test]
async fn an_agent_with_many_endpoints_asks_for_them_as_fast_as_it_is_answered() {
    let edge = TestEdge::start().await;
    let sdk = TestSdk::connect(&edge, TOKEN, None).await;
    let labels = json!({ "Labels": { "edge": "e1" }, "ForwardsTo": "x", "Metadata": "" });
    for number in 0..1_000 {
        let bound = sdk.ask(StreamType::START_TUNNEL_WITH_LABEL, &labels).await;
        assert_eq!(error(&bound), "", "number {number}");
    }
}

#[tokio::test]
async fn a_revoked_token_ends_the_session_and_says_why() {
    let edge = TestEdge::start().await;
    let sdk = TestSdk::connect(&edge, TOKEN, None).await;
    let bound = sdk.bind("https", json!({})).await;
    edge.control.remove(&FakeControl::credential(TOKEN, 1, &[]).id.to_string());
    let (kind, message, _stream) = sdk.next().await;
    assert_eq!((kind, &message["Id"]), (StreamType::STOP_TUNNEL, &bound["Id"]));
    assert_eq!(message["ErrorCode"], "ERR_NGROK_300");
    soon(sdk.session.closed()).await;
}

#[tokio::test]
async fn an_agent_that_obeys_commands_is_told_and_others_are_not() {
    let edge = TestEdge::start().await;
    let mut obedient = auth(TOKEN, &json!(""), &json!(""));
    obedient["Extra"]["StopUnsupportedError"] = json!("");
    obedient["Extra"]["UpdateUnsupportedError"] = json!("");
    let sdk = TestSdk::connect_as(&edge, &obedient).await;
    let id: portway_names::SessionId = sdk.welcome["Extra"]["AgentSessionID"].as_str().unwrap().parse().unwrap();
    let update = AgentCommand::Update { version: "9.0".to_owned(), permit_major: true };
    // Go does not end its direction behind the answer.
    let (told, _stream) = tokio::join!(soon(edge.edge().tell_agent(id, &AgentCommand::Stop)), async {
        let (kind, message, mut stream) = sdk.next().await;
        assert_eq!((kind, message), (StreamType::STOP, json!({})));
        stream.write_chunk(Bytes::from_static(b"{}\n")).await.unwrap();
        stream
    });
    assert_eq!(told, Ok(()));
    let (told, ()) = tokio::join!(soon(edge.edge().tell_agent(id, &update)), async {
        let (kind, message, mut stream) = sdk.next().await;
        assert_eq!((kind, message), (StreamType::UPDATE, json!({ "Version": "9.0", "PermitMajorVersion": true })));
        stream.write_chunk(Bytes::from_static(b"{\"Error\":\"not today\"}")).await.unwrap();
        stream.finish().await.unwrap();
    });
    let error = told.unwrap_err();
    assert!(error.code == Code::ERR_NGROK_807 && error.text.contains("not today"), "{error:?}");
    let refused = edge.edge().tell_agent(id, &AgentCommand::Restart).await.unwrap_err();
    assert_eq!(refused.code, Code::ERR_NGROK_805);
    let native = edge.agent().await.welcome.unwrap().session_id.parse().unwrap();
    assert_eq!(edge.edge().tell_agent(native, &AgentCommand::Restart).await.unwrap_err().code, Code::ERR_NGROK_805);
}

#[tokio::test]
async fn nothing_is_done_for_who_has_not_logged_in() {
    let edge = TestEdge::start().await;
    let session = TestSdk::dial(&edge).await;
    assert_eq!(soon(ask(&session, StreamType::SRV_INFO, &json!({}))).await.unwrap()["Region"], "local");
    let answer = soon(ask(&session, StreamType::BIND, &bind("https", json!({})))).await.unwrap();
    assert!(error(&answer).ends_with("ERR_NGROK_109\n"), "{answer}");
    soon(session.closed()).await;

    let session = TestSdk::dial(&edge).await;
    let answer = soon(ask(&session, StreamType::AUTH, &json!({ "Version": ["3"], "Extra": 7 }))).await.unwrap();
    assert!(error(&answer).contains("Extra: must be an object") && error(&answer).ends_with("ERR_NGROK_109\n"));
}

#[tokio::test]
async fn garbage_ends_the_session_of_its_sender_only() {
    let edge = TestEdge::start().await;
    let good = TestSdk::connect(&edge, TOKEN, None).await;
    good.bind("https", json!({ "Domain": "app.portway.test" })).await;
    for garbage in [&b"\0\0\0\x01[]"[..], b"\0\0\0\x01{]", b"\0\0\0\x03{}", b"\0\0\0\x63{}", b"\0\0\0\x01{\"a\":"] {
        let sdk = TestSdk::connect(&edge, TOKEN, None).await;
        let mut stream = sdk.session.open(Bytes::copy_from_slice(garbage)).await.unwrap();
        stream.finish().await.unwrap();
        soon(sdk.session.closed()).await;
    }
    assert_eq!(error(&good.ask(StreamType::AUTH, &auth(TOKEN, &json!(""), &json!(""))).await), {
        "The agent has said who it is already.\n\nERR_NGROK_109\n"
    });
    assert_eq!(edge.edge().status().endpoints.len(), 1);
}

#[tokio::test]
async fn an_sdk_that_binds_in_a_loop_is_told_to_wait() {
    let edge = TestEdge::start_with(|config| {
        config.limits.binds_per_minute = 1;
        config.limits.endpoints_per_session = 1;
    })
    .await;
    let sdk = TestSdk::connect(&edge, TOKEN, None).await;
    assert_eq!(error(&sdk.bind("https", json!({})).await), "");
    assert!(error(&sdk.bind("https", json!({})).await).ends_with("\n\nERR_NGROK_324\n"));
    let refused = sdk.bind("https", json!({})).await;
    assert!(error(&refused).contains("Try again in ") && error(&refused).ends_with("\n\nERR_NGROK_350\n"), "{refused}");
}
