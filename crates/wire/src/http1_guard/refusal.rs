//! Why a request is refused.

/// A request that must not reach a parser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct GuardError {
    /// How many of the observed bytes, before the refused part, may still be passed on.
    pub offset: usize,
    /// Why.
    pub kind: Refusal,
}

/// What is wrong with a request. Each has a fixed text and a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// The request line is no request line.
    #[error("malformed request line")]
    RequestLine,
    /// The method is no token, or absurdly long.
    #[error("unknown method")]
    Method,
    /// The request target has a byte that no target may have, or no known form.
    #[error("malformed request target")]
    Target,
    /// The request target is longer than allowed.
    #[error("request target is too long")]
    TargetTooLong,
    /// Neither HTTP/1.0 nor HTTP/1.1.
    #[error("unsupported HTTP version")]
    Version,
    /// A line ends with LF alone.
    #[error("line ends with LF instead of CRLF")]
    BareLf,
    /// A CR without LF.
    #[error("CR without LF")]
    BareCr,
    /// A header line starts with white space (obs-fold).
    #[error("folded header line")]
    Folding,
    /// A header line without a name, or with a byte in it that no name may have.
    #[error("malformed header name")]
    HeaderName,
    /// White space between a header name and its colon.
    #[error("white space before the colon of a header")]
    SpaceBeforeColon,
    /// NUL or another control character in a header value.
    #[error("control character in a header value")]
    HeaderValue,
    /// More header fields than allowed.
    #[error("too many header fields")]
    TooManyHeaders,
    /// The head is longer than allowed.
    #[error("request head is too large")]
    HeadTooLarge,
    /// HTTP/1.1 without Host.
    #[error("missing Host header")]
    HostMissing,
    /// More than one Host.
    #[error("more than one Host header")]
    HostRepeated,
    /// A Host value with a byte that no authority may have.
    #[error("malformed Host header")]
    Host,
    /// The authority of the request target is not the one of Host.
    #[error("request target and Host header name different hosts")]
    HostMismatch,
    /// A Content-Length that is not a plain decimal number.
    #[error("malformed Content-Length")]
    ContentLength,
    /// More than one Content-Length, even when equal.
    #[error("more than one Content-Length")]
    ContentLengthRepeated,
    /// Content-Length beside Transfer-Encoding.
    #[error("both Content-Length and Transfer-Encoding")]
    LengthAndEncoding,
    /// A Transfer-Encoding other than `chunked`.
    #[error("unsupported Transfer-Encoding")]
    TransferEncoding,
    /// More than one Transfer-Encoding.
    #[error("more than one Transfer-Encoding")]
    TransferEncodingRepeated,
    /// Transfer-Encoding in an HTTP/1.0 request.
    #[error("Transfer-Encoding in HTTP/1.0")]
    EncodingInHttp10,
    /// CONNECT with a body.
    #[error("CONNECT with a body")]
    ConnectWithBody,
    /// A chunk size that is not 1 to 16 hexadecimal digits.
    #[error("malformed chunk size")]
    ChunkSize,
    /// A malformed or overlong chunk extension.
    #[error("malformed chunk extension")]
    ChunkExtension,
    /// Chunk data that is not followed by CRLF.
    #[error("chunk data is not followed by CRLF")]
    ChunkEnd,
    /// A trailer field that would change framing, routing or authentication.
    #[error("forbidden trailer field")]
    TrailerName,
    /// The trailer section is longer than allowed.
    #[error("trailer section is too large")]
    TrailersTooLarge,
}

impl Refusal {
    /// The status to answer with: 400, 414, 431, 501 or 505.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::TargetTooLong => 414,
            Self::TooManyHeaders | Self::HeadTooLarge | Self::TrailersTooLarge => 431,
            Self::Method | Self::TransferEncoding => 501,
            Self::Version => 505,
            _ => 400,
        }
    }
}
