//! Pipes between a local connection and a stream.

use std::time::Duration;

use bytes::Bytes;
use portway_mux::{ErrorCode, PipeError, PipeLimits, PipeStats, Stream, StreamError, pipe, pipe_with};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::support::{BOTH, Pair, pair, pattern, read_to_end, stream};

const NO_LIMIT: PipeLimits = PipeLimits { idle_timeout: None };

type Piped = JoinHandle<Result<PipeStats, PipeError>>;

/// A pipe between a stream and a duplex: what is written to the one comes out of the other.
async fn piped(pair: &Pair, limits: PipeLimits) -> (Stream, DuplexStream, Piped) {
    let (near, far) = stream(pair).await;
    let (mut inside, outside) = duplex(16 * 1024);
    let task = tokio::spawn(async move { pipe(&mut inside, far, limits).await });
    (near, outside, task)
}

#[tokio::test]
async fn bytes_and_ends_pass_both_ways() {
    for carrier in BOTH {
        let pair = pair(carrier).await;
        let (mut near, mut local, task) = piped(&pair, NO_LIMIT).await;
        let (down, up) = (pattern(3_000_000, 1), pattern(2_000_000, 2));
        let (mut got_down, mut got_up) = (Vec::new(), Vec::new());
        let (recv, send) = near.halves();
        let (mut local_read, mut local_write) = tokio::io::split(&mut local);
        tokio::join!(
            async {
                send.write_chunk(down.clone()).await.unwrap();
                send.finish().await.unwrap();
            },
            async { local_read.read_to_end(&mut got_down).await.map(drop).unwrap() },
            async {
                local_write.write_all(&up).await.unwrap();
                local_write.shutdown().await.unwrap();
            },
            async { recv.read_to_end(&mut got_up).await.map(drop).unwrap() },
        );
        assert!(got_down == down && got_up == up);
        assert_eq!(task.await.unwrap().unwrap(), PipeStats { sent: 2_000_000, received: 3_000_000, told_end: true });
    }
}

#[tokio::test]
async fn one_direction_goes_on_after_the_other_has_ended() {
    for carrier in BOTH {
        let pair = pair(carrier).await;
        let (mut near, mut local, task) = piped(&pair, NO_LIMIT).await;
        local.write_all(b"request").await.unwrap();
        local.shutdown().await.unwrap();
        assert_eq!(read_to_end(&mut near).await, b"request");
        near.write_all(b"late ").await.unwrap();
        near.write_all(b"answer").await.unwrap();
        near.finish().await.unwrap();
        let mut got = String::new();
        local.read_to_string(&mut got).await.unwrap();
        assert_eq!(got, "late answer");
        assert_eq!(task.await.unwrap().unwrap(), PipeStats { sent: 7, received: 11, told_end: true });
    }
}

#[tokio::test]
async fn initial_bytes_come_first() {
    for carrier in BOTH {
        let pair = pair(carrier).await;
        let (mut near, far) = stream(&pair).await;
        let (mut inside, mut local) = duplex(1024);
        let task =
            tokio::spawn(async move { pipe_with(&mut inside, far, Bytes::from_static(b"first "), NO_LIMIT).await });
        local.write_all(b"second").await.unwrap();
        local.shutdown().await.unwrap();
        assert_eq!(read_to_end(&mut near).await, b"first second");
        near.finish().await.unwrap();
        assert_eq!(task.await.unwrap().unwrap().sent, 12);
    }
}

#[tokio::test]
async fn a_reset_stream_ends_the_pipe_after_what_came_before() {
    for carrier in BOTH {
        let pair = pair(carrier).await;
        let (mut near, mut local, task) = piped(&pair, NO_LIMIT).await;
        near.write_all(b"part").await.unwrap();
        let mut got = [0; 4];
        local.read_exact(&mut got).await.unwrap();
        near.reset(ErrorCode::UPSTREAM_TIMEOUT);
        let error = task.await.unwrap().unwrap_err();
        assert_eq!(error.stats(), PipeStats { sent: 0, received: 4, told_end: false });
        let PipeError::Stream { source: StreamError::Reset(code), .. } = error else { panic!("{error}") };
        assert_eq!(code, ErrorCode::UPSTREAM_TIMEOUT);
    }
}

#[tokio::test]
async fn a_broken_local_connection_resets_the_stream() {
    for carrier in BOTH {
        let pair = pair(carrier).await;
        let (mut near, far) = stream(&pair).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut inside, _) = listener.accept().await.unwrap();
        let task = tokio::spawn(async move { pipe(&mut inside, far, NO_LIMIT).await });
        // Closed with unread bytes: the kernel sends RST.
        near.write_all(b"unread").await.unwrap();
        client.readable().await.unwrap();
        drop(client);
        assert!(matches!(task.await.unwrap(), Err(PipeError::Local { .. })));
        let error = near.read_chunk(1).await.unwrap_err();
        assert_eq!(error.reset_code(), Some(ErrorCode::STREAM_CANCELLED));
    }
}

#[tokio::test]
async fn silence_ends_a_pipe_with_an_idle_limit() {
    for carrier in BOTH {
        let pair = pair(carrier).await;
        let limits = PipeLimits { idle_timeout: Some(Duration::from_millis(300)) };
        let (mut near, mut local, task) = piped(&pair, limits).await;
        for _ in 0..5 {
            // Together longer than the limit.
            tokio::time::sleep(Duration::from_millis(100)).await;
            near.write_all(b"x").await.unwrap();
            assert_eq!(local.read_u8().await.unwrap(), b'x');
        }
        let error = task.await.unwrap().unwrap_err();
        assert!(matches!(error, PipeError::Idle { stats: PipeStats { received: 5, .. } }), "{error}");
        assert!(near.read_chunk(1).await.is_err());
    }
}
