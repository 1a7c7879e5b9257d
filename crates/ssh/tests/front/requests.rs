//! Requests that OpenSSH does not make by itself, by the client of russh.

use std::sync::Arc;

use portway_codes::Code;
use portway_mux::{CloseReason, ErrorCode};
use portway_ssh::{Happening, Limits, OpenError};
use russh::client::{self, AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::{PrivateKey, PrivateKeyWithHashAlg, PublicKeyBase64, PublicKeyOrCertificate};
use russh::{Channel, ChannelMsg, Error};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Server, TOKEN, client_addr, soon};

/// Takes any server, and sends back what comes on forwarded channels.
pub(crate) struct Echo;

impl client::Handler for Echo {
    type Error = Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, Error> {
        Ok(true)
    }

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        channel: Channel<client::Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        reply: client::ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Error> {
        reply.accept().await;
        tokio::spawn(async move {
            let (mut reading, mut writing) = tokio::io::split(channel.into_stream());
            let _ = tokio::io::copy(&mut reading, &mut writing).await;
            let _ = writing.shutdown().await;
        });
        Ok(())
    }
}

pub(crate) async fn connect(server: &Server) -> Handle<Echo> {
    let config = Arc::new(client::Config::default());
    soon(client::connect(config, server.addr, Echo)).await.unwrap()
}

pub(crate) async fn with_token(server: &Server) -> Handle<Echo> {
    let mut client = connect(server).await;
    assert!(matches!(client.authenticate_password("v2", TOKEN).await, Ok(AuthResult::Success)));
    client
}

/// All that is written to a channel, and the exit status.
pub(crate) async fn read_all(channel: &mut Channel<client::Msg>) -> (String, Option<u32>) {
    let (mut text, mut status) = (Vec::new(), None);
    while let Some(message) = soon(channel.wait()).await {
        match message {
            ChannelMsg::Data { data } => text.extend_from_slice(&data),
            ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
            ChannelMsg::Close => break,
            _ => {}
        }
    }
    (String::from_utf8(text).unwrap(), status)
}

#[tokio::test]
async fn one_forward_of_several_is_cancelled() {
    let mut server = Server::start("nobody").await;
    let client = with_token(&server).await;
    assert_eq!(client.tcpip_forward("a.example.com", 443).await.unwrap(), 0);
    let made_up = client.tcpip_forward("localhost", 0).await.unwrap();
    assert!(client.tcpip_forward("a.example.com", 443).await.is_err(), "the same again");
    assert!(client.tcpip_forward("localhost", 70_000).await.is_err());
    assert!(client.tcpip_forward("a".repeat(256), 443).await.is_err());
    let channel = client.channel_open_session().await.unwrap();
    channel.exec(true, "http").await.unwrap();
    let mut accepted = server.accepted().await;
    assert_eq!(accepted.who, "token");
    assert_eq!(accepted.endpoints.len(), 2);
    assert!(client.tcpip_forward("b.example.com", 443).await.is_err(), "too late");
    assert!(client.cancel_tcpip_forward("c.example.com", 443).await.is_err());
    client.cancel_tcpip_forward("localhost", made_up).await.unwrap();
    assert_eq!(soon(accepted.events.next()).await, Some(Happening::Cancelled(1)));
    let mut stream = soon(accepted.endpoints[0].forwarded.open(client_addr())).await.unwrap();
    stream.write_all(b"ping").await.unwrap();
    let mut answer = [0; 4];
    soon(stream.read_exact(&mut answer)).await.unwrap();
    client.disconnect(russh::Disconnect::ByApplication, "", "").await.unwrap();
    assert!(matches!(soon(accepted.session.closed()).await, CloseReason::PeerClosed { .. }));
    assert_eq!(soon(accepted.events.next()).await, None);
}

#[tokio::test]
async fn what_is_not_served_is_refused_and_the_session_goes_on() {
    let mut server = Server::start("nobody").await;
    let client = with_token(&server).await;
    client.tcpip_forward("localhost", 443).await.unwrap();
    let direct = client.channel_open_direct_tcpip("127.0.0.1", 22, "127.0.0.1", 1).await;
    assert!(matches!(direct, Err(Error::ChannelOpenFailure(_))));
    assert!(client.channel_open_direct_streamlocal("/run/x").await.is_err());
    let mut channel = client.channel_open_session().await.unwrap();
    let second = client.channel_open_session().await;
    let Err(Error::ChannelOpenFailure(failure)) = second else { panic!() };
    assert_eq!(failure.code(), 1);
    channel.request_subsystem(true, "sftp").await.unwrap();
    channel.request_x11(true, false, "MIT-MAGIC-COOKIE-1", "00", 0).await.unwrap();
    channel.agent_forward(true).await.unwrap();
    channel.set_env(true, "LD_PRELOAD", "x".repeat(30_000)).await.unwrap();
    for _ in 0..4 {
        assert!(matches!(soon(channel.wait()).await, Some(ChannelMsg::Failure)));
    }
    channel.exec(true, "http").await.unwrap();
    assert!(matches!(soon(channel.wait()).await, Some(ChannelMsg::Success)));
    let accepted = server.accepted().await;
    channel.exec(true, "http").await.unwrap();
    assert!(matches!(soon(channel.wait()).await, Some(ChannelMsg::Failure)));
    channel.signal(russh::Sig::INT).await.unwrap();
    accepted.session.close("the account is gone");
    assert!(matches!(soon(accepted.session.closed()).await, CloseReason::LocalClosed));
}

