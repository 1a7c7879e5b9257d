//! Certificates that the installation orders for names of accounts: what callers say about them, and what they are told.

use portway_api::{CertificatePolicy, ManagedPolicy, ManagedStatus, ProvisioningJob};
use portway_store::{InUse, ResourceError, Timestamp};

use super::call::{Call, time};
use crate::kept::certificates::TlsCertificate;
use crate::kept::names::{Certified, Policy};
use crate::kept::read;

/// What is said while nothing is wrong.
const IN_PROGRESS: &str = "Managed certificate provisioning in progress.";
/// What is said where nobody orders certificates.
const UNSERVED: &str = "This installation orders no certificates: its operator has not set acme.directory. Upload one, and attach \
    it by certificate_id.";
/// What owners have to mend.
const DNS_ERROR: &str = "DNS_ERROR";
/// What is tried again.
const INTERNAL_ERROR: &str = "INTERNAL_ERROR";

pub(super) fn policy(policy: CertificatePolicy) -> Policy {
    Policy { authority: policy.authority, private_key_type: policy.private_key_type }
}

pub(super) fn shown(policy: Policy) -> ManagedPolicy {
    ManagedPolicy { authority: policy.authority, private_key_type: policy.private_key_type }
}

/// How far the certificate is.
pub(super) fn status(call: &Call<'_>, certified: &Certified, created: Timestamp) -> Option<ManagedStatus> {
    certified.policy?;
    let issuance = certified.issuance.as_ref();
    let at = |millis: i64| time(Timestamp::from_millis(millis));
    let job =
        |msg: &str, started_at| ProvisioningJob { error_code: None, msg: msg.to_owned(), started_at, retries_at: None };
    let renews_at = issuance.and_then(|issuance| issuance.renews_ms).map(at);
    let provisioning_job = match issuance {
        _ if !call.inner.orders_certificates => Some(job(UNSERVED, time(created))),
        None => Some(job(IN_PROGRESS, time(created))),
        Some(issuance) if !issuance.is_running() => None,
        Some(issuance) => {
            let running = job(IN_PROGRESS, at(issuance.started_ms));
            Some(match &issuance.trouble {
                None => running,
                Some(trouble) => ProvisioningJob {
                    error_code: Some(if trouble.of_owner { DNS_ERROR } else { INTERNAL_ERROR }.to_owned()),
                    msg: trouble.msg.clone(),
                    // What an owner has to mend is looked at again when it was, not at a time.
                    retries_at: (!trouble.of_owner).then(|| at(trouble.retries_ms)),
                    ..running
                },
            })
        }
    };
    Some(ManagedStatus { renews_at, provisioning_job })
}

/// Removes a certificate that was ordered for a name, when nothing needs it any more. Uploaded ones stay. A failure leaves it to its account.
pub(super) async fn forget_ordered(call: &Call<'_>, certificate: Option<&str>) {
    let (Some(id), account) = (certificate, &call.caller.account) else { return };
    let forgetting = async {
        let Some(found) = call.inner.store.resource(account, TlsCertificate::KIND, id).await? else { return Ok(()) };
        if !read(&found).is_ok_and(|certificate: TlsCertificate| certificate.was_ordered()) {
            return Ok(());
        }
        let audit = call.audit(None, None);
        let deleting =
            call.inner.store.delete_resource(account, TlsCertificate::KIND, id, InUse::Refuse, &audit, call.now);
        match deleting.await {
            Ok(_) | Err(ResourceError::InUse { .. } | ResourceError::Missing { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    };
    if let Err(error) = forgetting.await {
        tracing::warn!(%error, %id, "a certificate that nothing needs is still there");
    }
    call.announce().await;
}
