//! Which code performs an operation.

use portway_api::not_found;
use portway_codes::PublicError;

use super::call::{Answer, Call};
use super::{certificates, crud, ip, ssh_certificates, vaults};

/// Performs an operation that the caller may perform.
pub(crate) async fn perform(call: &Call<'_>) -> Result<Answer, PublicError> {
    match call.operation.spec().group() {
        "tls-certificates" => crud::perform(call, &certificates::CERTIFICATE).await,
        "certificate-authorities" => crud::perform(call, &certificates::AUTHORITY).await,
        "ip-policies" => crud::perform(call, &ip::POLICY).await,
        "ip-policy-rules" => crud::perform(call, &ip::RULE).await,
        "ip-restrictions" => crud::perform(call, &ip::RESTRICTION).await,
        "ssh-certificate-authorities" => ssh_certificates::authorities(call).await,
        "ssh-host-certificates" => ssh_certificates::of_hosts(call).await,
        "ssh-user-certificates" => ssh_certificates::of_users(call).await,
        "vaults" => vaults::vaults(call).await,
        "secrets" => vaults::secrets(call).await,
        _ => Err(not_found()),
    }
}
