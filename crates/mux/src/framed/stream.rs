//! The two directions of a stream on the TCP carrier.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use portway_muxado::{ErrorCode, StreamId};

use super::Handle;
use crate::StreamError;

/// Receiving direction.
#[derive(Debug)]
pub(crate) struct RecvHalf {
    handle: Arc<Handle>,
    id: StreamId,
    /// The end was read.
    ended: bool,
    /// The stream was given up on this side.
    stopped: Option<ErrorCode>,
}

/// Sending direction.
#[derive(Debug)]
pub(crate) struct SendHalf {
    handle: Arc<Handle>,
    id: StreamId,
    /// The end was sent, or the stream was given up.
    finished: bool,
}

impl RecvHalf {
    pub(super) fn new(handle: Arc<Handle>, id: StreamId) -> Self {
        Self { handle, id, ended: false, stopped: None }
    }

    pub(crate) fn poll_read(&mut self, cx: &Context<'_>, max: usize) -> Poll<Result<Option<Bytes>, StreamError>> {
        if let Some(code) = self.stopped {
            return Poll::Ready(Err(StreamError::Reset(code)));
        }
        if self.ended {
            return Poll::Ready(Ok(None));
        }
        let read = ready!(self.handle.link().poll_read(self.id, cx, max));
        self.ended |= matches!(read, Ok(None));
        Poll::Ready(read)
    }

    pub(crate) fn stop(&mut self, code: ErrorCode) {
        if !self.ended && self.stopped.is_none() {
            self.stopped = Some(code);
            self.handle.link().reset(self.id, code);
        }
    }
}

impl Drop for RecvHalf {
    fn drop(&mut self) {
        self.stop(ErrorCode::STREAM_CANCELLED);
        self.handle.link().release(self.id);
    }
}

impl SendHalf {
    pub(super) fn new(handle: Arc<Handle>, id: StreamId) -> Self {
        Self { handle, id, finished: false }
    }

    pub(crate) fn poll_write(&self, cx: &Context<'_>, data: &mut Bytes) -> Poll<Result<(), StreamError>> {
        if self.finished {
            return Poll::Ready(Err(StreamError::Finished));
        }
        self.handle.link().poll_write(self.id, cx, data)
    }

    pub(crate) fn flush(&self) {
        if !self.finished {
            self.handle.link().flush();
        }
    }

    pub(crate) fn finish(&mut self) {
        if !self.finished {
            self.finished = true;
            self.handle.link().finish(self.id);
        }
    }

    pub(crate) fn reset(&mut self, code: ErrorCode) {
        if !self.finished {
            self.finished = true;
            self.handle.link().reset(self.id, code);
        }
    }
}

impl Drop for SendHalf {
    fn drop(&mut self) {
        self.reset(ErrorCode::STREAM_CANCELLED);
        self.handle.link().release(self.id);
    }
}
