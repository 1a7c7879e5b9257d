//! The agent against an edge that does what the test tells it.

mod fake_edge;

use std::sync::Arc;
use std::time::Duration;

use fake_edge::{FakeEdge, FakeLink};
use portway_agent::{Agent, BindError, CarrierChoice, ConnectError, Endpoint, EndpointState, Event, Roots, Status};
use portway_mux::{Carrier, ErrorCode, Stream, StreamError};
use portway_proto::agent::v1::{
    BindRefused, Command, EndpointClosed, GoAway, Refusal, RemoteCommand, Unbound, agent_message, edge_message,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixListener};

/// Longest wait of any step: far over what a healthy one takes.
const PATIENCE: Duration = Duration::from_secs(20);

async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("in time")
}

/// An upstream that answers every byte with itself.
async fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut reader, mut writer) = socket.split();
                tokio::io::copy(&mut reader, &mut writer).await
            });
        }
    });
    address
}

/// An agent with one tcp endpoint to `upstream`, and the edge's side of its first session.
async fn online(edge: &FakeEdge, upstream: &str) -> (Agent, Endpoint, FakeLink, u32) {
    let (agent, link) = tokio::join!(edge.agent().connect(), edge.link());
    let (agent, mut link) = (agent.expect("connected"), link);
    let (endpoint, (_, handle)) =
        tokio::join!(agent.tcp().url("tcp://").forward_to(upstream), link.grant("tcp://edge.test:20001"));
    (agent, endpoint.expect("bound"), link, handle)
}

async fn exchange(stream: &mut Stream, text: &str) {
    stream.write_all(text.as_bytes()).await.expect("written");
    stream.flush().await.expect("flushed");
    let mut answer = vec![0; text.len()];
    stream.read_exact(&mut answer).await.expect("answered");
    assert_eq!(answer, text.as_bytes());
}

/// The code with which the agent gives a stream up.
async fn reset_code(mut stream: Stream) -> Option<ErrorCode> {
    loop {
        match stream.read_chunk(1024).await {
            Ok(Some(_)) => {}
            Ok(None) => return None,
            Err(StreamError::Reset(code)) => return Some(code),
            Err(other) => panic!("not reset: {other}"),
        }
    }
}

async fn wait_for(agent: &Agent, what: impl Fn(&Status) -> bool) {
    soon(agent.status().wait_for(|status| what(status))).await.expect("the agent lives");
}

#[tokio::test]
async fn a_connection_goes_through_and_half_closes() {
    let edge = FakeEdge::start().await;
    let (agent, endpoint, link, handle) = soon(online(&edge, &echo().await)).await;
    assert_eq!(endpoint.url(), "tcp://edge.test:20001");
    assert_eq!((link.hello.generation, link.hello.agent_id.len(), link.hello.authtoken.as_str()), (1, 16, "token"));
    let mut stream = link.visit(handle).await;
    exchange(&mut stream, "hello").await;
    stream.shutdown().await.expect("ended");
    let mut rest = Vec::new();
    soon(stream.read_to_end(&mut rest)).await.expect("a clean end");
    assert!(rest.is_empty());
    assert_eq!(agent.endpoints()[0].state, EndpointState::Online);
    assert_eq!(endpoint.metrics().total, 1);
}

#[tokio::test]
async fn an_upstream_that_is_down_resets_with_its_code() {
    let edge = FakeEdge::start().await;
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = closed.local_addr().expect("bound").to_string();
    drop(closed);
    let (_agent, endpoint, link, handle) = soon(online(&edge, &address)).await;
    let code = soon(reset_code(link.visit(handle).await)).await;
    assert_eq!(code, Some(ErrorCode::UPSTREAM_REFUSED));
    assert_eq!(endpoint.metrics().failed, 1);
    let code = soon(reset_code(link.visit(handle + 100).await)).await;
    assert_eq!(code, Some(ErrorCode::UNKNOWN_ENDPOINT));
}

