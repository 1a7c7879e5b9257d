//! Resources of the REST API: what they are and how they are found. How they change is in [`crate::resource_changes`].
//!
//! The store knows of a resource whose it is, of which kind, under which names it is found and what it needs; the rest is a text to it.

use portway_names::AccountId;

use crate::error::Fault;
use crate::row::{number, parsed, text, time, unsigned};
use crate::sql::{Connection, Row, query};
use crate::{Store, StoreError, Timestamp};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT r.id, r.kind, r.account_id, r.version, r.body, r.followed, r.created_ms, r.updated_ms FROM resources r ",
            $rest
        )
    };
}

// What edges are given: nothing of an account that is suspended.
macro_rules! select_followed {
    ($rest:literal) => {
        concat!(
            "SELECT r.id, r.kind, r.account_id, r.version, r.body, r.followed, r.created_ms, r.updated_ms, ",
            "a.name AS account_name FROM resources r JOIN accounts a ON a.id = r.account_id ",
            $rest,
            " AND r.followed AND NOT a.suspended"
        )
    };
}

const BY_ID: &str = select!("WHERE r.id = $1");
const BY_KEY: &str = select!("JOIN resource_keys k ON k.id = r.id WHERE k.kind = $1 AND k.key = $2");
const WITH_NEEDS: &str = concat!(
    "WITH RECURSIVE needs (id, depth) AS (SELECT k.id, 0 FROM resource_keys k WHERE k.kind = $1 AND k.key = $2 ",
    "UNION SELECT f.target, n.depth + 1 FROM needs n JOIN resource_refs f ON f.id = n.id WHERE n.depth < 2) ",
    "SELECT r.id, r.kind, r.account_id, r.version, r.body, r.followed, r.created_ms, r.updated_ms, a.suspended ",
    "FROM needs n JOIN resources r ON r.id = n.id JOIN accounts a ON a.id = r.account_id ORDER BY n.depth"
);
const FIRST_PAGE: &str = select!("WHERE r.account_id = $1 AND r.kind = $2 ORDER BY r.id DESC LIMIT $3");
const PAGE_BEFORE: &str = select!("WHERE r.account_id = $1 AND r.kind = $2 AND r.id < $4 ORDER BY r.id DESC LIMIT $3");
const NEEDING: &str = select!(
    "JOIN resource_refs f ON f.id = r.id WHERE f.target = $1 AND r.kind = $2 AND f.id > $3 ORDER BY f.id LIMIT $4"
);
const FOLLOWED: &str = select_followed!("WHERE TRUE");
const FOLLOWED_BY_ID: &str = select_followed!("WHERE r.id = $1");
const FOLLOWED_BY_KEY: &str = select_followed!("JOIN resource_keys k ON k.id = r.id WHERE k.kind = $1 AND k.key = $2");
const OF_KIND: &str = select!("WHERE r.id > $1 AND r.id < $2 AND r.kind = $3 ORDER BY r.id LIMIT $4");
const COUNT: &str = "SELECT count(*) AS n FROM resources WHERE account_id = $1 AND kind = $2";

/// Resources on one page, at most: a page is one answer of the REST API, and one read.
pub const PAGE_MAX: u32 = 1000;

/// A resource of the REST API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Its id, unique over all kinds and accounts. Pages are ordered by its bytes.
    pub id: String,
    /// What it is.
    pub kind: String,
    /// Whose it is.
    pub account: AccountId,
    /// Counts its changes, from 1.
    pub version: u64,
    /// JSON of the caller.
    pub body: String,
    /// Whether edges follow it.
    pub followed: bool,
    /// When it was made.
    pub created: Timestamp,
    /// When it changed last.
    pub updated: Timestamp,
}

/// A resource that edges are given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed {
    /// The resource.
    pub resource: Resource,
    /// The name of its account.
    pub account_name: String,
}

/// A resource, and what has to be there with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WithNeeds {
    /// The resource.
    pub resource: Resource,
    /// Whether its account is suspended.
    pub suspended: bool,
    /// What it refers to, and what that refers to, whose ever they are.
    pub needs: Vec<Resource>,
}

