//! What the store keeps of each kind of resource: the JSON of its body.

pub(crate) mod abuse;
pub(crate) mod certificates;
pub(crate) mod events;
pub(crate) mod ip;
pub(crate) mod names;
pub(crate) mod principals;
pub(crate) mod settings;
pub(crate) mod ssh;
pub(crate) mod vaults;

use portway_store::Resource;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A body is not what its kind says: the database was changed by hand.
#[derive(Debug, thiserror::Error)]
#[error("the {kind} {id} in the database cannot be read: {source}")]
pub(crate) struct BodyFault {
    pub(crate) kind: String,
    pub(crate) id: String,
    pub(crate) source: serde_json::Error,
}

/// The body of a resource.
pub(crate) fn read<T: DeserializeOwned>(resource: &Resource) -> Result<T, BodyFault> {
    serde_json::from_str(&resource.body).map_err(|source| {
        let (kind, id) = (resource.kind.clone(), resource.id.clone());
        BodyFault { kind, id, source }
    })
}

/// A body for the store.
pub(crate) fn written<T: Serialize>(body: &T) -> String {
    serde_json::to_string(body).expect("names of members are texts")
}
