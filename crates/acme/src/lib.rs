//! Certificates from an ACME authority (RFC 8555 section 7.1).
//!
//! An [`Account`] places an [`Order`] for names; the order says which [`Proof`]s the authority wants that they are ours; whoever serves the names
//! shows them; the authority looks, and issues. Nothing is kept here: what must outlive the process are the texts of [`Account::register`] and
//! [`Order::url`], by which both go on after a restart, and the private key, which the caller makes.

mod account;
mod fault;
mod https;
mod order;

pub use account::{Account, Authority, ExternalAccount, Renewal, lets_encrypt};
pub use fault::{Blame, Fault};
pub use order::{Order, Progress, Proof, SigningKey, Way};
