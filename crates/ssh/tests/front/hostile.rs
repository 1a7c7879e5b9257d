//! Clients that lie, before they have said who they are.

use std::time::Duration;

use portway_ssh::{AcceptError, Limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Server, soon};

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
