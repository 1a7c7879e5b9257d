//! An SDK below its session: frames as bytes, right ones and wrong ones.

use bytes::{Buf, BytesMut};
use portway_wire::StreamType;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::{BASE, TOKEN, TestEdge, auth, soon};

/// Byte 3 of a frame: type and flags (`docs/spec/muxado.md`, "Frames").
pub(crate) const RST: u8 = 0x00;
pub(crate) const DATA: u8 = 0x10;
pub(crate) const FIN: u8 = 0x11;
pub(crate) const SYN: u8 = 0x12;
pub(crate) const CREDIT: u8 = 0x20;
pub(crate) const GO_AWAY: u8 = 0x30;

/// A frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The code of an RST or a GOAWAY.
    pub(crate) fn code(&self) -> u32 {
        let at = if self.kind == GO_AWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }
}

/// The bytes of a frame.
pub(crate) fn frame(kind: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&[length[1], length[2], length[3], kind][..], &stream.to_be_bytes(), payload].concat()
}

/// A stream with a question, its direction not ended.
pub(crate) fn question(stream: u32, kind: StreamType, message: &[u8]) -> Vec<u8> {
    [frame(SYN, stream, &kind.to_bytes()), frame(DATA, stream, message)].concat()
}

/// A connection on which bytes are said.
pub(crate) struct RawSdk {
    io: TlsStream<TcpStream>,
    input: BytesMut,
}

impl RawSdk {
    /// A connection on which nothing was said.
    pub(crate) async fn dial(edge: &TestEdge) -> RawSdk {
        let io = edge.tls(&format!("connect.{BASE}"), &[]).await.unwrap();
        RawSdk { io, input: BytesMut::new() }
    }

    /// A connection that has logged in on stream 3.
    pub(crate) async fn log_in(edge: &TestEdge) -> RawSdk {
        let mut raw = Self::dial(edge).await;
        let auth = auth(TOKEN, &json!(""), &json!("")).to_string();
        raw.send(&question(3, StreamType::AUTH, auth.as_bytes())).await;
        assert_eq!(raw.answer(3).await["Error"], "");
        raw.send(&frame(FIN, 3, b"")).await;
        raw
    }

    /// Sends; whether the edge still listens is not asked.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let _ = soon(self.io.write_all(bytes)).await;
        let _ = soon(self.io.flush()).await;
    }

    /// The next frame; none when the connection is over.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(header) = self.input.first_chunk::<8>().copied() {
                let length = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
                if self.input.len() >= 8 + length {
                    self.input.advance(8);
                    let stream = u32::from_be_bytes(header[4..].try_into().unwrap());
                    return Some(Frame { kind: header[3], stream, payload: self.input.split_to(length).to_vec() });
                }
            }
            if !matches!(soon(self.io.read_buf(&mut self.input)).await, Ok(1..)) {
                return None;
            }
        }
    }

    /// The next frame that is none of the edge's heartbeat and no credit.
    pub(crate) async fn reply(&mut self) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if frame.kind != CREDIT && frame.stream != 2 {
                return Some(frame);
            }
        }
    }

    /// The answer on a stream, up to its end.
    pub(crate) async fn answer(&mut self, stream: u32) -> Value {
        let mut answer = Vec::new();
        loop {
            let frame = self.reply().await.expect("an answer");
            assert!(frame.stream == stream && matches!(frame.kind, DATA | FIN), "{frame:?}");
            answer.extend_from_slice(&frame.payload);
            if frame.kind == FIN {
                return serde_json::from_slice(&answer).unwrap();
            }
        }
    }

    /// All that is still said until the connection is over.
    pub(crate) async fn rest(&mut self) -> Vec<Frame> {
        let mut all = Vec::new();
        while let Some(frame) = self.reply().await {
            all.push(frame);
        }
        all
    }
}
