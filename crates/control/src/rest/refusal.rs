//! What a caller is told when the store refuses or fails.

use portway_api::not_found;
use portway_codes::{Code, PublicError};
use portway_store::{ResourceError, StoreError};

use super::kind::Kind;
use crate::rest::call::Call;

/// The public error for a change of a resource that did not happen.
pub(crate) fn refused(call: &Call<'_>, kind: &Kind, error: ResourceError) -> PublicError {
    match error {
        // A reference in the body; an id in the path is looked up first.
        ResourceError::NoTarget { target } => (kind.no_target)(&target),
        ResourceError::Missing { .. } => not_found(),
        ResourceError::KeyTaken { key, account, id, .. } => {
            (kind.taken)(&key, (account == call.caller.account).then_some(id.as_str()))
        }
        ResourceError::HostTaken { account, host, id, .. } => match account == call.caller.account {
            true => (kind.taken)(&host.to_string(), Some(&id)),
            false if host.is_wildcard() => Code::ERR_NGROK_417.plain(),
            false => Code::ERR_NGROK_414.plain(),
        },
        ResourceError::HostLeased { .. } => Code::ERR_NGROK_430.plain(),
        ResourceError::OperatorAccount => Code::ERR_PORTWAY_40904.plain(),
        ResourceError::InUse { id, referrers } => (kind.in_use)(&id, &referrers),
        ResourceError::Stale { .. } => Code::ERR_PORTWAY_40901.plain(),
        ResourceError::Limit { what, limit } => {
            Code::ERR_NGROK_215.with(format!("The request has {what} that is too long: at most {limit} are allowed."))
        }
        ResourceError::Exists { id } => {
            tracing::error!(%id, "a fresh id is taken");
            Code::ERR_NGROK_802.plain()
        }
        ResourceError::Store(error) => unwritable(error),
    }
}

/// The public error for a database that cannot be read.
pub(crate) fn unreadable(error: StoreError) -> PublicError {
    failed(error, "the REST interface cannot read the database")
}

/// The public error for a database that cannot be written.
pub(crate) fn unwritable(error: StoreError) -> PublicError {
    failed(error, "the REST interface cannot write the database")
}

/// The public error for what the database should not hold.
pub(crate) fn damaged(error: impl std::error::Error) -> PublicError {
    tracing::error!(%error, "the REST interface cannot use what is in the database");
    Code::ERR_NGROK_802.plain()
}

fn failed(error: StoreError, what: &str) -> PublicError {
    // What comes while the server stops or hands over is tried again at the next one.
    if !matches!(error, StoreError::Closed { .. }) {
        tracing::error!(%error, "{what}");
    }
    Code::ERR_PORTWAY_50305.plain()
}
