//! What the driver and the stream handles of one session share.

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use portway_muxado::{Config, ErrorCode, Machine, OpenRefused, StreamFault, StreamId};
use tokio::sync::Notify;

use crate::{CloseReason, Dialect, OpenError, Role, SessionConfig, StreamError};

/// Keeps the session open; the last one that goes closes it.
pub(crate) struct Handle(Arc<Link>);

/// The session as its streams and its driver see it.
pub(super) struct Link {
    state: Mutex<State>,
    accepted: Notify,
    closed: Notify,
    peer: SocketAddr,
    local: SocketAddr,
    max_streams: usize,
}

/// Everything behind the lock.
pub(super) struct State {
    pub(super) machine: Machine,
    /// Per-stream wakers, by [`StreamId::slot`].
    slots: Vec<Slot>,
    /// Streams of the peer that nobody has accepted yet; the machine limits them.
    pub(super) waiting: VecDeque<StreamId>,
    /// Heartbeat streams, which callers do not see or count.
    pub(super) hidden: usize,
    /// Time since the session began, as of the driver's last poll: exact enough for windows, and saves a clock reading for each read.
    pub(super) now: Duration,
    pub(super) rtt: Option<Duration>,
    /// Batches of bytes that came from the peer.
    pub(super) heard: u64,
    /// A ping is wanted before its time.
    pub(super) asked: bool,
    pub(super) driver: Option<Waker>,
    /// The driver has been woken and has not run since.
    pub(super) kicked: bool,
    pub(super) order: Order,
    closed: Option<CloseReason>,
}

/// What a handle told the driver to do with the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Run,
    Close(String),
    Abort,
}

/// What waits on one stream.
#[derive(Default)]
struct Slot {
    id: Option<StreamId>,
    halves: u8,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Handle {
    pub(super) fn new(link: Arc<Link>) -> Arc<Self> {
        Arc::new(Self(link))
    }

    pub(super) fn link(&self) -> &Link {
        &self.0
    }

    pub(crate) fn close(&self, text: &str) {
        self.0.order(Order::Close(text.to_owned()));
    }

    pub(crate) fn abort(&self) {
        self.0.order(Order::Abort);
        // Callers see the end at once, whenever the driver runs.
        self.0.end(CloseReason::LocalClosed);
    }

    pub(crate) async fn closed(&self) -> CloseReason {
        loop {
            let closed = self.0.closed.notified();
            if let Some(reason) = self.close_reason() {
                return reason;
            }
            closed.await;
        }
    }

    pub(crate) fn close_reason(&self) -> Option<CloseReason> {
        self.0.lock().closed.clone()
    }

    pub(crate) fn peer_addr(&self) -> SocketAddr {
        self.0.peer
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.0.local
    }

    pub(crate) fn rtt(&self) -> Option<Duration> {
        self.0.lock().rtt
    }

    /// Counts what came from the peer.
    pub(crate) fn heard(&self) -> u64 {
        self.0.lock().heard
    }

    /// Has a ping sent now, unless one is on its way.
    pub(crate) fn ask(&self) {
        let mut state = self.0.lock();
        state.asked = true;
        state.kicked = true;
        let driver = state.driver.clone();
        drop(state);
        wake(driver);
    }

    pub(crate) fn open_streams(&self) -> usize {
        let state = self.0.lock();
        state.machine.streams().saturating_sub(state.hidden)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.order(Order::Close("session dropped".to_owned()));
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FramedSession").field("peer", &self.0.peer).finish_non_exhaustive()
    }
}

impl Link {
    pub(super) fn new(role: Role, config: &SessionConfig, peer: SocketAddr, local: SocketAddr) -> Arc<Self> {
        let role = match role {
            Role::Agent => portway_muxado::Role::Agent,
            Role::Edge => portway_muxado::Role::Edge,
        };
        let machine = Machine::new(role, machine_config(config));
        Arc::new(Self {
            state: Mutex::new(State {
                machine,
                slots: Vec::new(),
                waiting: VecDeque::new(),
                hidden: 0,
                now: Duration::ZERO,
                rtt: None,
                heard: 0,
                asked: false,
                driver: None,
                kicked: false,
                order: Order::Run,
                closed: None,
            }),
            accepted: Notify::new(),
            closed: Notify::new(),
            peer,
            local,
            max_streams: config.max_streams,
        })
    }

