//! The front on loopback, driven by OpenSSH, by the client of russh, and by clients that lie.

mod hostile;
mod openssh;
mod requests;
mod support;
mod transfers;
