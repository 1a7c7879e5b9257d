//! The front on loopback, driven by OpenSSH, by the client of russh, and by clients that lie.

#![expect(clippy::unwrap_used, reason = "a test whose set-up fails has failed")]

mod floods;
mod hostile;
mod openssh;
mod requests;
mod support;
mod transfers;
