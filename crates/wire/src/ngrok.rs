//! Messages of the ngrok agent protocol, versions 2 and 3 (`docs/spec/ngrok-protocol.md`): JSON objects on streams of their own.
//!
//! Requests are read as both families of SDKs write them: keys without regard to case, one object without length or end mark. Answers have
//! one shape that every SDK version takes.

mod answer;
mod auth;
mod bind;
mod command;
mod fields;
mod proxy;
mod request;

pub use answer::{AuthAnswer, BindAnswer, error_answer, error_text, labels_answer, region_answer};
pub use auth::{Auth, ClientFamily, Remote};
pub use bind::{Bind, BindLabels, Binding, Opts, PatchEndpoint, Unbind, WantedName};
pub use command::{command, command_error, stop_tunnel, update_command};
pub use fields::MessageError;
pub use proxy::{ProxyHead, encode_proxy_head};
pub use request::{MAX_REQUEST_LEN, RequestDecoder, RequestError};