#[tokio::test]
async fn a_prompt_says_why_and_takes_an_authtoken() {
    let mut server = Server::start("nobody").await;
    let mut client = connect(&server).await;
    let key = PrivateKey::random(&mut rand::rng(), russh::keys::Algorithm::Ed25519).unwrap();
    assert!(!key.public_key_base64().is_empty());
    let key = PrivateKeyWithHashAlg::new(Arc::new(key), None);
    let refused = client.authenticate_publickey("me", key).await.unwrap();
    assert!(matches!(refused, AuthResult::Failure { .. }));
    let asked = client.authenticate_keyboard_interactive_start("me", None).await.unwrap();
    let KeyboardInteractiveAuthResponse::InfoRequest { instructions, prompts, .. } = asked else { panic!() };
    assert!(instructions.contains("ERR_NGROK_1102") && !prompts[0].echo);
    let answered = client.authenticate_keyboard_interactive_respond(vec![TOKEN.to_owned()]).await.unwrap();
    assert!(matches!(answered, KeyboardInteractiveAuthResponse::Success));
    client.tcpip_forward("localhost", 443).await.unwrap();
    let channel = client.channel_open_session().await.unwrap();
    channel.exec(true, "http").await.unwrap();
    assert_eq!(server.accepted().await.who, "token");
}

#[tokio::test]
async fn too_many_keys_and_a_wrong_password() {
    let mut server = Server::start("nobody").await;
    let mut client = connect(&server).await;
    let mut tried = 0;
    loop {
        let key = PrivateKey::random(&mut rand::rng(), russh::keys::Algorithm::Ed25519).unwrap();
        let key = PrivateKeyWithHashAlg::new(Arc::new(key), None);
        match client.authenticate_publickey("me", key).await.unwrap() {
            AuthResult::Success => break,
            AuthResult::Failure { .. } => tried += 1,
        }
    }
    assert_eq!(tried, 6);
    let mut channel = client.channel_open_session().await.unwrap();
    channel.exec(true, "http").await.unwrap();
    let (text, status) = read_all(&mut channel).await;
    assert!(text.ends_with("ERR_NGROK_1101\n") && status == Some(1), "{text}");
    assert_eq!(server.refused().await, Code::ERR_NGROK_1101);

    let mut client = connect(&server).await;
    assert!(matches!(client.authenticate_password("v2", "wrong").await, Ok(AuthResult::Success)));
    client.tcpip_forward("localhost", 443).await.unwrap();
    let mut channel = client.channel_open_session().await.unwrap();
    channel.exec(true, "http").await.unwrap();
    let (text, status) = read_all(&mut channel).await;
    assert!(text.ends_with("ERR_NGROK_107\n") && status == Some(1), "{text}");
    assert_eq!(server.refused().await, Code::ERR_NGROK_107);
}

#[tokio::test]
async fn a_terminal_that_does_not_read_loses_lines_and_nothing_else() {
    let mut server = Server::start("nobody").await;
    // Its window is used up by the first lines.
    let config = Arc::new(client::Config { window_size: 64, ..client::Config::default() });
    let mut client = soon(client::connect(config, server.addr, Echo)).await.unwrap();
    client.authenticate_password("v2", TOKEN).await.unwrap();
    client.tcpip_forward("localhost", 443).await.unwrap();
    let channel = client.channel_open_session().await.unwrap();
    channel.exec(true, "http").await.unwrap();
    let accepted = server.accepted().await;
    for _ in 0..1000 {
        accepted.terminal.line("somebody was here");
    }
    assert!(accepted.terminal.dropped() > 500);
    let mut stream = soon(accepted.endpoints[0].forwarded.open(client_addr())).await.unwrap();
    stream.write_all(b"ping").await.unwrap();
    soon(stream.read_exact(&mut [0; 4])).await.unwrap();
}

