//! The two directions of a QUIC stream.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use portway_muxado::ErrorCode;
use quinn::{ReadError, VarInt, WriteError};

use super::connection::{StreamGuard, close_reason, error_code};
use crate::{CloseReason, StreamError};

/// Receiving direction.
#[derive(Debug)]
pub(crate) struct RecvHalf {
    stream: quinn::RecvStream,
    /// The end was read, or the direction was given up.
    ended: bool,
    /// By a reset, with this code: quinn tells that only once.
    reset: Option<ErrorCode>,
    _guard: Arc<StreamGuard>,
}

/// Sending direction.
#[derive(Debug)]
pub(crate) struct SendHalf {
    stream: quinn::SendStream,
    /// The end was sent, or the direction was given up.
    finished: bool,
    _guard: Arc<StreamGuard>,
}

impl RecvHalf {
    pub(super) fn new(stream: quinn::RecvStream, guard: Arc<StreamGuard>) -> Self {
        Self { stream, ended: false, reset: None, _guard: guard }
    }

    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<Result<Option<Bytes>, StreamError>> {
        if let Some(code) = self.reset {
            return Poll::Ready(Err(StreamError::Reset(code)));
        }
        // The future holds no state: quinn keeps the waker with the stream, so it may be made anew for each poll.
        let read = pin!(self.stream.read_chunk(max, true)).poll(cx);
        match ready!(read) {
            Ok(Some(chunk)) => Poll::Ready(Ok(Some(chunk.bytes))),
            Ok(None) => {
                self.ended = true;
                Poll::Ready(Ok(None))
            }
            Err(error) => {
                if let ReadError::Reset(code) = error {
                    self.ended = true;
                    self.reset = Some(error_code(code));
                }
                Poll::Ready(Err(read_error(error)))
            }
        }
    }

    pub(crate) fn stop(&mut self, code: ErrorCode) {
        if !self.ended {
            self.ended = true;
            self.reset = Some(code);
            // Already over when it fails.
            let _ = self.stream.stop(VarInt::from_u32(code.0));
        }
    }
}

impl Drop for RecvHalf {
    fn drop(&mut self) {
        self.stop(ErrorCode::STREAM_CANCELLED);
    }
}

impl SendHalf {
    pub(super) fn new(stream: quinn::SendStream, guard: Arc<StreamGuard>) -> Self {
        Self { stream, finished: false, _guard: guard }
    }

    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, data: &mut Bytes) -> Poll<Result<(), StreamError>> {
        if self.finished {
            return Poll::Ready(Err(StreamError::Finished));
        }
        while !data.is_empty() {
            // As above: no state in the future. Chunks that were taken are advanced in place.
            let written = pin!(self.stream.write_chunks(std::slice::from_mut(data))).poll(cx);
            ready!(written).map_err(write_error)?;
        }
        Poll::Ready(Ok(()))
    }

    pub(super) async fn write_all(&mut self, data: Bytes) -> Result<(), StreamError> {
        let mut data = data;
        poll_fn(|cx| self.poll_write(cx, &mut data)).await
    }

    pub(crate) fn finish(&mut self) {
        if !self.finished {
            self.finished = true;
            // Already over when it fails.
            let _ = self.stream.finish();
        }
    }

    pub(crate) fn reset(&mut self, code: ErrorCode) {
        if !self.finished {
            self.finished = true;
            let _ = self.stream.reset(VarInt::from_u32(code.0));
        }
    }
}

impl Drop for SendHalf {
    fn drop(&mut self) {
        self.reset(ErrorCode::STREAM_CANCELLED);
    }
}

fn read_error(error: ReadError) -> StreamError {
    match error {
        ReadError::Reset(code) => StreamError::Reset(error_code(code)),
        ReadError::ConnectionLost(error) => StreamError::SessionLost(close_reason(error)),
        // Read after `stop`: this side gave the direction up.
        ReadError::ClosedStream => StreamError::Reset(ErrorCode::STREAM_CANCELLED),
        ReadError::IllegalOrderedRead | ReadError::ZeroRttRejected => {
            StreamError::SessionLost(CloseReason::PeerFault("QUIC stream in an impossible state".to_owned()))
        }
    }
}

fn write_error(error: WriteError) -> StreamError {
    match error {
        WriteError::Stopped(code) => StreamError::Reset(error_code(code)),
        WriteError::ConnectionLost(error) => StreamError::SessionLost(close_reason(error)),
        WriteError::ClosedStream => StreamError::Finished,
        WriteError::ZeroRttRejected => {
            StreamError::SessionLost(CloseReason::PeerFault("QUIC stream in an impossible state".to_owned()))
        }
    }
}
