//! What users of `ssh` see.

use std::time::Duration;

use portway_codes::Code;
use portway_mux::{CloseReason, StreamError};
use portway_ssh::{AcceptError, Happening, Kind, Limits, OpenError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{
    OpenSsh, Server, TOKEN, client_addr, counter, echo, fingerprint, make_key, output, service, soon,
};

#[tokio::test]
async fn http_with_half_close_and_a_polite_end() {
    let Some(ssh) = OpenSsh::new() else { return };
    let mut server = Server::start(&ssh.fingerprint).await;
    let forward = format!("443:127.0.0.1:{}", counter().await);
    let child = ssh.ssh(&server, "v2", &["-R", &forward]).args(["http", "--metadata", "'a b'"]).spawn().unwrap();
    let accepted = server.accepted().await;
    assert_eq!((accepted.who, accepted.command.kind), ("key", Kind::Http));
    assert_eq!(accepted.command.options.metadata, "a b");
    let [endpoint] = &accepted.endpoints[..] else { panic!() };
    assert_eq!(endpoint.url.to_string(), "https://");
    accepted.terminal.online("Demo (Plan: Free)", "us", &["https://x.example.com"]);
    accepted.terminal.request("GET", "/\x1b[2J", 200);

    let mut stream = soon(endpoint.forwarded.open(client_addr())).await.unwrap();
    assert_eq!(accepted.session.open_streams(), 1);
    stream.write_all(b"hello").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.unwrap();
    assert_eq!(answer, "5 bytes");
    drop(stream);
    assert_eq!(accepted.session.open_streams(), 0);

    let session = accepted.session.clone();
    soon(accepted.terminal.end(0, "bye\x07")).await;
    assert!(matches!(soon(session.closed()).await, CloseReason::PeerClosed { .. }));
    let (code, out, err) = output(child).await;
    let expected = "Account     Demo (Plan: Free)\nRegion      us\nForwarding  https://x.example.com\n\
         GET     /\\u{1b}[2J 200\nbye\\u{7}\n";
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), expected, ""));
}

#[tokio::test]
async fn several_forwards_of_one_command_with_ports_that_are_made_up() {
    let Some(ssh) = OpenSsh::new() else { return };
    let mut server = Server::start(&ssh.fingerprint).await;
    let (one, two) = (echo().await, counter().await);
    let options =
        [format!("0:127.0.0.1:{one}"), format!("App.Example.com:80:127.0.0.1:{two}"), format!("*:443:127.0.0.1:{two}")];
    let options: Vec<_> = options.iter().flat_map(|option| ["-R", option]).collect();
    let child = ssh.ssh(&server, "somebody", &options).arg("http").spawn().unwrap();
    let accepted = server.accepted().await;
    let urls: Vec<_> = accepted.endpoints.iter().map(|endpoint| endpoint.url.to_string()).collect();
    assert_eq!(urls, ["https://", "http://app.example.com", "https://"]);
    let answers = ["x", "1 bytes", "1 bytes"];
    for (endpoint, expected) in accepted.endpoints.iter().zip(answers) {
        let mut stream = soon(endpoint.forwarded.open(client_addr())).await.unwrap();
        stream.write_all(b"x").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        soon(stream.read_to_string(&mut answer)).await.unwrap();
        assert_eq!(answer, expected);
    }
    soon(accepted.terminal.end(0, "")).await;
    let (code, _, err) = output(child).await;
    assert_eq!(code, Some(0));
    assert!(err.contains(&format!("Allocated port 49152 for remote forward to 127.0.0.1:{one}")), "{err}");
}

#[tokio::test]
async fn tcp_names_its_address() {
    let Some(ssh) = OpenSsh::new() else { return };
    let mut server = Server::start(&ssh.fingerprint).await;
    let forward = format!("1.tcp.example.com:20001:127.0.0.1:{}", echo().await);
    let child = ssh.ssh(&server, "v2", &["-R", &forward]).arg("tcp").spawn().unwrap();
    let accepted = server.accepted().await;
    assert_eq!(accepted.endpoints[0].url.to_string(), "tcp://1.tcp.example.com:20001");
    let mut stream = soon(accepted.endpoints[0].forwarded.open("[2001:db8::1]:7".parse().unwrap())).await.unwrap();
    stream.write_all(b"ping").await.unwrap();
    let mut answer = [0; 4];
    soon(stream.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"ping");
    // Dropped without an end: everything is cut.
    let session = accepted.session.clone();
    session.abort();
    assert!(matches!(soon(stream.read_chunk(9)).await, Err(StreamError::SessionLost(CloseReason::LocalClosed))));
    assert!(matches!(accepted.endpoints[0].forwarded.open(client_addr()).await, Err(OpenError::Closed(_))));
    assert_ne!(output(child).await.0, Some(0));
}