    /// A poisoned lock is used on: a panic in a stream's task must not take the session of everybody else down.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn open(&self, head: Bytes) -> Result<StreamId, OpenError> {
        let mut state = self.lock();
        if let Some(reason) = &state.closed {
            return Err(OpenError::Closed(reason.clone()));
        }
        if state.order != Order::Run {
            return Err(OpenError::Closed(CloseReason::LocalClosed));
        }
        let id = state.machine.open().map_err(|refused| self.refused(refused))?;
        state.hold(id);
        let mut head = head;
        // A fresh stream takes its head whole: it is far below the send buffer.
        if state.machine.write(id, &mut head).is_err() || !head.is_empty() {
            state.release(id);
            state.release(id);
            state.machine.reset(id, ErrorCode::INTERNAL);
            return Err(OpenError::TooManyStreams { limit: self.max_streams });
        }
        // No kick: head and first payload leave together. The first read, write or flush of the stream wakes the driver.
        Ok(id)
    }

    pub(super) async fn accept(&self) -> Option<StreamId> {
        loop {
            let accepted = self.accepted.notified();
            {
                let mut state = self.lock();
                if let Some(id) = state.waiting.pop_front() {
                    if !state.waiting.is_empty() {
                        self.accepted.notify_one();
                    }
                    state.hold(id);
                    return Some(id);
                }
                if state.closed.is_some() {
                    return None;
                }
            }
            accepted.await;
        }
    }

    /// Tells tasks in `accept` that a stream waits.
    pub(super) fn announce(&self) {
        self.accepted.notify_one();
    }

    pub(super) fn poll_read(
        &self,
        id: StreamId,
        cx: &Context<'_>,
        max: usize,
    ) -> Poll<Result<Option<Bytes>, StreamError>> {
        let mut state = self.lock();
        let now = state.now;
        let result = match state.machine.read(id, max, now) {
            Ok(read) => Poll::Ready(Ok(read)),
            Err(StreamFault::WouldBlock) => match &state.closed {
                Some(reason) => Poll::Ready(Err(StreamError::SessionLost(reason.clone()))),
                None => {
                    state.wait(id, cx.waker(), Side::Read);
                    Poll::Pending
                }
            },
            Err(fault) => Poll::Ready(Err(stream_error(fault))),
        };
        let driver = state.kick();
        drop(state);
        wake(driver);
        result
    }

    pub(super) fn poll_write(&self, id: StreamId, cx: &Context<'_>, data: &mut Bytes) -> Poll<Result<(), StreamError>> {
        let mut state = self.lock();
        if let Some(reason) = &state.closed {
            return Poll::Ready(Err(StreamError::SessionLost(reason.clone())));
        }
        let mut result = Poll::Ready(Ok(()));
        while !data.is_empty() {
            match state.machine.write(id, data) {
                Ok(0) => {
                    state.wait(id, cx.waker(), Side::Write);
                    result = Poll::Pending;
                    break;
                }
                Ok(_) => {}
                Err(fault) => {
                    result = Poll::Ready(Err(stream_error(fault)));
                    break;
                }
            }
        }
        let driver = state.kick();
        drop(state);
        wake(driver);
        result
    }

    /// Lets what streams have written leave now.
    pub(super) fn flush(&self) {
        let driver = self.lock().kick();
        wake(driver);
    }

    pub(super) fn finish(&self, id: StreamId) {
        let mut state = self.lock();
        state.machine.finish(id);
        let driver = state.kick();
        drop(state);
        wake(driver);
    }

    pub(super) fn reset(&self, id: StreamId, code: ErrorCode) {
        let mut state = self.lock();
        state.machine.reset(id, code);
        let other = state.take_wakers(id);
        let driver = state.kick();
        drop(state);
        other.into_iter().flatten().for_each(Waker::wake);
        wake(driver);
    }

    /// One half of a stream is dropped.
    pub(super) fn release(&self, id: StreamId) {
        self.lock().release(id);
    }

