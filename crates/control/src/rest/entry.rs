//! The entry to the interface: where everything is, and who calls.

use portway_api::{Operation, Root, SERVED_VERSION, api_key, not_found};
use portway_codes::PublicError;
use portway_store::{Account, ApiKey, User};
use secrecy::ExposeSecret;

use super::call::{Answer, Call, time};
use super::kind::as_json;
use super::refusal::unreadable;
use crate::random;

/// Where the resources are found, by name.
pub(crate) fn root(call: &Call<'_>) -> Answer {
    let lists = Operation::all().iter().filter(|spec| spec.answer.list().is_some() && spec.parameters().count() == 0);
    let subresource_uris = lists.map(|spec| (spec.group().replace('-', "_"), call.base.uri(spec.path))).collect();
    Answer::Object(as_json(&Root { uri: call.base.uri("/"), subresource_uris }))
}

/// Who the caller is.
pub(crate) async fn caller(call: &Call<'_>) -> Result<Answer, PublicError> {
    let store = &call.inner.store;
    let digest = random::token_digest(api_key(call.headers)?.expose_secret());
    // Either may have been deleted since the call was let in.
    let key = store.api_key_by_digest(&digest).await.map_err(unreadable)?.ok_or_else(not_found)?;
    let accounts = store.accounts().await.map_err(unreadable)?;
    let account = accounts.iter().find(|account| account.id == key.account).ok_or_else(not_found)?;
    let user = store.user(&key.user).await.map_err(unreadable)?;
    Ok(Answer::Object(as_json(&portway_api::Caller {
        account: shown_account(call, account),
        user: user.map(|user| shown_user(call, &user)),
        api_key: shown_key(call, key),
    })))
}

fn shown_account(call: &Call<'_>, account: &Account) -> portway_api::Account {
    portway_api::Account {
        id: account.id.to_string(),
        uri: call.base.resource("/portway/v1/accounts", account.id),
        name: account.name.clone(),
        description: String::new(),
        created_at: time(account.created),
        suspended: false,
        enforce_sso: false,
        min_api_version: SERVED_VERSION.to_owned(),
        // Any agent whose protocol an edge understands is welcome.
        min_agent_version: String::new(),
        user_mfa_required: false,
        traffic_full_capture: false,
    }
}

fn shown_user(call: &Call<'_>, user: &User) -> portway_api::User {
    portway_api::User {
        id: user.id.to_string(),
        uri: call.base.resource("/portway/v1/users", user.id),
        created_at: time(user.created),
        email: user.email.clone(),
        name: String::new(),
        active: true,
        mfa_enabled: false,
        last_login: None,
    }
}

fn shown_key(call: &Call<'_>, key: ApiKey) -> portway_api::ApiKey {
    portway_api::ApiKey {
        id: key.id.to_string(),
        uri: call.base.resource("/api_keys", key.id),
        created_at: time(key.created),
        description: key.description,
        metadata: key.metadata,
        token: None,
        owner_id: Some(key.user.to_string()),
    }
}
