//! Byte formats: muxado frames, native stream heads, control messages, PROXY protocol, ClientHello, strict HTTP/1 framing, HTTP/2 frame
//! heads, messages of the ngrok agent protocol.
//!
//! It turns bytes into values and values into bytes; it never opens a socket, waits, reads a clock or keeps more of a peer's bytes than
//! the limit named beside each decoder. The formats are described in `docs/spec/`.

pub mod client_hello;
pub mod frame;
pub mod head;
pub mod http1_guard;
pub mod http2_frames;
pub mod message;
pub mod ngrok;
pub mod proxy_protocol;
mod stream_type;

pub use stream_type::StreamType;
