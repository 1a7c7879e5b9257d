//! One question of an agent: a stream that begins with its type, one JSON object, one answer.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use portway_mux::{ErrorCode, Stream, StreamError};
use portway_wire::StreamType;
use portway_wire::ngrok::{MAX_REQUEST_LEN, RequestDecoder, RequestError};
use serde_json::{Map, Value};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

/// Time for a question, from its first byte to its last: it leaves an SDK in one or two writes.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time an agent has to end its direction after an answer. It does so at once; one that does not is not waited for.
const ENDING: Duration = Duration::from_secs(10);

/// A question, and the stream for its answer.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) kind: StreamType,
    pub(super) message: Map<String, Value>,
    pub(super) due: Due,
}

/// A stream on which an answer is due. It has its place among the session's questions until the agent has taken the answer.
#[derive(Debug)]
pub(super) struct Due {
    stream: Stream,
    _place: Option<OwnedSemaphorePermit>,
}

/// Why a stream holds no question. All of them are faults of the agent's program, not of its user.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestFault {
    #[error("a stream ended within its type")]
    NoType,
    #[error("an agent opens no stream of type {0}")]
    Type(StreamType),
    #[error(transparent)]
    Message(#[from] RequestError),
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error("a question took longer than {} s", PATIENCE.as_secs())]
    Slow,
}

/// Reads the question of a stream; what may be asked at most, in bytes.
///
/// Cancel safety: not safe, the stream is to be reset.
pub(super) async fn read(
    stream: Stream,
    place: Option<OwnedSemaphorePermit>,
    most: usize,
) -> Result<Request, RequestFault> {
    let due = Due { stream, _place: place };
    timeout(PATIENCE, read_untimed(due, most)).await.unwrap_or(Err(RequestFault::Slow))
}

async fn read_untimed(mut due: Due, most: usize) -> Result<Request, RequestFault> {
    let stream = &mut due.stream;
    let (kind, mut bytes) = read_type(stream).await?;
    if !is_question(kind) {
        stream.reset(ErrorCode::STREAM_REFUSED);
        return Err(RequestFault::Type(kind));
    }
    let (mut decoder, mut taken) = (RequestDecoder::new(), 0);
    loop {
        taken += bytes.len();
        if taken > most {
            return Err(RequestError::TooLong.into());
        }
        if let Some(message) = decoder.push(&bytes)? {
            return Ok(Request { kind, message, due });
        }
        bytes = stream.read_chunk(MAX_REQUEST_LEN).await?.ok_or_else(|| decoder.truncated())?;
    }
}

/// The type word, and what came behind it.
async fn read_type(stream: &mut Stream) -> Result<(StreamType, Bytes), RequestFault> {
    let mut start = BytesMut::new();
    loop {
        if let Some(word) = start.first_chunk::<{ StreamType::LEN }>() {
            let kind = StreamType::from_bytes(*word);
            start.advance(StreamType::LEN);
            return Ok((kind, start.freeze()));
        }
        let chunk = stream.read_chunk(MAX_REQUEST_LEN).await?.ok_or(RequestFault::NoType)?;
        start.extend_from_slice(&chunk);
    }
}

fn is_question(kind: StreamType) -> bool {
    [
        StreamType::AUTH,
        StreamType::BIND,
        StreamType::UNBIND,
        StreamType::START_TUNNEL_WITH_LABEL,
        StreamType::SRV_INFO,
        StreamType::PATCH_TUNNEL_STATE,
    ]
    .contains(&kind)
}

/// Sends the answer and ends our direction; returns when the agent has ended its own, which it does after reading. True when it did.
///
/// Cancel safety: not safe, a part may have been sent.
pub(super) async fn answer(mut due: Due, bytes: Bytes) -> bool {
    let stream = &mut due.stream;
    let answered = async {
        stream.write_chunk(bytes).await?;
        stream.finish().await?;
        // A line feed may still come.
        while stream.read_chunk(MAX_REQUEST_LEN).await?.is_some() {}
        Ok::<_, StreamError>(())
    };
    matches!(timeout(ENDING, answered).await, Ok(Ok(())))
}