#[tokio::test]
async fn a_service_that_is_not_there_and_a_client_that_dies() {
    let Some(ssh) = OpenSsh::new() else { return };
    let mut server = Server::start(&ssh.fingerprint).await;
    let hold = service(|stream| async move {
        let _stream = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let (nowhere, held) = ("443:127.0.0.1:1".to_owned(), format!("80:127.0.0.1:{hold}"));
    let mut child = ssh.ssh(&server, "v2", &["-R", &nowhere, "-R", &held]).arg("http").spawn().unwrap();
    let accepted = server.accepted().await;
    let refused = soon(accepted.endpoints[0].forwarded.open(client_addr())).await;
    assert!(matches!(refused, Err(OpenError::Refused(_))), "{refused:?}");
    assert_eq!(accepted.session.open_streams(), 0);
    let mut stream = soon(accepted.endpoints[1].forwarded.open(client_addr())).await.unwrap();
    child.kill().await.unwrap();
    assert!(matches!(soon(stream.read_chunk(9)).await, Err(StreamError::SessionLost(_))));
    soon(accepted.session.closed()).await;
}

#[tokio::test]
async fn a_terminal_gets_lines_for_terminals_and_ctrl_c_ends_it() {
    let Some(ssh) = OpenSsh::new() else { return };
    let mut server = Server::start(&ssh.fingerprint).await;
    let forward = format!("443:127.0.0.1:{}", echo().await);
    let mut command = ssh.ssh(&server, "v2", &["-tt", "-R", &forward]);
    let mut child = command.arg("http").stdin(std::process::Stdio::piped()).spawn().unwrap();
    let mut accepted = server.accepted().await;
    assert!(accepted.terminal.is_pty());
    accepted.terminal.online("Demo", "us", &["https://x.example.com"]);
    child.stdin.as_mut().unwrap().write_all(b"q\x03").await.unwrap();
    assert_eq!(soon(accepted.events.next()).await, Some(Happening::Quit));
    soon(accepted.terminal.end(0, "")).await;
    let (code, out, _) = output(child).await;
    let expected = "Portway (via SSH) (Ctrl+C to quit)\r\n\r\nAccount     Demo\r\nRegion      us\r\n\
         Forwarding  https://x.example.com\r\n\r\n";
    assert_eq!((code, out.as_str()), (Some(0), expected));
}

#[tokio::test]
async fn the_end_of_input_ends_a_terminal_and_nothing_else() {
    let Some(ssh) = OpenSsh::new() else { return };
    let mut server = Server::start(&ssh.fingerprint).await;
    let forward = format!("443:127.0.0.1:{}", echo().await);
    let child = ssh.ssh(&server, "v2", &["-tt", "-R", &forward]).arg("http").spawn().unwrap();
    let mut accepted = server.accepted().await;
    assert_eq!(soon(accepted.events.next()).await, Some(Happening::Quit));
    soon(accepted.terminal.end(0, "")).await;
    assert_eq!(output(child).await.0, Some(0));
    // Without a terminal input is at its end from the start here, and the session serves.
    let _child = ssh.ssh(&server, "v2", &["-R", &forward]).arg("http").spawn().unwrap();
    let accepted = server.accepted().await;
    let mut stream = soon(accepted.endpoints[0].forwarded.open(client_addr())).await.unwrap();
    stream.write_all(b"x").await.unwrap();
    soon(stream.read_exact(&mut [0; 1])).await.unwrap();
}

#[tokio::test]
async fn commands_that_are_refused_are_told_why() {
    let Some(ssh) = OpenSsh::new() else { return };
    let mut server = Server::start(&ssh.fingerprint).await;
    let cases: [(&[&str], &[&str], Code); 5] = [
        (&["-R", "443:127.0.0.1:1"], &[], Code::ERR_NGROK_1107),
        (&["-R", "443:127.0.0.1:1"], &["uptime"], Code::ERR_NGROK_1108),
        (&["-R", "443:127.0.0.1:1"], &["http", "--oauth=google"], Code::ERR_NGROK_1109),
        (&["-R", "8080:127.0.0.1:1"], &["http"], Code::ERR_NGROK_1113),
        (&[], &["http"], Code::ERR_NGROK_1112),
    ];
    for (options, command, code) in cases {
        let child = ssh.ssh(&server, "v2", options).args(command).spawn().unwrap();
        assert_eq!(server.refused().await, code);
        let (status, out, _) = output(child).await;
        assert_eq!(status, Some(1), "{command:?}");
        assert!(out.ends_with(&format!("\n\n{}\n", code.name())), "{out}");
        assert!(!out.contains('\r'));
    }
    let child = ssh.ssh(&server, "v2", &["-tt", "-R", "443:127.0.0.1:1"]).spawn().unwrap();
    assert_eq!(server.refused().await, Code::ERR_NGROK_1107);
    assert!(output(child).await.1.ends_with("\r\n\r\nERR_NGROK_1107\r\n"));
    let child = ssh.ssh(&server, "v2", &[]).args(["tcp", "--help"]).spawn().unwrap();
    assert!(matches!(server.outcome().await, Err(AcceptError::Helped)));
    let (status, out, _) = output(child).await;
    assert!(status == Some(0) && out.contains("--remote-addr"));
}

#[tokio::test]
async fn without_a_session_channel_the_text_comes_with_the_disconnect() {
    let Some(ssh) = OpenSsh::new() else { return };
    let limits = Limits { setup_grace: Duration::from_secs(1), ..Limits::default() };
    let mut server = Server::with(&ssh.fingerprint, limits).await;
    let child = ssh.ssh(&server, "v2", &["-N", "-R", "443:127.0.0.1:1"]).spawn().unwrap();
    assert_eq!(server.refused().await, Code::ERR_NGROK_1111);
    let (status, _, err) = output(child).await;
    assert!(status == Some(255) && err.contains("(ERR_NGROK_1111)"), "{err}");
    let child = ssh.ssh(&server, "v2+nonsense", &["-N", "-R", "443:127.0.0.1:1"]).spawn().unwrap();
    assert_eq!(server.refused().await, Code::ERR_NGROK_107);
    assert!(output(child).await.2.contains("(ERR_NGROK_107)"));
}

#[tokio::test]
async fn keys_of_all_kinds_that_are_accepted() {
    let Some(ssh) = OpenSsh::new() else { return };
    for kind in ["rsa", "ecdsa"] {
        let key = ssh.path(kind);
        make_key(&key, kind);
        let mut server = Server::start(&fingerprint(&key)).await;
        let options = ["-i", key.to_str().unwrap(), "-R", "443:127.0.0.1:1"];
        let _child = ssh.ssh(&server, "v2", &options).arg("http").spawn().unwrap();
        assert_eq!(server.accepted().await.who, "key");
        // SHA-1 signatures are not.
        if kind == "rsa" {
            let old = ["-o", "PubkeyAcceptedAlgorithms=ssh-rsa"];
            let child = ssh.ssh(&server, "v2", &[&options[..], &old[..]].concat()).arg("http").spawn().unwrap();
            assert!(matches!(server.outcome().await, Err(AcceptError::NoLogin(_))));
            assert_eq!(output(child).await.0, Some(255));
        }
    }
}

#[tokio::test]
async fn a_client_that_stopped_is_noticed() {
    let Some(ssh) = OpenSsh::new() else { return };
    let limits = Limits { keepalive: Duration::from_secs(1), keepalive_max: 2, ..Limits::default() };
    let mut server = Server::with(&ssh.fingerprint, limits).await;
    let child = ssh.ssh(&server, "v2", &["-R", "443:127.0.0.1:1"]).arg("http").spawn().unwrap();
    let accepted = server.accepted().await;
    let pid = child.id().unwrap().to_string();
    let stopped = std::process::Command::new("/bin/kill").args(["-STOP", &pid]).status();
    if !stopped.is_ok_and(|status| status.success()) {
        println!("skipped: needs kill; install it with apt-get install procps");
        return;
    }
    assert!(matches!(soon(accepted.session.closed()).await, CloseReason::HeartbeatLost));
}

#[tokio::test]
async fn logins() {
    let Some(ssh) = OpenSsh::new() else { return };
    let mut server = Server::start(&ssh.fingerprint).await;
    let forward = ["-R", "443:127.0.0.1:1"];
    // An authtoken in the user name.
    for user in [TOKEN.to_owned(), format!("v2+{TOKEN}")] {
        let _child = ssh.ssh(&server, &user, &forward).arg("http").spawn().unwrap();
        assert_eq!(server.accepted().await.who, "token");
    }
    // What is certain is told in the session.
    let cases = [("v2+nonsense", Code::ERR_NGROK_107), ("v1", Code::ERR_NGROK_1106)];
    for (user, code) in cases {
        let child = ssh.ssh(&server, user, &forward).arg("http").spawn().unwrap();
        assert_eq!(server.refused().await, code);
        let (status, out, _) = output(child).await;
        assert!(status == Some(1) && out.contains(code.name()), "{out}");
    }
    // A key that nobody knows: refused, and told at the next try.
    let other = ssh.path("other");
    make_key(&other, "ed25519");
    let other = other.to_str().unwrap();
    for told in [false, true] {
        let child = ssh.ssh(&server, "v2", &["-i", other, forward[0], forward[1]]).arg("http").spawn().unwrap();
        assert!(matches!(server.outcome().await, Err(AcceptError::NoLogin(_))));
        let (status, _, err) = output(child).await;
        assert!(status == Some(255) && err.contains("Permission denied"), "{err}");
        assert_eq!(err.contains("ERR_NGROK_1102"), told, "{err}");
    }
    // The wrong key first and the right one then.
    let key = ssh.path("key");
    let both = ["-i", other, "-i", key.to_str().unwrap(), forward[0], forward[1]];
    let _child = ssh.ssh(&server, "v2", &both).arg("http").spawn().unwrap();
    assert_eq!(server.accepted().await.who, "key");
}

#[tokio::test]
async fn old_algorithms_are_not_spoken_and_the_handshake_is_strict() {
    let Some(ssh) = OpenSsh::new() else { return };
    let mut server = Server::start(&ssh.fingerprint).await;
    let forward = ["-R", "443:127.0.0.1:1"];
    let old = [
        &["-o", "KexAlgorithms=diffie-hellman-group14-sha1"][..],
        &["-o", "Ciphers=aes128-cbc"],
        &["-o", "Ciphers=aes128-ctr", "-o", "MACs=hmac-sha1"],
        &["-o", "HostKeyAlgorithms=rsa-sha2-512"],
    ];
    for options in old {
        let child = ssh.ssh(&server, "v2", &[options, &forward[..]].concat()).arg("http").spawn().unwrap();
        assert!(matches!(server.outcome().await, Err(AcceptError::NoLogin(_))));
        let (status, _, err) = output(child).await;
        assert!(status == Some(255) && err.contains("no matching"), "{err}");
    }
    let new = [
        &[][..],
        &["-o", "HostKeyAlgorithms=ecdsa-sha2-nistp256"],
        &["-o", "Ciphers=chacha20-poly1305@openssh.com"],
        &["-o", "Ciphers=aes256-ctr", "-o", "MACs=hmac-sha2-256"],
        &["-o", "KexAlgorithms=ecdh-sha2-nistp384"],
        &["-C"],
    ];
    for options in new {
        let options = [options, &["-vvv"], &forward[..]].concat();
        let child = ssh.ssh(&server, "v2", &options).arg("http").spawn().unwrap();
        soon(server.accepted().await.terminal.end(0, "")).await;
        let (status, _, err) = output(child).await;
        assert_eq!(status, Some(0), "{err}");
        assert!(err.contains("will use strict KEX ordering"), "an OpenSSH without strict key exchange? {err}");
        assert!(err.contains("compression: none"));
    }
}
