//! An SDK that speaks for itself: messages as the two families write them, over a session of the real transport.

use bytes::{Bytes, BytesMut};
use portway_mux::{Role, Session, SessionConfig, Stream, over_tls};
use portway_wire::StreamType;
use serde_json::{Value, json};

use super::{BASE, TestEdge, soon};

/// An SDK's session.
pub(crate) struct TestSdk {
    pub(crate) session: Session,
    /// The answer to its `Auth`.
    pub(crate) welcome: Value,
}

impl TestSdk {
    /// A connection on which nothing was said.
    pub(crate) async fn dial(edge: &TestEdge) -> Session {
        let stream = edge.tls(&format!("connect.{BASE}"), &[]).await.unwrap();
        let local = stream.get_ref().0.local_addr().unwrap();
        over_tls(stream, Role::Agent, SessionConfig::agent().towards_ngrok(), edge.https, local)
    }

    /// Logs in with this token, and what an earlier session left.
    pub(crate) async fn connect(edge: &TestEdge, token: &str, before: Option<&TestSdk>) -> TestSdk {
        let (client_id, cookie) = match before {
            Some(before) => (before.welcome["ClientId"].clone(), before.welcome["Extra"]["Cookie"].clone()),
            None => (json!(""), json!("")),
        };
        Self::connect_as(edge, &auth(token, &client_id, &cookie)).await
    }

    /// Logs in with this message.
    pub(crate) async fn connect_as(edge: &TestEdge, auth: &Value) -> TestSdk {
        let session = Self::dial(edge).await;
        let welcome = soon(ask(&session, StreamType::AUTH, auth)).await.unwrap();
        TestSdk { session, welcome }
    }

    pub(crate) async fn ask(&self, kind: StreamType, message: &Value) -> Value {
        soon(ask(&self.session, kind, message)).await.unwrap()
    }

    /// Binds with these options; the answer.
    pub(crate) async fn bind(&self, proto: &str, opts: Value) -> Value {
        self.ask(StreamType::BIND, &bind(proto, opts)).await
    }

    /// The next stream that the edge opens: its type, and the JSON behind it.
    pub(crate) async fn next(&self) -> (StreamType, Value, Stream) {
        let mut stream = soon(self.session.accept()).await.unwrap();
        // Type and message leave the edge in one frame, so they come in one piece.
        let bytes = soon(stream.read_chunk(65_536)).await.unwrap().unwrap();
        let (word, rest) = bytes.split_first_chunk().unwrap();
        let kind = StreamType::from_bytes(*word);
        let json = if kind == StreamType::PROXY {
            let (length, rest) = rest.split_first_chunk().unwrap();
            &rest[..i64::from_le_bytes(*length) as usize]
        } else {
            rest
        };
        let json = serde_json::from_slice(json).unwrap();
        (kind, json, stream)
    }
}

/// An `Auth` as the Rust family writes it.
pub(crate) fn auth(token: &str, client_id: &Value, cookie: &Value) -> Value {
    json!({
        "Version": ["3", "2"], "ClientId": client_id,
        "Extra": {
            "OS": "linux", "Arch": "x86_64", "AuthToken": token, "Version": "0.19.0", "Hostname": "",
            "UserAgent": "ngrok-rust/0.19.0", "Metadata": "m", "Cookie": cookie,
            "HeartbeatInterval": 10_000_000_000_u64, "HeartbeatTolerance": 15_000_000_000_u64,
            "StopUnsupportedError": "no", "ClientType": "ngrok-rust",
        },
    })
}

/// A `Bind` for a new endpoint.
pub(crate) fn bind(proto: &str, opts: Value) -> Value {
    json!({
        "Id": "", "Proto": proto, "ForwardsTo": "http://127.0.0.1:80/", "ForwardsProto": "", "Opts": opts,
        "Extra": { "Token": "", "IPPolicyRef": "", "Metadata": "", "Bindings": [], "PoolingEnabled": false },
    })
}

/// Asks a question and reads the answer to the end of the stream; none when the session ended instead.
pub(crate) async fn ask(session: &Session, kind: StreamType, message: &Value) -> Option<Value> {
    let mut stream = session.open(Bytes::copy_from_slice(&kind.to_bytes())).await.ok()?;
    stream.write_chunk(Bytes::from(message.to_string())).await.ok()?;
    let mut answer = BytesMut::new();
    while let Some(chunk) = stream.read_chunk(65_536).await.ok()? {
        answer.extend_from_slice(&chunk);
    }
    stream.finish().await.ok()?;
    serde_json::from_slice(&answer).ok()
}
