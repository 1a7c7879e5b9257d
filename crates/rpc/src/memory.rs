//! Both ends of the link in one process: the same HTTP/2 and protobuf, over a pipe in memory.

use std::future::Future;
use std::io;

use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Endpoint, Server, Uri};
use tower::service_fn;

use crate::client::{ControlClient, MAX_MESSAGE};
use crate::control::control_plane_server::{ControlPlane, ControlPlaneServer};

/// Bytes that wait in each direction of the pipe; beyond that the writer waits. A few HTTP/2 frames of the default window.
const PIPE: usize = 256 << 10;
/// Connections that wait for the server task. The client keeps one connection, so more than one waits only while it reconnects.
const WAITING: usize = 4;
/// HTTP/2 window of a stream and of the connection. Nothing is far away here: the window only bounds what a slow reader holds.
const WINDOW: u32 = 1 << 20;

/// Joins a client to a service in this process.
///
/// The future is the server; it must be polled (spawned on the control plane's runtime) for the client's calls to be answered, and it
/// ends when every clone of the client is gone. Dropping it refuses new connections; on the one that is open, calls go on until the
/// service itself ends them or their deadline comes. Failures of the link are a status for which [`crate::should_retry`] is true. Call
/// this within a Tokio runtime: the connection's own tasks run there.
pub fn in_memory<S: ControlPlane>(service: S) -> (ControlClient, impl Future<Output = ()> + Send) {
    let (dialled, incoming) = mpsc::channel::<DuplexStream>(WAITING);
    let connector = service_fn(move |_: Uri| {
        let dialled = dialled.clone();
        async move {
            let (ours, theirs) = tokio::io::duplex(PIPE);
            let gone = |_| io::Error::new(io::ErrorKind::ConnectionRefused, "the control plane has stopped");
            dialled.send(theirs).await.map_err(gone)?;
            Ok::<_, io::Error>(TokioIo::new(ours))
        }
    });
    let channel = Endpoint::from_static("http://control.portway.invalid")
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(2 * WINDOW)
        .connect_with_connector_lazy(connector);
    let service =
        ControlPlaneServer::new(service).max_decoding_message_size(MAX_MESSAGE).max_encoding_message_size(MAX_MESSAGE);
    let server = async move {
        let incoming = ReceiverStream::new(incoming).map(Ok::<_, io::Error>);
        let served = Server::builder()
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(2 * WINDOW)
            .add_service(service)
            .serve_with_incoming(incoming)
            .await;
        if let Err(error) = served {
            // Only accepting can fail here, and a channel in memory does not.
            tracing::error!(%error, "the in-memory control link stopped");
        }
    };
    (ControlClient::new(channel), server)
}
