//! Sessions and streams over real loopback TLS and QUIC: the same behaviour on both carriers.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use portway_mux::{Carrier, CloseReason, ErrorCode, OpenError, SessionConfig, Stream, StreamError};
use tokio::time::timeout;

use crate::support::{BOTH, echo, pair, pair_with, pattern, read_to_end, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

/// Longer than anything here takes; a test that waits for ever fails with a line number.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn many_streams_echo_what_they_get() {
    for carrier in BOTH {
        let pair = pair(carrier).await;
        let server = tokio::spawn(echo(pair.agent.clone()));
        let mut clients = JoinSet::new();
        for index in 0..500u64 {
            let edge = pair.edge.clone();
            clients.spawn(async move {
                let sent = pattern(1 + (index as usize * 37) % 5000, index);
                let mut stream = edge.open(sent.slice(..1)).await.unwrap();
                stream.write_chunk(sent.slice(1..)).await.unwrap();
                stream.finish().await.unwrap();
                assert!(read_to_end(&mut stream).await == sent);
            });
        }
        clients.join_all().await;
        timeout(PATIENCE, async {
            while pair.edge.open_streams() + pair.agent.open_streams() > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
        pair.edge.close("done");
        server.await.unwrap();
    }
}

#[tokio::test]
async fn the_agent_opens_more_streams_than_the_edge_allows_at_first() {
    for carrier in BOTH {
        let edge = SessionConfig { opens_per_second: 1000, max_unaccepted: 1000, ..SessionConfig::edge() };
        let pair = pair_with(carrier, SessionConfig::agent(), edge).await;
        let mut held = Vec::new();
        for _ in 0..100 {
            let mut opened = pair.agent.open(Bytes::from_static(b"head")).await.unwrap();
            opened.flush().await.unwrap();
            held.push((opened, timeout(PATIENCE, pair.edge.accept()).await.unwrap().unwrap()));
        }
        assert_eq!(pair.edge.open_streams(), 100);
    }
}

async fn bulk(carrier: Carrier, total: usize) {
    let pair = pair(carrier).await;
    let (mut near, mut far) = stream(&pair).await;
    let block = pattern(1 << 20, 7);
    let sender = tokio::spawn(async move {
        let mut hash = Context::new(&SHA256);
        for _ in 0..total >> 20 {
            hash.update(&block);
            near.write_chunk(block.clone()).await.unwrap();
        }
        near.finish().await.unwrap();
        assert!(near.read_chunk(1).await.unwrap().is_none());
        hash.finish()
    });
    let mut hash = Context::new(&SHA256);
    let mut received = 0;
    while let Some(chunk) = timeout(PATIENCE, far.read_chunk(usize::MAX)).await.unwrap().unwrap() {
        received += chunk.len();
        hash.update(&chunk);
    }
    far.finish().await.unwrap();
    assert_eq!(received, total);
    assert_eq!(hash.finish().as_ref(), sender.await.unwrap().as_ref());
}

#[tokio::test]
async fn a_hundred_mebibytes_arrive_whole_over_tcp() {
    bulk(Carrier::Tcp, 100 << 20).await;
}

#[tokio::test]
async fn a_hundred_mebibytes_arrive_whole_over_quic() {
    bulk(Carrier::Quic, 100 << 20).await;
}

#[tokio::test]
async fn each_direction_ends_by_itself() {
    for carrier in BOTH {
        let pair = pair(carrier).await;
        let (mut near, mut far) = stream(&pair).await;
        near.write_chunk(Bytes::from_static(b"question")).await.unwrap();
        near.finish().await.unwrap();
        assert_eq!(read_to_end(&mut far).await, b"question");
        // The other direction goes on after that.
        for _ in 0..3 {
            far.write_chunk(Bytes::from_static(b"answer")).await.unwrap();
        }
        far.finish().await.unwrap();
        assert_eq!(read_to_end(&mut near).await, b"answeransweranswer");
        assert!(matches!(near.write_chunk(Bytes::from_static(b"x")).await, Err(StreamError::Finished)));
    }
}

#[tokio::test]
async fn a_reset_is_told_from_an_end_and_carries_its_code() {
    for carrier in BOTH {
        let pair = pair(carrier).await;
        let (mut near, mut far) = stream(&pair).await;
        far.reset(ErrorCode::UPSTREAM_REFUSED);
        for _ in 0..2 {
            let error = near.read_chunk(10).await.unwrap_err();
            assert_eq!(error.reset_code(), Some(ErrorCode::UPSTREAM_REFUSED), "{carrier}");
        }
        let mut byte = [0];
        let error = near.read(&mut byte).await.unwrap_err();
        assert_eq!(StreamError::from_io(&error).unwrap().reset_code(), Some(ErrorCode::UPSTREAM_REFUSED));
        timeout(PATIENCE, async {
            // A write learns of it as soon as the peer's word has come.
            while near.write_chunk(Bytes::from_static(b"x")).await.is_ok() {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn a_dropped_stream_is_cancelled() {
    for carrier in BOTH {
        let pair = pair(carrier).await;
        let (near, mut far) = stream(&pair).await;
        drop(near);
        let error = timeout(PATIENCE, far.read_chunk(10)).await.unwrap().unwrap_err();
        assert_eq!(error.reset_code(), Some(ErrorCode::STREAM_CANCELLED), "{carrier}");
        drop(far);
        assert_eq!(pair.agent.open_streams(), 0);
    }
}

/// Writes until the stream takes no more; tells how much it took.
async fn fill(stream: &mut Stream, block: &Bytes) -> usize {
    let mut total = 0;
    loop {
        let mut left = block.clone();
        let write = poll_fn(|cx| stream.poll_write_chunk(cx, &mut left));
        let full = timeout(Duration::from_millis(300), write).await.is_err();
        total += block.len() - left.len();
        if full {
            return total;
        }
    }
}

#[tokio::test]
async fn a_reader_that_stops_holds_its_writer_and_nobody_else() {
    for carrier in BOTH {
        let pair = pair(carrier).await;
        let (mut near, mut far) = stream(&pair).await;
        let block = pattern(256 * 1024, 3);
        let taken = fill(&mut near, &block).await;
        // The window of the stream, the send buffer, and what is on the way.
        assert!(taken < 20 << 20, "{carrier}: {taken}");
        let (mut other, mut echoed) = stream(&pair).await;
        other.write_chunk(Bytes::from_static(b"not blocked")).await.unwrap();
        other.finish().await.unwrap();
        assert_eq!(timeout(PATIENCE, read_to_end(&mut echoed)).await.unwrap(), b"not blocked");
        let reader = tokio::spawn(async move { (read_to_end(&mut far).await.len(), far) });
        near.finish().await.unwrap();
        assert_eq!(reader.await.unwrap().0, taken, "{carrier}");
    }
}

#[tokio::test]
async fn the_end_of_a_session_wakes_everybody() {
    for carrier in BOTH {
        for polite in [true, false] {
            // Little in flight, so that the one packet that closes a QUIC connection is not lost in a flood.
            let agent = SessionConfig { quic_stream_window: 64 * 1024, ..SessionConfig::agent() };
            let pair = pair_with(carrier, agent, SessionConfig::edge()).await;
            let (mut near, mut far) = stream(&pair).await;
            let (mut blocked, _unread) = stream(&pair).await;
            fill(&mut blocked, &pattern(1 << 20, 1)).await;
            let (edge, agent) = (pair.edge.clone(), pair.agent.clone());
            let mut waiting = JoinSet::new();
            waiting.spawn(async move { assert!(edge.accept().await.is_none()) });
            waiting.spawn(async move { assert!(agent.accept().await.is_none()) });
            let lost = |result: StreamError| assert!(matches!(result, StreamError::SessionLost(_)));
            waiting.spawn(async move { lost(near.read_chunk(1).await.unwrap_err()) });
            waiting.spawn(async move { lost(far.read_chunk(1).await.unwrap_err()) });
            waiting.spawn(async move { lost(blocked.write_chunk(Bytes::from(vec![0; 64 << 20])).await.unwrap_err()) });
            tokio::task::yield_now().await;
            if polite {
                pair.edge.close("going for lunch");
            } else {
                pair.edge.abort();
            }
            timeout(PATIENCE, waiting.join_all()).await.unwrap();
            assert!(matches!(pair.edge.closed().await, CloseReason::LocalClosed));
            assert!(pair.edge.close_reason().is_some());
            let reason = pair.agent.closed().await;
            if polite {
                let CloseReason::PeerClosed { code, text } = reason else { panic!("{carrier}: {reason}") };
                assert_eq!((code, text.as_str()), (ErrorCode::NONE, "going for lunch"));
            }
            assert!(matches!(pair.agent.open(Bytes::new()).await, Err(OpenError::Closed(_))));
        }
    }
}

#[tokio::test]
async fn a_session_closes_when_its_last_handle_goes() {
    for carrier in BOTH {
        let pair = pair(carrier).await;
        let (near, mut far) = stream(&pair).await;
        drop(pair.edge);
        far.write_chunk(Bytes::from_static(b"still open")).await.unwrap();
        drop(near);
        let reason = timeout(PATIENCE, pair.agent.closed()).await.unwrap();
        assert!(matches!(reason, CloseReason::PeerClosed { .. }), "{carrier}: {reason}");
    }
}

#[tokio::test]
async fn the_limit_of_streams_is_told_and_passes() {
    for carrier in BOTH {
        let edge = SessionConfig { max_streams: 12, ..SessionConfig::edge() };
        let pair = pair_with(carrier, SessionConfig::agent(), edge).await;
        let mut held = Vec::new();
        let limit = loop {
            match pair.edge.open(Bytes::from_static(b"head")).await {
                Ok(stream) => held.push(stream),
                Err(OpenError::TooManyStreams { limit }) => break limit,
                Err(other) => panic!("{other}"),
            }
        };
        assert_eq!(limit, 12);
        assert!((10..=12).contains(&held.len()), "{carrier}: {}", held.len());
        held.pop();
        timeout(PATIENCE, async {
            while pair.edge.open(Bytes::from_static(b"head")).await.is_err() {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn a_peer_that_opens_too_fast_is_refused_stream_by_stream() {
    for carrier in BOTH {
        let edge = SessionConfig { opens_per_second: 20, max_unaccepted: 1000, ..SessionConfig::edge() };
        let pair = pair_with(carrier, SessionConfig::agent(), edge).await;
        let accepting = tokio::spawn({
            let edge = pair.edge.clone();
            async move {
                let mut held = Vec::new();
                while let Some(stream) = edge.accept().await {
                    held.push(stream);
                }
                held.len()
            }
        });
        let mut opened = Vec::new();
        for _ in 0..30 {
            let mut stream = pair.agent.open(Bytes::from_static(b"head")).await.unwrap();
            stream.flush().await.unwrap();
            opened.push(stream);
        }
        let mut refused = 0;
        for stream in &mut opened {
            if let Ok(Err(error)) = timeout(Duration::from_millis(50), stream.read_chunk(1)).await {
                assert_eq!(error.reset_code(), Some(ErrorCode::ENHANCE_YOUR_CALM), "{carrier}");
                refused += 1;
            }
        }
        assert!(refused > 0, "{carrier}");
        pair.edge.abort();
        assert_eq!(accepting.await.unwrap() + refused, 30);
    }
}

#[tokio::test]
async fn streams_that_nobody_accepts_are_refused_beyond_a_limit() {
    let edge = SessionConfig { max_unaccepted: 10, ..SessionConfig::edge() };
    let pair = pair_with(Carrier::Tcp, SessionConfig::agent(), edge).await;
    let mut opened = Vec::new();
    for _ in 0..15 {
        let mut stream = pair.agent.open(Bytes::from_static(b"head")).await.unwrap();
        stream.flush().await.unwrap();
        opened.push(stream);
    }
    for stream in opened.iter_mut().skip(10) {
        let error = timeout(PATIENCE, stream.read_chunk(1)).await.unwrap().unwrap_err();
        assert_eq!(error.reset_code(), Some(ErrorCode::ACCEPT_QUEUE_FULL));
    }
    for _ in 0..10 {
        assert_eq!(pair.edge.accept().await.unwrap().read_chunk(9).await.unwrap().unwrap(), "head");
    }
}

#[tokio::test]
async fn streams_work_from_other_threads_and_runtimes() {
    for carrier in BOTH {
        let pair = pair(carrier).await;
        let server = tokio::spawn(echo(pair.agent.clone()));
        let threads: Vec<_> = (0..4u64)
            .map(|seed| {
                let edge = pair.edge.clone();
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    runtime.block_on(async move {
                        for round in 0..20 {
                            let sent = pattern(100_000, seed * 100 + round);
                            let stream = edge.open(sent.slice(..10)).await.unwrap();
                            let (mut recv, mut send) = tokio::io::split(stream);
                            let rest = sent.slice(10..);
                            let writing = async {
                                send.write_all(&rest).await.unwrap();
                                send.shutdown().await.unwrap();
                            };
                            let mut got = Vec::new();
                            let (_, read) = tokio::join!(writing, recv.read_to_end(&mut got));
                            read.unwrap();
                            assert!(got == sent);
                        }
                    });
                })
            })
            .collect();
        tokio::task::spawn_blocking(|| threads.into_iter().for_each(|thread| thread.join().unwrap())).await.unwrap();
        pair.edge.abort();
        server.await.unwrap();
    }
}

#[tokio::test]
async fn the_round_trip_is_known_soon_and_heartbeats_are_not_seen() {
    for carrier in BOTH {
        let pair = pair(carrier).await;
        timeout(PATIENCE, async {
            while pair.agent.rtt().is_none() || pair.edge.rtt().is_none() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await
        .unwrap();
        assert!(pair.agent.rtt() < Some(Duration::from_secs(5)));
        assert_eq!((pair.agent.open_streams(), pair.edge.open_streams()), (0, 0));
        assert!(poll_fn(|cx| Poll::Ready(std::pin::pin!(pair.edge.accept()).poll(cx).is_pending())).await);
        assert_eq!(pair.agent.peer_addr(), pair.server.address);
        assert_eq!(pair.edge.peer_addr(), pair.agent.local_addr());
    }
}

#[tokio::test]
async fn head_and_first_bytes_come_in_one_piece() {
    let pair = pair(Carrier::Tcp).await;
    let mut near = pair.edge.open(Bytes::from_static(b"head+")).await.unwrap();
    near.write_chunk(Bytes::from_static(b"payload")).await.unwrap();
    let mut far = pair.agent.accept().await.unwrap();
    assert_eq!(far.read_chunk(100).await.unwrap().unwrap().len(), "head+payload".len());
}