#[tokio::test]
async fn an_upstream_that_speaks_something_else_is_told_of() {
    let edge = FakeEdge::start().await;
    let (agent, _endpoint, mut link, _) = soon(online(&edge, &echo().await)).await;
    let (mut events, mut endpoints) = (agent.events(), Vec::new());
    let alert = &b"\x15\x03\x01\0\x02\x02\x46"[..];
    let settings = b"\0\0\0\x04\0\0\0\0\0";
    let answer = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n";
    for (http2, says, words) in
        [(false, alert, "it speaks TLS"), (false, settings, "it speaks HTTP/2"), (true, answer, "it speaks HTTP/1,")]
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("bound"));
        let builder = agent.http().url("http://a.test").upstream_http2(http2);
        let (endpoint, (_, handle)) = tokio::join!(builder.forward_to(&address), link.grant("http://a.test"));
        endpoints.push(endpoint.expect("bound"));
        let mut stream = link.visit(handle).await;
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("written");
        stream.flush().await.expect("flushed");
        let (mut socket, _) = soon(listener.accept()).await.expect("dialled");
        socket.write_all(says).await.expect("written");
        // Looking changes nothing.
        let mut got = vec![0; says.len()];
        soon(stream.read_exact(&mut got)).await.expect("passed on");
        assert_eq!(got, says);
        let error = loop {
            if let Event::UpstreamFailed { error, .. } = soon(events.recv()).await.expect("an event") {
                break error;
            }
        };
        assert!(error.contains(&address) && error.contains(words), "{error}");
    }
}

