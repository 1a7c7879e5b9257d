//! The https address over UDP: agents by QUIC.

use std::sync::Arc;
use std::time::Duration;

use portway_mux::{QuicIncoming, QuicListener};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::admission::{ConnectionPermit, HandshakePermit};
use crate::metrics::{HandshakeLabel, HandshakeStage};
use crate::native::{self, Arrival};
use crate::state::EdgeShared;

/// All sessions over QUIC live on the shard whose endpoint drives the socket.
pub(crate) const SHARD: usize = 0;

/// How long the farewells of the last sessions may take to leave.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Accepts until the edge drains; then refuses newcomers, and lets go of the socket when the last session has ended: a successor reads
/// from the same one. Where a predecessor still reads it, this edge passes on what comes from there until that has ended.
pub(crate) async fn run(edge: Arc<EdgeShared>, listener: QuicListener) {
    let sessions = TaskTracker::new();
    loop {
        let incoming = tokio::select! {
            biased;
            () = edge.draining.cancelled() => break,
            incoming = listener.accept() => incoming,
        };
        let Some(incoming) = incoming else { return };
        let peer = incoming.peer_addr();
        let permits = edge.admission.connection(peer).and_then(|permit| Ok((permit, edge.admission.handshake(peer)?)));
        let Ok((permit, handshake)) = permits else {
            incoming.refuse();
            continue;
        };
        edge.tasks.spawn(sessions.track_future(serve(Arc::clone(&edge), incoming, permit, handshake)));
    }
    listener.refuse_new();
    sessions.close();
    let socket = listener.socket();
    let ended = async {
        sessions.wait().await;
        socket.passed_on().await;
    };
    edge.stopped.run_until_cancelled(ended).await;
    let _ = timeout(CLOSE_TIMEOUT, listener.close()).await;
}

async fn serve(edge: Arc<EdgeShared>, incoming: QuicIncoming, permit: ConnectionPermit, handshake: HandshakePermit) {
    let peer = incoming.peer_addr();
    let outcome = timeout(edge.limits().handshake_timeout, async {
        edge.replica.synced().await;
        incoming.establish().await
    })
    .await;
    drop(handshake);
    let why = match outcome {
        Ok(Ok((session, connect_name))) => {
            return native::serve(edge, Arrival { session, connect_name, permit, shard: SHARD }).await;
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no handshake in time".to_owned(),
    };
    edge.metrics.handshake_failures.get_or_create(&HandshakeLabel { stage: HandshakeStage::Quic }).inc();
    tracing::debug!(%peer, why, "QUIC handshake failed");
}
