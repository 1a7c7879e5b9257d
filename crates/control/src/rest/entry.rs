//! The entry to the interface: where everything is, and who calls.

use portway_api::{Operation, Root, not_found};
use portway_codes::PublicError;

use super::call::{Answer, Call};
use super::kind::as_json;
use super::refusal::unreadable;
use super::{accounts, credentials, users};
use crate::kept::principals::{API_KEY, Owner, USER};

/// Where the resources are found, by name.
pub(crate) fn root(call: &Call<'_>) -> Answer {
    let lists = Operation::all().iter().filter(|spec| spec.answer.list().is_some() && spec.parameters().count() == 0);
    let subresource_uris = lists.map(|spec| (spec.group().replace('-', "_"), call.base.uri(spec.path))).collect();
    Answer::Object(as_json(&Root { uri: call.base.uri("/"), subresource_uris }))
}

/// Who the caller is.
pub(crate) async fn caller(call: &Call<'_>) -> Result<Answer, PublicError> {
    let (store, caller) = (&call.inner.store, &call.caller);
    // Each may have been deleted since the call was let in.
    let key = store.resource(&caller.account, API_KEY, &caller.key.to_string()).await.map_err(unreadable)?;
    let account = store.account(&caller.account).await.map_err(unreadable)?.ok_or_else(not_found)?;
    let user = match caller.owner {
        Owner::User(id) => store.resource_of_any_account(USER, &id.to_string()).await.map_err(unreadable)?,
        Owner::ServiceUser(_) => None,
    };
    Ok(Answer::Object(serde_json::json!({
        "api_key": (credentials::KEY.reply)(call, &key.ok_or_else(not_found)?)?,
        "account": accounts::shown(call, &account),
        "user": user.map(|user| (users::USERS.reply)(call, &user)).transpose()?,
    })))
}
