//! The audit log: who changed what.

use portway_api::{Ref, not_found, read_id};
use portway_codes::PublicError;
use portway_names::{AuditId, Ksuid};
use portway_store::AuditEntry;
use serde_json::Value;

use super::call::{Answer, Call, time};
use super::dispatch::collection;
use super::kind::as_json;
use super::page::{Found, page};
use super::refusal::unreadable;

/// Performs an operation of the audit log.
pub(crate) async fn perform(call: &Call<'_>) -> Result<Answer, PublicError> {
    let (store, account) = (&call.inner.store, &call.caller.account);
    if call.verb() == "get" {
        let wanted = seq(call.parameters.get("id"))?;
        let found = store.audit_log(account, wanted.checked_add(1), 1).await.map_err(unreadable)?;
        let found = found.into_iter().find(|entry| entry.seq == wanted).ok_or_else(not_found)?;
        return Ok(Answer::Object(as_json(&shown(call, &found))));
    }
    page(call, |before, at_once| {
        Box::pin(async move {
            let before = before.as_deref().map(seq).transpose()?;
            let entries = store.audit_log(account, before, at_once).await.map_err(unreadable)?;
            let found = entries.iter().map(|entry| {
                let reply = shown(call, entry);
                Found { id: reply.id.clone(), reply: Some(as_json(&reply)) }
            });
            Ok(found.collect())
        })
    })
    .await
}

/// The id of an entry: its number stands behind its time, so that ids are ordered as the entries are.
fn id(entry: &AuditEntry) -> AuditId {
    let mut payload = [0; 16];
    payload[8..].copy_from_slice(&entry.seq.to_be_bytes());
    AuditId::new(Ksuid::from_parts(entry.at.unix_secs(), payload))
}

fn seq(id: &str) -> Result<u64, PublicError> {
    let id: AuditId = read_id(id)?;
    let (_, number) = id.ksuid().as_bytes().split_at(12);
    Ok(u64::from_be_bytes(number.try_into().expect("a KSUID has 20 bytes")))
}

fn shown(call: &Call<'_>, entry: &AuditEntry) -> portway_api::AuditEntry {
    let (id, audit) = (id(entry), &entry.audit);
    let json = |text: &Option<String>| text.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
    portway_api::AuditEntry {
        id: id.to_string(),
        uri: call.base.resource("/portway/v1/audit_log", id),
        created_at: time(entry.at),
        operation: audit.action.clone(),
        principal: reference(call, &audit.who),
        credential: reference(call, &audit.credential),
        ip: audit.address.clone(),
        object: reference(call, &entry.id),
        before: json(&audit.before),
        after: json(&audit.after),
        operation_id: audit.operation.clone(),
    }
}

/// The reference to what an id names; to nothing when it is a part of the program.
fn reference(call: &Call<'_>, id: &str) -> Option<Ref> {
    let (id, uri) = match collection(id) {
        _ if id.is_empty() => return None,
        Some(collection) => (id.to_owned(), call.base.resource(collection, id)),
        None => (id.to_owned(), String::new()),
    };
    Some(Ref { id, uri })
}
