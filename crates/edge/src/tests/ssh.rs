//! `ssh -R` with the machine's OpenSSH client, over the https address.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use portway_proto::{AgentCommand, CredentialRecord, OnlineRecord, ReplicaRecord, SessionProtocol};
use portway_ssh::{Front, HostKeys, Limits};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStdout, Command};

use crate::login::digest_of;
use crate::testing::{FakeControl, TOKEN, TestEdge, eventually, soon};

pub(super) async fn edge() -> TestEdge {
    let keys = HostKeys::generate().unwrap();
    TestEdge::start_with(|config| config.ssh = Some(Arc::new(Front::new(&keys, Limits::default())))).await
}

/// A service that answers every HTTP request with the same words; its port.
async fn service() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
                    stream.write_all(answer).await.unwrap();
                }
            });
        }
    });
    port
}

/// The client, and the lines it prints. None where there is no OpenSSH.
pub(super) fn ssh(
    edge: &TestEdge,
    user: &str,
    options: &[&str],
    command: &[&str],
) -> Option<(Child, Lines<BufReader<ChildStdout>>)> {
    let mut ssh = Command::new("ssh");
    ssh.args(["-F", "/dev/null", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"]);
    ssh.args(["-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]).args(options);
    ssh.arg("-p").arg(edge.https.port().to_string()).arg(format!("{user}@127.0.0.1")).args(command);
    ssh.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).env_remove("SSH_AUTH_SOCK");
    match ssh.spawn() {
        Ok(mut child) => {
            let lines = BufReader::new(child.stdout.take().unwrap()).lines();
            Some((child, lines))
        }
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "OpenSSH is needed: {error}");
            eprintln!("skipped: ssh cannot be started: {error}");
            None
        }
    }
}

pub(super) async fn line_with(lines: &mut Lines<BufReader<ChildStdout>>, what: &str) -> String {
    let found = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains(what) {
                return line;
            }
        }
        panic!("the client ended without a line with {what:?}");
    };
    soon(found).await
}

async fn get(edge: &TestEdge, host: &str) -> String {
    let mut visitor = TcpStream::connect(edge.http).await.unwrap();
    let request = format!("GET /hi HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    visitor.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon(visitor.read_to_string(&mut answer)).await.unwrap();
    answer
}

#[tokio::test]
async fn a_forward_becomes_an_endpoint_and_its_requests_are_shown() {
    let (edge, port) = (edge().await, service().await);
    let forward = format!("shop.portway.test:80:127.0.0.1:{port}");
    let user = format!("v2+{TOKEN}");
    let Some((mut client, mut lines)) = ssh(&edge, &user, &["-R", &forward], &["http"]) else { return };
    let line = line_with(&mut lines, "Forwarding").await;
    assert_eq!(line, format!("Forwarding  http://shop.portway.test:{}", edge.http.port()));
    assert!(get(&edge, "shop.portway.test").await.ends_with("hello"));
    assert_eq!(line_with(&mut lines, "/hi").await, "GET     /hi 200");
    assert_eq!(edge.edge().status().endpoints[0].carrier, "ssh");
    client.start_kill().unwrap();
    eventually("the endpoint goes with its client", || edge.edge().status().endpoints.is_empty()).await;
}

#[tokio::test]
async fn options_of_the_command_take_effect_and_a_dead_service_is_told() {
    let edge = edge().await;
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let forward = format!("shop.portway.test:80:127.0.0.1:{gone}");
    let (user, command) = (format!("v2+{TOKEN}"), ["http", "--basic-auth", "u:secret-words"]);
    let Some((_client, mut lines)) = ssh(&edge, &user, &["-R", &forward], &command) else { return };
    line_with(&mut lines, "Forwarding").await;
    assert!(get(&edge, "shop.portway.test").await.starts_with("HTTP/1.1 401 "));

    let forward = format!("open.portway.test:80:127.0.0.1:{gone}");
    let Some((_other, mut lines)) = ssh(&edge, &user, &["-R", &forward], &["http"]) else { return };
    line_with(&mut lines, "Forwarding").await;
    let answer = get(&edge, "open.portway.test").await;
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("ERR_NGROK_8012"), "{answer}");
}

