//! Why a resource of the REST API did not change.

use portway_names::{AccountId, HostPattern};

use crate::error::Fault;
use crate::{HostConflict, Referrer, StoreError};

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
    /// Another account has the host name, one above it or one below it.
    #[error("{host} cannot be reserved: another account has {other}")]
    HostTaken {
        /// The name that was to be reserved.
        host: HostPattern,
        /// The one that is in the way. Whose it is, and that there is one below, may be a secret before other accounts.
        other: HostPattern,
        /// How the two are to each other.
        conflict: HostConflict,
        /// The account that has it.
        account: AccountId,
        /// The resource that it is reserved by.
        id: String,
    },
    /// An agent of another account serves the host name, a wildcard above it or a name below it.
    #[error("{host} cannot be reserved: an agent of another account serves {other}")]
    HostLeased {
        /// The name that was to be reserved.
        host: HostPattern,
        /// The one that is served.
        other: HostPattern,
        /// The account of the agent.
        account: AccountId,
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
    /// The first account is the operator's: it is neither suspended nor deleted.
    #[error("the first account belongs to the operator of the installation and can be neither suspended nor deleted")]
    OperatorAccount,
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
