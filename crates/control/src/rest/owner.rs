//! Who owns what is made: authtokens, SSH keys, API keys.

use portway_api::{Email, OwnerId, Permission, Word};
use portway_codes::{Code, PublicError};
use portway_store::Resource;

use super::call::Call;
use super::kind::{Draft, Kind};
use super::refusal::{damaged, unreadable};
use crate::kept::principals::{
    MEMBERSHIP, SERVICE_USER, ServiceUserBody, USER, UserBody, membership_key, stored_owner,
};
use crate::kept::read;

/// Who is to own something, as far as it is known before it is made.
#[derive(Debug)]
pub(crate) struct NewOwner {
    /// What replies say: a user, a service user or a bot user, as the request called it. Clients compare it with what they asked for.
    pub(crate) id: String,
    /// What the owned refers to: the service user, or the user's membership in the account.
    pub(crate) refers_to: String,
}

impl NewOwner {
    /// The membership, when it is a user.
    pub(crate) fn membership(&self) -> Option<String> {
        self.id.starts_with("usr_").then(|| self.refers_to.clone())
    }
}

/// Finds who is to own it: the caller, unless the request names somebody of the account.
pub(crate) async fn find(
    call: &Call<'_>,
    id: Option<OwnerId>,
    email: Option<Email>,
    scim: Option<Word<255>>,
) -> Result<NewOwner, PublicError> {
    let none = |who: &str| {
        Code::ERR_NGROK_634.with(format!("The account has no member {who}. Check it, or leave the owner out."))
    };
    if let Some(scim) = scim {
        // No directory is connected, so that no member has such an id.
        return Err(none(scim.as_str()));
    }
    let own = call.caller.owner.to_string();
    let asked = email.as_ref().map(|email| email.as_str().to_owned());
    // Before anybody is looked for: who has an address is not for everybody to find out.
    if email.is_some() && call.caller.permission < Permission::Admin {
        return Err(Code::ERR_NGROK_630.plain());
    }
    let id = match (id, email) {
        (Some(OwnerId::User(id)), _) => id.to_string(),
        (Some(OwnerId::Service(id)), _) => id.to_string(),
        (Some(OwnerId::Bot(id)), _) => id.to_string(),
        (None, Some(email)) => {
            let found = call.inner.store.resource_by_key(USER, email.as_str()).await;
            found.map_err(unreadable)?.ok_or_else(|| none(email.as_str()))?.id
        }
        (None, None) => own.clone(),
    };
    let stored = stored_owner(&id);
    if stored != own && call.caller.permission < Permission::Admin {
        return Err(Code::ERR_NGROK_630.plain());
    }
    let (store, account) = (&call.inner.store, &call.caller.account);
    let found = match id.starts_with("usr_") {
        true => store.resource_by_key(MEMBERSHIP, &membership_key(account, &id)).await,
        false => store.resource(account, SERVICE_USER, &stored).await,
    };
    let found = found.map_err(unreadable)?.ok_or_else(|| none(asked.as_ref().unwrap_or(&id)))?;
    Ok(NewOwner { id, refers_to: found.id })
}

/// Makes what an owner owns, while they are still there and active.
pub(crate) async fn insert(
    call: &Call<'_>,
    kind: &Kind,
    owner: &NewOwner,
    draft: Draft,
) -> Result<super::call::Answer, PublicError> {
    let seen = [owner.refers_to.clone(), owner.id.clone()];
    super::crud::insert_seeing(call, kind, &seen, draft, |seen| check_active(owner, seen)).await
}

fn check_active(owner: &NewOwner, seen: &[Resource]) -> Result<(), PublicError> {
    if !seen.iter().any(|resource| resource.id == owner.refers_to) {
        return Err(Code::ERR_NGROK_634.plain());
    }
    for resource in seen {
        let active = match resource.kind.as_str() {
            USER => read::<UserBody>(resource).map_err(damaged)?.active,
            SERVICE_USER => read::<ServiceUserBody>(resource).map_err(damaged)?.active,
            _ => true,
        };
        if !active {
            return Err(Code::ERR_NGROK_636.plain());
        }
    }
    Ok(())
}
