//! Visitors who logged in at endpoints.

use std::str::FromStr;

use portway_api::{Answer as Reply, not_found};
use portway_codes::PublicError;
use portway_names::IdError;
use serde_json::Value;

use super::call::{Answer, Call};

/// Performs an operation where there is nobody: no action of endpoints that are served logs a visitor in under a name that is kept. Calls
/// are checked as if there were somebody. `Id` is that of what the operation is about.
pub(crate) fn none<Id: FromStr<Err = IdError>>(call: &Call<'_>) -> Result<Answer, PublicError> {
    let Reply::Page(list) = &call.operation.spec().answer else {
        call.parameters.id::<Id>()?;
        return Err(not_found());
    };
    call.query.before::<Id>()?;
    Ok(Answer::Object(call.query.page::<Value>(call.base, call.path, list.key, &[], None)))
}
