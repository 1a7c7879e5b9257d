//! How resources of the REST API change: each change is one transaction together with its keys, references, announcement and audit entry.

use std::collections::BTreeSet;

use portway_names::AccountId;

use crate::error::Fault;
use crate::resource_error::Failure;
use crate::resource_limits::check;
use crate::resources::{Resource, find, owned, referrers};
use crate::row::{parsed, signed, text};
use crate::sql::{Connection, Row, query};
use crate::{Audit, ResourceError, Store, Timestamp, audit, feed};

const ADD: &str = "INSERT INTO resources (id, kind, account_id, version, body, followed, created_ms, updated_ms) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
const CHANGE: &str = "UPDATE resources SET version = $2, body = $3, updated_ms = $4 WHERE id = $1";
// Keys and references go with it.
const REMOVE: &str = "DELETE FROM resources WHERE id = $1";
const KEYS: &str = "SELECT key AS value FROM resource_keys WHERE id = $1";
const KEY_OWNER: &str = "SELECT account_id, id FROM resource_keys WHERE kind = $1 AND key = $2";
const ADD_KEY: &str = "INSERT INTO resource_keys (kind, key, account_id, id) VALUES ($1, $2, $3, $4)";
const REMOVE_KEY: &str = "DELETE FROM resource_keys WHERE kind = $1 AND key = $2";
const REFS: &str = "SELECT target AS value FROM resource_refs WHERE id = $1";
const ADD_REF: &str = "INSERT INTO resource_refs (id, target) VALUES ($1, $2)";
const REMOVE_REF: &str = "DELETE FROM resource_refs WHERE id = $1 AND target = $2";

/// Referrers that [`ResourceError::InUse`] names.
const REFERRERS_NAMED: u32 = 20;

/// What a resource says and needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// JSON, at most [`crate::RESOURCE_BODY_MAX`] bytes.
    pub body: String,
    /// Names that only one resource of its kind has, at most [`crate::RESOURCE_KEYS_MAX`]. Those that accounts do not share begin with the account.
    pub keys: Vec<String>,
    /// Ids of the account's resources that it needs, at most [`crate::RESOURCE_REFS_MAX`].
    pub refs: Vec<String>,
}

/// A resource to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewResource {
    /// Its id. Its prefix is none that records of other tables have: the feed tells them apart by it.
    pub id: String,
    /// What it is.
    pub kind: String,
    /// Whose it is.
    pub account: AccountId,
    /// Whether edges follow this kind.
    pub followed: bool,
    /// What it says.
    pub content: Content,
}

/// What to do with a resource that others need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InUse {
    /// Do not delete it.
    Refuse,
    /// Delete it; the references to it go as well, the bodies of the others stay as they are.
    DeleteAnyway,
}

impl Store {
    /// Makes a resource, with version 1.
    ///
    /// # Errors
    /// [`ResourceError`]: `Exists`, `KeyTaken`, `NoTarget`, `Limit` and `Store`.
    ///
    /// # Cancel safety
    /// It happens or it does not.
    pub async fn create_resource(
        &self,
        new: &NewResource,
        audit: &Audit,
        now: Timestamp,
    ) -> Result<Resource, ResourceError> {
        let run = async {
            check(&new.id, &new.kind, &new.content, audit)?;
            let mut tx = self.write().await?;
            let resource = insert(&mut tx, new, now).await?;
            record(&mut tx, &resource, &new.content, audit, now).await?;
            tx.commit().await?;
            Ok(resource)
        };
        run.await.map_err(|failure| self.resource_error(failure))
    }

    /// Replaces what a resource says, and its keys and references, when it still has the version that the caller has seen. Of two writers
    /// who saw the same version one is refused.
    ///
    /// # Errors
    /// [`ResourceError`]: `Missing`, `Stale`, `KeyTaken`, `NoTarget`, `Limit` and `Store`.
    ///
    /// # Cancel safety
    /// It happens or it does not.
    #[expect(clippy::too_many_arguments, reason = "which resource, which version, what, who and when")]
    pub async fn update_resource(
        &self,
        account: &AccountId,
        kind: &str,
        id: &str,
        expected: u64,
        content: &Content,
        audit: &Audit,
        now: Timestamp,
    ) -> Result<Resource, ResourceError> {
        self.modify_resource(account, kind, id, now, |resource| match resource.version {
            found if found == expected => Ok((content.clone(), audit.clone())),
            found => Err(ResourceError::Stale { id: id.to_owned(), expected, found }),
        })
        .await
    }

    /// Reads a resource, lets `change` say what it becomes or why it stays, and writes that, in one transaction: nobody else writes in
    /// between, so nothing has to be tried again. All other writers wait for `change`; it should only compute.
    ///
    /// # Errors
    /// What `change` says, and [`ResourceError`]: `Missing`, `KeyTaken`, `NoTarget`, `Limit` and `Store`.
    ///
    /// # Cancel safety
    /// It happens or it does not.
    pub async fn modify_resource<E: From<ResourceError>>(
        &self,
        account: &AccountId,
        kind: &str,
        id: &str,
        now: Timestamp,
        change: impl FnOnce(&Resource) -> Result<(Content, Audit), E>,
    ) -> Result<Resource, E> {
        let run = async {
            let mut tx = self.write().await?;
            let Some(before) = owned(&mut tx, account, kind, id).await? else { return Err(missing(kind, id)) };
            let (content, audit) = match change(&before) {
                Ok(change) => change,
                Err(refused) => return Ok(Err(refused)),
            };
            check(id, kind, &content, &audit)?;
            let (version, body) = (before.version + 1, content.body.clone());
            let resource = Resource { version, body, updated: now, ..before };
            let query = query(CHANGE).bind(id).bind(signed(version)).bind(&resource.body).bind(now.millis());
            query.execute(&mut tx).await?;
            record(&mut tx, &resource, &content, &audit, now).await?;
            tx.commit().await?;
            Ok(Ok(resource))
        };
        run.await.map_err(|failure| self.resource_error(failure))?
    }

