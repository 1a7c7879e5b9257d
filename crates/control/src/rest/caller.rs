//! Who calls, and what they may do.

use portway_api::Permission;
use portway_codes::{Code, PublicError};
use portway_names::{AccountId, ApiKeyId};
use secrecy::{ExposeSecret, SecretString};

use super::refusal::unreadable;
use crate::random;
use crate::service::Inner;

/// Who calls.
#[derive(Debug)]
pub(crate) struct Caller {
    /// The account that the call is about.
    pub(crate) account: AccountId,
    /// The key of the call.
    pub(crate) key: ApiKeyId,
    /// Who owns the key: a user or service user.
    pub(crate) principal: String,
    /// The most that they may do.
    pub(crate) permission: Permission,
}

/// Finds whose key it is.
pub(crate) async fn find(inner: &Inner, key: &SecretString) -> Result<Caller, PublicError> {
    let digest = random::token_digest(key.expose_secret());
    if let Some(key) = inner.store.api_key_by_digest(&digest).await.map_err(unreadable)? {
        return Ok(Caller {
            account: key.account,
            key: key.id,
            principal: key.user.to_string(),
            permission: Permission::Admin,
        });
    }
    match inner.store.credential_by_digest(&digest).await.map_err(unreadable)? {
        Some(_) => Err(Code::ERR_NGROK_207.plain()),
        None => Err(Code::ERR_NGROK_203.plain()),
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
