//! Streams that no session of this crate carries: any byte pipe, wrapped so that whoever forwards visitors need not tell it apart.
//!
//! The pipe is one object, so it is given up as a whole, as a stream on the TCP carrier is: stopping one direction, resetting the other or
//! dropping either before its end drops the pipe. What its far end is told then is up to the pipe; its `Drop` should say *reset* and not
//! *end*.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use portway_muxado::ErrorCode;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::poll_read_buf;

use crate::blocks::{give_reading, make_room, take_reading};
use crate::{CloseReason, StreamError};

/// Least number of bytes read at once, so that a caller who asks for few does not cause a read for each.
const READ_MIN: usize = 512;

/// What a foreign pipe must be able to do.
trait Pipe: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Pipe for T {}

/// Receiving direction.
#[derive(Debug)]
pub(crate) struct RecvHalf {
    shared: Arc<Shared>,
    /// Read, and more than the caller asked for.
    rest: Bytes,
    /// The end was read.
    ended: bool,
}

/// Sending direction.
#[derive(Debug)]
pub(crate) struct SendHalf {
    shared: Arc<Shared>,
    /// The end was sent, or the stream was given up.
    finished: bool,
}

struct Shared {
    state: Mutex<State>,
}

struct State {
    /// `None` after the stream was given up or failed.
    pipe: Option<Pin<Box<dyn Pipe>>>,
    /// Why there is no pipe any more.
    failure: Option<StreamError>,
    /// Tasks that wait for a direction: giving up the other one wakes them.
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

pub(crate) fn halves<T>(io: T) -> (RecvHalf, SendHalf)
where
    T: AsyncRead + AsyncWrite + Send + 'static,
{
    let state = State { pipe: Some(Box::pin(io)), failure: None, reader: None, writer: None };
    let shared = Arc::new(Shared { state: Mutex::new(state) });
    (RecvHalf { shared: shared.clone(), rest: Bytes::new(), ended: false }, SendHalf { shared, finished: false })
}

impl RecvHalf {
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<Result<Option<Bytes>, StreamError>> {
        if self.rest.is_empty() && !self.ended {
            match ready!(self.shared.poll_read(cx, max.max(READ_MIN))) {
                Ok(chunk) if chunk.is_empty() => self.ended = true,
                Ok(chunk) => self.rest = chunk,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        if self.rest.is_empty() {
            return Poll::Ready(Ok(None));
        }
        let count = self.rest.len().min(max);
        Poll::Ready(Ok(Some(self.rest.split_to(count))))
    }

    pub(crate) fn stop(&mut self, code: ErrorCode) {
        if !self.ended {
            self.rest = Bytes::new();
            self.shared.give_up(code);
        }
    }
}

impl Drop for RecvHalf {
    fn drop(&mut self) {
        self.stop(ErrorCode::STREAM_CANCELLED);
    }
}

impl SendHalf {
    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, data: &mut Bytes) -> Poll<Result<(), StreamError>> {
        if self.finished {
            return Poll::Ready(Err(StreamError::Finished));
        }
        while !data.is_empty() {
            let written = ready!(self.shared.poll_with_writer(cx, |pipe, cx| pipe.poll_write(cx, data)))?;
            if written == 0 {
                return Poll::Ready(Err(self.shared.fail(io::ErrorKind::WriteZero.into())));
            }
            let _ = data.split_to(written);
        }
        Poll::Ready(Ok(()))
    }

    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        if self.finished {
            return Poll::Ready(Ok(()));
        }
        self.shared.poll_with_writer(cx, |pipe, cx| pipe.poll_flush(cx))
    }

    pub(crate) fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        if !self.finished {
            ready!(self.shared.poll_with_writer(cx, |pipe, cx| pipe.poll_shutdown(cx)))?;
            self.finished = true;
        }
        Poll::Ready(Ok(()))
    }

    pub(crate) fn reset(&mut self, code: ErrorCode) {
        if !self.finished {
            self.finished = true;
            self.shared.give_up(code);
        }
    }
}

impl Drop for SendHalf {
    fn drop(&mut self) {
        self.reset(ErrorCode::STREAM_CANCELLED);
    }
}

impl Shared {
    /// Up to `max` bytes; none is the end.
    fn poll_read(&self, cx: &mut Context<'_>, max: usize) -> Poll<Result<Bytes, StreamError>> {
        let mut state = self.lock();
        let Some(pipe) = state.pipe.as_mut() else { return Poll::Ready(Err(state.gone())) };
        let mut block = take_reading();
        make_room(&mut block);
        let mut limited = tokio::io::AsyncReadExt::take(pipe.as_mut(), max as u64);
        let read = poll_read_buf(Pin::new(&mut limited), cx, &mut block);
        let chunk = block.split().freeze();
        give_reading(block);
        match read {
            Poll::Pending => {
                state.reader = Some(cx.waker().clone());
                Poll::Pending
            }
            Poll::Ready(Ok(_)) => Poll::Ready(Ok(chunk)),
            Poll::Ready(Err(error)) => Poll::Ready(Err(state.fail(error))),
        }
    }

    fn poll_with_writer<R>(
        &self,
        cx: &mut Context<'_>,
        act: impl FnOnce(Pin<&mut dyn Pipe>, &mut Context<'_>) -> Poll<io::Result<R>>,
    ) -> Poll<Result<R, StreamError>> {
        let mut state = self.lock();
        let Some(pipe) = state.pipe.as_mut() else { return Poll::Ready(Err(state.gone())) };
        match act(pipe.as_mut(), cx) {
            Poll::Pending => {
                state.writer = Some(cx.waker().clone());
                Poll::Pending
            }
            Poll::Ready(Ok(done)) => Poll::Ready(Ok(done)),
            Poll::Ready(Err(error)) => Poll::Ready(Err(state.fail(error))),
        }
    }

    fn fail(&self, error: io::Error) -> StreamError {
        self.lock().fail(error)
    }

    fn give_up(&self, code: ErrorCode) {
        let mut state = self.lock();
        if state.failure.is_none() {
            state.over(StreamError::Reset(code));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn fail(&mut self, error: io::Error) -> StreamError {
        let error = stream_error(error);
        self.over(error.clone());
        error
    }

    fn over(&mut self, error: StreamError) {
        self.failure = Some(error);
        self.pipe = None;
        self.reader.take().into_iter().chain(self.writer.take()).for_each(Waker::wake);
    }

    fn gone(&self) -> StreamError {
        self.failure.clone().unwrap_or(StreamError::Reset(ErrorCode::STREAM_CANCELLED))
    }
}

/// What an error of the pipe means: the stream error inside it, a reset, or the loss of what carries it.
fn stream_error(error: io::Error) -> StreamError {
    if let Some(inner) = StreamError::from_io(&error) {
        return inner.clone();
    }
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => StreamError::Reset(ErrorCode::STREAM_CANCELLED),
        _ => StreamError::SessionLost(CloseReason::TransportLost(Arc::new(error))),
    }
}

#[cfg(test)]
mod tests;
