//! What a session machine is told about its side, its peer and its limits.

/// Which side of the session the machine is: it decides the stream ids (`docs/spec/muxado.md`, "Stream ids").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The dialling side: odd ids, first 3.
    Agent,
    /// The accepting side: even ids, first 2.
    Edge,
}

/// Limits and habits of one session. [`Config::native`] and [`Config::ngrok`] are the sets in use; change single fields from there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Credit both sides assume at the start of a stream, bytes. Not negotiated: 262,144 in every implementation.
    pub initial_window: u32,
    /// Most credit a stream may be granted ahead of its reader, bytes. Growth beyond `initial_window` is for native peers only: the
    /// Rust SDKs of ngrok clamp at 262,144.
    pub max_window: u32,
    /// Streams open at one time, both directions together. Bounds the stream table, and with it `max_streams * initial_window` bytes
    /// that well-behaved readers may leave unread.
    pub max_streams: usize,
    /// Streams of the peer that nobody has touched yet; one more is refused with ACCEPT_QUEUE_FULL.
    pub max_unaccepted: usize,
    /// Streams the peer may open a second, in the long run (a second's worth may come at once); one more is refused with
    /// ENHANCE_YOUR_CALM, and a peer that goes on at more than twice that rate loses the session.
    pub opens_per_second: u32,
    /// Bytes of window growth the whole session may have handed out (receive side). Initial windows are not counted: they are bounded
    /// by `max_streams` and cannot be withheld, since the peer assumes them.
    pub memory_budget: usize,
    /// Streams of ours that the peer has not answered, at a time: the SYN of further ones waits, and one that the peer refuses because its queue of
    /// fresh streams is full is opened again. None: no limit, and a refusal is told at once. A peer that answers a stream only when its
    /// service has something to say must not have a limit: both families of ngrok SDKs return credit as soon as they accept.
    pub max_unanswered: Option<usize>,
    /// Largest DATA payload sent, bytes.
    pub max_frame: usize,
    /// Largest DATA payload sent while another stream waits to send, bytes: bounds what a small request waits behind a bulk one.
    pub contended_frame: usize,
    /// Bytes a stream may hold written but not sent; a write beyond is taken in part. A stream whose peer lets it send nothing holds
    /// 65,536 at most.
    pub send_buffer: usize,
    /// Whether a stream opened by the peer with an id of our parity ends the session. The Go SDKs do so, the Rust ones do not care.
    pub strict_parity: bool,
    /// Whether the peer keeps to the letter of the protocol (native peers): unknown frame types, increments of 0, ids that do not grow
    /// and malformed GOAWAYs end the session. ngrok SDKs do some of these; there they are skipped.
    pub strict_frames: bool,
    /// Whether a reset is an empty FIN and then RST: the Rust SDKs of ngrok do not wake a reader on RST alone. Native peers do, and
    /// must not mistake a reset for a clean end.
    pub fin_before_reset: bool,
}

impl Config {
    /// Between native peers.
    #[must_use]
    pub const fn native() -> Self {
        Self {
            initial_window: 262_144,
            max_window: 16 * 1024 * 1024,
            max_streams: 4096,
            max_unaccepted: 1024,
            opens_per_second: 20_000,
            memory_budget: 64 * 1024 * 1024,
            max_unanswered: None,
            max_frame: 65_536,
            contended_frame: 16_384,
            send_buffer: 262_144,
            strict_parity: true,
            strict_frames: true,
            fin_before_reset: false,
        }
    }

    /// The edge's side towards an unmodified ngrok SDK.
    #[must_use]
    pub const fn ngrok() -> Self {
        Self {
            max_window: 262_144,
            max_streams: 500,
            max_unanswered: Some(48),
            strict_frames: false,
            fin_before_reset: true,
            ..Self::native()
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::native()
    }
}
