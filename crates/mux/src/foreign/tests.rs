//! Foreign pipes, read, written, ended and given up.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::timeout;

use crate::{ErrorCode, PipeError, PipeLimits, Stream, StreamError, pipe};

const LIMIT: Duration = Duration::from_secs(10);

fn stream() -> (Stream, DuplexStream) {
    let (near, far) = duplex(1024);
    (Stream::foreign(near), far)
}

#[tokio::test]
async fn chunks_are_no_longer_than_asked_for_and_the_end_is_clean() {
    let (mut stream, mut far) = stream();
    far.write_all(b"hello world").await.unwrap();
    far.shutdown().await.unwrap();
    assert_eq!(stream.read_chunk(5).await.unwrap().unwrap(), "hello");
    assert_eq!(stream.read_chunk(100).await.unwrap().unwrap(), " world");
    assert!(stream.read_chunk(100).await.unwrap().is_none());
    assert!(stream.read_chunk(100).await.unwrap().is_none());
}

#[tokio::test]
async fn one_direction_ends_and_the_other_goes_on() {
    let (mut stream, mut far) = stream();
    stream.write_chunk("question".into()).await.unwrap();
    stream.finish().await.unwrap();
    let mut asked = String::new();
    far.read_to_string(&mut asked).await.unwrap();
    assert_eq!(asked, "question");
    far.write_all(b"answer").await.unwrap();
    assert_eq!(stream.read_chunk(100).await.unwrap().unwrap(), "answer");
    assert!(matches!(stream.write_chunk("more".into()).await, Err(StreamError::Finished)));
}

#[tokio::test]
async fn both_ends_leave_the_pipe_whole_until_it_is_dropped() {
    let (near, mut far) = duplex(1024);
    let (mut recv, mut send) = Stream::foreign(near).split();
    send.write_chunk("x".into()).await.unwrap();
    send.finish().await.unwrap();
    drop(send);
    far.write_all(b"y").await.unwrap();
    assert_eq!(recv.read_chunk(9).await.unwrap().unwrap(), "y");
    far.shutdown().await.unwrap();
    assert!(recv.read_chunk(9).await.unwrap().is_none());
}

#[tokio::test]
async fn a_reset_ends_both_directions_and_wakes_who_waits() {
    let (stream, mut far) = stream();
    let (mut recv, mut send) = stream.split();
    let waiting = tokio::spawn(async move { recv.read_chunk(10).await });
    tokio::task::yield_now().await;
    send.reset(ErrorCode::STREAM_REFUSED);
    let read = timeout(LIMIT, waiting).await.unwrap().unwrap();
    assert_eq!(read.unwrap_err().reset_code(), Some(ErrorCode::STREAM_REFUSED));
    let mut gone = Vec::new();
    assert_eq!(far.read_to_end(&mut gone).await.unwrap(), 0);
}

#[tokio::test]
async fn a_direction_dropped_before_its_end_gives_the_stream_up() {
    let (stream, _far) = stream();
    let (mut recv, send) = stream.split();
    drop(send);
    let error = recv.read_chunk(10).await.unwrap_err();
    assert_eq!(error.reset_code(), Some(ErrorCode::STREAM_CANCELLED));
}

#[tokio::test]
async fn errors_of_the_pipe_keep_their_meaning() {
    let reset = failing(std::io::ErrorKind::ConnectionReset.into());
    let error = Stream::foreign(reset).read_chunk(10).await.unwrap_err();
    assert_eq!(error.reset_code(), Some(ErrorCode::STREAM_CANCELLED));
    let lost = failing(std::io::ErrorKind::TimedOut.into());
    let error = Stream::foreign(lost).read_chunk(10).await.unwrap_err();
    assert!(matches!(error, StreamError::SessionLost(_)));
    let own = failing(StreamError::Reset(ErrorCode::STREAM_REFUSED).into());
    let error = Stream::foreign(own).read_chunk(10).await.unwrap_err();
    assert_eq!(error.reset_code(), Some(ErrorCode::STREAM_REFUSED));
}

#[tokio::test]
async fn a_pipe_moves_bytes_both_ways_through_it() {
    let (stream, mut far) = stream();
    let (mut visitor, mut local) = duplex(512);
    let piping = tokio::spawn(async move { pipe(&mut local, stream, PipeLimits::default()).await });
    let data = vec![7; 200_000];
    let sent = data.clone();
    let upstream = tokio::spawn(async move {
        let mut got = Vec::new();
        far.read_to_end(&mut got).await.unwrap();
        far.write_all(&got).await.unwrap();
        far.shutdown().await.unwrap();
        got
    });
    let (mut reading, mut writing) = tokio::io::split(&mut visitor);
    let mut back = Vec::new();
    let (wrote, read) = tokio::join!(
        async {
            writing.write_all(&sent).await?;
            writing.shutdown().await
        },
        reading.read_to_end(&mut back)
    );
    wrote.unwrap();
    assert_eq!(read.unwrap(), 200_000);
    assert_eq!(back, data);
    assert_eq!(upstream.await.unwrap(), data);
    let stats = timeout(LIMIT, piping).await.unwrap().unwrap().unwrap();
    assert_eq!((stats.sent, stats.received), (200_000, 200_000));
}

#[tokio::test]
async fn a_pipe_tells_a_reset_from_an_end() {
    let (mut visitor, mut local) = duplex(512);
    let stream = Stream::foreign(failing(std::io::ErrorKind::ConnectionReset.into()));
    let ended = timeout(LIMIT, pipe(&mut local, stream, PipeLimits::default())).await.unwrap();
    assert!(matches!(ended, Err(PipeError::Stream { source: StreamError::Reset(_), .. })));
    drop(local);
    assert_eq!(visitor.read(&mut [0; 8]).await.unwrap(), 0);
}

/// A pipe whose reads fail, once, and whose writes are swallowed.
fn failing(error: std::io::Error) -> impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static {
    struct Failing(Option<std::io::Error>);
    impl tokio::io::AsyncRead for Failing {
        fn poll_read(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            _: &mut tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            std::task::Poll::Ready(self.0.take().map_or(Ok(()), Err))
        }
    }
    tokio::io::join(Failing(Some(error)), tokio::io::sink())
}
