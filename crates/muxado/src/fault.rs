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
    /// A DATA frame larger than the largest window, or a GOAWAY beyond all measure.
    #[error("frame of {length} bytes is larger than any that is allowed")]
    FrameTooLarge {
        /// Bytes announced.
        length: u32,
    },
    /// A frame of a kind with a fixed length has another one.
    #[error("frame has the wrong length {length} for its kind")]
    FrameLength {
        /// Bytes announced.
        length: u32,
    },
    /// A frame type that does not exist.
    #[error("unknown frame type {kind:#x}")]
    UnknownType {
        /// The type.
        kind: u8,
    },
    /// A stream frame for stream 0, or a session frame for a stream.
    #[error("frame is not allowed on stream {stream}")]
    WrongStream {
        /// The id.
        stream: u32,
    },
    /// A stream opened with an id of the other side's parity.
    #[error("stream {stream} was opened with the wrong parity")]
    WrongParity {
        /// The id.
        stream: u32,
    },
    /// A stream opened with an id that was used before, or below one that was.
    #[error("stream id {stream} was used before")]
    IdReused {
        /// The id.
        stream: u32,
    },
    /// Credit of nothing.
    #[error("window increment of 0 on stream {stream}")]
    ZeroIncrement {
        /// The id.
        stream: u32,
    },
    /// Far more streams opened than allowed.
    #[error("streams are opened at more than twice the allowed rate of {per_second} a second")]
    TooManyOpens {
        /// [`crate::Config::opens_per_second`].
        per_second: u32,
    },
    /// A flood of frames that change nothing.
    #[error("too many frames without effect")]
    TooManyIdleFrames,
    /// The peer makes us answer and does not read the answers.
    #[error("{pending} answers wait and the peer does not read them")]
    AnswersNotRead {
        /// Answers queued.
        pending: usize,
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
}
