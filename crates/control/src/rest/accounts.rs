//! Accounts. Only the operator's account, which is the installation's first, sees the others.

use portway_api::{
    AccountCreate, AccountUpdate, DeveloperRole, SERVED_VERSION, ShownOnce, TeamRole, not_found, read_body,
};
use portway_codes::{Code, PublicError};
use portway_names::{AccountId, ApiKeyId, MembershipId};
use portway_store::{Account, AccountChange, Content, NewResource, ResourceError};
use secrecy::{ExposeSecret, SecretString};

use super::call::{Answer, Call, time};
use super::kind::as_json;
use super::page::{Found, page};
use super::refusal::{unreadable, unwritable};
use crate::kept::principals::{API_KEY, ApiKeyBody, MEMBERSHIP, MembershipBody, Owner, USER, membership_key};
use crate::kept::written;
use crate::random;

const COLLECTION: &str = "/portway/v1/accounts";

/// Performs an operation of accounts.
pub(crate) async fn perform(call: &Call<'_>) -> Result<Answer, PublicError> {
    let operator = is_operator(call).await?;
    match call.verb() {
        "create" if operator => create(call).await,
        "list" => list(call, operator).await,
        "get" => Ok(Answer::Object(as_json(&shown(call, &find(call, operator).await?)))),
        "update" => update(call, operator).await,
        "delete" if operator => delete(call).await,
        _ => Err(operators_only()),
    }
}

/// Whether the call is by the operator's account.
pub(crate) async fn is_operator(call: &Call<'_>) -> Result<bool, PublicError> {
    let first = call.inner.store.operator_account().await.map_err(unreadable)?;
    Ok(first.is_some_and(|first| first.id == call.caller.account))
}

/// The refusal of what only the operator's account may do.
pub(crate) fn operators_only() -> PublicError {
    let text = "Only administrators of the installation's first account may do this. Use an API key of one of them.";
    Code::ERR_NGROK_1220.with(text)
}

async fn create(call: &Call<'_>) -> Result<Answer, PublicError> {
    let body: AccountCreate = read_body(call.body)?;
    let account = Account {
        id: AccountId::new(random::ksuid(call.now)),
        name: body.name.into_string(),
        description: body.description.into_string(),
        suspended: false,
        created: call.now,
    };
    let user = match (body.administrator_id, call.caller.owner) {
        (Some(user), _) | (None, Owner::User(user)) => user.to_string(),
        // Only users are administrators.
        (None, Owner::ServiceUser(_)) => return Err(operators_only()),
    };
    let known = call.inner.store.resource(&call.caller.account, USER, &user).await.map_err(unreadable)?;
    if known.is_none() {
        return Err(Code::ERR_NGROK_634.with(format!("There is no user {user}.")));
    }
    let mut reply = as_json(&shown(call, &account));
    call.inner.store.add_account(&account, &call.audit(None, Some(&reply))).await.map_err(refused)?;
    let token = first_key(call, &account.id, user).await.map_err(refused)?;
    reply["token"] = as_json(&ShownOnce::from(token));
    Ok(Answer::Object(reply))
}

/// Makes a user the administrator of a new account, and an API key for them: without one nobody could do anything there. A call that is
/// broken off in between leaves an account without members, which can be deleted.
async fn first_key(call: &Call<'_>, account: &AccountId, user: String) -> Result<SecretString, ResourceError> {
    let token = SecretString::from(random::token(call.now));
    let digest = random::token_digest(token.expose_secret());
    let membership = MembershipId::new(random::ksuid(call.now)).to_string();
    let member = MembershipBody {
        user_id: user.clone(),
        developer: DeveloperRole::ReadWrite,
        team: TeamRole::Manager,
        administrator: true,
    };
    let key = ApiKeyBody {
        description: "made with the account".to_owned(),
        metadata: String::new(),
        digest,
        owner_id: user.clone(),
        membership_id: Some(membership.clone()),
    };
    let member = Content {
        body: written(&member),
        keys: vec![membership_key(account, &user)],
        outside_refs: vec![user],
        ..Content::default()
    };
    let key = Content {
        body: written(&key),
        keys: vec![digest.to_string()],
        refs: vec![membership.clone()],
        ..Content::default()
    };
    let id = ApiKeyId::new(random::ksuid(call.now)).to_string();
    for (id, kind, content) in [(membership, MEMBERSHIP, member), (id, API_KEY, key)] {
        let new = NewResource { id, kind: kind.to_owned(), account: *account, followed: false, content };
        call.inner.store.create_resource(&new, &call.audit(None, None), call.now).await?;
    }
    Ok(token)
}

