//! Clients that lie, before they have said who they are.

use std::sync::Arc;
use std::time::Duration;

use portway_codes::Code;
use portway_ssh::{AcceptError, Limits};
use russh::client::{self, AuthResult};
use russh::keys::PublicKeyOrCertificate;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::requests::{connect, read_all};
use crate::support::{Server, TOKEN, soon};

async fn server() -> Server {
    let limits = Limits { login_grace: Duration::from_millis(500), ..Limits::default() };
    Server::with("nobody", limits).await
}

/// Sends bytes, and expects the connection to be closed and no login.
async fn refused_after(server: &mut Server, bytes: &[u8]) {
    let mut stream = TcpStream::connect(server.addr).await.unwrap();
    // The server may close before all is sent.
    let _ = stream.write_all(bytes).await;
    assert!(matches!(server.outcome().await, Err(AcceptError::NoLogin(_))));
    let mut rest = Vec::new();
    let _ = soon(stream.read_to_end(&mut rest)).await;
    assert!(rest.len() < 4096, "little is said to a stranger");
}

#[tokio::test]
async fn no_ssh_at_all() {
    let mut server = server().await;
    let cases: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"SSH-1.5-old\r\n",
        &[b'A'; 100_000],
        &b"hello\r\n".repeat(10_000),
    ];
    for bytes in cases {
        refused_after(&mut server, bytes).await;
    }
}

