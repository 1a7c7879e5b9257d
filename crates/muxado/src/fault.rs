//! What can go wrong, sorted by who is at fault.

use crate::ErrorCode;

/// The peer broke the protocol or a limit of the session. The machine is dead: the caller sends GOAWAY with `code` and closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct PeerFault {
    /// Code for the GOAWAY.
    pub code: ErrorCode,
    /// What the peer did.
    pub reason: FaultReason,
}

/// What a peer did that ends the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FaultReason {
    /// A DATA frame larger than the largest window.
    #[error("DATA frame of {length} bytes is larger than any window")]
    FrameTooLarge {
        /// Bytes announced.
        length: u32,
    },
}

/// Why no stream can be opened now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenRefused {
    /// The limit of open streams is reached; try again when one has ended.
    #[error("all {limit} streams of the session are in use")]
    TooManyStreams {
        /// [`crate::Config::max_streams`].
        limit: usize,
    },
    /// One side said GOAWAY, or the session has failed.
    #[error("the session is going away")]
    GoneAway,
    /// All ids have been used; the session is to be replaced.
    #[error("the session has used up its stream ids")]
    IdsExhausted,
}

/// Why an operation on a stream was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StreamFault {
    /// Nothing to read yet; wait for [`crate::Event::Readable`].
    #[error("nothing to read yet")]
    WouldBlock,
    /// The stream was reset, by the peer with this code or locally.
    #[error("stream reset: {0}")]
    Reset(ErrorCode),
    /// Written after `finish`.
    #[error("stream is already finished")]
    Finished,
    /// The stream is over and forgotten.
    #[error("no such stream")]
    Unknown,
    /// The whole session has failed or was closed.
    #[error("session is over")]
    SessionOver,
}
