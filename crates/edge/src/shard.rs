//! Shards: threads with a runtime each. What one accepted stays there, unless its endpoint lives on another.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;

use portway_codes::Code;
use portway_mux::QuicListener;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

use crate::admission::ConnectionPermit;
use crate::metrics::Kind;
use crate::state::EdgeShared;
use crate::visitor::Visitor;
use crate::{http, https_port, plain_http, quic_port, ssh, tcp};

/// One thread and its runtime.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) runtime: Handle,
    thread: JoinHandle<()>,
    ended: tokio::sync::oneshot::Receiver<()>,
}

impl Shard {
    /// Starts a thread whose runtime runs until `stopped`; tasks that are still there then are dropped.
    pub(crate) fn start(index: usize, stopped: CancellationToken) -> io::Result<Shard> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = tokio::sync::oneshot::channel();
        let thread = std::thread::Builder::new().name(format!("edge-shard-{index}")).spawn(move || {
            runtime.block_on(stopped.cancelled());
            drop(runtime);
            // Nobody waits for it when the edge was dropped.
            let _ = end.send(());
        })?;
        Ok(Shard { runtime: handle, thread, ended })
    }

    /// Waits for the thread's end. Cancel safety: dropped, the thread ends on its own.
    pub(crate) async fn join(self) {
        // An error means that the thread panicked, and `join` tells.
        let _ = self.ended.await;
        if self.thread.join().is_err() {
            tracing::error!("a shard panicked");
        }
    }
}

/// Accepts on a duplicate of an https listener.
pub(crate) fn spawn_https(edge: &Arc<EdgeShared>, shard: usize, socket: std::net::TcpListener) {
    let edge = Arc::clone(edge);
    let runtime = edge.shards[shard].clone();
    edge.tasks.clone().spawn_on(
        // Beyond a limit the connection is closed unheard: anything more would be work for a flood.
        accept(Arc::clone(&edge), socket, drop, move |edge, stream, peer, permit| {
            https_port::serve(edge, stream, peer, permit, shard)
        }),
        &runtime,
    );
}

/// Accepts on a duplicate of an http listener.
pub(crate) fn spawn_http(edge: &Arc<EdgeShared>, shard: usize, socket: std::net::TcpListener) {
    let edge = Arc::clone(edge);
    let runtime = edge.shards[shard].clone();
    edge.tasks.clone().spawn_on(
        accept(Arc::clone(&edge), socket, answer_busy, |edge, stream, peer, permit| async move {
            let _counted = (permit, edge.visitors.token());
            edge.count_connection(Kind::Http);
            let Ok(local) = stream.local_addr() else { return };
            let visitor = Visitor {
                peer,
                local,
                scheme: portway_names::Scheme::Http,
                sni: None,
                alpn_h2: false,
                client_authorities: None,
            };
            Box::pin(http::serve(stream, visitor, edge)).await;
        }),
        &runtime,
    );
}

/// Accepts on a duplicate of an SSH listener.
pub(crate) fn spawn_ssh(edge: &Arc<EdgeShared>, shard: usize, socket: std::net::TcpListener) {
    let Some(server) = edge.config.ssh.clone() else { return };
    let edge = Arc::clone(edge);
    let runtime = edge.shards[shard].clone();
    let serve = move |edge: Arc<EdgeShared>, io: TcpStream, peer, permit| {
        let server = Arc::clone(&server);
        async move {
            let Ok(local) = io.local_addr() else { return };
            ssh::serve(edge, server, ssh::Arrival { io, peer, local, permit, shard }).await;
        }
    };
    edge.tasks.clone().spawn_on(accept(Arc::clone(&edge), socket, drop, serve), &runtime);
}

/// Accepts QUIC connections; on the first shard, where all sessions over QUIC live.
pub(crate) fn spawn_quic(edge: &Arc<EdgeShared>, listener: QuicListener) {
    let edge = Arc::clone(edge);
    let runtime = edge.shards[0].clone();
    let running = edge.quic.running.clone();
    edge.tasks.clone().spawn_on(running.track_future(quic_port::run(edge, listener)), &runtime);
}

/// Tells a visitor beyond a limit in one write that cannot wait.
fn answer_busy(stream: TcpStream) {
    let code = Code::ERR_PORTWAY_42901;
    let _ = stream.try_write(plain_http::answer(code.status(), Some(code), code.text()).as_bytes());
    let _ = SockRef::from(&stream).shutdown(Shutdown::Write);
}

async fn accept<F, S>(edge: Arc<EdgeShared>, socket: std::net::TcpListener, refuse: fn(TcpStream), serve: F)
where
    F: Fn(Arc<EdgeShared>, TcpStream, SocketAddr, ConnectionPermit) -> S,
    S: Future<Output = ()> + Send + 'static,
{
    let listener = match tcp::own_listener(&socket) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "a listener cannot be accepted on"),
    };
    drop(socket);
    loop {
        let accepted = tokio::select! {
            biased;
            () = edge.draining.cancelled() => return,
            accepted = tcp::next(&listener) => accepted,
        };
        let Some((stream, peer)) = accepted else { continue };
        let Ok(permit) = edge.admission.connection(peer) else {
            refuse(stream);
            continue;
        };
        edge.tasks.spawn(serve(Arc::clone(&edge), stream, peer, permit));
    }
}
