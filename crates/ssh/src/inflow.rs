//! What clients send to visitors: a queue for each channel, and the window that makes a client wait.
//!
//! russh acknowledges bytes as soon as they arrive and knows one window size for all channels of a session, so a slow reader either fills the
//! memory or, through a full queue, stops the session. Neither happens here, by this: when some channel has more waiting than
//! [`HIGH`], the window for all is made so small ([`TRICKLE`]) that russh acknowledges only when a channel has used its window up, and then
//! two bytes. A channel that still has window goes on with it, new ones begin with a full one, and one that used it up trickles: each of its
//! small packets is an occasion to open the window again once the slow reader has caught up. Nobody blocks, and what waits is bounded.
//!
//! A reader that takes next to nothing while others are held back is cut off ([`PROGRESS`]).

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use portway_mux::{CloseReason, ErrorCode, StreamError};
use tokio::io::ReadBuf;
use tokio::time::Instant;

use crate::limits::WINDOW;

/// Bytes that wait in a channel until the windows are made small.
const HIGH: usize = 512 * 1024;
/// And until they are opened again.
const LOW: usize = 128 * 1024;
/// The small window. russh acknowledges when less than half is left, so this is the least that ever does.
const TRICKLE: u32 = 2;
/// More than a client that keeps to its window can have waiting in one channel.
const OVERRUN: usize = 4 * WINDOW as usize;
/// Small packets are kept together up to this size: a trickle would cost more than its bytes.
const CHUNK: usize = 16 * 1024;
/// Most bytes that wait in all channels of a session; beyond, channels that are behind are reset.
const TOTAL: usize = 64 * 1024 * 1024;
/// What a reader that holds others back must take within [`crate::Limits::reader_stall`].
const PROGRESS: u64 = 64 * 1024;

/// The client sent more than its window allows.
#[derive(Debug)]
pub(crate) struct Overrun;

/// The queues of a session, by channel.
#[derive(Debug)]
pub(crate) struct Inflow<Id> {
    channels: Mutex<Channels<Id>>,
    shared: Arc<Totals>,
    /// See [`crate::Limits::reader_stall`].
    stall: Duration,
}

#[derive(Debug)]
struct Channels<Id> {
    open: HashMap<Id, Arc<Incoming>>,
    /// Why the session is over.
    lost: Option<CloseReason>,
}

#[derive(Debug, Default)]
struct Totals {
    /// Channels with more than [`HIGH`] bytes waiting.
    behind: AtomicUsize,
    bytes: AtomicUsize,
}

/// What waits for one visitor.
#[derive(Debug)]
pub(crate) struct Incoming {
    queue: Mutex<Queue>,
    totals: Arc<Totals>,
}

#[derive(Debug, Default)]
struct Queue {
    /// None of them is empty.
    chunks: VecDeque<BytesMut>,
    bytes: usize,
    /// Bytes ever taken out.
    taken: u64,
    /// The client ended its direction.
    ended: bool,
    /// The client closed the channel after its end: nobody wants what is written.
    closed: bool,
    failure: Option<StreamError>,
    /// Since when it is behind, and what had been taken by then.
    behind: Option<(Instant, u64)>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// Whether a channel can be written.
#[derive(Debug)]
pub(crate) enum Writable {
    Yes,
    /// Take the bytes and forget them.
    Discard,
    No(StreamError),
}

impl<Id: Copy + Eq + Hash> Inflow<Id> {
    pub(crate) fn new(stall: Duration) -> Self {
        let channels = Channels { open: HashMap::new(), lost: None };
        Self { channels: Mutex::new(channels), shared: Arc::default(), stall }
    }

    /// The queue of a channel that the client confirmed, for whoever asks first: the session, or the task that opens the channel, which may
    /// run on another thread.
    pub(crate) fn add(&self, id: Id) -> Arc<Incoming> {
        let mut channels = self.lock();
        let new = || Arc::new(Incoming { queue: Mutex::default(), totals: Arc::clone(&self.shared) });
        if let Some(reason) = &channels.lost {
            let lost = new();
            lost.fail(StreamError::SessionLost(reason.clone()));
            return lost;
        }
        Arc::clone(channels.open.entry(id).or_insert_with(new))
    }

    pub(crate) fn get(&self, id: Id) -> Option<Arc<Incoming>> {
        self.lock().open.get(&id).cloned()
    }

    pub(crate) fn remove(&self, id: Id) {
        let removed = self.lock().open.remove(&id);
        if let Some(incoming) = removed {
            incoming.fail(StreamError::Reset(ErrorCode::STREAM_CANCELLED));
        }
    }

    /// The window that channels get from now on, and the channels to be closed because their readers hold others back.
    pub(crate) fn window(&self) -> (u32, Vec<Id>) {
        if self.shared.behind.load(Ordering::Relaxed) == 0 {
            return (WINDOW, Vec::new());
        }
        let now = Instant::now();
        let stalled: Vec<_> =
            self.lock().open.iter().filter(|(_, one)| one.stalled(now, self.stall)).map(|(id, _)| *id).collect();
        for id in &stalled {
            self.remove(*id);
        }
        (TRICKLE, stalled)
    }

