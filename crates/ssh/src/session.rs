//! A session, once it serves visitors.

use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use portway_codes::PublicError;
use portway_mux::{CloseReason, ErrorCode};
use russh::server::{Handle, RunningSession};
use russh::{ChannelId, Disconnect};
use tokio::sync::{Semaphore, mpsc, watch};

use crate::Limits;
use crate::handler::FrontHandler;
use crate::inflow::Inflow;
use crate::line::Cut;
use crate::login::Gate;

/// How long a client that was told to disconnect may take to close.
const LINGER: Duration = Duration::from_secs(2);

/// One SSH connection that serves visitors. Clones are the same session; it may be used from any thread and any runtime, while SSH itself is
/// spoken on the runtime where it was accepted.
///
/// The connection is cut when the last clone, the last [`crate::Forwarded`] and the last stream of it are dropped.
#[derive(Clone, Debug)]
pub struct SshSession {
    core: Arc<Core>,
}

/// Cuts the line when nobody holds the session any more.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) shared: Arc<Shared>,
}

/// What the handler, the streams and the handles of a session share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) limits: Limits,
    pub(crate) inflow: Inflow<ChannelId>,
    pub(crate) cut: Cut,
    /// Set as soon as the client has said that it speaks SSH.
    pub(crate) handle: OnceLock<Handle>,
    /// Channels to be closed. It has no bound of its own: there is at most one message for each channel that was open.
    closing: mpsc::UnboundedSender<ChannelId>,
    pub(crate) streams: Arc<Semaphore>,
    /// Why this side ends the session, when it does.
    pub(crate) cause: Mutex<Option<CloseReason>>,
    /// Why a login was refused, for the user's next try.
    refusal: Mutex<Option<PublicError>>,
    /// Serves visitors: what belongs to the setup is refused.
    pub(crate) serving: AtomicBool,
    /// Where SSH is spoken.
    runtime: tokio::runtime::Handle,
    over: watch::Sender<Option<CloseReason>>,
}

impl SshSession {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Waits until the session is over.
    pub async fn closed(&self) -> CloseReason {
        self.core.shared.closed().await
    }

    /// Why the session is over; `None` while it lives.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.core.shared.close_reason()
    }

    /// Closes politely: the client prints `text` (its control characters are escaped), and has two seconds to go. Streams that still run are
    /// lost. Does nothing when the session is over.
    pub fn close(&self, text: &str) {
        let shared = Arc::clone(&self.core.shared);
        let text = crate::printable::printable(text).to_string();
        // Ends within the time it takes to cut the line. On the session's runtime: the caller may be on none.
        self.core.shared.runtime.spawn(async move { shared.disconnect(text).await });
    }

    /// Closes at once, for a client that is dead or dangerous: nothing more is sent.
    pub fn abort(&self) {
        self.core.shared.abort();
    }

    /// The client's address.
    pub fn peer_addr(&self) -> SocketAddr {
        self.core.shared.peer
    }

    /// The address on this side.
    pub fn local_addr(&self) -> SocketAddr {
        self.core.shared.local
    }

    /// Streams open now.
    pub fn open_streams(&self) -> usize {
        let shared = &self.core.shared;
        shared.limits.streams.saturating_sub(shared.streams.available_permits())
    }

    /// Streams that may be open at once.
    pub fn max_streams(&self) -> usize {
        self.core.shared.limits.streams
    }

    /// True when both are the same session.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.core, &other.core)
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.shared.abort();
    }
}

impl Shared {
    pub(crate) fn new(
        peer: SocketAddr,
        local: SocketAddr,
        limits: Limits,
        cut: Cut,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<ChannelId>) {
        let (closing, to_close) = mpsc::unbounded_channel();
        let shared = Self {
            peer,
            local,
            limits,
            inflow: Inflow::new(limits.reader_stall),
            cut,
            handle: OnceLock::new(),
            closing,
            streams: Arc::new(Semaphore::new(limits.streams)),
            cause: Mutex::new(None),
            refusal: Mutex::new(None),
            serving: AtomicBool::new(false),
            runtime: tokio::runtime::Handle::current(),
            over: watch::Sender::new(None),
        };
        (Arc::new(shared), to_close)
    }

    pub(crate) async fn closed(&self) -> CloseReason {
        let mut over = self.over.subscribe();
        match over.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or(CloseReason::LocalClosed),
            Err(_) => CloseReason::LocalClosed,
        }
    }

    pub(crate) fn close_reason(&self) -> Option<CloseReason> {
        self.over.borrow().clone()
    }

    /// Notes why this side ends the session; the first reason stays.
    pub(crate) fn because(&self, reason: CloseReason) {
        self.cause.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
    }

    /// Notes why a login was refused.
    pub(crate) fn refuse(&self, error: PublicError) {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    pub(crate) fn refusal(&self) -> Option<PublicError> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn abort(&self) {
        self.because(CloseReason::LocalClosed);
        self.cut.cut();
    }

    /// Closes a channel, soon.
    pub(crate) fn close_channel(&self, id: ChannelId) {
        // Nobody hears it when the session is over.
        let _ = self.closing.send(id);
    }

    /// Tells the client and cuts the line when it does not go.
    pub(crate) async fn disconnect(&self, text: String) {
        let told = async {
            if let Some(handle) = self.handle.get() {
                // Fails when the session is over.
                let _ = handle.disconnect(Disconnect::ByApplication, text, "en".to_owned()).await;
            }
            self.because(CloseReason::LocalClosed);
            self.closed().await;
        };
        let _ = tokio::time::timeout(LINGER, told).await;
        self.abort();
    }
}

/// Runs a session to its end: closes channels that nobody holds any more, and tells all when it is over.
pub(crate) async fn supervise<G: Gate>(
    mut running: RunningSession<FrontHandler<G>>,
    shared: Arc<Shared>,
    mut to_close: mpsc::UnboundedReceiver<ChannelId>,
) {
    let handle = running.handle();
    let ended = loop {
        tokio::select! {
            ended = &mut running => break ended,
            Some(id) = to_close.recv() => {
                // Fails when the session is over, which comes up next.
                let _ = handle.close(id).await;
            }
        }
    };
    let cause = shared.cause.lock().unwrap_or_else(PoisonError::into_inner).take();
    let reason = cause.unwrap_or_else(|| reason(ended));
    tracing::debug!(peer = %shared.peer, %reason, "SSH session over");
    shared.inflow.lose(&reason);
    shared.over.send_replace(Some(reason));
}

fn reason(ended: Result<(), russh::Error>) -> CloseReason {
    match ended {
        Ok(()) | Err(russh::Error::Disconnect | russh::Error::HUP) => {
            CloseReason::PeerClosed { code: ErrorCode::NONE, text: String::new() }
        }
        Err(russh::Error::IO(error)) => CloseReason::TransportLost(Arc::new(error)),
        Err(russh::Error::KeepaliveTimeout) => CloseReason::HeartbeatLost,
        Err(error) => CloseReason::PeerFault(error.to_string()),
    }
}
