//! How resources of the REST API change: each change is one transaction together with its keys, references, announcement and audit entry.

use std::collections::BTreeSet;

use portway_names::{AccountId, HostPattern};

use crate::error::Fault;
use crate::resource_error::Failure;
use crate::resource_limits::check;
use crate::resources::{Resource, find, owned};
use crate::row::{parsed, signed, text};
use crate::sql::{Connection, Row, query};
use crate::{Audit, Following, InUse, ResourceError, Store, Timestamp, audit, feed, referrers, reserved, work};

const ADD: &str = "INSERT INTO resources (id, kind, account_id, version, body, followed, created_ms, updated_ms) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
const CHANGE: &str = "UPDATE resources SET version = $2, body = $3, updated_ms = $4 WHERE id = $1";
const KEYS: &str = "SELECT key AS value FROM resource_keys WHERE id = $1";
const KEY_OWNER: &str = "SELECT account_id, id FROM resource_keys WHERE kind = $1 AND key = $2";
const ADD_KEY: &str = "INSERT INTO resource_keys (kind, key, account_id, id) VALUES ($1, $2, $3, $4)";
const REMOVE_KEY: &str = "DELETE FROM resource_keys WHERE kind = $1 AND key = $2";
const REFS: &str = "SELECT target AS value FROM resource_refs WHERE id = $1";
const ADD_REF: &str = "INSERT INTO resource_refs (id, target) VALUES ($1, $2)";
const REMOVE_REF: &str = "DELETE FROM resource_refs WHERE id = $1 AND target = $2";

/// What a resource says and needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// JSON, at most [`crate::RESOURCE_BODY_MAX`] bytes.
    pub body: String,
    /// Names that only one resource of its kind has, at most [`crate::RESOURCE_KEYS_MAX`]. Those that accounts do not share begin with the account.
    pub keys: Vec<String>,
    /// Ids of the account's resources that it needs, at most [`crate::RESOURCE_REFS_MAX`] together with `outside_refs`.
    pub refs: Vec<String>,
    /// Ids of resources of any account that it needs: the caller knows that the account may refer to them.
    pub outside_refs: Vec<String>,
    /// The host name that it reserves for its account, with everything below.
    pub host: Option<HostPattern>,
    /// When the installation is to work on it.
    pub work_at: Option<Timestamp>,
}

/// A resource to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewResource {
    /// Its id, unique over all records of the installation.
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

/// What a resource becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What it says from now on.
    pub content: Content,
    /// Who changes it.
    pub audit: Audit,
    /// Whether edges follow those that need it from now on; `None` leaves that as it is.
    pub referrers: Option<Following>,
}

impl From<(Content, Audit)> for Change {
    fn from((content, audit): (Content, Audit)) -> Self {
        Self { content, audit, referrers: None }
    }
}

impl Store {
    /// Makes a resource, with version 1.
    ///
    /// # Errors
    /// [`ResourceError`]: `Exists`, `KeyTaken`, `HostTaken`, `HostLeased`, `NoTarget`, `Limit` and `Store`.
    ///
    /// # Cancel safety
    /// It happens or it does not.
    pub async fn create_resource(
        &self,
        new: &NewResource,
        audit: &Audit,
        now: Timestamp,
    ) -> Result<Resource, ResourceError> {
        self.create_resource_seeing(&[], now, |_| Ok((new.clone(), audit.clone()))).await
    }

    /// Reads the resources with these ids, of whatever account, and lets `make` say which resource is made or why none is, in one
    /// transaction: what `make` saw is still so when the resource is there. Those that are not there are left out. All other writers wait
    /// for `make`; it should only compute.
    ///
    /// # Errors
    /// What `make` says, and [`ResourceError`] as [`Store::create_resource`].
    ///
    /// # Cancel safety
    /// It happens or it does not.
    pub async fn create_resource_seeing<E: From<ResourceError>>(
        &self,
        ids: &[String],
        now: Timestamp,
        make: impl FnOnce(&[Resource]) -> Result<(NewResource, Audit), E>,
    ) -> Result<Resource, E> {
        let run = async {
            let mut tx = self.write().await?;
            let mut seen = Vec::new();
            for id in ids {
                seen.extend(find(&mut tx, id).await?);
            }
            let (new, audit) = match make(&seen) {
                Ok(made) => made,
                Err(refused) => return Ok(Err(refused)),
            };
            let resource = create(&mut tx, &new, &audit, now).await?;
            tx.commit().await?;
            Ok(Ok(resource))
        };
        run.await.map_err(|failure| self.resource_error(failure))?
    }