#[tokio::test]
async fn streams_have_a_limit_and_one_given_up_ends_at_the_client() {
    let limits = Limits { streams: 2, ..Limits::default() };
    let mut server = Server::with("nobody", limits).await;
    let client = with_token(&server).await;
    client.tcpip_forward("localhost", 443).await.unwrap();
    let channel = client.channel_open_session().await.unwrap();
    channel.exec(true, "http").await.unwrap();
    let accepted = server.accepted().await;
    let forwarded = &accepted.endpoints[0].forwarded;
    let one = soon(forwarded.open(client_addr())).await.unwrap();
    let mut two = soon(forwarded.open(client_addr())).await.unwrap();
    assert!(matches!(forwarded.open(client_addr()).await, Err(OpenError::TooManyStreams { limit: 2 })));
    drop(one);
    let mut three = soon(forwarded.open(client_addr())).await.unwrap();
    two.reset(ErrorCode::STREAM_CANCELLED);
    assert!(two.read_chunk(1).await.is_err());
    // The others are as they were.
    three.write_all(b"ping").await.unwrap();
    soon(three.read_exact(&mut [0; 4])).await.unwrap();
}

#[tokio::test]
async fn packets_that_are_too_small_are_a_fault() {
    let mut server = Server::start("nobody").await;
    let config = Arc::new(client::Config { maximum_packet_size: 512, ..client::Config::default() });
    let mut client = soon(client::connect(config, server.addr, Echo)).await.unwrap();
    client.authenticate_password("v2", TOKEN).await.unwrap();
    client.tcpip_forward("localhost", 443).await.unwrap();
    let channel = client.channel_open_session().await.unwrap();
    channel.exec(true, "http").await.unwrap();
    let accepted = server.accepted().await;
    let _opened = soon(accepted.endpoints[0].forwarded.open(client_addr())).await;
    let reason = soon(accepted.session.closed()).await;
    assert!(matches!(reason, CloseReason::PeerFault(_)), "{reason}");
}

#[tokio::test]
async fn a_session_that_nobody_holds_is_cut() {
    let mut server = Server::start("nobody").await;
    let client = with_token(&server).await;
    client.tcpip_forward("localhost", 443).await.unwrap();
    let mut channel = client.channel_open_session().await.unwrap();
    channel.exec(true, "http").await.unwrap();
    let accepted = server.accepted().await;
    let stream = soon(accepted.endpoints[0].forwarded.open(client_addr())).await.unwrap();
    drop(accepted);
    // A stream holds it.
    assert!(!client.is_closed());
    drop(stream);
    while soon(channel.wait()).await.is_some() {}
}

#[tokio::test]
async fn names_and_commands_that_no_user_would_type() {
    let mut server = Server::start("nobody").await;
    let long = format!("http --metadata {}", "a".repeat(30_000));
    let cases = [
        ("a b", "http", Code::ERR_NGROK_327),
        ("a\x1b]0;x\x07.example.com", "http", Code::ERR_NGROK_327),
        ("localhost", long.as_str(), Code::ERR_NGROK_1110),
        ("localhost", "http\0", Code::ERR_NGROK_1110),
        ("localhost", "http 'x", Code::ERR_NGROK_1110),
        ("localhost", "\x1b[2J", Code::ERR_NGROK_1108),
    ];
    for (address, command, code) in cases {
        let client = with_token(&server).await;
        client.tcpip_forward(address, 443).await.unwrap();
        let mut channel = client.channel_open_session().await.unwrap();
        channel.exec(true, command).await.unwrap();
        let (text, status) = read_all(&mut channel).await;
        assert!(text.ends_with(&format!("{}\n", code.name())) && status == Some(1), "{text}");
        assert!(!text.contains(['\x1b', '\x07', '\r']), "{text:?}");
        assert_eq!(server.refused().await, code);
    }
}

#[tokio::test]
async fn a_flood_of_channels_and_forwards_is_refused() {
    let mut server = Server::start("nobody").await;
    let client = with_token(&server).await;
    let mut granted = 0;
    for number in 0..100 {
        granted += usize::from(client.tcpip_forward(format!("a{number}.example.com"), 443).await.is_ok());
    }
    assert_eq!(granted, Limits::default().forwards);
    for _ in 0..100 {
        client.cancel_tcpip_forward("a0.example.com", 443).await.unwrap();
        if client.tcpip_forward("a0.example.com", 443).await.is_err() {
            granted = 0;
            break;
        }
    }
    assert_eq!(granted, 0, "coming and going has an end, too");
    let channel = client.channel_open_session().await.unwrap();
    for _ in 0..100 {
        assert!(client.channel_open_session().await.is_err());
    }
    channel.exec(true, "http").await.unwrap();
    assert_eq!(server.accepted().await.endpoints.len(), Limits::default().forwards - 1);
}
