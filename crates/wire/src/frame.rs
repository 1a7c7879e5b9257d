//! The muxado frame: an 8-byte header and its payload (`docs/spec/muxado.md`, "Frames").
//!
//! Only the layout is here. What a frame may mean at a given moment is decided by the session machine in `portway-muxado`.

/// Bytes of a frame header.
pub const HEADER_LEN: usize = 8;
/// Largest payload length the 24-bit field can say.
pub const MAX_PAYLOAD: u32 = 0x00FF_FFFF;
/// Largest stream id; the bit above it is reserved and masked off on receipt.
pub const MAX_STREAM_ID: u32 = 0x7FFF_FFFF;
/// Payload bytes of a GOAWAY before its free text: last stream id and error code.
pub const GO_AWAY_FIXED: usize = 8;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// The stream is dead; payload is a u32 error code.
    Rst,
    /// Stream bytes; the only kind with flags.
    Data,
    /// Credit for the sender of the stream; payload is a u32 of which 31 bits count.
    WndInc,
    /// The session ends; payload is the last stream id processed, an error code and text.
    GoAway,
    /// A type this version does not know (4..=15). Never sent.
    Unknown(u8),
}

impl FrameKind {
    const fn to_nibble(self) -> u8 {
        match self {
            Self::Rst => 0,
            Self::Data => 1,
            Self::WndInc => 2,
            Self::GoAway => 3,
            Self::Unknown(kind) => kind & 0x0F,
        }
    }

    const fn from_nibble(nibble: u8) -> Self {
        match nibble {
            0 => Self::Rst,
            1 => Self::Data,
            2 => Self::WndInc,
            3 => Self::GoAway,
            other => Self::Unknown(other),
        }
    }
}

/// The low nibble of the type byte. Bits without a name are kept as received and ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(pub u8);

impl Flags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// The sender will send no more on this stream.
    pub const FIN: Self = Self(0x1);
    /// The frame opens the stream.
    pub const SYN: Self = Self(0x2);

    /// Whether every bit of `other` is set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A decoded frame header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// Payload bytes that follow; at most [`MAX_PAYLOAD`].
    pub length: u32,
    /// What the frame is.
    pub kind: FrameKind,
    /// Flags, meaningful for [`FrameKind::Data`] only.
    pub flags: Flags,
    /// Stream id, 0 for the session itself; at most [`MAX_STREAM_ID`].
    pub stream: u32,
}

impl FrameHeader {
    /// Reads a header. Every 8 bytes are a header: the reserved bit is masked off, unknown types are told as such.
    #[must_use]
    pub const fn decode(bytes: &[u8; HEADER_LEN]) -> Self {
        Self {
            length: u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]),
            kind: FrameKind::from_nibble(bytes[3] >> 4),
            flags: Flags(bytes[3] & 0x0F),
            stream: u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]) & MAX_STREAM_ID,
        }
    }

    /// Writes the header. A length or id beyond its field is cut to the field; callers hold to the limits.
    #[must_use]
    pub const fn encode(self) -> [u8; HEADER_LEN] {
        debug_assert!(self.length <= MAX_PAYLOAD);
        debug_assert!(self.stream <= MAX_STREAM_ID);
        let [_, l0, l1, l2] = self.length.to_be_bytes();
        let [s0, s1, s2, s3] = (self.stream & MAX_STREAM_ID).to_be_bytes();
        [l0, l1, l2, self.kind.to_nibble() << 4 | self.flags.0 & 0x0F, s0, s1, s2, s3]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Headers of a captured session, `docs/spec/muxado.md`, "Worked example".
    #[test]
    fn golden_headers() {
        let header = |length, kind, flags, stream| FrameHeader { length, kind, flags, stream };
        let cases = [
            ([0x00, 0x00, 0x04, 0x12, 0, 0, 0, 3], header(4, FrameKind::Data, Flags::SYN, 3)),
            ([0x00, 0x02, 0x87, 0x10, 0, 0, 0, 5], header(647, FrameKind::Data, Flags::NONE, 5)),
            ([0x00, 0x00, 0x04, 0x20, 0, 0, 0, 3], header(4, FrameKind::WndInc, Flags::NONE, 3)),
            ([0x00, 0x01, 0x5a, 0x11, 0, 0, 0, 5], header(346, FrameKind::Data, Flags::FIN, 5)),
            ([0x00, 0x00, 0x10, 0x30, 0, 0, 0, 0], header(16, FrameKind::GoAway, Flags::NONE, 0)),
            ([0x00, 0x00, 0x04, 0x00, 0, 0, 0, 2], header(4, FrameKind::Rst, Flags::NONE, 2)),
        ];
        for (bytes, value) in cases {
            assert_eq!(FrameHeader::decode(&bytes), value);
            assert_eq!(value.encode(), bytes);
        }
    }

    #[test]
    fn reserved_bit_is_masked() {
        let decoded = FrameHeader::decode(&[0, 0, 0, 0x10, 0x80, 0, 0, 3]);
        assert_eq!(decoded.stream, 3);
    }

    proptest! {
        #[test]
        fn decode_then_encode_keeps_all_but_the_reserved_bit(mut bytes in any::<[u8; HEADER_LEN]>()) {
            let decoded = FrameHeader::decode(&bytes);
            bytes[4] &= 0x7F;
            prop_assert_eq!(decoded.encode(), bytes);
        }
    }
}
