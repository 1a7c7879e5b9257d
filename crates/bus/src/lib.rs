//! Wake-ups between the parts of the control plane, in process.
//!
//! It never carries the truth: a [`Topic`] says that something may have changed and at which version, and whoever is woken reads the
//! store. A lost, merged or repeated wake-up therefore costs time, never correctness, and the store's own poll is the net below it.

mod topic;

pub use topic::{Subscription, Topic};
