//! Who calls, and what they may do.

use portway_api::{DeveloperRole, Permission};
use portway_codes::{Code, PublicError};
use portway_names::{AccountId, ApiKeyId};
use secrecy::{ExposeSecret, SecretString};

use super::refusal::{damaged, unreadable};
use crate::kept::principals::{self, CREDENTIAL, NoCaller, Owner, Principal};
use crate::random;
use crate::service::Inner;

/// Who calls.
#[derive(Debug)]
pub(crate) struct Caller {
    /// The account that the call is about.
    pub(crate) account: AccountId,
    /// The key of the call.
    pub(crate) key: ApiKeyId,
    /// Who owns the key.
    pub(crate) owner: Owner,
    /// The most that they may do.
    pub(crate) permission: Permission,
}

/// Finds whose key it is.
pub(crate) async fn find(inner: &Inner, key: &SecretString) -> Result<Caller, PublicError> {
    let digest = random::token_digest(key.expose_secret());
    match principals::caller(&inner.store, &digest).await {
        Ok(principal) => Ok(Caller::from(principal)),
        Err(NoCaller::Unknown) => {
            let authtoken = inner.store.resource_by_key(CREDENTIAL, &digest.to_string()).await.map_err(unreadable)?;
            Err(if authtoken.is_some() { Code::ERR_NGROK_207 } else { Code::ERR_NGROK_203 }.plain())
        }
        Err(reason @ (NoCaller::OwnerInactive | NoCaller::AccountSuspended)) => {
            Err(Code::ERR_NGROK_203.with(format!("The API key cannot be used: {reason}.")))
        }
        Err(NoCaller::Store(error)) => Err(unreadable(error)),
        Err(NoCaller::Body(error)) => Err(damaged(error)),
        Err(error @ NoCaller::Id(_)) => Err(damaged(error)),
    }
}

impl From<Principal> for Caller {
    fn from(principal: Principal) -> Self {
        let permission = match principal.developer {
            _ if principal.administrator => Permission::Admin,
            DeveloperRole::ReadWrite => Permission::Write,
            DeveloperRole::ReadOnly => Permission::Read,
        };
        Caller { account: principal.account, key: principal.api_key, owner: principal.owner, permission }
    }
}

impl Caller {
    /// Whether they may do what needs this permission.
    pub(crate) fn permit(&self, needed: Permission) -> Result<(), PublicError> {
        match needed {
            needed if needed <= self.permission => Ok(()),
            Permission::Admin => Err(Code::ERR_NGROK_1220.plain()),
            Permission::Read | Permission::Write => Err(Code::ERR_NGROK_1219.plain()),
        }
    }
}