#[tokio::test]
async fn what_only_looks_like_ssh_is_cut_and_counted() {
    let short = Duration::from_millis(300);
    let keys = HostKeys::generate().unwrap();
    let edge = TestEdge::start_with(|config| {
        config.ssh = Some(Arc::new(Front::new(&keys, Limits { login_grace: short, ..Limits::default() })));
        config.limits.handshake_timeout = short;
    })
    .await;
    let cases = [
        &b"S"[..],
        b"SSH",
        b"SSH-",
        b"SSH-2",
        b"SSH-2.0-",
        b"SSH-1.99-old\r\n",
        b"SSH-2.0 GET / HTTP/1.1\r\n\r\n",
        b"ssh-2.0-small\r\n",
        b"SSH-2.0-\xFF\x00\x16\x03\x01\r\n\xFF\xFF\xFF\xFF",
        b"SSH-2.0-x\r\n\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        &[&b"SSH-2.0-"[..], &[b'x'; 100_000]].concat(),
        &[&b"SSH-2.0-x\r\n"[..], &[0; 100_000]].concat(),
    ];
    for bytes in cases {
        let mut stream = TcpStream::connect(edge.https).await.unwrap();
        let _ = stream.write_all(bytes).await;
        let mut told = Vec::new();
        let _ = soon(stream.read_to_end(&mut told)).await;
        // An answer in the protocol that it may have been: SSH, HTTP, or an alert of TLS.
        let known = [&b"SSH-2.0-Portway\r\n"[..], b"HTTP/1.1 400 ", b"\x15\x03"];
        assert!(told.is_empty() || known.iter().any(|start| told.starts_with(start)), "{told:?}");
    }
    let failures = || {
        let metrics = edge.metrics();
        let counted = metrics.lines().filter(|line| line.contains("handshake_failures_total{"));
        counted.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok()).sum::<usize>()
    };
    eventually("every one is counted", || failures() == cases.len()).await;
    edge.agent().await;
}

