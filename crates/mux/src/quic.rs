//! The QUIC carrier: one bidirectional stream of quinn for each stream.

mod connection;
mod connection_ids;
mod heartbeat;
mod keys;
mod listener;
mod relay;
mod socket;
mod stream;
mod transport;

pub(crate) use connection::{Handle, accept, close_reason, open};
pub use keys::QuicKeys;
pub use listener::{EstablishError, QuicIncoming, QuicListener};
pub use socket::QuicSocket;
pub(crate) use stream::{RecvHalf, SendHalf};
pub(crate) use transport::{client_config, client_endpoint};
