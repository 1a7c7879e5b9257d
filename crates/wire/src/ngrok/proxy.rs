//! `Proxy`: what a visitor's stream starts with.

use std::net::SocketAddr;

use bytes::{BufMut, Bytes, BytesMut};
use portway_names::Scheme;
use serde_json::json;

use crate::StreamType;

/// One visitor's connection, for the agent.
#[derive(Debug, Clone, Copy)]
pub struct ProxyHead<'a> {
    /// The endpoint, by the id of its bind.
    pub id: &'a str,
    /// The visitor.
    pub client: SocketAddr,
    /// What the endpoint speaks.
    pub scheme: Scheme,
    /// The bytes are still the visitor's TLS.
    pub passthrough_tls: bool,
}

/// The bytes that open a visitor's stream: type word, length in eight bytes with the lowest first, JSON without a line feed. The
/// connection's own bytes may follow at once.
#[must_use]
pub fn encode_proxy_head(head: &ProxyHead<'_>) -> Bytes {
    let message = json!({
        "Id": head.id,
        "ClientAddr": head.client.to_string(),
        "Proto": head.scheme.as_str(),
        // A text, not a number: one family decodes it strictly. 0 stands for an endpoint that an agent bound.
        "EdgeType": "0",
        "PassthroughTLS": head.passthrough_tls,
    })
    .to_string();
    let mut out = BytesMut::with_capacity(StreamType::LEN + 8 + message.len());
    out.put_slice(&StreamType::PROXY.to_bytes());
    out.put_i64_le(message.len() as i64);
    out.put_slice(message.as_bytes());
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_head() {
        let head = ProxyHead {
            id: "ea62",
            client: "203.0.113.7:50123".parse().unwrap(),
            scheme: Scheme::Https,
            passthrough_tls: false,
        };
        let bytes = encode_proxy_head(&head);
        assert_eq!(bytes[..12], [0, 0, 0, 3, 100, 0, 0, 0, 0, 0, 0, 0]);
        let message: serde_json::Value = serde_json::from_slice(&bytes[12..]).unwrap();
        let expected = json!({
            "Id": "ea62", "ClientAddr": "203.0.113.7:50123", "Proto": "https", "EdgeType": "0", "PassthroughTLS": false,
        });
        assert_eq!((message, bytes.len()), (expected, 12 + 100));
    }
}
