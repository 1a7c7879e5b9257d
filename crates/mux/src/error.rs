//! How sessions and streams end.

use std::io;
use std::sync::Arc;

use portway_muxado::ErrorCode;

/// Why a session is over.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CloseReason {
    /// The peer said that it goes.
    #[error("the peer closed the session ({code}){}", colon(.text))]
    PeerClosed {
        /// Why.
        code: ErrorCode,
        /// What it said about it; untrusted.
        text: String,
    },
    /// The peer did not answer in time: the link or the peer is dead.
    #[error("the peer does not answer any more")]
    HeartbeatLost,
    /// The transport below failed or ended.
    #[error("the connection was lost: {}", transport_text(.0))]
    TransportLost(#[source] Arc<io::Error>),
    /// The peer broke the protocol or a limit.
    #[error("the peer broke the protocol: {0}")]
    PeerFault(String),
    /// This side closed the session.
    #[error("the session was closed here")]
    LocalClosed,
}

/// Why no stream was opened.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OpenError {
    /// The session's streams are all in use; try again when one has ended.
    #[error("all {limit} streams of the session are in use")]
    TooManyStreams {
        /// The limit that was reached.
        limit: usize,
    },
    /// The session is over.
    #[error("session closed: {0}")]
    Closed(#[source] CloseReason),
}

/// Why a stream gives or takes no more bytes. An [`io::Error`] of the `AsyncRead` and `AsyncWrite` side carries it as its source.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StreamError {
    /// One side gave the stream up; distinct from its end.
    #[error("stream reset: {0}")]
    Reset(ErrorCode),
    /// The session under it is over.
    #[error("session lost: {0}")]
    SessionLost(#[source] CloseReason),
    /// Written after the end was sent.
    #[error("written after the end of the stream was sent")]
    Finished,
}

impl StreamError {
    /// The reset code, when it was a reset.
    pub fn reset_code(&self) -> Option<ErrorCode> {
        match self {
            Self::Reset(code) => Some(*code),
            Self::SessionLost(_) | Self::Finished => None,
        }
    }

    /// Finds the stream error in an I/O error made from one.
    pub fn from_io(error: &io::Error) -> Option<&Self> {
        error.get_ref().and_then(|inner| inner.downcast_ref::<Self>())
    }
}

impl From<StreamError> for io::Error {
    fn from(error: StreamError) -> Self {
        let kind = match &error {
            StreamError::Reset(_) => io::ErrorKind::ConnectionReset,
            StreamError::SessionLost(_) => io::ErrorKind::ConnectionAborted,
            StreamError::Finished => io::ErrorKind::BrokenPipe,
        };
        Self::new(kind, error)
    }
}

/// An end without a goodbye has the same words whoever notices it; rustls' own give people a link to its manual.
fn transport_text(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "the peer was gone without a word".to_owned(),
        _ => error.to_string(),
    }
}

fn colon(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}
