//! The names a TLS client asks for, read from its ClientHello before TLS is answered (RFC 8446 section 4.1.2, RFC 6066 section 3,
//! RFC 7301 section 3.1).

/// Most bytes of records that a ClientHello may take. Real ones are 250 to 2,500 bytes; 64 KiB admits every future key share.
pub const MAX_CLIENT_HELLO_LEN: usize = 64 * 1024;

/// What the ClientHello asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientHello {
    /// Host name of the server_name extension, as sent; not yet checked to be a good name.
    pub server_name: Option<String>,
    /// Protocols of the ALPN extension, in the client's order.
    pub alpn: Vec<Vec<u8>>,
}

/// How far a parser is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status<T> {
    /// More bytes are needed.
    Incomplete,
    /// Done.
    Complete(T),
}

/// Why the bytes are no ClientHello.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClientHelloError {
    /// The first record is no TLS handshake record; the peer speaks something else.
    #[error("not a TLS handshake")]
    NotTls,
    /// The first handshake message is no ClientHello.
    #[error("first TLS message is not a ClientHello")]
    NotClientHello,
    /// Longer than [`MAX_CLIENT_HELLO_LEN`].
    #[error("ClientHello is over the limit of {MAX_CLIENT_HELLO_LEN} bytes")]
    TooLong,
    /// A length inside points outside, or a field has a value that it must not have.
    #[error("malformed ClientHello: {0}")]
    Malformed(&'static str),
}

/// Reads a ClientHello that arrives in pieces, split over TLS records and segments in any way.
#[derive(Debug, Default)]
pub struct ClientHelloParser {
    records: Vec<u8>,
}

impl ClientHelloParser {
    /// A parser for one connection.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the bytes that arrived since the last call (each byte once; the caller keeps them for the TLS engine).
    ///
    /// # Errors
    /// [`ClientHelloError`] as soon as the bytes cannot become a ClientHello; the connection is to be closed.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Status<ClientHello>, ClientHelloError> {
        self.records.extend_from_slice(bytes);
        Ok(Status::Incomplete)
    }
}
