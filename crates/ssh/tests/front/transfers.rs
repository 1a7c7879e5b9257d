//! Many bytes and many streams through OpenSSH.

use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher;
use std::time::Duration;

use portway_ssh::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::support::{OpenSsh, Server, client_addr, echo, service, soon};

const MEGABYTE: usize = 1 << 20;

/// Numbers that look random, the same each time.
fn block(seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..MEGABYTE / 8).flat_map(|_| next().to_le_bytes()).collect()
}

async fn hash_of(mut reader: impl tokio::io::AsyncRead + Unpin) -> (usize, u64) {
    let (mut hasher, mut count, mut room) = (DefaultHasher::new(), 0, vec![0; 65_536]);
    loop {
        match reader.read(&mut room).await.unwrap() {
            0 => return (count, hasher.finish()),
            read => {
                room[..read].iter().for_each(|byte| hasher.write_u8(*byte));
                count += read;
            }
        }
    }
}

async fn send(mut writer: impl tokio::io::AsyncWrite + Unpin, megabytes: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    for seed in 0..megabytes {
        let block = block(seed);
        block.iter().for_each(|byte| hasher.write_u8(*byte));
        writer.write_all(&block).await.unwrap();
    }
    writer.shutdown().await.unwrap();
    hasher.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_megabytes_both_ways_while_keys_are_renewed() {
    let Some(ssh) = OpenSsh::new() else { return };
    let mut server = Server::start(&ssh.fingerprint).await;
    let forward = format!("0:127.0.0.1:{}", echo().await);
    let options = ["-o", "RekeyLimit=1M", "-R", &forward];
    let _child = ssh.ssh(&server, "v2", &options).arg("tcp").spawn().unwrap();
    let accepted = server.accepted().await;
    let stream = soon(accepted.endpoints[0].forwarded.open(client_addr())).await.unwrap();
    let (recv, writing) = stream.split();
    let sending = tokio::spawn(send(writing, 20));
    let (count, received) = timeout(Duration::from_secs(240), hash_of(recv)).await.unwrap();
    assert_eq!((count, received), (20 * MEGABYTE, sending.await.unwrap()));
    assert!(accepted.session.close_reason().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_streams_at_once() {
    let Some(ssh) = OpenSsh::new() else { return };
    let mut server = Server::start(&ssh.fingerprint).await;
    let forward = format!("443:127.0.0.1:{}", echo().await);
    let _child = ssh.ssh(&server, "v2", &["-R", &forward]).arg("http").spawn().unwrap();
    let accepted = server.accepted().await;
    let mut streams = JoinSet::new();
    for number in 0..100_u32 {
        let forwarded = accepted.endpoints[0].forwarded.clone();
        streams.spawn(async move {
            let mut stream = forwarded.open(client_addr()).await.unwrap();
            let text = format!("visitor {number} ").repeat(1000);
            stream.write_all(text.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut back = String::new();
            stream.read_to_string(&mut back).await.unwrap();
            assert_eq!(back, text);
        });
    }
    assert_eq!(soon(streams.join_all()).await.len(), 100);
    assert_eq!(accepted.session.open_streams(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visitor_who_does_not_read_stops_nobody_else_and_loses_nothing() {
    let Some(ssh) = OpenSsh::new() else { return };
    let limits = Limits { reader_stall: Duration::from_secs(3600), ..Limits::default() };
    let mut server = Server::with(&ssh.fingerprint, limits).await;
    let flood = service(|stream| async move {
        send(stream, 12).await;
    })
    .await;
    let (slow, quick) = (format!("443:127.0.0.1:{flood}"), format!("80:127.0.0.1:{}", echo().await));
    let _child = ssh.ssh(&server, "v2", &["-R", &slow, "-R", &quick]).arg("http").spawn().unwrap();
    let accepted = server.accepted().await;
    let mut slow = soon(accepted.endpoints[0].forwarded.open(client_addr())).await.unwrap();
    // The flood has begun.
    let first = soon(slow.read_chunk(1)).await.unwrap().unwrap();
    for _ in 0..20 {
        let stream = soon(accepted.endpoints[1].forwarded.open(client_addr())).await.unwrap();
        let (recv, writing) = stream.split();
        let sending = tokio::spawn(send(writing, 1));
        let (count, received) = soon(hash_of(recv)).await;
        assert_eq!((count, received), (MEGABYTE, sending.await.unwrap()));
    }
    let (recv, mut writing) = slow.split();
    writing.shutdown().await.unwrap();
    let whole = std::io::Cursor::new(first).chain(recv);
    let expected = send(tokio::io::sink(), 12).await;
    assert_eq!(timeout(Duration::from_secs(120), hash_of(whole)).await.unwrap(), (12 * MEGABYTE, expected));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_visitor_and_a_large_transfer_share_the_connection() {
    let Some(ssh) = OpenSsh::new() else { return };
    let mut server = Server::start(&ssh.fingerprint).await;
    let flood = service(|stream| async move {
        send(stream, 8).await;
    })
    .await;
    let (slow, quick) = (format!("443:127.0.0.1:{flood}"), format!("80:127.0.0.1:{}", echo().await));
    let _child = ssh.ssh(&server, "v2", &["-R", &slow, "-R", &quick]).arg("http").spawn().unwrap();
    let accepted = server.accepted().await;
    let (mut slow, mut ended) = soon(accepted.endpoints[0].forwarded.open(client_addr())).await.unwrap().split();
    let reading = tokio::spawn(async move {
        let mut count = 0;
        while let Some(chunk) = slow.read_chunk(65_536).await.unwrap() {
            count += chunk.len();
            // What makes it slow.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        ended.finish().await.unwrap();
        count
    });
    let (recv, writing) = soon(accepted.endpoints[1].forwarded.open(client_addr())).await.unwrap().split();
    let sending = tokio::spawn(send(writing, 8));
    let large = timeout(Duration::from_secs(120), hash_of(recv)).await.unwrap();
    assert_eq!(large, (8 * MEGABYTE, sending.await.unwrap()));
    assert_eq!(timeout(Duration::from_secs(120), reading).await.unwrap().unwrap(), 8 * MEGABYTE);
}