    /// Replaces what a resource says, and its keys and references, when it still has the version that the caller has seen. Of two writers
    /// who saw the same version one is refused.
    ///
    /// # Errors
    /// [`ResourceError`]: `Missing`, `Stale`, `KeyTaken`, `HostTaken`, `HostLeased`, `NoTarget`, `Limit` and `Store`.
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
    /// What `change` says, and [`ResourceError`]: `Missing`, `KeyTaken`, `HostTaken`, `HostLeased`, `NoTarget`, `Limit` and `Store`.
    ///
    /// # Cancel safety
    /// It happens or it does not.
    pub async fn modify_resource<E: From<ResourceError>, C: Into<Change>>(
        &self,
        account: &AccountId,
        kind: &str,
        id: &str,
        now: Timestamp,
        change: impl FnOnce(&Resource) -> Result<C, E>,
    ) -> Result<Resource, E> {
        let run = async {
            let mut tx = self.write().await?;
            let Some(before) = owned(&mut tx, account, kind, id).await? else { return Err(missing(kind, id)) };
            let Change { content, audit, referrers } = match change(&before) {
                Ok(change) => change.into(),
                Err(refused) => return Ok(Err(refused)),
            };
            check(id, kind, &content, &audit)?;
            let resource = rewrite(&mut tx, before, &content, now).await?;
            record(&mut tx, &resource, &content, Some(&audit), now).await?;
            if let Some(following) = referrers {
                referrers::follow(&mut tx, id, &following, now).await?;
            }
            tx.commit().await?;
            Ok(Ok(resource))
        };
        run.await.map_err(|failure| self.resource_error(failure))?
    }

    /// Deletes a resource with its keys, references and reserved name, and returns what it was. What goes with it has its own entries in the
    /// audit log, without a before.
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
            referrers::delete(&mut tx, &resource, in_use, audit, now).await?;
            tx.commit().await?;
            Ok(resource)
        };
        run.await.map_err(|failure| self.resource_error(failure))
    }

    pub(crate) fn resource_error(&self, failure: Failure) -> ResourceError {
        match failure {
            Failure::Engine(fault) => self.fault(fault).into(),
            Failure::Refused(error) => error,
        }
    }
}

/// Makes a resource in the caller's transaction.
pub(crate) async fn create(
    tx: &mut Connection,
    new: &NewResource,
    audit: &Audit,
    now: Timestamp,
) -> Result<Resource, Failure> {
    check(&new.id, &new.kind, &new.content, audit)?;
    let resource = insert(tx, new, now).await?;
    record(tx, &resource, &new.content, Some(audit), now).await?;
    Ok(resource)
}

/// Writes the row of a resource as it becomes.
pub(crate) async fn rewrite(
    tx: &mut Connection,
    before: Resource,
    content: &Content,
    now: Timestamp,
) -> Result<Resource, Fault> {
    let (version, body) = (before.version + 1, content.body.clone());
    let resource = Resource { version, body, updated: now, ..before };
    let query = query(CHANGE).bind(&resource.id).bind(signed(version)).bind(&resource.body).bind(now.millis());
    query.execute(tx).await?;
    Ok(resource)
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

/// Everything that belongs to a new content of a resource whose row is written; without an audit entry nobody reads of it later.
pub(crate) async fn record(
    tx: &mut Connection,
    resource: &Resource,
    content: &Content,
    audit: Option<&Audit>,
    now: Timestamp,
) -> Result<(), Failure> {
    replace_keys(tx, resource, &content.keys).await?;
    replace_refs(tx, resource, content).await?;
    reserved::replace(tx, resource, content.host.as_ref(), now).await?;
    work::schedule(tx, &resource.id, content.work_at).await?;
    if resource.followed {
        feed::append(tx, std::slice::from_ref(&resource.id), now).await?;
    }
    if let Some(audit) = audit {
        audit::add(tx, &resource.account, &resource.kind, &resource.id, audit, now).await?;
    }
    Ok(())
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

async fn replace_refs(tx: &mut Connection, resource: &Resource, content: &Content) -> Result<(), Failure> {
    let (own, outside) = (set(&content.refs), set(&content.outside_refs));
    let (present, wanted) = (values(tx, REFS, &resource.id).await?, &own | &outside);
    for target in present.difference(&wanted) {
        query(REMOVE_REF).bind(&resource.id).bind(target).execute(tx).await?;
    }
    for target in wanted.difference(&present) {
        let there = find(tx, target).await?;
        if there.is_none_or(|there| there.account != resource.account && !outside.contains(target)) {
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

pub(crate) fn missing(kind: &str, id: &str) -> Failure {
    Failure::Refused(ResourceError::Missing { kind: kind.to_owned(), id: id.to_owned() })
}
