//! Settings of the caller's account.

use std::collections::BTreeMap;

use portway_api::{Settings, SettingsUpdate, read_body};
use portway_codes::{Code, PublicError};
use portway_store::{Content, NewResource, ResourceError};
use serde_json::Value;

use super::call::{Answer, Call};
use super::kind::as_json;
use super::refusal::{damaged, unreadable, unwritable};
use crate::kept::settings::{AccountSettings, SETTINGS, settings_id};
use crate::kept::{read, written};

/// Performs an operation of settings.
pub(crate) async fn perform(call: &Call<'_>) -> Result<Answer, PublicError> {
    let (store, account) = (&call.inner.store, &call.caller.account);
    let id = settings_id(account);
    let found = store.resource(account, SETTINGS, &id).await.map_err(unreadable)?;
    let before: AccountSettings = found.as_ref().map(read).transpose().map_err(damaged)?.unwrap_or_default();
    if call.verb() == "get" {
        return Ok(Answer::Object(shown(call, &before)));
    }
    let after = changed(&before, read_body(call.body)?);
    let reply = shown(call, &after);
    let audit = call.audit(Some(&shown(call, &before)), Some(&reply));
    let content = Content { body: written(&after), ..Content::default() };
    let done = match found {
        // Two who change it at once: the second one is told, and tries again.
        Some(found) => store.update_resource(account, SETTINGS, &id, found.version, &content, &audit, call.now).await,
        None => {
            let new = NewResource { id, kind: SETTINGS.to_owned(), account: *account, followed: false, content };
            store.create_resource(&new, &audit, call.now).await
        }
    };
    match done {
        Ok(_) => Ok(Answer::Object(reply)),
        Err(ResourceError::Stale { .. } | ResourceError::Exists { .. }) => Err(Code::ERR_PORTWAY_40901.plain()),
        Err(ResourceError::Store(error)) => Err(unwritable(error)),
        Err(error) => Err(damaged(error)),
    }
}

fn changed(before: &AccountSettings, body: SettingsUpdate) -> AccountSettings {
    let audit_retention_days = body.audit_retention_days.map_or(before.audit_retention_days, |days| days.0);
    AccountSettings { audit_retention_days }
}

fn shown(call: &Call<'_>, settings: &AccountSettings) -> Value {
    as_json(&Settings {
        uri: call.base.uri("/portway/v1/settings"),
        user_mfa_required: false,
        enforce_sso: false,
        traffic_full_capture: false,
        audit_retention_days: settings.audit_retention_days,
        limits: BTreeMap::from([("api_calls_per_minute".to_owned(), call.calls_per_minute.into())]),
    })
}