    /// The session is over: everybody who waits is told. The first reason stays.
    pub(super) fn end(&self, reason: CloseReason) {
        let mut state = self.lock();
        if state.closed.is_some() {
            return;
        }
        tracing::debug!(peer = %self.peer, %reason, "session over");
        state.closed = Some(reason);
        let wakers: Vec<Waker> = state.slots.iter_mut().flat_map(Slot::take_wakers).flatten().collect();
        let driver = state.driver.take();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        wake(driver);
        self.accepted.notify_waiters();
        self.closed.notify_waiters();
    }

    pub(super) fn peer(&self) -> SocketAddr {
        self.peer
    }

    fn order(&self, order: Order) {
        let mut state = self.lock();
        if state.order == Order::Run || order == Order::Abort {
            state.order = order;
        }
        state.kicked = true;
        let driver = state.driver.take();
        drop(state);
        wake(driver);
    }

    fn refused(&self, refused: OpenRefused) -> OpenError {
        match refused {
            OpenRefused::TooManyStreams { limit } => OpenError::TooManyStreams { limit },
            OpenRefused::GoneAway => {
                OpenError::Closed(CloseReason::PeerClosed { code: ErrorCode::REMOTE_GONE_AWAY, text: String::new() })
            }
            OpenRefused::IdsExhausted => OpenError::TooManyStreams { limit: self.max_streams },
        }
    }
}

/// Direction of a stream that a task waits for.
#[derive(Clone, Copy)]
enum Side {
    Read,
    Write,
}

impl State {
    /// The driver's waker, when there is something to send and it does not know yet: one wake-up for a whole batch of writes.
    fn kick(&mut self) -> Option<Waker> {
        if self.kicked || !self.machine.wants_transmit() {
            return None;
        }
        self.kicked = true;
        self.driver.clone()
    }

    pub(super) fn take_reader(&mut self, id: StreamId) -> Option<Waker> {
        self.slot(id).and_then(|slot| slot.reader.take())
    }

    pub(super) fn take_writer(&mut self, id: StreamId) -> Option<Waker> {
        self.slot(id).and_then(|slot| slot.writer.take())
    }

    pub(super) fn take_wakers(&mut self, id: StreamId) -> [Option<Waker>; 2] {
        self.slot(id).map(Slot::take_wakers).unwrap_or_default()
    }

    /// Two halves of a stream are handed out.
    fn hold(&mut self, id: StreamId) {
        if self.slots.len() <= id.slot() {
            self.slots.resize_with(id.slot() + 1, Slot::default);
        }
        self.slots[id.slot()] = Slot { id: Some(id), halves: 2, reader: None, writer: None };
    }

    fn release(&mut self, id: StreamId) {
        if let Some(slot) = self.slot(id) {
            slot.halves -= 1;
            if slot.halves == 0 {
                *slot = Slot::default();
            }
        }
    }

    fn slot(&mut self, id: StreamId) -> Option<&mut Slot> {
        self.slots.get_mut(id.slot()).filter(|slot| slot.id == Some(id))
    }

    fn wait(&mut self, id: StreamId, waker: &Waker, side: Side) {
        let Some(slot) = self.slot(id) else { return };
        let place = match side {
            Side::Read => &mut slot.reader,
            Side::Write => &mut slot.writer,
        };
        match place {
            Some(held) if held.will_wake(waker) => {}
            _ => *place = Some(waker.clone()),
        }
    }
}

impl Slot {
    fn take_wakers(&mut self) -> [Option<Waker>; 2] {
        [self.reader.take(), self.writer.take()]
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

fn stream_error(fault: StreamFault) -> StreamError {
    match fault {
        StreamFault::Reset(code) => StreamError::Reset(code),
        StreamFault::Finished => StreamError::Finished,
        // Forgotten by the machine after a reset on this side.
        StreamFault::Unknown | StreamFault::WouldBlock => StreamError::Reset(ErrorCode::STREAM_CANCELLED),
    }
}

fn machine_config(config: &SessionConfig) -> Config {
    Config {
        initial_window: config.initial_window,
        max_window: config.max_window,
        max_streams: config.max_streams,
        max_unaccepted: config.max_unaccepted,
        opens_per_second: config.opens_per_second,
        memory_budget: config.memory_budget,
        ..match config.dialect {
            Dialect::Native => Config::native(),
            Dialect::Ngrok => Config::ngrok(),
        }
    }
}
