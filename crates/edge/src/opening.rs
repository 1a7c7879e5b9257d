//! The first bytes of a connection on the https address, read before anybody knows whom they are for.

use std::io;

use bytes::{Bytes, BytesMut};
use portway_wire::client_hello::{ClientHello, ClientHelloError, ClientHelloParser, Status};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Room for the first read: a ClientHello with a post-quantum key share has about 1,800 bytes.
const FIRST_READ: usize = 4_096;

/// What a connection began with.
#[derive(Debug)]
pub(crate) enum Opening {
    /// A complete ClientHello, and all bytes read so far.
    Tls(ClientHello, Bytes),
    /// Something that is not TLS; what was read of it.
    NotTls(Bytes),
}

/// Why a connection's beginning is of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpeningFault {
    #[error("closed before a ClientHello was complete")]
    Closed,
    #[error(transparent)]
    Malformed(#[from] ClientHelloError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads until the ClientHello is complete or it is clear that none comes. The size is limited by the parser, the time by the caller.
///
/// Cancel safety: not safe, bytes already read are lost; the connection is to be closed.
pub(crate) async fn read<IO: AsyncRead + Unpin>(io: &mut IO) -> Result<Opening, OpeningFault> {
    let mut parser = ClientHelloParser::new();
    let mut bytes = BytesMut::with_capacity(FIRST_READ);
    loop {
        let fed = bytes.len();
        if fed == bytes.capacity() {
            bytes.reserve(FIRST_READ);
        }
        if io.read_buf(&mut bytes).await? == 0 {
            return Err(OpeningFault::Closed);
        }
        match parser.feed(&bytes[fed..]) {
            Ok(Status::Complete(hello)) => return Ok(Opening::Tls(hello, bytes.freeze())),
            Ok(Status::Incomplete) => {}
            Err(ClientHelloError::NotTls) => return Ok(Opening::NotTls(bytes.freeze())),
            Err(error) => return Err(error.into()),
        }
    }
}
