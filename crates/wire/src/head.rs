//! What a native stream starts with: the type word and, for a visitor's connection, its head (`docs/spec/native-protocol.md`).

use bytes::{Buf, BufMut, Bytes, BytesMut};
use portway_proto::agent::v1::ConnectionHead;
use prost::Message;

use crate::StreamType;
use crate::message::varint;

/// Most bytes of an encoded [`ConnectionHead`]: two IPv6 addresses and three numbers need under 64; the rest is room for later fields.
pub const MAX_HEAD_LEN: usize = 1024;

/// The start of a native stream, decoded.
#[derive(Debug, Clone, PartialEq)]
pub enum StreamHead {
    /// Control messages follow.
    Control,
    /// The bytes of one visitor's connection follow.
    Connection(ConnectionHead),
    /// Pings of four bytes follow, to be echoed.
    Heartbeat,
}

/// Why a stream's start cannot be understood. The stream is to be reset; the session goes on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// A type word that has no meaning on a native session.
    #[error("unknown stream type {0}")]
    UnknownType(StreamType),
    /// The head is longer than [`MAX_HEAD_LEN`].
    #[error("stream head of {length} bytes is over the limit of {MAX_HEAD_LEN}")]
    TooLong {
        /// Bytes announced.
        length: u64,
    },
    /// The length prefix is no varint.
    #[error("stream head has a malformed length")]
    Length,
    /// The head is no valid message.
    #[error("stream head cannot be decoded: {0}")]
    Malformed(#[from] prost::DecodeError),
}

/// The bytes that open a visitor's connection: type word, length, message. The connection's own bytes may follow at once.
#[must_use]
pub fn encode_connection_head(head: &ConnectionHead) -> Bytes {
    let length = head.encoded_len();
    let mut out = BytesMut::with_capacity(StreamType::LEN + prost::length_delimiter_len(length) + length);
    out.put_slice(&StreamType::NATIVE_CONNECTION.to_bytes());
    head.encode_length_delimited(&mut out).expect("the buffer grows as needed");
    out.freeze()
}

/// Decodes the start of a native stream, however it is split.
#[derive(Debug, Default)]
pub struct HeadDecoder {
    stream_type: Option<StreamType>,
}

impl HeadDecoder {
    /// A decoder for one stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the head from the front of `input` once it is there in full; what follows it stays. `None` asks for more bytes; at most
    /// [`MAX_HEAD_LEN`] and a few bytes are ever waited for.
    ///
    /// # Errors
    /// [`HeadError`] when the bytes cannot become a head; the decoder is then of no more use.
    pub fn push(&mut self, input: &mut BytesMut) -> Result<Option<StreamHead>, HeadError> {
        let stream_type = match self.stream_type {
            Some(known) => known,
            None => {
                let Some(word) = input.first_chunk::<{ StreamType::LEN }>() else { return Ok(None) };
                let word = StreamType::from_bytes(*word);
                input.advance(StreamType::LEN);
                *self.stream_type.insert(word)
            }
        };
        match stream_type {
            StreamType::NATIVE_CONTROL => Ok(Some(StreamHead::Control)),
            StreamType::HEARTBEAT => Ok(Some(StreamHead::Heartbeat)),
            StreamType::NATIVE_CONNECTION => connection_head(input),
            other => Err(HeadError::UnknownType(other)),
        }
    }
}

fn connection_head(input: &mut BytesMut) -> Result<Option<StreamHead>, HeadError> {
    let Some((length, prefix)) = varint(input).map_err(|_| HeadError::Length)? else { return Ok(None) };
    if length > MAX_HEAD_LEN as u64 {
        return Err(HeadError::TooLong { length });
    }
    let end = prefix + length as usize;
    let Some(body) = input.get(prefix..end) else { return Ok(None) };
    let head = ConnectionHead::decode(body)?;
    input.advance(end);
    Ok(Some(StreamHead::Connection(head)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> ConnectionHead {
        ConnectionHead {
            endpoint: 7,
            client_ip: Bytes::from_static(&[203, 0, 113, 7]).to_vec().into(),
            client_port: 50123,
            server_ip: Bytes::from_static(&[127, 0, 0, 1]).to_vec().into(),
            server_port: 443,
        }
    }

    #[test]
    fn golden_connection_head() {
        let bytes = encode_connection_head(&sample());
        let golden = [
            b'P', b'W', 0, 2, 21, 0x08, 7, 0x12, 4, 203, 0, 113, 7, 0x18, 0xCB, 0x87, 0x03, 0x22, 4, 127, 0, 0, 1,
            0x28, 0xBB, 0x03,
        ];
        assert_eq!(bytes[..], golden);
    }

    #[test]
    fn unknown_type_and_long_head_are_refused() {
        let mut input = BytesMut::from(&[0, 0, 0, 3][..]);
        assert_eq!(HeadDecoder::new().push(&mut input), Err(HeadError::UnknownType(StreamType::PROXY)));
        let mut input = BytesMut::from(&b"PW\x00\x02\x81\x08"[..]);
        assert_eq!(HeadDecoder::new().push(&mut input), Err(HeadError::TooLong { length: 1025 }));
        let mut input = BytesMut::from(&b"PW\x00\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"[..]);
        assert_eq!(HeadDecoder::new().push(&mut input), Err(HeadError::Length));
    }

    proptest! {
        #[test]
        fn split_anywhere_it_decodes_once_and_leaves_the_rest(
            endpoint in any::<u32>(),
            port in 0..=u32::from(u16::MAX),
            rest in prop::collection::vec(any::<u8>(), 0..32),
            cuts in prop::collection::vec(1..9usize, 1..60),
        ) {
            let head = ConnectionHead { endpoint, client_port: port, ..sample() };
            let mut all = encode_connection_head(&head).to_vec();
            all.extend_from_slice(&rest);
            let (mut decoder, mut input, mut got, mut at) = (HeadDecoder::new(), BytesMut::new(), None, 0);
            let mut cuts = cuts.into_iter().cycle();
            while at < all.len() {
                let to = (at + cuts.next().unwrap_or(1)).min(all.len());
                input.extend_from_slice(&all[at..to]);
                at = to;
                if got.is_none() {
                    got = decoder.push(&mut input).unwrap();
                }
            }
            prop_assert_eq!(got, Some(StreamHead::Connection(head)));
            prop_assert_eq!(&input[..], &rest[..]);
        }

        #[test]
        fn any_bytes_end_in_a_head_an_error_or_a_bounded_wait(bytes in prop::collection::vec(any::<u8>(), 0..2048)) {
            let mut input = BytesMut::from(&bytes[..]);
            if let Ok(None) = HeadDecoder::new().push(&mut input) {
                prop_assert!(input.len() < MAX_HEAD_LEN + 10);
            }
        }
    }
}
