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
    /// Bytes of a record header that is not complete.
    header: Vec<u8>,
    /// Bytes of the current record that are still to come.
    record: usize,
    /// The handshake message so far, without record headers.
    message: Vec<u8>,
    seen: usize,
}

impl ClientHelloParser {
    /// A parser for one connection.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the bytes that arrived since the last call (each byte once; the caller keeps them for the TLS engine). What follows the
    /// ClientHello is not looked at.
    ///
    /// # Errors
    /// [`ClientHelloError`] as soon as the bytes cannot become a ClientHello; the connection is to be closed.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<Status<ClientHello>, ClientHelloError> {
        while !bytes.is_empty() {
            if self.record == 0 {
                let (header, rest) = bytes.split_at((RECORD_HEADER - self.header.len()).min(bytes.len()));
                self.header.extend_from_slice(header);
                bytes = rest;
                self.seen += header.len();
                self.record = record_length(&self.header)?.unwrap_or(0);
                if self.record > 0 {
                    self.header.clear();
                }
            } else {
                let (body, rest) = bytes.split_at(self.record.min(bytes.len()));
                self.message.extend_from_slice(body);
                bytes = rest;
                self.seen += body.len();
                self.record -= body.len();
                if let Some(hello) = message(&self.message)? {
                    return Ok(Status::Complete(hello));
                }
            }
            if self.seen > MAX_CLIENT_HELLO_LEN {
                return Err(ClientHelloError::TooLong);
            }
        }
        Ok(Status::Incomplete)
    }
}

/// Bytes of a TLS record header: type, version, length.
const RECORD_HEADER: usize = 5;
/// Most bytes of a plaintext record (RFC 8446 section 5.1).
const MAX_RECORD: usize = 1 << 14;

/// The length in a record header, once that is complete. What is wrong is told at the first byte that is.
fn record_length(header: &[u8]) -> Result<Option<usize>, ClientHelloError> {
    match *header {
        [kind, ..] if kind != 22 => Err(ClientHelloError::NotTls),
        [_, major, ..] if major != 3 => Err(ClientHelloError::NotTls),
        [_, _, _, high, low] => match usize::from(u16::from_be_bytes([high, low])) {
            length @ 1..=MAX_RECORD => Ok(Some(length)),
            _ => Err(ClientHelloError::Malformed("record length")),
        },
        _ => Ok(None),
    }
}

/// The ClientHello, once the message is complete.
fn message(message: &[u8]) -> Result<Option<ClientHello>, ClientHelloError> {
    match *message {
        [kind, ..] if kind != 1 => Err(ClientHelloError::NotClientHello),
        [_, high, mid, low, ref rest @ ..] => {
            let length = u32::from_be_bytes([0, high, mid, low]) as usize;
            if length > MAX_CLIENT_HELLO_LEN {
                return Err(ClientHelloError::TooLong);
            }
            rest.get(..length).map(client_hello).transpose()
        }
        _ => Ok(None),
    }
}

fn client_hello(body: &[u8]) -> Result<ClientHello, ClientHelloError> {
    let mut body = Reader(body);
    body.take(2 + 32, "version and random")?;
    body.vector8("session id")?;
    body.vector16("cipher suites")?;
    body.vector8("compression methods")?;
    let mut hello = ClientHello::default();
    if body.0.is_empty() {
        return Ok(hello);
    }
    let mut extensions = Reader(body.vector16("extensions")?);
    if !body.0.is_empty() {
        return Err(ClientHelloError::Malformed("bytes after the extensions"));
    }
    let (mut named, mut negotiated) = (false, false);
    while !extensions.0.is_empty() {
        let kind = extensions.number16("extension type")?;
        let content = extensions.vector16("extension")?;
        match kind {
            // RFC 8446 section 4.2: no extension comes twice.
            0 if std::mem::replace(&mut named, true) => return Err(ClientHelloError::Malformed("server_name twice")),
            0 => hello.server_name = Some(server_name(content)?),
            16 if std::mem::replace(&mut negotiated, true) => return Err(ClientHelloError::Malformed("ALPN twice")),
            16 => hello.alpn = alpn(content)?,
            _ => {}
        }
    }
    Ok(hello)
}

/// RFC 6066 section 3. Several names would leave it to each reader which one counts.
fn server_name(content: &[u8]) -> Result<String, ClientHelloError> {
    let mut content = Reader(content);
    let mut list = Reader(content.vector16("server_name list")?);
    let kind = list.take(1, "server_name type")?;
    let name = list.vector16("server_name")?;
    if kind != [0] || !list.0.is_empty() || !content.0.is_empty() {
        return Err(ClientHelloError::Malformed("server_name is not one host name"));
    }
    if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
        return Err(ClientHelloError::Malformed("server_name is not ASCII"));
    }
    Ok(String::from_utf8_lossy(name).into_owned())
}

/// RFC 7301 section 3.1.
fn alpn(content: &[u8]) -> Result<Vec<Vec<u8>>, ClientHelloError> {
    let mut content = Reader(content);
    let mut list = Reader(content.vector16("ALPN list")?);
    let mut protocols = Vec::new();
    while !list.0.is_empty() {
        match list.vector8("ALPN protocol")? {
            [] => return Err(ClientHelloError::Malformed("empty ALPN protocol")),
            protocol => protocols.push(protocol.to_vec()),
        }
    }
    if protocols.is_empty() || !content.0.is_empty() {
        return Err(ClientHelloError::Malformed("ALPN list"));
    }
    Ok(protocols)
}

/// Takes fields off the front; what is missing is named.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], ClientHelloError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(ClientHelloError::Malformed(what))?;
        self.0 = rest;
        Ok(taken)
    }

    fn number16(&mut self, what: &'static str) -> Result<u16, ClientHelloError> {
        let bytes = self.take(2, what)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn vector8(&mut self, what: &'static str) -> Result<&'a [u8], ClientHelloError> {
        let length = self.take(1, what)?[0];
        self.take(usize::from(length), what)
    }

    fn vector16(&mut self, what: &'static str) -> Result<&'a [u8], ClientHelloError> {
        let length = self.number16(what)?;
        self.take(usize::from(length), what)
    }
}

#[cfg(test)]
mod tests;