#[tokio::test]
async fn silence_and_slowness_are_cut() {
    let mut server = server().await;
    refused_after(&mut server, b"").await;
    refused_after(&mut server, b"SSH-2.0-slow").await;
    refused_after(&mut server, b"SSH-2.0-slow\r\n").await;
    let mut drops = TcpStream::connect(server.addr).await.unwrap();
    let dripping = tokio::spawn(async move {
        for byte in b"SSH-2.0-a very slow client indeed\r\n" {
            if drops.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    assert!(matches!(server.outcome().await, Err(AcceptError::NoLogin(_))));
    dripping.abort();
}

#[tokio::test]
async fn lengths_that_lie() {
    let mut server = server().await;
    let cases: [&[u8]; 6] = [
        // Longer than any packet.
        b"\xff\xff\xff\xff\x04\x14",
        b"\x00\x10\x00\x00\x04\x14",
        // Allowed, and nothing comes.
        b"\x00\x03\xff\xff\x04\x14aaaaaaaaaa",
        // Shorter than a packet can be, and padding longer than the packet.
        b"\x00\x00\x00\x00\x00\x00\x00\x00",
        b"\x00\x00\x00\x0c\xff\x14aaaaaaaaaaaaaaaaaa",
        // A key exchange whose list of names is longer than the packet.
        b"\x00\x00\x00\x1c\x04\x14aaaaaaaaaaaaaaaa\xff\xff\xff\xffaaaaaaaa",
    ];
    for packet in cases {
        let mut bytes = b"SSH-2.0-liar\r\n".to_vec();
        bytes.extend_from_slice(packet);
        refused_after(&mut server, &bytes).await;
    }
}

/// A packet before keys are exchanged (RFC 4253 section 6).
fn packet(payload: &[u8]) -> Vec<u8> {
    let padding = 8 - (5 + payload.len()) % 8 + 8;
    let length = (1 + payload.len() + padding) as u32;
    [&length.to_be_bytes()[..], &[padding as u8], payload, &vec![0; padding]].concat()
}

#[tokio::test]
async fn messages_that_come_too_early_are_for_nothing() {
    let mut server = server().await;
    let string = |text: &str| [&(text.len() as u32).to_be_bytes()[..], text.as_bytes()].concat();
    let login =
        [&[50][..], &string("v2"), &string("ssh-connection"), &string("password"), &[0], &string(TOKEN)].concat();
    let forward = [&[80][..], &string("tcpip-forward"), &[1], &string("a.example.com"), &[0, 0, 1, 0xBB]].concat();
    let channel = [&[90][..], &string("session"), &[0; 12]].concat();
    let service = [&[5][..], &string("ssh-userauth")].concat();
    for payload in [&login[..], &forward, &channel, &service, &[21], &[20], &[1], &[255], &[]] {
        refused_after(&mut server, &[b"SSH-2.0-early\r\n".to_vec(), packet(payload).repeat(3)].concat()).await;
    }
}

#[tokio::test]
async fn what_never_ends_is_cut() {
    let mut server = server().await;
    let ignored = packet(&[&[2, 0, 0, 0x40, 0][..], &[0; 16_384]].concat());
    let cases = [
        (&b""[..], &b"not yet\r\n"[..]),
        (b"", b"SSH-2.0-"),
        (b"SSH-2.0-endless\r\n", &ignored),
        (b"SSH-2.0-endless\r\n", b"\0"),
    ];
    for (start, again) in cases {
        let mut stream = TcpStream::connect(server.addr).await.unwrap();
        stream.write_all(start).await.unwrap();
        let again = again.repeat(64);
        let writing = async { while stream.write_all(&again).await.is_ok() {} };
        soon(writing).await;
        assert!(matches!(server.outcome().await, Err(AcceptError::NoLogin(_))));
    }
}

/// Asks for everything as soon as a banner says that there is a login to come.
struct Hasty;

impl client::Handler for Hasty {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        Ok(true)
    }

    async fn auth_banner(&mut self, _: &str, session: &mut client::Session) -> Result<(), russh::Error> {
        for _ in 0..100 {
            session.tcpip_forward(None, "a.example.com", 443)?;
            session.send_global_request(None, "tcpip-forward", &[0xFF; 100])?;
            session.cancel_tcpip_forward(None, "a.example.com", 443)?;
        }
        Ok(())
    }
}

#[tokio::test]
async fn forwards_before_the_login_count_for_nothing() {
    let mut server = Server::with("nobody", Limits { setup_grace: Duration::from_secs(1), ..Limits::default() }).await;
    // A login that fails: the next one from there begins with a banner.
    let mut first = connect(&server).await;
    assert!(matches!(first.authenticate_none("me").await, Ok(AuthResult::Failure { .. })));
    drop(first);
    assert!(matches!(server.outcome().await, Err(AcceptError::NoLogin(_))));
    let mut hasty = soon(client::connect(Arc::default(), server.addr, Hasty)).await.unwrap();
    // The banner comes with this one, and what it provokes before the next.
    assert!(matches!(hasty.authenticate_none("me").await, Ok(AuthResult::Failure { .. })));
    assert!(matches!(hasty.authenticate_password("v2", TOKEN).await, Ok(AuthResult::Success)));
    let mut channel = hasty.channel_open_session().await.unwrap();
    channel.exec(true, "http").await.unwrap();
    let (text, _) = read_all(&mut channel).await;
    assert!(text.ends_with("ERR_NGROK_1112\n"), "{text}");
    assert_eq!(server.refused().await, Code::ERR_NGROK_1112);
}

#[tokio::test]
async fn guesses_have_an_end() {
    let mut server = Server::start("nobody").await;
    let mut client = connect(&server).await;
    let mut tries = 0;
    while let Ok(AuthResult::Failure { .. }) = soon(client.authenticate_none("me")).await {
        tries += 1;
        assert!(tries < 50);
    }
    // The first one tells the client what there is, and is free.
    assert_eq!(tries, 1 + 2 * Limits::default().keys_tried);
    assert!(matches!(server.outcome().await, Err(AcceptError::NoLogin(_))));
    // A prompt that gets no answer comes three times.
    let mut client = connect(&server).await;
    let mut prompts = 0;
    loop {
        use client::KeyboardInteractiveAuthResponse::{Failure, InfoRequest};
        match soon(client.authenticate_keyboard_interactive_start("me", None)).await {
            Ok(InfoRequest { .. }) => prompts += 1,
            Ok(Failure { .. }) => break,
            other => panic!("{other:?}"),
        }
        assert!(matches!(client.authenticate_keyboard_interactive_respond(vec![" ".into()]).await, Ok(Failure { .. })));
    }
    assert_eq!(prompts, 3);
}