    /// The session is over.
    pub(crate) fn lose(&self, reason: &CloseReason) {
        let mut channels = self.lock();
        channels.lost = Some(reason.clone());
        for (_, incoming) in channels.open.drain() {
            incoming.fail(StreamError::SessionLost(reason.clone()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Channels<Id>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Incoming {
    /// Bytes from the client.
    pub(crate) fn push(&self, data: &[u8]) -> Result<(), Overrun> {
        let mut queue = self.lock();
        if data.is_empty() || queue.ended || queue.failure.is_some() {
            return Ok(());
        }
        queue.bytes += data.len();
        let total = self.totals.bytes.fetch_add(data.len(), Ordering::Relaxed) + data.len();
        match queue.chunks.back_mut() {
            Some(last) if last.len() + data.len() <= CHUNK => last.extend_from_slice(data),
            _ => queue.chunks.push_back(BytesMut::from(data)),
        }
        if queue.bytes > OVERRUN {
            return Err(Overrun);
        }
        if queue.bytes > HIGH && queue.behind.is_none() {
            queue.behind = Some((Instant::now(), queue.taken));
            self.totals.behind.fetch_add(1, Ordering::Relaxed);
        }
        if total > TOTAL && queue.behind.is_some() {
            self.fail_locked(&mut queue, StreamError::Reset(ErrorCode::STREAM_CANCELLED));
        }
        wake(&mut queue.reader);
        Ok(())
    }

    /// The client ended its direction.
    pub(crate) fn end(&self) {
        let mut queue = self.lock();
        queue.ended = true;
        wake(&mut queue.reader);
    }

    /// The client closed the channel. Without an end before it is a reset.
    pub(crate) fn close(&self) {
        let mut queue = self.lock();
        queue.closed = true;
        if queue.ended {
            wake(&mut queue.writer);
            return;
        }
        // What came before it is still to be read.
        if queue.failure.is_none() {
            queue.failure = Some(StreamError::Reset(ErrorCode::STREAM_CANCELLED));
        }
        wake(&mut queue.reader);
        wake(&mut queue.writer);
    }

    /// Ends both directions at once; what waits is lost.
    pub(crate) fn fail(&self, error: StreamError) {
        self.fail_locked(&mut self.lock(), error);
    }

    pub(crate) fn poll_read(&self, cx: &Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<(), StreamError>> {
        let mut queue = self.lock();
        if queue.chunks.is_empty() {
            if let Some(error) = &queue.failure {
                return Poll::Ready(Err(error.clone()));
            }
            if queue.ended {
                return Poll::Ready(Ok(()));
            }
            queue.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = queue.fill(buf);
        queue.taken += count as u64;
        self.totals.bytes.fetch_sub(count, Ordering::Relaxed);
        if queue.bytes < LOW && queue.behind.take().is_some() {
            self.totals.behind.fetch_sub(1, Ordering::Relaxed);
        }
        Poll::Ready(Ok(()))
    }

    /// Whether there is a use in writing; wakes the caller when that changes.
    pub(crate) fn writable(&self, cx: &Context<'_>) -> Writable {
        let mut queue = self.lock();
        match &queue.failure {
            Some(error) => Writable::No(error.clone()),
            None if queue.closed => Writable::Discard,
            None => {
                if !queue.writer.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                    queue.writer = Some(cx.waker().clone());
                }
                Writable::Yes
            }
        }
    }

    fn stalled(&self, now: Instant, stall: Duration) -> bool {
        let mut queue = self.lock();
        match queue.behind {
            Some((since, taken)) if now.duration_since(since) >= stall => {
                let stalled = queue.taken - taken < PROGRESS;
                queue.behind = Some((now, queue.taken));
                stalled
            }
            _ => false,
        }
    }

    fn fail_locked(&self, queue: &mut Queue, error: StreamError) {
        self.totals.bytes.fetch_sub(queue.bytes, Ordering::Relaxed);
        queue.chunks = VecDeque::new();
        queue.bytes = 0;
        if queue.behind.take().is_some() {
            self.totals.behind.fetch_sub(1, Ordering::Relaxed);
        }
        if queue.failure.is_none() {
            queue.failure = Some(error);
        }
        wake(&mut queue.reader);
        wake(&mut queue.writer);
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Moves as much as there is, or as there is room for.
    fn fill(&mut self, buf: &mut ReadBuf<'_>) -> usize {
        let before = buf.remaining();
        while let Some(chunk) = self.chunks.front_mut() {
            let count = chunk.len().min(buf.remaining());
            buf.put_slice(&chunk[..count]);
            chunk.advance(count);
            if !chunk.is_empty() {
                break;
            }
            self.chunks.pop_front();
        }
        let count = before - buf.remaining();
        self.bytes -= count;
        count
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

#[cfg(test)]
mod tests;
