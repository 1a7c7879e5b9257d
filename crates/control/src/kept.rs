//! What the store keeps of each kind of resource: the JSON of its body.

pub(crate) mod abuse;
pub(crate) mod certificates;
pub(crate) mod events;
pub(crate) mod ip;
pub(crate) mod issuance;
pub(crate) mod names;
pub(crate) mod principals;
pub(crate) mod settings;
pub(crate) mod ssh;
pub(crate) mod vaults;

use portway_store::{PAGE_MAX, Resource, Store, StoreError};
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

/// Every resource of a kind, of whatever account. Their ids begin with `prefix` and an underscore.
pub(crate) async fn all(store: &Store, kind: &str, prefix: &str) -> Result<Vec<Resource>, StoreError> {
    let mut found: Vec<Resource> = Vec::new();
    loop {
        let after = found.last().map(|last| last.id.clone());
        let page = store.resources_of_kind(kind, prefix, after.as_deref(), PAGE_MAX).await?;
        let is_last = page.len() < PAGE_MAX as usize;
        found.extend(page);
        if is_last {
            return Ok(found);
        }
    }
}

/// A body for the store.
pub(crate) fn written<T: Serialize>(body: &T) -> String {
    serde_json::to_string(body).expect("names of members are texts")
}
