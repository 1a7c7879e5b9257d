//! The TCP carrier: muxado frames over an established TLS stream.
//!
//! One driver task owns the transport and polls its reading and writing side itself. The session machine stands behind a mutex that the
//! driver and the stream handles share; nobody holds it over I/O, and on a single-threaded shard nobody ever waits for it.

mod driver;
mod heartbeat;
mod link;
mod stream;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use self::driver::Driver;
pub(crate) use self::link::Handle;
use self::link::Link;
pub(crate) use self::stream::{RecvHalf, SendHalf};
use crate::{OpenError, Role, Session, SessionConfig, Stream};

/// Runs a session over an established TLS stream (or any other ordered, private byte pipe). The driver is spawned on the current runtime
/// and ends with the session; [`Session::closed`] waits for that.
///
/// The transport should have large reads under its TLS ([`portway_tls::ReadAhead`]) and its socket tuned ([`crate::tune_tcp`]).
pub fn over_tls<IO>(io: IO, role: Role, config: SessionConfig, peer: SocketAddr, local: SocketAddr) -> Session
where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let link = Link::new(role, &config, peer, local);
    let driver = Driver::new(io, link.clone(), &config);
    tokio::spawn(driver);
    Session::framed(Handle::new(link))
}

/// See [`Session::open`].
pub(crate) fn open(handle: &Arc<Handle>, head: Bytes) -> Result<Stream, OpenError> {
    let id = handle.link().open(head)?;
    Ok(stream(handle, id))
}

/// See [`Session::accept`].
pub(crate) async fn accept(handle: &Arc<Handle>) -> Option<Stream> {
    let id = handle.link().accept().await?;
    Some(stream(handle, id))
}

fn stream(handle: &Arc<Handle>, id: portway_muxado::StreamId) -> Stream {
    Stream::framed(RecvHalf::new(handle.clone(), id), SendHalf::new(handle.clone(), id))
}
