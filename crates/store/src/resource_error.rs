//! Why a resource of the REST API did not change.

use portway_names::AccountId;

use crate::error::Fault;
use crate::{Referrer, StoreError};

/// Why a resource did not change. Nothing of the change was kept.
#[derive(Debug, thiserror::Error)]
pub enum ResourceError {
    /// The account has none of this kind with this id.
    #[error("there is no {kind} {id}")]
    Missing {
        /// The kind.
        kind: String,
        /// The id.
        id: String,
    },
    /// The id is there already.
    #[error("the id {id} is taken")]
    Exists {
        /// The id.
        id: String,
    },
    /// Another resource has a key. Whose it is may be a secret before other accounts.
    #[error("another {kind} has the key {key}")]
    KeyTaken {
        /// The kind.
        kind: String,
        /// The key.
        key: String,
        /// The account of the resource that has it.
        account: AccountId,
        /// That resource.
        id: String,
    },
    /// Somebody else changed it since it was read.
    #[error("{id} has version {found}, not {expected}: somebody else changed it")]
    Stale {
        /// The resource.
        id: String,
        /// The version the caller has seen.
        expected: u64,
        /// The version it has.
        found: u64,
    },
    /// Others need it.
    #[error("{id} is in use by {} and perhaps others", referrers.first().map_or("", |first| first.id.as_str()))]
    InUse {
        /// The resource.
        id: String,
        /// Some of those that need it, at least one.
        referrers: Vec<Referrer>,
    },
    /// The account has no resource that is referred to.
    #[error("there is no {target} to refer to")]
    NoTarget {
        /// The id that was referred to.
        target: String,
    },
    /// A text or list is too long, or a text holds a NUL character.
    #[error("{what} is longer than {limit}, or holds a NUL character")]
    Limit {
        /// Which one.
        what: &'static str,
        /// Bytes of a text, entries of a list.
        limit: usize,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A refusal, or a failure before it is known of which database.
pub(crate) enum Failure {
    Engine(Fault),
    Refused(ResourceError),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Failure::Engine(fault)
    }
}

impl From<ResourceError> for Failure {
    fn from(error: ResourceError) -> Self {
        Failure::Refused(error)
    }
}
