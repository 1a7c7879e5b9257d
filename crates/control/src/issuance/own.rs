//! The installation's own names: which of them have ordered certificates is a setting.

use portway_api::{Authority, ManagedKeyType};
use portway_names::{AccountId, HostName, HostPattern};
use portway_store::{Audit, InUse, NewResource, Resource, ResourceError, Store, Timestamp};

use super::step::WHO;
use crate::kept::certificates::TlsCertificate;
use crate::kept::names::{Certified, OwnName, Policy};
use crate::kept::{all, read};
use crate::random;

/// Sees to it that certificates are ordered for the base domain and everything one label below, when that is `wanted`, and for nothing else
/// that the installation had before. `operator` is the account that they belong to.
///
/// # Errors
/// When the store cannot be read or written. What was done stays, and the next start goes on.
pub(crate) async fn keep(
    store: &Store,
    operator: &AccountId,
    base: &HostName,
    wanted: bool,
    now: Timestamp,
) -> Result<(), ResourceError> {
    let mut missing = match wanted {
        true => vec![HostPattern::Exact(base.clone()), HostPattern::Wildcard(base.clone())],
        false => Vec::new(),
    };
    for present in all(store, OwnName::KIND, OwnName::PREFIX).await? {
        let own = read::<OwnName>(&present).ok();
        match own.as_ref().and_then(|own| missing.iter().position(|name| *name == own.domain)) {
            Some(at) => drop(missing.swap_remove(at)),
            None => forget(store, &present, own, now).await?,
        }
    }
    for domain in missing {
        let mut certified = Certified::default();
        let policy = Policy { authority: Authority::LetsEncrypt, private_key_type: ManagedKeyType::Ecdsa };
        certified.take_policy(policy, now);
        let new = NewResource {
            id: format!("{}_{}", OwnName::PREFIX, random::ksuid(now)),
            kind: OwnName::KIND.to_owned(),
            account: *operator,
            followed: true,
            content: OwnName { domain, certified }.content(),
        };
        store.create_resource(&new, &audit("base domain has ordered certificates"), now).await?;
    }
    Ok(())
}

/// Takes a name back, and the certificate that was ordered for it.
async fn forget(store: &Store, present: &Resource, own: Option<OwnName>, now: Timestamp) -> Result<(), ResourceError> {
    let audit = audit("base domain has ordered certificates no more");
    store.delete_resource(&present.account, OwnName::KIND, &present.id, InUse::Refuse, &audit, now).await?;
    let Some(certificate) = own.and_then(|own| own.certified.certificate_id) else { return Ok(()) };
    let (account, kind) = (&present.account, TlsCertificate::KIND);
    match store.delete_resource(account, kind, &certificate, InUse::Refuse, &audit, now).await {
        // An operator may have attached it to something else, or deleted it.
        Ok(_) | Err(ResourceError::InUse { .. } | ResourceError::Missing { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

fn audit(action: &str) -> Audit {
    Audit { who: WHO.to_owned(), action: action.to_owned(), ..Audit::default() }
}
