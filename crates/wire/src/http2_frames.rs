//! HTTP/2 frames as they pass, told apart by their nine-byte heads (RFC 9113 section 4.1).
//!
//! A parser of HTTP/2 obeys every frame and counts few of them: pings, settings, window updates of one byte and frames of unknown types
//! cost it time for as long as a peer sends them. The meter lets a peer have such frames as it earns them, by requests and by what it is
//! sent, and says when it has had more. It reads nothing but lengths, types and flags, and keeps no payload.

/// Frames without effect that a peer may send before it has earned any. Browsers send about ten at the start.
const FIRST: u32 = 1_000;
/// The most a peer may have saved up: two window updates for each frame of 16 KiB that a window of 64 MiB holds.
const SAVED_MAX: u32 = 10_000;
/// What a header block earns, received or sent: a request may be given a priority, a window, and up.
const FOR_HEADERS: u32 = 4;
/// What a frame of data that was sent earns: an update of its stream's window, one of the connection's, a ping to measure the way.
const FOR_DATA: u32 = 4;
/// For so many bytes sent, one frame more: whoever reads in small pieces may acknowledge each.
const BYTES_FOR_ONE: u32 = 256;

/// Length of what a client says first (RFC 9113 section 3.4).
const PREFACE_LEN: usize = 24;
const HEAD_LEN: usize = 9;

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const GOAWAY: u8 = 0x7;
const CONTINUATION: u8 = 0x9;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
/// RFC 9113 section 7: the peer does what might be an attack.
const ENHANCE_YOUR_CALM: u8 = 0xb;

/// A GOAWAY frame.
pub type Goodbye = [u8; HEAD_LEN + 8];

/// The peer sent more frames without effect than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many HTTP/2 frames without effect")]
pub struct TooManyFrames;

/// Counts the frames of one connection, as its server.
#[derive(Debug)]
pub struct FrameMeter {
    received: Frames,
    sent: Frames,
    /// Frames without effect that the peer may still send.
    left: u32,
    /// A header block began and its last frame has not.
    in_block: bool,
    /// The highest stream that the peer opened.
    last_stream: u32,
}

impl Default for FrameMeter {
    fn default() -> Self {
        Self::new()
    }
}

impl FrameMeter {
    /// For a connection on which nothing was said.
    #[must_use]
    pub fn new() -> Self {
        let received = Frames { payload: PREFACE_LEN, ..Frames::default() };
        Self { received, sent: Frames::default(), left: FIRST, in_block: false, last_stream: 0 }
    }

    /// Follows what the client sent, from its preface on.
    ///
    /// # Errors
    /// [`TooManyFrames`] when the connection is to end; what was passed now is not to be looked at.
    pub fn received(&mut self, bytes: &[u8]) -> Result<(), TooManyFrames> {
        let Self { received, left, in_block, last_stream, .. } = self;
        received.follow(bytes, |head| {
            match head.kind {
                HEADERS => {
                    *last_stream = head.stream.max(*last_stream);
                    *left = left.saturating_add(FOR_HEADERS).min(SAVED_MAX);
                    *in_block = head.flags & END_HEADERS == 0;
                }
                // How many of them may follow each other is for the parser, which collects their payload.
                CONTINUATION => *in_block = head.flags & END_HEADERS == 0,
                DATA if head.length > 0 || head.flags & END_STREAM != 0 => {}
                _ => *left = left.checked_sub(1).ok_or(TooManyFrames)?,
            }
            Ok(())
        })
    }

    /// Follows what the server sent.
    pub fn sent(&mut self, bytes: &[u8]) {
        let Self { sent, left, .. } = self;
        let followed: Result<(), std::convert::Infallible> = sent.follow(bytes, |head| {
            let earned = match head.kind {
                DATA => FOR_DATA + head.length / BYTES_FOR_ONE,
                HEADERS => FOR_HEADERS,
                // An answer to a ping or to settings earns nothing, or they would pay for themselves.
                _ => 0,
            };
            *left = left.saturating_add(earned).min(SAVED_MAX);
            Ok(())
        });
        let Ok(()) = followed;
    }

    /// Lets the peer have so many frames more: as time goes by.
    pub fn earn(&mut self, frames: u32) {
        self.left = self.left.saturating_add(frames).min(SAVED_MAX);
    }

    /// Whether a header block has begun to arrive and is not complete.
    #[must_use]
    pub fn in_head(&self) -> bool {
        let arriving = self.received.payload > 0 && matches!(self.received.kind, Some(HEADERS | CONTINUATION));
        self.in_block || arriving
    }

    /// What to send last to a peer that sent too much; none in the middle of a frame, which it would become a part of.
    #[must_use]
    pub fn goodbye(&self) -> Option<Goodbye> {
        if !self.sent.is_between() {
            return None;
        }
        let [a, b, c, d] = self.last_stream.to_be_bytes();
        Some([0, 0, 8, GOAWAY, 0, 0, 0, 0, 0, a, b, c, d, 0, 0, 0, ENHANCE_YOUR_CALM])
    }
}

/// The head of a frame.
#[derive(Debug, Clone, Copy)]
struct Head {
    length: u32,
    kind: u8,
    flags: u8,
    stream: u32,
}

/// Where in the frames of one direction.
#[derive(Debug, Default)]
struct Frames {
    /// Bytes of the payload, or of the preface, that are to come.
    payload: usize,
    /// The type of the frame whose payload that is; none of the preface.
    kind: Option<u8>,
    /// What has come of the next frame's head.
    head: [u8; HEAD_LEN],
    have: usize,
}