async fn list(call: &Call<'_>, operator: bool) -> Result<Answer, PublicError> {
    let found = |account: Account| Found { id: account.id.to_string(), reply: Some(as_json(&shown(call, &account))) };
    page(call, |before, at_once| {
        Box::pin(async move {
            let (store, own) = (&call.inner.store, &call.caller.account);
            let before = before.as_deref().map(portway_api::read_id::<AccountId>).transpose()?;
            let accounts = match operator {
                true => store.accounts_page(before.as_ref(), at_once).await.map_err(unreadable)?,
                false if before.is_none_or(|before| *own < before) => {
                    store.account(own).await.map_err(unreadable)?.into_iter().collect()
                }
                false => Vec::new(),
            };
            Ok(accounts.into_iter().map(found).collect())
        })
    })
    .await
}

async fn find(call: &Call<'_>, operator: bool) -> Result<Account, PublicError> {
    let id: AccountId = call.parameters.id()?;
    let seen = operator || id == call.caller.account;
    let found = call.inner.store.account(&id).await.map_err(unreadable)?;
    found.filter(|_| seen).ok_or_else(not_found)
}

async fn update(call: &Call<'_>, operator: bool) -> Result<Answer, PublicError> {
    let before = find(call, operator).await?;
    let body: AccountUpdate = read_body(call.body)?;
    if body.suspended.is_some() && !operator {
        return Err(operators_only());
    }
    let change = AccountChange {
        name: body.name.map(|name| name.into_string()),
        description: body.description.map(|description| description.into_string()),
        suspended: body.suspended,
    };
    let audit = call
        .audit(Some(&as_json(&shown(call, &before))), Some(&as_json(&shown(call, &change.applied_to(before.clone())))));
    let changed = call.inner.store.update_account(&before.id, &change, &audit, call.now).await.map_err(refused)?;
    call.announce().await;
    Ok(Answer::Object(as_json(&shown(call, &changed))))
}

async fn delete(call: &Call<'_>) -> Result<Answer, PublicError> {
    let before = find(call, true).await?;
    let audit = call.audit(Some(&as_json(&shown(call, &before))), None);
    call.inner.store.delete_account(&before.id, &audit, call.now).await.map_err(refused)?;
    call.announce().await;
    Ok(Answer::Nothing)
}

fn refused(error: ResourceError) -> PublicError {
    match error {
        ResourceError::OperatorAccount => Code::ERR_PORTWAY_40904.plain(),
        ResourceError::Missing { .. } => not_found(),
        ResourceError::Store(error) => unwritable(error),
        other => super::refusal::damaged(other),
    }
}

/// An account as it is given back.
pub(crate) fn shown(call: &Call<'_>, account: &Account) -> portway_api::Account {
    portway_api::Account {
        id: account.id.to_string(),
        uri: call.base.resource(COLLECTION, account.id),
        name: account.name.clone(),
        description: account.description.clone(),
        created_at: time(account.created),
        suspended: account.suspended,
        enforce_sso: false,
        min_api_version: SERVED_VERSION.to_owned(),
        // Any agent whose protocol an edge understands is welcome.
        min_agent_version: String::new(),
        user_mfa_required: false,
        traffic_full_capture: false,
        token: None,
    }
}

/// The reference to an account.
pub(crate) fn reference(call: &Call<'_>, account: &AccountId) -> portway_api::Ref {
    call.base.reference(COLLECTION, account)
}
