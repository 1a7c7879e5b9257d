//! The numbered feed of changes that edges follow.

use crate::error::Fault;
use crate::row::{parsed, signed, text, unsigned};
use crate::sql::{Connection, query};
use crate::{Store, StoreError, Timestamp};

const STATE: &str = "SELECT epoch, version, floor FROM feed WHERE id = 1";
const BEGIN: &str = "INSERT INTO feed (id, epoch, version, floor) VALUES (1, $1, 0, 0) ON CONFLICT (id) DO NOTHING";
const RESTART: &str = "UPDATE feed SET epoch = $1, floor = version WHERE id = 1";
const RAISE: &str = "UPDATE feed SET version = version + $1 WHERE id = 1 RETURNING version";
const APPEND: &str = "INSERT INTO outbox (version, resource, changed_ms) VALUES ($1, $2, $3)";
const SINCE: &str = "SELECT version, resource FROM outbox WHERE version > $1 ORDER BY version LIMIT $2";
const PRUNE: &str = "DELETE FROM outbox WHERE version <= $1";
const RAISE_FLOOR: &str = "UPDATE feed SET floor = $1 WHERE id = 1";

/// Where the feed stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feed {
    /// Names the numbering. It changes when numbers would otherwise mean something else than they did: after a restored backup.
    pub epoch: String,
    /// The newest change. Grows by one with every changed resource.
    pub version: u64,
    /// Changes up to this one have been forgotten.
    pub floor: u64,
}

impl Store {
    /// Where the feed stands.
    ///
    /// # Errors
    /// When the database cannot be read, or [`Store::begin_feed`] was never called.
    pub async fn feed(&self) -> Result<Feed, StoreError> {
        self.named(async {
            let mut tx = self.reader().await?;
            state(&mut tx).await
        })
        .await
    }

    /// Ids of what changed after `version` of `epoch`, oldest change first, at most `limit` of them, and the version reached with them. None
    /// when the feed does not reach back that far, or is another one.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn changed_ids(
        &self,
        epoch: &str,
        version: u64,
        limit: u32,
    ) -> Result<Option<(u64, Vec<String>)>, StoreError> {
        self.named(async {
            let mut tx = self.read().await?;
            changed_ids(&mut tx, epoch, version, limit).await
        })
        .await
    }

    /// Starts the feed under this epoch, unless it was started before.
    ///
    /// # Errors
    /// When the database cannot be written.
    ///
    /// # Cancel safety
    /// It happens or it does not; calling again changes nothing.
    pub async fn begin_feed(&self, epoch: &str) -> Result<(), StoreError> {
        self.named(async {
            let mut tx = self.write().await?;
            query(BEGIN).bind(epoch).execute(&mut tx).await?;
            tx.commit().await
        })
        .await
    }

    /// Makes the feed's past unknown and gives its numbering a new name: every edge starts again from a snapshot. For a database that
    /// was restored from a backup, whose numbers edges have already seen with other meanings.
    ///
    /// # Errors
    /// When the database cannot be written.
    ///
    /// # Cancel safety
    /// It happens or it does not.
    pub async fn restart_feed(&self, epoch: &str) -> Result<(), StoreError> {
        self.named(async {
            let mut tx = self.write().await?;
            query(RESTART).bind(epoch).execute(&mut tx).await?;
            tx.commit().await
        })
        .await
    }

    /// Forgets all but the newest `keep` changes. An edge that is further behind gets a snapshot.
    ///
    /// # Errors
    /// When the database cannot be written.
    ///
    /// # Cancel safety
    /// It happens or it does not.
    pub async fn prune_feed(&self, keep: u64) -> Result<(), StoreError> {
        self.named(async {
            let feed = state(&mut self.reader().await?).await?;
            let floor = feed.version.saturating_sub(keep);
            if floor <= feed.floor {
                return Ok(());
            }
            let mut tx = self.write().await?;
            query(PRUNE).bind(signed(floor)).execute(&mut tx).await?;
            query(RAISE_FLOOR).bind(signed(floor)).execute(&mut tx).await?;
            tx.commit().await
        })
        .await
    }
}

pub(crate) async fn state(connection: &mut Connection) -> Result<Feed, Fault> {
    let row = query(STATE).fetch_one(connection).await?;
    Ok(Feed { epoch: parsed(&row, "epoch")?, version: unsigned(&row, "version")?, floor: unsigned(&row, "floor")? })
}

pub(crate) async fn changed_ids(
    tx: &mut Connection,
    epoch: &str,
    version: u64,
    limit: u32,
) -> Result<Option<(u64, Vec<String>)>, Fault> {
    let feed = state(tx).await?;
    if feed.epoch != epoch || version < feed.floor || version > feed.version {
        return Ok(None);
    }
    let rows = query(SINCE).bind(signed(version)).bind(i64::from(limit)).fetch_all(tx).await?;
    let reached = rows.last().map(|row| unsigned(row, "version")).transpose()?.unwrap_or(version);
    Ok(Some((reached, rows.iter().map(|row| text(row, "resource")).collect::<Result<_, _>>()?)))
}

/// Writes down that these resources changed, in the caller's transaction. Returns the version of the last of them.
pub(crate) async fn append(connection: &mut Connection, resources: &[String], now: Timestamp) -> Result<u64, Fault> {
    let count = signed(resources.len() as u64);
    let row = query(RAISE).bind(count).fetch_one(&mut *connection).await?;
    let last = unsigned(&row, "version")?;
    let first = signed(last) - count + 1;
    for (version, resource) in (first..).zip(resources) {
        query(APPEND).bind(version).bind(resource).bind(now.millis()).execute(&mut *connection).await?;
    }
    Ok(last)
}

/// The same for any number of resources, none included.
pub(crate) async fn append_some(
    connection: &mut Connection,
    resources: &[String],
    now: Timestamp,
) -> Result<(), Fault> {
    if !resources.is_empty() {
        append(connection, resources, now).await?;
    }
    Ok(())
}