impl Frames {
    fn follow<E>(&mut self, mut bytes: &[u8], mut seen: impl FnMut(Head) -> Result<(), E>) -> Result<(), E> {
        while !bytes.is_empty() {
            if self.payload > 0 {
                let passed = self.payload.min(bytes.len());
                self.payload -= passed;
                bytes = &bytes[passed..];
                continue;
            }
            let taken = (HEAD_LEN - self.have).min(bytes.len());
            self.head[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
            self.have += taken;
            bytes = &bytes[taken..];
            if self.have == HEAD_LEN {
                self.have = 0;
                let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = self.head;
                let length = u32::from_be_bytes([0, l0, l1, l2]);
                self.payload = length as usize;
                self.kind = Some(kind);
                // The highest bit is reserved.
                let stream = u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]);
                seen(Head { length, kind, flags, stream })?;
            }
        }
        Ok(())
    }

    fn is_between(&self) -> bool {
        self.payload == 0 && self.have == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PING: u8 = 0x6;
    const SETTINGS: u8 = 0x4;
    const WINDOW_UPDATE: u8 = 0x8;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        frame.extend_from_slice(&[kind, flags]);
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.extend_from_slice(payload);
        frame
    }

    fn begun() -> FrameMeter {
        let mut meter = FrameMeter::new();
        meter.received(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        meter
    }

    #[test]
    fn floods_of_every_kind_end_the_connection() {
        for (kind, payload) in [
            (WINDOW_UPDATE, &[0, 0, 0, 1][..]),
            (PING, &[0; 8]),
            (SETTINGS, &[]),
            (0x77, &[]),
            (0x2, &[0; 5]),
            (DATA, &[]),
        ] {
            let mut meter = begun();
            let one = frame(kind, 0, 0, payload);
            let refused = (1..100_000).find(|_| meter.received(&one).is_err());
            assert_eq!(refused, Some(FIRST + 1), "type {kind}");
            if kind == DATA {
                continue;
            }
            // What the server answers to it does not pay for it.
            let mut meter = begun();
            let answered = (1..100_000).find(|_| {
                meter.sent(&one);
                meter.received(&one).is_err()
            });
            assert_eq!(answered, Some(FIRST + 1), "type {kind}, answered");
        }
    }

    #[test]
    fn downloads_and_requests_go_on_for_ever() {
        let mut meter = begun();
        let update = frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0x40, 0]);
        for _ in 0..100_000 {
            meter.sent(&frame(DATA, 0, 1, &[0; 20]));
            meter.received(&[&update[..], &update, &frame(PING, 0, 0, &[0; 8])].concat()).unwrap();
        }
        for stream in 0..100_000 {
            meter.received(&frame(HEADERS, END_STREAM | END_HEADERS, stream * 2 + 1, b"x")).unwrap();
            meter.received(&[&update[..], &frame(0x3, 0, stream * 2 + 1, &[0; 4])].concat()).unwrap();
        }
        for _ in 0..100_000 {
            meter.received(&frame(DATA, 0, 1, b"x")).unwrap();
            meter.earn(1);
            meter.received(&frame(PING, 0, 0, &[0; 8])).unwrap();
        }
    }

    #[test]
    fn a_header_block_is_under_way_until_its_last_byte() {
        let mut meter = begun();
        let steps = [
            (frame(HEADERS, 0, 5, b"abc"), true),
            (frame(CONTINUATION, 0, 5, b""), true),
            (frame(CONTINUATION, END_HEADERS, 5, b"ab"), false),
            (frame(HEADERS, END_HEADERS, 7, b"ab")[..10].to_vec(), true),
            (b"b".to_vec(), false),
            (frame(DATA, 0, 7, b"ab")[..10].to_vec(), false),
        ];
        for (bytes, under_way) in steps {
            meter.received(&bytes).unwrap();
            assert_eq!(meter.in_head(), under_way, "{bytes:?}");
        }
    }

    #[test]
    fn goodbye_stands_between_frames_and_names_the_last_stream() {
        let mut meter = begun();
        meter.received(&frame(HEADERS, END_HEADERS, 0x102, b"")).unwrap();
        meter.sent(&frame(SETTINGS, 0, 0, &[0; 6]));
        assert_eq!(meter.goodbye(), Some([0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0xb]));
        meter.sent(&frame(DATA, 0, 1, &[0; 6])[..12]);
        assert_eq!(meter.goodbye(), None);
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(
            frames in prop::collection::vec((0..12u8, any::<u8>(), 0..9u32, prop::collection::vec(any::<u8>(), 0..40)), 0..40),
            cuts in prop::collection::vec(1..50usize, 1..100),
        ) {
            let bytes: Vec<u8> = frames.iter().flat_map(|(kind, flags, stream, payload)| frame(*kind, *flags, *stream, payload)).collect();
            let mut whole = begun();
            whole.received(&bytes).unwrap();
            whole.sent(&bytes);
            let (mut pieces, mut rest, mut cuts) = (begun(), &bytes[..], cuts.iter().cycle());
            while !rest.is_empty() {
                let (piece, more) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
                pieces.received(piece).unwrap();
                rest = more;
            }
            pieces.sent(&bytes);
            prop_assert_eq!((pieces.left, pieces.in_head(), pieces.goodbye()), (whole.left, whole.in_head(), whole.goodbye()));
            prop_assert!(whole.received.is_between());
        }

        #[test]
        fn any_bytes_are_followed(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
            let mut meter = FrameMeter::new();
            let _ = meter.received(&bytes);
            meter.sent(&bytes);
            let _ = (meter.in_head(), meter.goodbye());
        }
    }
}