    /// Deletes a resource with its keys and references, and returns what it was.
    ///
    /// # Errors
    /// [`ResourceError`]: `Missing`, `InUse`, `Limit` (of the audit entry) and `Store`.
    ///
    /// # Cancel safety
    /// It happens or it does not.
    pub async fn delete_resource(
        &self,
        account: &AccountId,
        kind: &str,
        id: &str,
        in_use: InUse,
        audit: &Audit,
        now: Timestamp,
    ) -> Result<Resource, ResourceError> {
        let run = async {
            check(id, kind, &Content::default(), audit)?;
            let mut tx = self.write().await?;
            let Some(resource) = owned(&mut tx, account, kind, id).await? else { return Err(missing(kind, id)) };
            if in_use == InUse::Refuse {
                let mut referrers = referrers(&mut tx, id, REFERRERS_NAMED).await?;
                // What needs only itself is not in use.
                referrers.retain(|referrer| referrer.id != id);
                if !referrers.is_empty() {
                    return Err(ResourceError::InUse { id: id.to_owned(), referrers }.into());
                }
            }
            query(REMOVE).bind(id).execute(&mut tx).await?;
            announce(&mut tx, &resource, audit, now).await?;
            tx.commit().await?;
            Ok(resource)
        };
        run.await.map_err(|failure| self.resource_error(failure))
    }

    fn resource_error(&self, failure: Failure) -> ResourceError {
        match failure {
            Failure::Engine(fault) => self.fault(fault).into(),
            Failure::Refused(error) => error,
        }
    }
}

async fn insert(tx: &mut Connection, new: &NewResource, now: Timestamp) -> Result<Resource, Failure> {
    if find(tx, &new.id).await?.is_some() {
        return Err(ResourceError::Exists { id: new.id.clone() }.into());
    }
    let resource = Resource {
        id: new.id.clone(),
        kind: new.kind.clone(),
        account: new.account,
        version: 1,
        body: new.content.body.clone(),
        followed: new.followed,
        created: now,
        updated: now,
    };
    query(ADD)
        .bind(&resource.id)
        .bind(&resource.kind)
        .bind(resource.account.to_string())
        .bind(signed(resource.version))
        .bind(&resource.body)
        .bind(resource.followed)
        .bind(now.millis())
        .bind(now.millis())
        .execute(tx)
        .await?;
    Ok(resource)
}

/// Everything that belongs to a new content of a resource whose row is written.
async fn record(
    tx: &mut Connection,
    resource: &Resource,
    content: &Content,
    audit: &Audit,
    now: Timestamp,
) -> Result<(), Failure> {
    replace_keys(tx, resource, &content.keys).await?;
    replace_refs(tx, resource, &content.refs).await?;
    announce(tx, resource, audit, now).await?;
    Ok(())
}

async fn announce(tx: &mut Connection, resource: &Resource, entry: &Audit, now: Timestamp) -> Result<(), Fault> {
    if resource.followed {
        feed::append(tx, std::slice::from_ref(&resource.id), now).await?;
    }
    audit::add(tx, resource, entry, now).await
}

async fn replace_keys(tx: &mut Connection, resource: &Resource, keys: &[String]) -> Result<(), Failure> {
    let (present, wanted) = (values(tx, KEYS, &resource.id).await?, set(keys));
    for key in present.difference(&wanted) {
        query(REMOVE_KEY).bind(&resource.kind).bind(key).execute(tx).await?;
    }
    for key in wanted.difference(&present) {
        if let Some(owner) = query(KEY_OWNER).bind(&resource.kind).bind(key).fetch_optional(tx).await? {
            return Err(key_taken(&owner, &resource.kind, key)?.into());
        }
        let query = query(ADD_KEY).bind(&resource.kind).bind(key).bind(resource.account.to_string());
        query.bind(&resource.id).execute(tx).await?;
    }
    Ok(())
}

async fn replace_refs(tx: &mut Connection, resource: &Resource, refs: &[String]) -> Result<(), Failure> {
    let (present, wanted) = (values(tx, REFS, &resource.id).await?, set(refs));
    for target in present.difference(&wanted) {
        query(REMOVE_REF).bind(&resource.id).bind(target).execute(tx).await?;
    }
    for target in wanted.difference(&present) {
        if find(tx, target).await?.is_none_or(|found| found.account != resource.account) {
            return Err(ResourceError::NoTarget { target: target.clone() }.into());
        }
        query(ADD_REF).bind(&resource.id).bind(target).execute(tx).await?;
    }
    Ok(())
}

async fn values(tx: &mut Connection, sql: &'static str, id: &str) -> Result<BTreeSet<String>, Fault> {
    query(sql).bind(id).fetch_all(tx).await?.iter().map(|row| text(row, "value")).collect()
}

fn set(values: &[String]) -> BTreeSet<String> {
    values.iter().cloned().collect()
}

fn key_taken(owner: &Row, kind: &str, key: &str) -> Result<ResourceError, Fault> {
    let (kind, key) = (kind.to_owned(), key.to_owned());
    Ok(ResourceError::KeyTaken { kind, key, account: parsed(owner, "account_id")?, id: text(owner, "id")? })
}

fn missing(kind: &str, id: &str) -> Failure {
    Failure::Refused(ResourceError::Missing { kind: kind.to_owned(), id: id.to_owned() })
}
