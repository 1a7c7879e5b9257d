//! The catalogue of public error codes: number, HTTP status, title and text.
//!
//! It is data: it never decides which error occurred and never formats a page. Codes that ngrok's clients know keep ngrok's numbers, so
//! that programs which look for `ERR_NGROK_n` find what they expect; the words are Portway's own. What has no such number gets one of
//! Portway's, `ERR_PORTWAY_n`, where the first three digits are the HTTP status.

mod catalogue;
mod code;
mod public_error;

pub use code::{Code, Family};
pub use public_error::PublicError;
