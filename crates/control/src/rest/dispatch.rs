//! Which code performs an operation.

use portway_api::not_found;
use portway_codes::PublicError;

use super::call::{Answer, Call};
use super::{addrs, crud, domains, ip};

/// Performs an operation that the caller may perform.
pub(crate) async fn perform(call: &Call<'_>) -> Result<Answer, PublicError> {
    match call.operation.spec().group() {
        "reserved-domains" => domains::perform(call).await,
        "reserved-addrs" => addrs::perform(call).await,
        "ip-policies" => crud::perform(call, &ip::POLICY).await,
        "ip-policy-rules" => crud::perform(call, &ip::RULE).await,
        "ip-restrictions" => crud::perform(call, &ip::RESTRICTION).await,
        _ => Err(not_found()),
    }
}
