//! Control messages: protobuf, each preceded by its length as a varint (`docs/spec/native-protocol.md`, "Control stream").

use std::marker::PhantomData;

use bytes::{Buf, Bytes, BytesMut};
use prost::Message;

/// Most bytes of one message. The largest real one carries 4 KiB of metadata; 1 MiB leaves room for new fields and bounds the buffer
/// a peer can make grow.
pub const MAX_MESSAGE_LEN: usize = 1024 * 1024;

/// Why a control stream cannot be read on. The stream has lost its framing, so the session is to be ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// The message is longer than [`MAX_MESSAGE_LEN`].
    #[error("control message of {length} bytes is over the limit of {MAX_MESSAGE_LEN}")]
    TooLong {
        /// Bytes announced.
        length: u64,
    },
    /// The length prefix is no varint.
    #[error("control message has a malformed length")]
    Length,
    /// The bytes are no valid message.
    #[error("control message cannot be decoded: {0}")]
    Malformed(#[from] prost::DecodeError),
}

/// A message with its length before it.
#[must_use]
pub fn encode<M: Message>(message: &M) -> Bytes {
    message.encode_length_delimited_to_vec().into()
}

/// Decodes a sequence of messages, however the bytes are split.
#[derive(Debug)]
pub struct Decoder<M> {
    message: PhantomData<fn() -> M>,
}

impl<M: Message + Default> Decoder<M> {
    /// A decoder for one stream.
    #[must_use]
    pub fn new() -> Self {
        Self { message: PhantomData }
    }

    /// Takes the next message from the front of `input` once it is there in full. `None` asks for more bytes: the caller appends to
    /// `input` and calls again; at most [`MAX_MESSAGE_LEN`] and ten bytes are ever waited for.
    ///
    /// # Errors
    /// [`MessageError`] when the bytes cannot become a message; the stream is then unreadable.
    pub fn next(&mut self, input: &mut BytesMut) -> Result<Option<M>, MessageError> {
        let Some((length, prefix)) = varint(input).map_err(|MalformedVarint| MessageError::Length)? else {
            return Ok(None);
        };
        if length > MAX_MESSAGE_LEN as u64 {
            return Err(MessageError::TooLong { length });
        }
        let end = prefix + length as usize;
        if input.len() < end {
            return Ok(None);
        }
        let message = M::decode(&input[prefix..end])?;
        input.advance(end);
        Ok(Some(message))
    }
}

impl<M: Message + Default> Default for Decoder<M> {
    fn default() -> Self {
        Self::new()
    }
}

/// Ten bytes without an end, or bits beyond 64.
#[derive(Debug)]
pub(crate) struct MalformedVarint;

/// The varint at the front: its value and how many bytes it takes; `None` while it is incomplete.
pub(crate) fn varint(input: &[u8]) -> Result<Option<(u64, usize)>, MalformedVarint> {
    let mut value = 0u64;
    for (index, byte) in input.iter().take(10).enumerate() {
        let bits = u64::from(byte & 0x7F);
        if index == 9 && bits > 1 {
            return Err(MalformedVarint);
        }
        value |= bits << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((value, index + 1)));
        }
    }
    if input.len() >= 10 { Err(MalformedVarint) } else { Ok(None) }
}

#[cfg(test)]
mod tests {
    use portway_proto::agent::v1::{AgentMessage, Unbind, agent_message};
    use proptest::prelude::*;

    use super::*;

    fn unbind(endpoint: u32) -> AgentMessage {
        AgentMessage { message: Some(agent_message::Message::Unbind(Unbind { endpoint })) }
    }

    #[test]
    fn golden_message() {
        assert_eq!(encode(&unbind(300))[..], [5, 0x1A, 3, 0x08, 0xAC, 0x02]);
    }

    #[test]
    fn unknown_members_are_tolerated() {
        // Field 15, length-delimited: a member of the oneof that this version does not know.
        let mut input = BytesMut::from(&[4, 0x7A, 2, 1, 2][..]);
        let message = Decoder::<AgentMessage>::new().next(&mut input).unwrap();
        assert_eq!(message, Some(AgentMessage { message: None }));
        assert!(input.is_empty());
    }

    #[test]
    fn long_and_malformed_are_refused() {
        let mut long = BytesMut::from(&[0x81, 0x80, 0x40][..]);
        let refused = Decoder::<AgentMessage>::new().next(&mut long);
        assert_eq!(refused, Err(MessageError::TooLong { length: 1_048_577 }));
        let mut endless = BytesMut::from(&[0xFF; 12][..]);
        assert_eq!(Decoder::<AgentMessage>::new().next(&mut endless), Err(MessageError::Length));
        let mut wrong = BytesMut::from(&[2, 0x1A, 9][..]);
        assert!(matches!(Decoder::<AgentMessage>::new().next(&mut wrong), Err(MessageError::Malformed(_))));
    }

    proptest! {
        #[test]
        fn split_anywhere_every_message_comes_once(
            endpoints in prop::collection::vec(any::<u32>(), 1..20),
            step in 1..17usize,
        ) {
            let all: Vec<u8> = endpoints.iter().flat_map(|endpoint| encode(&unbind(*endpoint))).collect();
            let (mut decoder, mut input, mut got) = (Decoder::<AgentMessage>::new(), BytesMut::new(), Vec::new());
            for piece in all.chunks(step) {
                input.extend_from_slice(piece);
                while let Some(message) = decoder.next(&mut input).unwrap() {
                    got.push(message);
                }
            }
            prop_assert_eq!(got, endpoints.into_iter().map(unbind).collect::<Vec<_>>());
            prop_assert!(input.is_empty());
        }
    }
}
