//! What the store keeps of each kind of resource: the JSON of its body.

pub(crate) mod abuse;
pub(crate) mod events;
pub(crate) mod ip;
pub(crate) mod names;
