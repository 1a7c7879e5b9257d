//! The control stream of an agent's session: messages in, messages out, within time.

use std::time::Duration;

use bytes::BytesMut;
use portway_mux::{Stream, StreamError};
use portway_proto::agent::v1::{AgentMessage, EdgeMessage, agent_message, edge_message};
use portway_wire::head::{HeadDecoder, HeadError, StreamHead};
use portway_wire::message::{self, Decoder, MessageError};

/// Most bytes taken from the stream at once.
const READ_MAX: usize = 64 * 1024;

/// Both directions of a control stream.
#[derive(Debug)]
pub(crate) struct ControlStream {
    stream: Stream,
    decoder: Decoder<AgentMessage>,
    input: BytesMut,
    write_timeout: Duration,
}

/// Why a control stream is of no more use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlFault {
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error(transparent)]
    Head(#[from] HeadError),
    #[error("the agent's first stream is no control stream")]
    NotControl,
    #[error("the agent ended its control stream")]
    Ended,
    #[error("the agent does not read its control stream")]
    NotRead,
    #[error("the agent asks what cannot be read: {0}")]
    Question(String),
}

impl ControlStream {
    /// Reads the head of the agent's first stream.
    ///
    /// Cancel safety: not safe; the session is to be closed.
    pub(crate) async fn open(mut stream: Stream, write_timeout: Duration) -> Result<Self, ControlFault> {
        let (mut head, mut input) = (HeadDecoder::new(), BytesMut::new());
        loop {
            match head.push(&mut input)? {
                Some(StreamHead::Control) => break,
                Some(StreamHead::Connection(_) | StreamHead::Heartbeat) => return Err(ControlFault::NotControl),
                None => {}
            }
            input.extend_from_slice(&stream.read_chunk(READ_MAX).await?.ok_or(ControlFault::Ended)?);
        }
        Ok(ControlStream { stream, decoder: Decoder::new(), input, write_timeout })
    }

    /// The next message that this version understands.
    ///
    /// Cancel safety: safe; what was read stays.
    pub(crate) async fn next(&mut self) -> Result<agent_message::Message, ControlFault> {
        loop {
            while let Some(message) = self.decoder.next(&mut self.input)? {
                if let Some(message) = message.message {
                    return Ok(message);
                }
            }
            if self.input.is_empty() {
                // An idle session keeps no buffer.
                self.input = BytesMut::new();
            }
            let chunk = self.stream.read_chunk(READ_MAX).await?.ok_or(ControlFault::Ended)?;
            self.input.extend_from_slice(&chunk);
        }
    }

    /// Sends a message. An agent that does not take it in time is given up.
    ///
    /// Cancel safety: not safe, a part may have been sent; the session is to be closed.
    pub(crate) async fn send(&mut self, message: edge_message::Message) -> Result<(), ControlFault> {
        let bytes = message::encode(&EdgeMessage { message: Some(message) });
        match tokio::time::timeout(self.write_timeout, self.stream.write_chunk(bytes)).await {
            Ok(sent) => Ok(sent?),
            Err(_) => Err(ControlFault::NotRead),
        }
    }

    /// Ends the edge's direction.
    pub(crate) async fn finish(&mut self) {
        let _ = tokio::time::timeout(self.write_timeout, self.stream.finish()).await;
    }
}
