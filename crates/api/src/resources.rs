//! The resources: what is sent to create and change each, and what is given back.

pub(crate) mod account;
pub(crate) mod certificates;
pub(crate) mod credentials;
pub(crate) mod event_targets;
pub(crate) mod events;
pub(crate) mod ip;
pub(crate) mod names;
pub(crate) mod online;
pub(crate) mod portway;
pub(crate) mod ssh;
pub(crate) mod vaults;
pub(crate) mod visitors;
