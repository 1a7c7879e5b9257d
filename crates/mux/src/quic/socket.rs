//! The UDP socket of a listener, which a successor takes over while sessions of this one still run.
//!
//! Two processes must not read one socket: each would get the other's datagrams. So until its last session has ended the predecessor goes
//! on reading, and passes on what belongs to none of its sessions; the successor answers through its own duplicate.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, Runtime, TokioRuntime, UdpPoller};
use tokio::io::ReadBuf;
use tokio::sync::watch;

use super::connection_ids::ConnectionIds;
use super::relay::{RELAYED_MAX, Relay, take};

/// The socket of a [`QuicListener`](super::QuicListener), for its handover. Clones are the same socket.
#[derive(Clone, Debug)]
pub struct QuicSocket(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    udp: Arc<dyn AsyncUdpSocket>,
    ids: ConnectionIds,
    predecessor: Option<Predecessor>,
    successor: OnceLock<Relay>,
}

/// A process that still reads the socket.
#[derive(Debug)]
struct Predecessor {
    relay: tokio::net::UnixDatagram,
    state: Mutex<State>,
    /// The same as [`State::gone`], for those who wait.
    gone: watch::Sender<bool>,
}

#[derive(Debug)]
struct State {
    /// It reads no longer.
    gone: bool,
    /// Woken when it is.
    reader: Option<Waker>,
    message: Box<[u8]>,
}

impl QuicSocket {
    /// Must be called on the runtime that shall drive it. `relay`: where a predecessor's datagrams come from while that reads the socket.
    pub(super) fn new(
        socket: std::net::UdpSocket,
        relay: Option<UnixDatagram>,
        ids: ConnectionIds,
    ) -> io::Result<Self> {
        let predecessor = relay.map(Predecessor::new).transpose()?;
        let udp = TokioRuntime.wrap_udp_socket(socket)?;
        Ok(Self(Arc::new(Shared { udp, ids, predecessor, successor: OnceLock::new() })))
    }

    /// From now on passes datagrams that belong to no session of this listener on to a successor, which has the other end of `relay`.
    ///
    /// # Errors
    /// When the end cannot be made non-blocking, or there is a successor already.
    pub fn pass_on(&self, relay: UnixDatagram) -> io::Result<()> {
        let relay = Relay::new(relay)?;
        self.0.successor.set(relay).map_err(|_| io::Error::other("the socket has been handed over before"))
    }

    /// From now on reads the socket itself: the predecessor has no session left.
    pub fn take_over(&self) {
        if let Some(predecessor) = &self.0.predecessor {
            let mut state = predecessor.state();
            state.gone = true;
            if let Some(reader) = state.reader.take() {
                reader.wake();
            }
            predecessor.gone.send_replace(true);
        }
    }

    /// Resolves when nobody depends on this process for what comes from its predecessor: at once without a successor, otherwise when the
    /// predecessor has told that it reads the socket no longer.
    ///
    /// Cancel safety: safe, it only waits.
    pub async fn passed_on(&self) {
        if let (Some(predecessor), Some(_)) = (&self.0.predecessor, self.0.successor.get()) {
            // An error would mean that the sender is gone, which is beside the receiver.
            let _ = predecessor.gone.subscribe().wait_for(|gone| *gone).await;
        }
    }

    pub(super) fn as_socket(&self) -> Arc<dyn AsyncUdpSocket> {
        self.0.clone()
    }
}

impl Predecessor {
    fn new(relay: UnixDatagram) -> io::Result<Self> {
        relay.set_nonblocking(true)?;
        let relay = tokio::net::UnixDatagram::from_std(relay)?;
        let state = State { gone: false, reader: None, message: vec![0; RELAYED_MAX].into() };
        Ok(Self { relay, state: Mutex::new(state), gone: watch::Sender::new(false) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what was relayed: as many datagrams as there are, at most one for each buffer.
    fn poll_relayed(&self, cx: &mut Context<'_>, bufs: &mut [IoSliceMut<'_>], metas: &mut [RecvMeta]) -> Poll<usize> {
        let mut state = self.state();
        let mut taken = 0;
        for (buf, meta) in bufs.iter_mut().zip(metas) {
            let mut message = ReadBuf::new(&mut state.message);
            match self.relay.poll_recv(cx, &mut message) {
                Poll::Ready(Ok(())) => {}
                // A predecessor that was killed: `take_over` follows.
                Poll::Ready(Err(_)) | Poll::Pending => break,
            }
            let relayed = take(message.filled()).and_then(|(found, datagram)| {
                buf.get_mut(..datagram.len())?.copy_from_slice(datagram);
                Some(found)
            });
            // One that is none counts as empty, which quinn skips.
            *meta = relayed.unwrap_or_default();
            taken += 1;
        }
        if taken > 0 { Poll::Ready(taken) } else { Poll::Pending }
    }

    /// Whether the socket is free to be read; wakes the task when it is.
    fn poll_gone(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if state.gone {
            return Poll::Ready(());
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Shared {
    /// Passes foreign datagrams on and closes the gaps that they leave; whether anything is left.
    fn sort_out(&self, relay: &Relay, bufs: &mut [IoSliceMut<'_>], metas: &mut [RecvMeta]) -> bool {
        let mut left = false;
        for (buf, meta) in bufs.iter_mut().zip(metas) {
            let mut kept = 0;
            let mut at = 0;
            while at < meta.len {
                let end = meta.len.min(at + meta.stride.max(1));
                if self.ids.has(&buf[at..end]) {
                    buf.copy_within(at..end, kept);
                    kept += end - at;
                } else {
                    relay.pass(meta, &buf[at..end]);
                }
                at = end;
            }
            meta.len = kept;
            left |= kept > 0;
        }
        left
    }
}

impl AsyncUdpSocket for Shared {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.udp.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.udp.try_send(transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        loop {
            let relayed = match &self.predecessor {
                Some(predecessor) => match predecessor.poll_relayed(cx, bufs, meta) {
                    Poll::Ready(count) => Some(count),
                    Poll::Pending => {
                        ready!(predecessor.poll_gone(cx));
                        None
                    }
                },
                None => None,
            };
            let count = match relayed {
                Some(count) => count,
                None => ready!(self.udp.poll_recv(cx, bufs, meta))?,
            };
            match self.successor.get() {
                Some(relay) if !self.sort_out(relay, &mut bufs[..count], &mut meta[..count]) => {}
                _ => return Poll::Ready(Ok(count)),
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.udp.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.udp.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.udp.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.udp.may_fragment()
    }
}