#[tokio::test]
async fn unix_sockets_and_tls_are_upstreams() {
    let edge = FakeEdge::start().await;
    let (agent, _endpoint, mut link, _) = soon(online(&edge, &echo().await)).await;

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("app.sock");
    let unix = UnixListener::bind(&path).expect("a socket");
    let address = format!("unix:{}", path.display());
    let (endpoint, (_, handle)) = tokio::join!(agent.tcp().forward_to(&address), link.grant("tcp://edge.test:20002"));
    let _unix_endpoint = endpoint.expect("bound");
    let mut stream = link.visit(handle).await;
    stream.write_all(b"over unix").await.expect("written");
    stream.flush().await.expect("flushed");
    let (mut socket, _) = soon(unix.accept()).await.expect("dialled");
    let mut got = [0; 9];
    soon(socket.read_exact(&mut got)).await.expect("read");
    assert_eq!(&got, b"over unix");

    let (address, acceptor, tls) = tls_upstream().await;
    let (endpoint, (_, handle)) =
        tokio::join!(agent.tls().url("tls://a.test").forward_to(&address), link.grant("tls://a.test"));
    let _tls_endpoint = endpoint.expect("bound");
    let mut stream = link.visit(handle).await;
    stream.write_all(b"sealed").await.expect("written");
    stream.flush().await.expect("flushed");
    let (socket, _) = soon(tls.accept()).await.expect("dialled");
    let mut socket = soon(acceptor.accept(socket)).await.expect("a TLS handshake without check of the certificate");
    let mut got = [0; 6];
    soon(socket.read_exact(&mut got)).await.expect("read");
    assert_eq!(&got, b"sealed");
    // Cut, not ended: neither a close_notify nor an end of the connection below it.
    stream.reset(ErrorCode::STREAM_CANCELLED);
    let error = soon(socket.read_exact(&mut got)).await.expect_err("a cut must not look like an end");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

async fn tls_upstream() -> (String, tokio_rustls::TlsAcceptor, TcpListener) {
    let certified = rcgen::generate_simple_self_signed(["elsewhere.test".to_owned()]).expect("a certificate");
    let key = portway_tls::CertifiedKey::from_der(
        vec![certified.cert.der().to_vec()],
        &certified.signing_key.serialize_der(),
    );
    let store = Arc::new(portway_tls::CertStore::new());
    store.set_default(Some(key.expect("a usable key")));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("tls://{}", listener.local_addr().expect("bound"));
    (address, portway_tls::server_config(&store, &[]).into(), listener)
}

#[tokio::test]
async fn a_listener_yields_connections() {
    let edge = FakeEdge::start().await;
    let (agent, mut link) = tokio::join!(edge.agent().connect(), edge.link());
    let agent = agent.expect("connected");
    let (listener, (bind, handle)) =
        tokio::join!(agent.http().url("app").listen(), link.grant("https://app.edge.test"));
    let mut listener = listener.expect("bound");
    assert_eq!(bind.url, "https://app");
    let mut stream = link.visit(handle).await;
    stream.write_all(b"ping").await.expect("written");
    stream.flush().await.expect("flushed");
    let mut connection = soon(listener.accept()).await.expect("a connection");
    assert_eq!(connection.client_addr().to_string(), "192.0.2.7:4711");
    let mut got = [0; 4];
    soon(connection.read_exact(&mut got)).await.expect("read");
    connection.write_all(&got).await.expect("written");
    connection.shutdown().await.expect("ended");
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.expect("a clean end");
    assert_eq!(answer, "ping");
}

#[tokio::test]
async fn refusals_reach_the_caller() {
    let edge = FakeEdge::start().await;
    let refuse = async {
        let mut link = FakeLink::greet(edge.accept_tcp().await).await;
        let refusal = Refusal { code: "ERR_NGROK_107".to_owned(), text: "no such token".to_owned(), retryable: false };
        link.say(edge_message::Message::Refusal(refusal)).await;
        link.session.closed().await
    };
    let (refused, _) = soon(async { tokio::join!(edge.agent().connect(), refuse) }).await;
    match refused {
        Err(error @ ConnectError::Refused { .. }) => {
            assert_eq!(error.to_string(), "no such token\n\nERR_NGROK_107");
            assert!(!error.is_transient());
        }
        other => panic!("not refused: {other:?}"),
    }

    let (agent, mut link) = tokio::join!(edge.agent().connect(), edge.link());
    let agent = agent.expect("connected");
    let refuse = async {
        let bind = link.bind().await;
        let refused = BindRefused {
            request: bind.request,
            code: "ERR_NGROK_334".to_owned(),
            text: "taken".to_owned(),
            retryable: false,
        };
        link.say(edge_message::Message::BindRefused(refused)).await;
    };
    let (endpoint, ()) = soon(async { tokio::join!(agent.http().forward_to("80"), refuse) }).await;
    assert!(matches!(endpoint, Err(BindError::Refused { code, .. }) if code == "ERR_NGROK_334"));
    assert!(agent.endpoints().is_empty());
    assert!(matches!(agent.tcp().host_header("rewrite").forward_to("80").await, Err(BindError::Option { .. })));
    assert!(matches!(agent.tcp().url("https://x.test").forward_to("80").await, Err(BindError::Url { .. })));
}

#[tokio::test]
async fn a_lost_session_is_made_again_with_the_same_identity_and_url() {
    let edge = FakeEdge::start().await;
    let (agent, endpoint, link, _) = soon(online(&edge, &echo().await)).await;
    let identity = link.hello.agent_id.clone();
    link.session.abort();
    drop(link);
    let mut again = soon(edge.link()).await;
    assert_eq!(again.hello.agent_id, identity);
    assert_eq!(again.hello.generation, 2);
    let (bind, handle) = soon(again.grant("tcp://edge.test:20001")).await;
    assert_eq!(bind.url, "tcp://edge.test:20001", "the URL that was assigned before");
    let mut stream = again.visit(handle).await;
    soon(exchange(&mut stream, "after")).await;
    assert_eq!(endpoint.url(), "tcp://edge.test:20001");
    wait_for(&agent, |status| matches!(status, Status::Online(online) if online.generation == 2)).await;
}

#[tokio::test]
async fn a_refused_rebind_is_tried_again_and_does_not_end_the_session() {
    let edge = FakeEdge::start().await;
    let (agent, _endpoint, link, _) = soon(online(&edge, &echo().await)).await;
    link.session.abort();
    let mut again = soon(edge.link()).await;
    let bind = soon(again.bind()).await;
    let refused = BindRefused {
        request: bind.request,
        code: "ERR_NGROK_334".to_owned(),
        text: "busy".to_owned(),
        retryable: true,
    };
    again.say(edge_message::Message::BindRefused(refused)).await;
    let (_, handle) = soon(again.grant("tcp://edge.test:20001")).await;
    soon(exchange(&mut again.visit(handle).await, "back")).await;

    // The edge takes the endpoint away; the agent asks again.
    let closed = EndpointClosed { endpoint: handle, code: "ERR_NGROK_334".to_owned(), text: "taken".to_owned() };
    again.say(edge_message::Message::EndpointClosed(closed)).await;
    let (_, handle) = soon(again.grant("tcp://edge.test:20001")).await;
    soon(exchange(&mut again.visit(handle).await, "back again")).await;
    assert_eq!(agent.endpoints()[0].state, EndpointState::Online);
}

#[tokio::test]
async fn what_was_taken_back_is_not_asked_for_at_once() {
    let edge = FakeEdge::start().await;
    let (agent, _endpoint, mut link, handle) = soon(online(&edge, &echo().await)).await;
    let closed = EndpointClosed { endpoint: handle, code: "ERR_NGROK_319".to_owned(), text: "deleted".to_owned() };
    link.say(edge_message::Message::EndpointClosed(closed)).await;
    let asked = tokio::time::timeout(Duration::from_millis(500), link.bind()).await;
    assert!(asked.is_err(), "{asked:?}");
    let EndpointState::Refused { error } = agent.endpoints()[0].state.clone() else { panic!("it is not offline") };
    assert_eq!(error, "deleted ERR_NGROK_319");
}

#[tokio::test]
async fn go_away_moves_over_without_cutting_a_stream() {
    let edge = FakeEdge::start().await;
    let (_agent, _endpoint, mut old, handle) = soon(online(&edge, &echo().await)).await;
    let mut running = old.visit(handle).await;
    exchange(&mut running, "before").await;
    old.say(edge_message::Message::GoAway(GoAway { reason: "drain".to_owned(), grace_ms: 60_000 })).await;

    let mut new = soon(edge.link()).await;
    assert_eq!(new.hello.generation, 2);
    // The old session still serves while the new one has not answered.
    exchange(&mut old.visit(handle).await, "meanwhile").await;
    let (bind, new_handle) = soon(new.grant("tcp://edge.test:20001")).await;
    assert_eq!(bind.url, "tcp://edge.test:20001");
    soon(exchange(&mut new.visit(new_handle).await, "on the new one")).await;
    assert!(matches!(soon(old.next()).await, agent_message::Message::Goodbye(_)));
    soon(exchange(&mut running, "still running")).await;
    assert!(old.session.close_reason().is_none());
    running.shutdown().await.expect("ended");
    let mut rest = Vec::new();
    soon(running.read_to_end(&mut rest)).await.expect("a clean end");
    drop(running);
    // The agent leaves once nothing runs any more.
    soon(old.session.closed()).await;
}

#[tokio::test]
async fn a_control_stream_that_ends_costs_no_running_connection() {
    let edge = FakeEdge::start().await;
    let (_agent, _endpoint, mut old, handle) = soon(online(&edge, &echo().await)).await;
    let mut running = old.visit(handle).await;
    exchange(&mut running, "before").await;
    old.end_control().await;
    let mut new = soon(edge.link()).await;
    let (_, new_handle) = soon(new.grant("tcp://edge.test:20001")).await;
    soon(exchange(&mut new.visit(new_handle).await, "on the new one")).await;
    soon(exchange(&mut running, "still running")).await;
}

#[tokio::test]
async fn closing_takes_endpoints_off_and_lets_connections_finish() {
    let edge = FakeEdge::start().await;
    let (agent, _endpoint, mut link, handle) = soon(online(&edge, &echo().await)).await;
    let mut running = link.visit(handle).await;
    exchange(&mut running, "before").await;
    let closing = tokio::spawn({
        let agent = agent.clone();
        async move { agent.close_within(PATIENCE).await }
    });
    let agent_message::Message::Unbind(unbind) = soon(link.next()).await else { panic!("not taken off") };
    assert_eq!(unbind.endpoint, handle);
    link.say(edge_message::Message::Unbound(Unbound { endpoint: handle })).await;
    assert!(matches!(soon(link.next()).await, agent_message::Message::Goodbye(_)));
    exchange(&mut running, "during").await;
    assert!(!closing.is_finished());
    running.shutdown().await.expect("ended");
    let mut rest = Vec::new();
    soon(running.read_to_end(&mut rest)).await.expect("a clean end");
    soon(closing).await.expect("closed");
    assert!(matches!(*agent.status().borrow(), Status::Closed));
    assert!(matches!(agent.http().forward_to("80").await, Err(BindError::Closed)));
}

#[tokio::test]
async fn a_kept_endpoint_is_asked_for_again_after_its_first_refusal() {
    let edge = FakeEdge::start().await;
    let (agent, mut link) = soon(async { tokio::join!(edge.agent().connect(), edge.link()) }).await;
    let agent = agent.expect("connected");
    let upstream = echo().await;
    let refusing = async {
        let request = link.bind().await.request;
        let (code, text) = ("ERR_NGROK_334".to_owned(), "It is taken.".to_owned());
        link.say(edge_message::Message::BindRefused(BindRefused { request, code, text, retryable: true })).await;
    };
    let (opened, ()) = soon(async { tokio::join!(agent.tcp().keep_forwarding_to(&upstream), refusing) }).await;
    let (endpoint, refusal) = opened.expect("kept");
    assert!(matches!(refusal, Some(BindError::Refused { code, .. }) if code == "ERR_NGROK_334"));
    assert_eq!(endpoint.url(), "");
    assert!(
        matches!(&agent.endpoints()[0].state, EndpointState::Refused { error } if error == "It is taken. ERR_NGROK_334")
    );

    let (_, handle) = soon(link.grant("tcp://edge.test:20001")).await;
    soon(exchange(&mut link.visit(handle).await, "at last")).await;
    assert_eq!(endpoint.url(), "tcp://edge.test:20001");
}

#[tokio::test]
async fn a_dropped_endpoint_is_taken_off() {
    let edge = FakeEdge::start().await;
    let (agent, endpoint, mut link, handle) = soon(online(&edge, &echo().await)).await;
    drop(endpoint);
    let agent_message::Message::Unbind(unbind) = soon(link.next()).await else { panic!("not taken off") };
    assert_eq!(unbind.endpoint, handle);
    assert!(agent.endpoints().is_empty());
}

#[tokio::test]
async fn on_a_short_path_quic_is_left_for_tcp_without_cutting_a_stream() {
    let edge = FakeEdge::start().await;
    let builder = edge.agent().carrier(CarrierChoice::Auto).path_rtt(Duration::from_millis(1));
    // Nobody accepts by TCP, so QUIC wins the race.
    let (agent, mut quic) =
        soon(async { tokio::join!(builder.connect(), async { FakeLink::welcome(edge.accept_quic().await).await }) })
            .await;
    let agent = agent.expect("connected");
    let upstream = echo().await;
    let (endpoint, (_, handle)) = tokio::join!(agent.tcp().forward_to(&upstream), quic.grant("tcp://edge.test:20001"));
    let _endpoint = endpoint.expect("bound");
    wait_for(&agent, |status| matches!(status, Status::Online(online) if online.carrier == Carrier::Quic)).await;
    let mut running = quic.visit(handle).await;
    exchange(&mut running, "by QUIC").await;

    let mut tcp = soon(edge.link()).await;
    assert_eq!(tcp.hello.generation, 2);
    let (_, new_handle) = soon(tcp.grant("tcp://edge.test:20001")).await;
    soon(exchange(&mut tcp.visit(new_handle).await, "by TCP")).await;
    soon(exchange(&mut running, "still by QUIC")).await;
    wait_for(&agent, |status| matches!(status, Status::Online(online) if online.carrier == Carrier::Tcp)).await;

    // When the better one dies, the next dial is a race again.
    tcp.session.abort();
    let again = soon(edge.accept_quic()).await;
    assert_eq!(soon(FakeLink::welcome(again)).await.hello.generation, 3);
}

#[tokio::test]
async fn a_clearly_faster_region_is_moved_to_without_cutting_a_stream() {
    let (mut far, mut near) = (FakeEdge::start().await, FakeEdge::start().await);
    (far.region, far.distance) = ("far", Duration::from_millis(250));
    near.region = "near";
    let offers = [far.offer(), near.offer()];
    let roots = Roots::Pem([far.ca.clone(), near.ca.clone()].concat());

    let (agent, mut first) = tokio::join!(far.agent().roots(roots).connect(), far.regional_link(&offers));
    let agent = agent.expect("connected");
    let upstream = echo().await;
    let (endpoint, (_, handle)) =
        tokio::join!(agent.tcp().url("tcp://").forward_to(&upstream), first.grant("tcp://edge.test:20001"));
    let _endpoint = endpoint.expect("bound");
    let mut old = first.visit(handle).await;
    soon(exchange(&mut old, "from afar")).await;

    // The measurements come to both; the far edge has nothing but them to answer.
    let measured = async { far.regional_link(&offers).await };
    let mut second = tokio::select! {
        link = soon(near.regional_link(&offers)) => link,
        _ = measured => panic!("a second session with the far edge"),
    };
    let (bind, handle) = soon(second.grant("tcp://edge.test:20001")).await;
    assert_eq!(bind.url, "tcp://edge.test:20001");
    soon(exchange(&mut old, "still here")).await;
    let mut new = second.visit(handle).await;
    soon(exchange(&mut new, "from near by")).await;
    wait_for(&agent, |status| matches!(status, Status::Online(online) if online.region == "near")).await;

    // A lost session is made again where it was; when nobody is there, where the connect URL leads.
    drop((old, new));
    second.session.abort();
    let mut third = soon(near.regional_link(&offers)).await;
    soon(third.grant("tcp://edge.test:20001")).await;
    drop(near);
    third.session.abort();
    let fourth = soon(far.regional_link(&offers)).await;
    assert_eq!(fourth.hello.agent_id, first.hello.agent_id);
}

#[tokio::test]
async fn a_region_of_the_users_choice_is_kept_to() {
    let mut edge = FakeEdge::start().await;
    edge.region = "mine";
    let connect = async |region: &str| {
        let (agent, _link) =
            soon(async { tokio::join!(edge.agent().region(region).connect(), edge.regional_link(&[])) }).await;
        agent
    };
    connect("mine").await.expect("the region of the edge");
    connect("auto").await.expect("any region");
    connect("sa").await.expect("a region of ngrok, which is not one of the installation");
    let refused = connect("mars").await.expect_err("no such region");
    assert!(!refused.is_transient());
    assert_eq!(
        refused.to_string(),
        "the region mars is not one of this installation, which has mine; choose one, or leave the region out for the fastest"
    );
    let refused = edge.agent().region("Mars").connect().await.expect_err("no name of a region");
    assert!(refused.to_string().starts_with("the region \"Mars\" cannot be used"), "{refused}");
}

#[tokio::test]
async fn commands_from_afar_are_passed_to_the_program_and_answered() {
    let edge = FakeEdge::start().await;
    let (told, mut hears) = tokio::sync::watch::channel(false);
    let builder = edge
        .agent()
        .on_stop(move || {
            told.send_replace(true);
            Ok(())
        })
        .on_update(|version, major| Err(format!("no {version}, {major}")));
    let (agent, link) = soon(async { tokio::join!(builder.connect(), edge.link()) }).await;
    let (agent, mut link) = (agent.expect("connected"), link);
    let obeyed = [RemoteCommand::Stop, RemoteCommand::Update].map(i32::from);
    assert_eq!(link.hello.obeys, obeyed);
    let mut ask = async |request, command: RemoteCommand| {
        let message = Command { request, command: command.into(), version: "9".to_owned(), permit_major: true };
        link.say(edge_message::Message::Command(message)).await;
        match soon(link.next()).await {
            agent_message::Message::CommandAnswer(answer) if answer.request == request => answer.error,
            other => panic!("{other:?} as answer to a command"),
        }
    };
    assert_eq!(ask(1, RemoteCommand::Update).await, "no 9, true");
    assert!(!ask(2, RemoteCommand::Restart).await.is_empty(), "nobody said that it does so");
    assert_eq!(ask(3, RemoteCommand::Stop).await, "");
    soon(hears.wait_for(|told| *told)).await.expect("the program was told");
    soon(agent.close()).await;
}
