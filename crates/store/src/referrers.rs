//! What needs a resource, and what becomes of it when the resource changes or goes.

use std::collections::BTreeSet;

use crate::error::Fault;
use crate::resource_error::Failure;
use crate::resources::{PAGE_MAX, Resource, find};
use crate::row::text;
use crate::sql::{Connection, query};
use crate::{Audit, ResourceError, Store, StoreError, Timestamp, audit, feed};

const LIST: &str = "SELECT r.id, r.kind FROM resource_refs f JOIN resources r ON r.id = f.id WHERE f.target = $1 \
     ORDER BY f.id LIMIT $2";
const FOLLOW: &str = "UPDATE resources SET followed = $2 WHERE id = $1 AND followed <> $2";
// Keys, references and reserved names go with it.
const REMOVE: &str = "DELETE FROM resources WHERE id = $1";

/// Referrers that [`ResourceError::InUse`] names.
const NAMED: u32 = 20;

/// A resource that needs another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referrer {
    /// Its id.
    pub id: String,
    /// What it is.
    pub kind: String,
}

/// What to do with a resource that others need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InUse {
    /// Do not delete it.
    Refuse,
    /// Delete it; the references to it go as well, the bodies of the others stay as they are.
    DeleteAnyway,
    /// Delete it together with those of these kinds that need it, and with those of these kinds that need them, and so on, of whatever
    /// account. Do not, when one of another kind needs any of them.
    DeleteWith(&'static [&'static str]),
}

/// Whether edges are to follow the resources that need a changed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Following {
    /// From now on.
    pub followed: bool,
    /// Of which kinds.
    pub kinds: &'static [&'static str],
    /// Kinds that are not followed themselves, but those that need them are: the link between an owner and what is owned.
    pub through: &'static [&'static str],
}

impl Store {
    /// What needs the resource with this id, at most `limit` and [`PAGE_MAX`], in the order of ids.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn resource_referrers(&self, id: &str, limit: u32) -> Result<Vec<Referrer>, StoreError> {
        self.named(async { list(&mut self.reader().await?, id, limit.min(PAGE_MAX)).await }).await
    }
}

/// Changes who is followed of those that need the resource, and tells edges of each that was not so before.
pub(crate) async fn follow(tx: &mut Connection, id: &str, following: &Following, now: Timestamp) -> Result<(), Fault> {
    let mut looked_at = vec![id.to_owned()];
    let (mut at, mut changed) = (0, Vec::new());
    while let Some(target) = looked_at.get(at).cloned() {
        at += 1;
        for referrer in list(tx, &target, u32::MAX).await? {
            if following.kinds.contains(&referrer.kind.as_str())
                && query(FOLLOW).bind(&referrer.id).bind(following.followed).execute(tx).await? > 0
            {
                changed.push(referrer.id.clone());
            }
            if following.through.contains(&referrer.kind.as_str()) && !looked_at.contains(&referrer.id) {
                looked_at.push(referrer.id);
            }
        }
    }
    feed::append_some(tx, &changed, now).await
}

/// Deletes the resource and what has to go with it, tells edges, and writes down each.
pub(crate) async fn delete(
    tx: &mut Connection,
    resource: &Resource,
    in_use: InUse,
    entry: &Audit,
    now: Timestamp,
) -> Result<(), Failure> {
    let going = match in_use {
        InUse::Refuse => going(tx, resource, &[]).await?,
        InUse::DeleteWith(kinds) => going(tx, resource, kinds).await?,
        InUse::DeleteAnyway => vec![resource.clone()],
    };
    for gone in going {
        query(REMOVE).bind(&gone.id).execute(tx).await?;
        if gone.followed {
            feed::append(tx, std::slice::from_ref(&gone.id), now).await?;
        }
        // What the caller says of the resource is not true of what goes with it.
        let along = Audit { before: None, after: None, ..entry.clone() };
        let entry = if gone.id == resource.id { entry } else { &along };
        audit::add(tx, &gone.account, &gone.kind, &gone.id, entry, now).await?;
    }
    Ok(())
}

/// The resource and all of these kinds that go with it.
async fn going(tx: &mut Connection, resource: &Resource, kinds: &[&str]) -> Result<Vec<Resource>, Failure> {
    // Where the first one decides, not all of them are read. A resource may need itself.
    let limit = if kinds.is_empty() { NAMED + 1 } else { u32::MAX };
    let (mut going, mut known) = (vec![resource.clone()], BTreeSet::from([resource.id.clone()]));
    let (mut at, mut left) = (0, Vec::new());
    while let Some(target) = going.get(at).map(|next| next.id.clone()) {
        at += 1;
        for referrer in list(tx, &target, limit).await? {
            if !kinds.contains(&referrer.kind.as_str()) {
                left.push(referrer);
            } else if known.insert(referrer.id.clone()) {
                going.extend(find(tx, &referrer.id).await?);
            }
        }
    }
    // What needs only itself is not in use.
    left.retain(|left| !known.contains(&left.id));
    left.truncate(NAMED as usize);
    match left.is_empty() {
        true => Ok(going),
        false => Err(ResourceError::InUse { id: resource.id.clone(), referrers: left }.into()),
    }
}

async fn list(connection: &mut Connection, id: &str, limit: u32) -> Result<Vec<Referrer>, Fault> {
    let rows = query(LIST).bind(id).bind(i64::from(limit)).fetch_all(connection).await?;
    rows.iter().map(|row| Ok(Referrer { id: text(row, "id")?, kind: text(row, "kind")? })).collect()
}
