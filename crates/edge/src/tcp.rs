//! TCP endpoints: each visitor of the port becomes a stream.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use portway_mux::{PipeLimits, PipeStats, pipe_with};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::cut::{Cut, CutOnDrop};
use crate::endpoint::{Endpoint, OpenFault};
use crate::metrics::{Direction, DirectionLabel, Kind, ReasonLabel};
use crate::restriction;
use crate::shares::VisitorStream;
use crate::state::EdgeShared;

/// Wait after a failed accept: the process has no descriptors left, and trying again at once would only burn the processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Silence after which the kernel asks whether a visitor is still there; three answers missing, ten seconds apart, end it.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);

/// Accepts on an endpoint's port until it is stopped.
pub(crate) async fn accept(
    edge: Arc<EdgeShared>,
    socket: Arc<std::net::TcpListener>,
    endpoint: Arc<Endpoint>,
    stop: CancellationToken,
) {
    let listener = match own_listener(&socket) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, url = %endpoint.url, "the port cannot be accepted on"),
    };
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = edge.draining.cancelled() => return,
            accepted = next(&listener) => accepted,
        };
        let Some((stream, peer)) = accepted else { continue };
        let Ok(permit) = edge.admission.connection(peer) else { continue };
        // A newer session may have the port by now, before this task was told.
        let current = edge.routes.tcp(endpoint.url.effective_port());
        let (edge_of_visitor, endpoint) = (Arc::clone(&edge), current.unwrap_or_else(|| Arc::clone(&endpoint)));
        let token = edge.visitors.token();
        edge.tasks.spawn(async move {
            let _counted = (permit, token);
            edge_of_visitor.count_connection(Kind::Tcp);
            serve(&edge_of_visitor, stream, peer, &endpoint).await;
        });
    }
}

/// A listener of this shard on a socket that others may share. Both ends of the sharing accept from one queue. Accepted connections take
/// over its options (tcp(7)), which saves five system calls for each of them.
pub(crate) fn own_listener(socket: &std::net::TcpListener) -> io::Result<TcpListener> {
    let own = socket.try_clone()?;
    own.set_nonblocking(true)?;
    let options = SockRef::from(&own);
    options.set_tcp_nodelay(true)?;
    let keepalive =
        TcpKeepalive::new().with_time(KEEPALIVE_AFTER).with_interval(Duration::from_secs(10)).with_retries(3);
    options.set_tcp_keepalive(&keepalive)?;
    TcpListener::from_std(own)
}

/// The next connection; none after a fault that was waited out.
pub(crate) async fn next(listener: &TcpListener) -> Option<(TcpStream, SocketAddr)> {
    match listener.accept().await {
        Ok(accepted) => Some(accepted),
        Err(error) if is_about_the_peer(&error) => None,
        Err(error) => {
            tracing::warn!(%error, "cannot accept connections at the moment");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

/// Pipes a visitor's bytes to an endpoint and back.
pub(crate) async fn serve(edge: &EdgeShared, visitor: TcpStream, peer: SocketAddr, endpoint: &Endpoint) {
    let Ok(local) = visitor.local_addr() else { return };
    if !permits(edge, endpoint, peer) {
        return visitor.reset_on_close();
    }
    let Some(stream) = open(edge, endpoint, peer, local).await else {
        return visitor.reset_on_close();
    };
    run_pipe(edge, endpoint, visitor, stream, Bytes::new()).await;
}

/// Whether a visitor may come by its address; tells metrics and log when not.
pub(crate) fn permits(edge: &EdgeShared, endpoint: &Endpoint, peer: SocketAddr) -> bool {
    let permitted = restriction::admits_visitor(edge, endpoint, peer);
    if !permitted {
        edge.metrics.refused.get_or_create(&ReasonLabel { reason: "restricted_address" }).inc();
        tracing::debug!(url = %endpoint.url, %peer, "visitor from an address that may not come");
    }
    permitted
}

/// Opens a stream for a visitor; tells metrics and log why there is none.
pub(crate) async fn open(
    edge: &EdgeShared,
    endpoint: &Endpoint,
    peer: SocketAddr,
    local: SocketAddr,
) -> Option<VisitorStream> {
    match endpoint.open(peer, local).await {
        Ok(stream) => {
            edge.visited(endpoint, peer);
            Some(stream)
        }
        Err(fault) => {
            let reason = match fault {
                OpenFault::Offline => "agent_offline",
                OpenFault::Unreachable(_) => "upstream_unreachable",
                OpenFault::Busy => "too_many_streams",
                OpenFault::Share => "too_many_streams_of_address",
            };
            if let Some(limit) = fault.limit() {
                edge.admission.reached(limit, peer);
            }
            edge.metrics.refused.get_or_create(&ReasonLabel { reason }).inc();
            tracing::debug!(url = %endpoint.url, %peer, %fault, "visitor turned away");
            None
        }
    }
}

/// Pipes until both directions have ended, one failed, or the edge stopped; `initial` was read from the visitor already. A visitor who did
/// not get everything there was, and the end, is cut off by a reset, so that it does not take what it got for a whole answer.
///
/// Cancel safety: dropped, both sides are cut.
pub(crate) async fn run_pipe<IO: Cut>(
    edge: &EdgeShared,
    endpoint: &Endpoint,
    visitor: IO,
    stream: VisitorStream,
    initial: Bytes,
) {
    let mut visitor = CutOnDrop::new(visitor);
    let limits = PipeLimits { idle_timeout: edge.limits().pipe_idle_timeout };
    // The stream counts until the pipe is over.
    let (stream, _share) = stream.into_parts();
    let piped = pipe_with(&mut visitor.io, stream, initial, limits);
    let stats = match edge.stopped.run_until_cancelled(piped).await {
        Some(Ok(stats)) => stats,
        Some(Err(error)) => {
            tracing::debug!(url = %endpoint.url, %error, "connection ended early");
            error.stats()
        }
        None => return,
    };
    count_bytes(edge, stats);
    // An upstream that has said everything may give up listening; that is no failure for the visitor.
    visitor.told_end = stats.told_end;
}

fn count_bytes(edge: &EdgeShared, stats: PipeStats) {
    let bytes = &edge.metrics.bytes;
    bytes.get_or_create(&DirectionLabel { direction: Direction::ToAgent }).inc_by(stats.sent);
    bytes.get_or_create(&DirectionLabel { direction: Direction::ToVisitor }).inc_by(stats.received);
}

/// The connection was gone before it was accepted: nothing is wrong here.
fn is_about_the_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}
