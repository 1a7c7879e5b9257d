//! What can be done with every kind of resource: create, list, get, update, delete.

use portway_api::not_found;
use portway_codes::PublicError;
use portway_store::{Change, NewResource, Resource};
use serde_json::Value;

use super::call::{Answer, Call};
use super::kind::{Draft, Kind};
use super::page::{self, Found};
use super::refusal::{refused, unreadable};
use crate::random;

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
    insert_seeing(call, kind, &[], draft, |_| Ok(())).await
}

/// Writes a new resource, when `check` has nothing against the resources with the ids `seen` as they are at that moment. Those that are not
/// there are left out.
pub(crate) async fn insert_seeing(
    call: &Call<'_>,
    kind: &Kind,
    seen: &[String],
    draft: Draft,
    check: impl FnOnce(&[Resource]) -> Result<(), PublicError>,
) -> Result<Answer, PublicError> {
    let Draft { id, content, mut reply, token, .. } = draft;
    let audit = call.audit(None, Some(&reply));
    let (account, followed) = (call.caller.account, kind.followed);
    let new = NewResource { id, kind: kind.name.to_owned(), account, followed, content };
    let created = call.inner.store.create_resource_seeing(seen, call.now, |seen| {
        check(seen).map_err(Refused::Public)?;
        Ok((new, audit))
    });
    created.await.map_err(|error: Refused| error.public(call, kind))?;
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
    wanted: impl Fn(&Resource) -> bool + Sync,
) -> Result<Answer, PublicError> {
    let (store, account, wanted) = (&call.inner.store, &call.caller.account, &wanted);
    page::page(call, |before, at_once| {
        Box::pin(async move {
            let before = before.as_deref().map(kind.stored_id).transpose()?;
            let resources =
                store.resources(account, kind.name, before.as_deref(), at_once).await.map_err(unreadable)?;
            let found = |resource: Resource| {
                let reply = wanted(&resource).then(|| (kind.reply)(call, &resource)).transpose()?;
                Ok(Found { id: (kind.shown_id)(&resource.id), reply })
            };
            resources.into_iter().map(found).collect()
        })
    })
    .await
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
        let Draft { content, reply, referrers, .. } = change(resource).map_err(Refused::Public)?;
        let audit = call.audit(Some(&(kind.reply)(call, resource).map_err(Refused::Public)?), Some(&reply));
        answer = reply;
        Ok(Change { content, audit, referrers })
    });
    changed.await.map_err(|error: Refused| error.public(call, kind))?;
    call.announce().await;
    Ok(Answer::Object(answer))
}

pub(crate) async fn delete(call: &Call<'_>, kind: &Kind) -> Result<Answer, PublicError> {
    let resource = find(call, kind, call.parameters.get("id")).await?;
    let audit = call.audit(Some(&(kind.reply)(call, &resource)?), None);
    let deleted = call.inner.store.delete_resource(
        &resource.account,
        kind.name,
        &resource.id,
        kind.when_in_use,
        &audit,
        call.now,
    );
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
