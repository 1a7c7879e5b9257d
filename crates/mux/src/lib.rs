//! Sessions and streams for callers, whatever the carrier: dial, accept, liveness, redial schedule, byte pipe.
//!
//! A [`Session`] is one authenticated link between an agent and an edge, a [`Stream`] one ordered byte pipe in it; above this crate nobody
//! knows whether muxado frames over TLS or QUIC carries them. It never looks into the bytes of a stream beyond the type word that marks
//! heartbeats, never authenticates anybody and never decides where a stream leads. [`Stream::foreign`] makes a stream of a byte pipe that
//! something else carries.

mod backoff;
mod blocks;
mod config;
mod dial;
mod error;
mod foreign;
mod framed;
mod pipe;
mod quic;
mod session;
mod stream;

pub use backoff::Backoff;
pub use config::{Carrier, Dialect, Role, SessionConfig};
pub use dial::{
    CarrierChoice, DialAttempt, DialCause, DialError, Dialer, ProxyError, ProxyUrl, ProxyUrlError, tune_tcp,
};
pub use error::{CloseReason, OpenError, StreamError};
pub use framed::over_tls;
pub use pipe::{PipeError, PipeLimits, PipeStats, pipe, pipe_with};
pub use portway_muxado::ErrorCode;
pub use quic::{EstablishError, QuicIncoming, QuicKeys, QuicListener, QuicSocket};
pub use session::Session;
pub use stream::{RecvStream, SendStream, Stream};
