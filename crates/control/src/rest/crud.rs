//! What can be done with every kind of resource: create, list, get, update, delete.

use portway_api::{Answer as Reply, not_found};
use portway_codes::PublicError;
use portway_store::{InUse, NewResource, Resource};
use serde_json::Value;

use super::call::{Answer, Call, time};
use super::kind::{Draft, Kind};
use super::refusal::{refused, unreadable};
use crate::random;

/// Resources that one call looks at for its filter. A page may be shorter than was asked for, and says where the next one begins.
const SCANNED_MAX: usize = 10_000;
/// Resources read from the store at once.
const READ_AT_ONCE: u32 = 500;

/// Performs what the operation's verb says.
pub(crate) async fn perform(call: &Call<'_>, kind: &Kind) -> Result<Answer, PublicError> {
    match call.verb() {
        "create" => create(call, kind).await,
        "list" => list(call, kind).await,
        "get" => get(call, kind).await,
        "update" => update(call, kind).await,
        "delete" => delete(call, kind).await,
        _ => Err(not_found()),
    }
}

pub(crate) async fn create(call: &Call<'_>, kind: &Kind) -> Result<Answer, PublicError> {
    let draft = (kind.create)(call, (kind.fresh_id)(random::ksuid(call.now)))?;
    insert(call, kind, draft).await
}

/// Writes a new resource.
pub(crate) async fn insert(call: &Call<'_>, kind: &Kind, draft: Draft) -> Result<Answer, PublicError> {
    let Draft { id, content, mut reply, token } = draft;
    let audit = call.audit(None, Some(&reply));
    let new =
        NewResource { id, kind: kind.name.to_owned(), account: call.caller.account, followed: kind.followed, content };
    let created = call.inner.store.create_resource(&new, &audit, call.now).await;
    created.map_err(|error| refused(call, kind, error))?;
    call.announce().await;
    if let Some(token) = token {
        reply["token"] = serde_json::to_value(portway_api::ShownOnce::from(token)).unwrap_or_default();
    }
    Ok(Answer::Object(reply))
}

pub(crate) async fn get(call: &Call<'_>, kind: &Kind) -> Result<Answer, PublicError> {
    let resource = find(call, kind, call.parameters.get("id")).await?;
    Ok(Answer::Object((kind.reply)(call, &resource)?))
}

/// The account's resource that the interface calls by this id.
pub(crate) async fn find(call: &Call<'_>, kind: &Kind, id: &str) -> Result<Resource, PublicError> {
    let id = (kind.stored_id)(id)?;
    let found = call.inner.store.resource(&call.caller.account, kind.name, &id).await.map_err(unreadable)?;
    found.ok_or_else(not_found)
}

pub(crate) async fn list(call: &Call<'_>, kind: &Kind) -> Result<Answer, PublicError> {
    page(call, kind, |_| true).await
}

/// A page of those resources that are `wanted`.
pub(crate) async fn page(
    call: &Call<'_>,
    kind: &Kind,
    wanted: impl Fn(&Resource) -> bool,
) -> Result<Answer, PublicError> {
    let Reply::Page(list) = &call.operation.spec().answer else { return Err(not_found()) };
    let mut before = call.query.before.as_deref().map(kind.stored_id).transpose()?;
    let (mut items, mut scanned, mut behind) = (Vec::new(), 0, None);
    'scan: loop {
        let at_once = if call.query.filter.is_none() { page_and_one(call.query.limit) } else { READ_AT_ONCE };
        let account = &call.caller.account;
        let read = call.inner.store.resources(account, kind.name, before.as_deref(), at_once).await;
        let read = read.map_err(unreadable)?;
        let last = read.len() < at_once as usize;
        for resource in read {
            if items.len() == call.query.limit || scanned == SCANNED_MAX {
                behind = before;
                break 'scan;
            }
            scanned += 1;
            let matches = wanted(&resource);
            let reply = (kind.reply)(call, &resource)?;
            before = Some(resource.id);
            if matches && filtered(call, &reply) {
                items.push(reply);
            }
        }
        if last {
            break;
        }
    }
    let behind = behind.as_deref().map(kind.shown_id);
    Ok(Answer::Object(call.query.page(call.base, call.path, list.key, &items, behind.as_deref())))
}

fn page_and_one(limit: usize) -> u32 {
    u32::try_from(limit + 1).unwrap_or(READ_AT_ONCE)
}

fn filtered(call: &Call<'_>, reply: &Value) -> bool {
    call.query.filter.as_ref().is_none_or(|filter| filter.matches(reply, time(call.now)))
}

pub(crate) async fn update(call: &Call<'_>, kind: &Kind) -> Result<Answer, PublicError> {
    change(call, kind, call.parameters.get("id"), |resource| (kind.update)(call, resource)).await
}

/// Changes the resource that the interface calls by this id.
pub(crate) async fn change(
    call: &Call<'_>,
    kind: &Kind,
    id: &str,
    change: impl FnOnce(&Resource) -> Result<Draft, PublicError>,
) -> Result<Answer, PublicError> {
    let id = (kind.stored_id)(id)?;
    let mut answer = Value::Null;
    let changed = call.inner.store.modify_resource(&call.caller.account, kind.name, &id, call.now, |resource| {
        let Draft { content, reply, .. } = change(resource).map_err(Refused::Public)?;
        let audit = call.audit(Some(&(kind.reply)(call, resource).map_err(Refused::Public)?), Some(&reply));
        answer = reply;
        Ok((content, audit))
    });
    changed.await.map_err(|error: Refused| error.public(call, kind))?;
    call.announce().await;
    Ok(Answer::Object(answer))
}

pub(crate) async fn delete(call: &Call<'_>, kind: &Kind) -> Result<Answer, PublicError> {
    let resource = find(call, kind, call.parameters.get("id")).await?;
    let audit = call.audit(Some(&(kind.reply)(call, &resource)?), None);
    let deleted =
        call.inner.store.delete_resource(&resource.account, kind.name, &resource.id, InUse::Refuse, &audit, call.now);
    deleted.await.map_err(|error| refused(call, kind, error))?;
    call.announce().await;
    Ok(Answer::Nothing)
}

/// Why a change did not happen: refused by its kind, or by the store.
enum Refused {
    Public(PublicError),
    Store(portway_store::ResourceError),
}

impl Refused {
    fn public(self, call: &Call<'_>, kind: &Kind) -> PublicError {
        match self {
            Refused::Public(error) => error,
            Refused::Store(error) => refused(call, kind, error),
        }
    }
}

impl From<portway_store::ResourceError> for Refused {
    fn from(error: portway_store::ResourceError) -> Self {
        Refused::Store(error)
    }
}
