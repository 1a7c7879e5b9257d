//! The front for unmodified ngrok SDKs (`docs/spec/ngrok-protocol.md`): muxado without ALPN, a stream for each question.

mod arrival;
mod command;
mod front;
mod options;
mod request;
mod resume;

pub(crate) use self::arrival::{AgentIo, looks_like_muxado, serve};
pub(crate) use self::command::Obeys;
pub(crate) use self::front::NgrokFront;
pub use self::resume::ResumeKey;
