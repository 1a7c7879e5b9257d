//! The type word that starts every stream of a session.

use std::fmt;

/// The first four bytes of every stream, big-endian: what the stream is for (`docs/spec/native-protocol.md`, "Type word").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamType(pub u32);

impl StreamType {
    /// Bytes the type word takes.
    pub const LEN: usize = 4;

    /// ngrok agent protocol: authentication, opened by the agent.
    pub const AUTH: Self = Self(0);
    /// ngrok agent protocol: bind of an endpoint, opened by the agent.
    pub const BIND: Self = Self(1);
    /// ngrok agent protocol: end of an endpoint, opened by the agent.
    pub const UNBIND: Self = Self(2);
    /// ngrok agent protocol: one visitor's connection, opened by the edge.
    pub const PROXY: Self = Self(3);
    /// ngrok agent protocol: asks the agent to restart, opened by the edge.
    pub const RESTART: Self = Self(4);
    /// ngrok agent protocol: asks the agent to stop, opened by the edge.
    pub const STOP: Self = Self(5);
    /// ngrok agent protocol: asks the agent to update itself, opened by the edge.
    pub const UPDATE: Self = Self(6);
    /// ngrok agent protocol: bind by labels, opened by the agent.
    pub const START_TUNNEL_WITH_LABEL: Self = Self(7);
    /// ngrok agent protocol: facts about the server, opened by the agent, allowed before authentication.
    pub const SRV_INFO: Self = Self(8);
    /// ngrok agent protocol: one endpoint was stopped, opened by the edge, no answer.
    pub const STOP_TUNNEL: Self = Self(9);
    /// ngrok agent protocol: change of an endpoint's state, opened by the agent.
    pub const PATCH_TUNNEL_STATE: Self = Self(10);
    /// Native: the control stream, opened by the agent.
    pub const NATIVE_CONTROL: Self = Self(0x5057_0001);
    /// Native: one visitor's connection, opened by the edge.
    pub const NATIVE_CONNECTION: Self = Self(0x5057_0002);
    /// Both protocols: pings and their echoes, opened by either side.
    pub const HEARTBEAT: Self = Self(0xFFFF_FFFF);

    /// The word as it stands on the wire.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; Self::LEN] {
        self.0.to_be_bytes()
    }

    /// Reads the word from the wire.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(u32::from_be_bytes(bytes))
    }

    /// The name of a known type, for logs.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::AUTH => "auth",
            Self::BIND => "bind",
            Self::UNBIND => "unbind",
            Self::PROXY => "proxy",
            Self::RESTART => "restart",
            Self::STOP => "stop",
            Self::UPDATE => "update",
            Self::START_TUNNEL_WITH_LABEL => "start-tunnel-with-label",
            Self::SRV_INFO => "srv-info",
            Self::STOP_TUNNEL => "stop-tunnel",
            Self::PATCH_TUNNEL_STATE => "patch-tunnel-state",
            Self::NATIVE_CONTROL => "native-control",
            Self::NATIVE_CONNECTION => "native-connection",
            Self::HEARTBEAT => "heartbeat",
            _ => return None,
        })
    }
}

impl fmt::Display for StreamType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#010x}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_big_endian_and_named() {
        assert_eq!(StreamType::HEARTBEAT.to_bytes(), [0xFF; 4]);
        assert_eq!(StreamType::NATIVE_CONTROL.to_bytes(), *b"PW\x00\x01");
        assert_eq!(StreamType::from_bytes(*b"PW\x00\x02"), StreamType::NATIVE_CONNECTION);
        assert_eq!(StreamType::PROXY.to_string(), "proxy");
        assert_eq!(StreamType(0x1234).to_string(), "0x00001234");
    }
}