impl Store {
    /// The account's resource of this kind with this id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn resource(&self, account: &AccountId, kind: &str, id: &str) -> Result<Option<Resource>, StoreError> {
        self.named(async { owned(&mut self.reader().await?, account, kind, id).await }).await
    }

    /// The resource of this kind with this id, whose ever it is: for what the installation does by itself, and for resources of the
    /// installation.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn resource_of_any_account(&self, kind: &str, id: &str) -> Result<Option<Resource>, StoreError> {
        self.named(async {
            let found = find(&mut self.reader().await?, id).await?;
            Ok(found.filter(|found| found.kind == kind))
        })
        .await
    }

    /// The resource of this kind with this id, when edges are given it.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn followed(&self, kind: &str, id: &str) -> Result<Option<Followed>, StoreError> {
        self.named(async {
            let found = followed(&mut self.reader().await?, id).await?;
            Ok(found.filter(|found| found.resource.kind == kind))
        })
        .await
    }

    /// The resource of this kind that has this key, when edges are given it.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn followed_by_key(&self, kind: &str, key: &str) -> Result<Option<Followed>, StoreError> {
        self.named(async {
            let row = query(FOLLOWED_BY_KEY).bind(kind).bind(key).fetch_optional(&mut self.reader().await?).await?;
            row.as_ref().map(given).transpose()
        })
        .await
    }

    /// The resource of this kind that has this key, whose ever it is: the caller says in the key's text whether names are shared by accounts.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn resource_by_key(&self, kind: &str, key: &str) -> Result<Option<Resource>, StoreError> {
        self.named(async {
            let mut reader = self.reader().await?;
            let row = query(BY_KEY).bind(kind).bind(key).fetch_optional(&mut reader).await?;
            row.as_ref().map(resource).transpose()
        })
        .await
    }

    /// The resource of this kind that has this key, with everything that says whether it counts: one question to the database instead of one
    /// for each of them.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn resource_by_key_with_needs(&self, kind: &str, key: &str) -> Result<Option<WithNeeds>, StoreError> {
        self.named(async {
            let rows = query(WITH_NEEDS).bind(kind).bind(key).fetch_all(&mut self.reader().await?).await?;
            let Some((first, needs)) = rows.split_first() else { return Ok(None) };
            Ok(Some(WithNeeds {
                resource: resource(first)?,
                suspended: first.get("suspended")?,
                needs: needs.iter().map(resource).collect::<Result<_, _>>()?,
            }))
        })
        .await
    }

    /// The account's resources of this kind, newest id first: those below the id `before`, or all; at most `limit` and [`PAGE_MAX`]. The last
    /// one's id is `before` of the next page. What comes and goes between two pages neither repeats nor hides others.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn resources(
        &self,
        account: &AccountId,
        kind: &str,
        before: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Resource>, StoreError> {
        self.named(async {
            let limit = i64::from(limit.min(PAGE_MAX));
            let page = |sql| query(sql).bind(account.to_string()).bind(kind).bind(limit);
            let page = match before {
                None => page(FIRST_PAGE),
                Some(before) => page(PAGE_BEFORE).bind(before),
            };
            page.fetch_all(&mut self.reader().await?).await?.iter().map(resource).collect()
        })
        .await
    }

    /// The resources of this kind, of whatever account, that need the one with the id `target`, in the order of ids: those above the id
    /// `after`, which is empty for the first page; at most `limit` and [`PAGE_MAX`].
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn resources_needing(
        &self,
        target: &str,
        kind: &str,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Resource>, StoreError> {
        self.named(async {
            let query = query(NEEDING).bind(target).bind(kind).bind(after).bind(i64::from(limit.min(PAGE_MAX)));
            query.fetch_all(&mut self.reader().await?).await?.iter().map(resource).collect()
        })
        .await
    }

    /// The resources of this kind, of whatever account, in the order of ids: those above the id `after`, or all; at most `limit` and [`PAGE_MAX`].
    /// Their ids begin with `prefix` and an underscore.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn resources_of_kind(
        &self,
        kind: &str,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Resource>, StoreError> {
        self.named(async {
            let first = format!("{prefix}_");
            // Behind every letter that an id has.
            let end = format!("{prefix}_~");
            let query = query(OF_KIND).bind(after.unwrap_or(&first)).bind(end).bind(kind);
            let query = query.bind(i64::from(limit.min(PAGE_MAX)));
            query.fetch_all(&mut self.reader().await?).await?.iter().map(resource).collect()
        })
        .await
    }

    /// How many resources of this kind the account has. Takes time in proportion to their number.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn resource_count(&self, account: &AccountId, kind: &str) -> Result<u64, StoreError> {
        self.named(async {
            let count = query(COUNT).bind(account.to_string()).bind(kind);
            let row = count.fetch_one(&mut self.reader().await?).await?;
            Ok(u64::try_from(number(&row, "n")?).unwrap_or(0))
        })
        .await
    }
}

pub(crate) async fn find(connection: &mut Connection, id: &str) -> Result<Option<Resource>, Fault> {
    let row = query(BY_ID).bind(id).fetch_optional(connection).await?;
    row.as_ref().map(resource).transpose()
}

/// The resource, when it is this account's and of this kind.
pub(crate) async fn owned(
    connection: &mut Connection,
    account: &AccountId,
    kind: &str,
    id: &str,
) -> Result<Option<Resource>, Fault> {
    let found = find(connection, id).await?;
    Ok(found.filter(|found| found.account == *account && found.kind == kind))
}

pub(crate) async fn all_followed(connection: &mut Connection) -> Result<Vec<Followed>, Fault> {
    query(FOLLOWED).fetch_all(connection).await?.iter().map(given).collect()
}

pub(crate) async fn followed(connection: &mut Connection, id: &str) -> Result<Option<Followed>, Fault> {
    let row = query(FOLLOWED_BY_ID).bind(id).fetch_optional(connection).await?;
    row.as_ref().map(given).transpose()
}

fn given(row: &Row) -> Result<Followed, Fault> {
    Ok(Followed { resource: resource(row)?, account_name: text(row, "account_name")? })
}

fn resource(row: &Row) -> Result<Resource, Fault> {
    Ok(Resource {
        id: text(row, "id")?,
        kind: text(row, "kind")?,
        account: parsed(row, "account_id")?,
        version: unsigned(row, "version")?,
        body: text(row, "body")?,
        followed: row.get("followed")?,
        created: time(row, "created_ms")?,
        updated: time(row, "updated_ms")?,
    })
}
