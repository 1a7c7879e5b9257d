//! Clients that are who they say, and ask for too much or in a way that nobody would.

use std::sync::Arc;
use std::time::Duration;

use portway_codes::Code;
use portway_ssh::Limits;
use russh::client::{self, Handle};
use russh::{ChannelMsg, Pty};

use crate::requests::{Echo, connect, read_all, with_token};
use crate::support::{Server, TOKEN, soon};

/// The client is served after all.
async fn is_served(server: &mut Server, client: &Handle<Echo>) {
    client.tcpip_forward("good.example.com", 443).await.unwrap();
    let channel = client.channel_open_session().await.unwrap();
    channel.exec(true, "http").await.unwrap();
    assert_eq!(server.accepted().await.endpoints.len(), 1);
}

/// Another client is served.
async fn others_are_served(server: &mut Server) {
    let client = with_token(server).await;
    is_served(server, &client).await;
}

#[tokio::test]
async fn global_requests_whose_lengths_lie_make_no_endpoint() {
    let mut server = Server::start("nobody").await;
    let forward = |length: u32, address: &[u8], rest: &[u8]| [&length.to_be_bytes()[..], address, rest].concat();
    let port = [0, 0, 1, 0xBB];
    let cases = [
        vec![],
        vec![0xFF; 3],
        forward(0xFFFF_FFFF, b"a", &port),
        forward(0x7FFF_FFFF, b"a", &port),
        forward(6, b"a", &port),
        forward(1, b"a", &[]),
        forward(1, b"a", &[0, 0, 1]),
        forward(1, b"a", &[&port[..], b"more"].concat()),
        forward(2, b"\xFF\xFE", &port),
        forward(256, &[b'a'; 256], &port),
        forward(200_000, &[b'a'; 200_000], &port),
    ];
    for name in ["tcpip-forward", "cancel-tcpip-forward", "streamlocal-forward@openssh.com", "made-up@example.com"] {
        for data in &cases {
            let client = with_token(&server).await;
            // Refused, or taken for the fault it is.
            let answer = soon(client.send_global_request(name, data, true)).await;
            assert!(!matches!(answer, Ok(Some(_))), "{name} {} bytes", data.len());
            drop(client);
            assert!(server.outcome().await.is_err(), "{name} {} bytes", data.len());
        }
    }
    others_are_served(&mut server).await;
}

#[tokio::test]
async fn names_of_every_length_are_kept_to_the_longest_there_can_be() {
    let mut server = Server::start("nobody").await;
    let client = with_token(&server).await;
    for length in [256, 1_000, 32_000, 200_000] {
        assert!(client.tcpip_forward("a".repeat(length), 443).await.is_err(), "{length}");
    }
    for address in ["a\0b", "\u{202e}moc.elpmaxe", "../..", "a b\r\nc", "%00", "[::1", "999.1.1.1", "*.*.example.com"] {
        let client = with_token(&server).await;
        client.tcpip_forward(address, 443).await.unwrap();
        let mut channel = client.channel_open_session().await.unwrap();
        channel.exec(true, "http").await.unwrap();
        let (text, status) = read_all(&mut channel).await;
        assert!(text.contains("ERR_NGROK_3") && status == Some(1), "{address:?}: {text}");
        assert!(
            text.chars().all(|shown| shown == '\n' || !shown.is_control()) && !text.contains('\u{202e}'),
            "{text:?}"
        );
        drop((channel, client));
        server.refused().await;
    }
    is_served(&mut server, &client).await;
}

#[tokio::test]
async fn channels_of_every_kind_by_the_hundred_are_refused() {
    let mut server = Server::start("nobody").await;
    let client = with_token(&server).await;
    for number in 0..100 {
        assert!(client.channel_open_direct_tcpip("127.0.0.1", number, "127.0.0.1", 1).await.is_err());
        assert!(client.channel_open_x11("127.0.0.1", number).await.is_err());
        assert!(client.channel_open_direct_streamlocal("/run/x").await.is_err());
    }
    is_served(&mut server, &client).await;
}

#[tokio::test]
async fn requests_by_the_thousand_change_nothing() {
    let mut server = Server::start("nobody").await;
    let client = with_token(&server).await;
    client.tcpip_forward("good.example.com", 443).await.unwrap();
    let mut channel = client.channel_open_session().await.unwrap();
    for number in 0..500 {
        channel.set_env(true, format!("NAME{number}"), "x".repeat(1_000)).await.unwrap();
        assert!(matches!(soon(channel.wait()).await, Some(ChannelMsg::Failure)));
    }
    for _ in 0..1_000 {
        channel.window_change(u32::MAX, 0, u32::MAX, 0).await.unwrap();
        channel.signal(russh::Sig::Custom("x".repeat(100))).await.unwrap();
    }
    let modes = [(Pty::VINTR, u32::MAX); 100];
    for _ in 0..100 {
        channel.request_pty(true, &"t".repeat(10_000), u32::MAX, 0, 0, 0, &modes).await.unwrap();
        assert!(matches!(soon(channel.wait()).await, Some(ChannelMsg::Success)));
    }
    for _ in 0..400 {
        channel.data(&[b'x'; 20_000][..]).await.unwrap();
    }
    channel.exec(true, "http").await.unwrap();
    assert_eq!(server.accepted().await.endpoints.len(), 1);
}

#[tokio::test]
async fn commands_of_any_length_are_refused() {
    let mut server = Server::start("nobody").await;
    for length in [10_000, 30_000, 200_000] {
        let client = with_token(&server).await;
        client.tcpip_forward("localhost", 443).await.unwrap();
        let mut channel = client.channel_open_session().await.unwrap();
        channel.exec(true, "a ".repeat(length / 2)).await.unwrap();
        let (text, status) = read_all(&mut channel).await;
        assert!(text.ends_with("ERR_NGROK_1110\n") && status == Some(1) && text.len() < 1_000, "{length}: {text}");
        drop((channel, client));
        assert_eq!(server.refused().await, Code::ERR_NGROK_1110);
    }
    // Longer than any packet: the connection ends.
    let client = with_token(&server).await;
    client.tcpip_forward("localhost", 443).await.unwrap();
    let mut channel = client.channel_open_session().await.unwrap();
    let _ = channel.exec(true, vec![b'a'; 1 << 20]).await;
    while soon(channel.wait()).await.is_some() {}
    assert!(server.outcome().await.is_err());
    others_are_served(&mut server).await;
}

#[tokio::test]
async fn a_terminal_without_room_for_a_byte_holds_nobody_up() {
    let short = Duration::from_secs(1);
    let limits = Limits { write_stall: short, setup_grace: short, ..Limits::default() };
    let mut server = Server::with("nobody", limits).await;
    for (window_size, maximum_packet_size) in [(0, 32_768), (65_536, 0), (65_536, 1)] {
        let config = client::Config { window_size, maximum_packet_size, ..client::Config::default() };
        let mut client = soon(client::connect(Arc::new(config), server.addr, Echo)).await.unwrap();
        client.authenticate_password("v2", TOKEN).await.unwrap();
        // Packets without a byte are a fault.
        let opened = client.channel_open_session().await;
        assert_eq!(opened.is_ok(), maximum_packet_size > 0, "{window_size} {maximum_packet_size}");
        if let Ok(channel) = &opened {
            channel.exec(true, "http --help").await.unwrap();
        }
        assert!(server.outcome().await.is_err(), "{window_size} {maximum_packet_size}");
        let mut late = connect(&server).await;
        late.authenticate_password("v2", TOKEN).await.unwrap();
        is_served(&mut server, &late).await;
    }
}