#[tokio::test]
async fn a_registered_key_logs_in_within_its_rules() {
    let (edge, port) = (edge().await, service().await);
    let folder = std::env::temp_dir().join(format!("portway-ssh-key-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let key = folder.join("key");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status().await;
    if !made.is_ok_and(|status| status.success()) {
        assert!(std::env::var_os("CI").is_none(), "OpenSSH is needed");
        return;
    }
    let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    let digest = digest_of(&portway_access::SshKey::parse(&public).unwrap().secret());
    let record = CredentialRecord { digest, ..FakeControl::credential("key", 1, &["bind:mine.portway.test"]) };
    edge.control.put(ReplicaRecord::Credential(record));
    let identity = format!("IdentityFile={}", key.display());

    let forward = format!("mine.portway.test:80:127.0.0.1:{port}");
    let options = ["-o", &identity, "-R", &forward];
    let Some((_client, mut lines)) = ssh(&edge, "v2", &options, &["http"]) else { return };
    line_with(&mut lines, "Forwarding").await;
    assert!(get(&edge, "mine.portway.test").await.ends_with("hello"));
    let by_key = || matches!(&edge.control.online()[..], [OnlineRecord::Session(session), _] if session.ssh_key);
    eventually("it is reported as a session of a key", by_key).await;

    let forward = format!("other.portway.test:80:127.0.0.1:{port}");
    let options = ["-o", &identity, "-R", &forward];
    let Some((mut client, mut lines)) = ssh(&edge, "v2", &options, &["http"]) else { return };
    assert_eq!(line_with(&mut lines, "ERR_NGROK").await, "ERR_NGROK_316");
    assert_eq!(soon(client.wait()).await.unwrap().code(), Some(1));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn a_session_is_reported_and_can_be_stopped_but_not_restarted() {
    let (edge, port) = (edge().await, service().await);
    let forward = format!("shop.portway.test:80:127.0.0.1:{port}");
    let user = format!("v2+{TOKEN}");
    let Some((mut client, mut lines)) = ssh(&edge, &user, &["-R", &forward], &["http"]) else { return };
    line_with(&mut lines, "Forwarding").await;
    eventually("session and endpoint are reported", || edge.control.online().len() == 2).await;
    let online = edge.control.online();
    let [OnlineRecord::Session(session), OnlineRecord::Endpoint(endpoint)] = &online[..] else { panic!("{online:?}") };
    assert_eq!((session.protocol, session.ssh_key), (SessionProtocol::Ssh, false));
    assert_eq!((endpoint.session, endpoint.forwards_to.as_str()), (session.id, "ssh"));
    let (running, id) = (edge.edge(), session.id);
    let tell = |command| async move { running.tell_agent(id, &command).await.map_err(|error| error.code.name()) };
    let update = AgentCommand::Update { version: String::new(), permit_major: false };
    assert_eq!(tell(update).await, Err("ERR_NGROK_1121"));
    assert_eq!(tell(AgentCommand::Restart).await, Err("ERR_NGROK_1122"));
    assert_eq!(tell(AgentCommand::Stop).await, Ok(()));
    line_with(&mut lines, "stopped by its account").await;
    assert_eq!(soon(client.wait()).await.unwrap().code(), Some(0), "a loop around the command ends");
    eventually("nothing of it is left", || edge.control.online().is_empty()).await;
}

#[tokio::test]
async fn a_server_that_goes_away_ends_the_command_with_an_error() {
    let (mut edge, port) = (edge().await, service().await);
    let forward = format!("shop.portway.test:80:127.0.0.1:{port}");
    let user = format!("v2+{TOKEN}");
    let Some((mut client, mut lines)) = ssh(&edge, &user, &["-R", &forward], &["http"]) else { return };
    line_with(&mut lines, "Forwarding").await;
    soon(edge.edge.take().unwrap().drain()).await;
    assert_eq!(line_with(&mut lines, "ERR_NGROK").await, "ERR_NGROK_803");
    assert_eq!(soon(client.wait()).await.unwrap().code(), Some(1));
}

#[tokio::test]
async fn strangers_that_do_not_log_in_leave_room_for_others() {
    let keys = HostKeys::generate().unwrap();
    let edge = TestEdge::start_with(|config| {
        config.ssh = Some(Arc::new(Front::new(&keys, Limits::default())));
        config.limits.loopback_exempt = false;
        (config.limits.ssh_logins, config.limits.ssh_logins_per_address) = (3, 2);
    })
    .await;
    let greet = async |from: &str| {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
        let mut stream = socket.connect(edge.https).await.unwrap();
        stream.write_all(b"SSH-2.0-x\r\n").await.unwrap();
        let mut line = vec![0; 4];
        soon(stream.read_exact(&mut line)).await.unwrap();
        (stream, String::from_utf8(line).unwrap())
    };
    let mut held = Vec::new();
    for (from, expected) in [
        ("127.0.0.1", "SSH-"),
        ("127.0.0.1", "SSH-"),
        ("127.0.0.1", "Too "),
        ("127.0.0.2", "SSH-"),
        ("127.0.0.3", "Too "),
    ] {
        let (stream, line) = greet(from).await;
        assert_eq!(line, expected, "{from}");
        held.push(stream);
    }
    for limit in ["ssh_logins", "ssh_logins_per_address"] {
        assert!(edge.metrics().contains(&format!("limit=\"{limit}\"}} 1")), "{limit}");
    }
    held.clear();
    eventually("the places are free again", || edge.edge().state().ssh_logins.is_empty()).await;
    assert_eq!(greet("127.0.0.1").await.1, "SSH-");
}
