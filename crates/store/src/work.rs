//! What the installation is to do with a resource by itself, and when. Who takes it holds it for a while, so that no two do it at once; who
//! held it too long is told so when it comes back.

use std::time::Duration;

use portway_names::AccountId;

use crate::error::Fault;
use crate::referrers::{self, InUse};
use crate::resource_changes::{self, missing};
use crate::resource_error::Failure;
use crate::resource_limits::check;
use crate::resources::{Resource, find};
use crate::row::{number, text, unsigned};
use crate::sql::{Connection, query};
use crate::{Audit, Content, NewResource, ResourceError, Store, StoreError, Timestamp};

macro_rules! due {
    ($columns:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM resource_work w JOIN resources r ON r.id = w.id JOIN accounts a ON a.id = r.account_id ",
            "WHERE w.due_ms <= $1 AND w.held_until_ms <= $1 AND NOT a.suspended ORDER BY w.due_ms LIMIT $2"
        )
    };
}

const SCHEDULE: &str = "INSERT INTO resource_work (id, due_ms, held_until_ms, fence) VALUES ($1, $2, 0, 0) \
     ON CONFLICT (id) DO UPDATE SET due_ms = excluded.due_ms";
const CANCEL: &str = "DELETE FROM resource_work WHERE id = $1";
const ANY_DUE: &str = due!("1 AS n");
const DUE: &str = due!("w.id");
const TAKE: &str = "UPDATE resource_work SET held_until_ms = $2, fence = fence + 1 WHERE id = $1 RETURNING fence";
const FENCE: &str = "SELECT fence FROM resource_work WHERE id = $1";
const RELEASE: &str = "UPDATE resource_work SET held_until_ms = 0 WHERE id = $1";
const RELEASE_ALL: &str = "UPDATE resource_work SET held_until_ms = 0 WHERE held_until_ms <> 0";
const COUNT_ORDER: &str = "INSERT INTO certificate_orders (account_id, at_ms) VALUES ($1, $2)";
const FORGET_ORDERS: &str = "DELETE FROM certificate_orders WHERE at_ms < $1";
const ORDERS: &str = "SELECT count(*) AS n FROM certificate_orders WHERE at_ms > $1";
const ORDERS_OF: &str = "SELECT count(*) AS n FROM certificate_orders WHERE account_id = $2 AND at_ms > $1";

/// How long orders are remembered.
const ORDERS_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// A resource that was taken to work on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// As it was then.
    pub resource: Resource,
    /// Which taking it was.
    pub fence: u64,
}

/// What comes of the work on a resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkDone {
    /// What it says from now on; when there is more to do, and when, is in it.
    pub content: Content,
    /// A resource of the same account that was made for it.
    pub made: Option<(NewResource, Audit)>,
    /// Id of a resource that it does not need any more; it stays when others need it.
    pub unneeded: Option<(String, Audit)>,
    /// It counts as an order of a certificate.
    pub ordered: bool,
}

impl Store {
    /// Takes up to `limit` resources of accounts that are not suspended, whose work is due at `now`; those that are due for longest first. Nobody
    /// else gets them before `until`, unless [`Store::finish_work`] is called.
    ///
    /// # Errors
    /// When the database cannot be read or written.
    ///
    /// # Cancel safety
    /// They may have been taken.
    pub async fn take_work(&self, limit: u32, until: Timestamp, now: Timestamp) -> Result<Vec<Work>, StoreError> {
        self.named(async {
            let any = query(ANY_DUE).bind(now.millis()).bind(1_i64).fetch_optional(&mut self.reader().await?).await?;
            if any.is_none() || limit == 0 {
                return Ok(Vec::new());
            }
            let mut tx = self.write().await?;
            let due = query(DUE).bind(now.millis()).bind(i64::from(limit)).fetch_all(&mut tx).await?;
            let mut taken = Vec::new();
            for row in due {
                let id = text(&row, "id")?;
                let row = query(TAKE).bind(&id).bind(until.millis()).fetch_one(&mut tx).await?;
                let fence = unsigned(&row, "fence")?;
                taken.extend(find(&mut tx, &id).await?.map(|resource| Work { resource, fence }));
            }
            tx.commit().await?;
            Ok(taken)
        })
        .await
    }

    /// Reads the resource again, lets `change` say what comes of the work, and writes that and gives it free, in one transaction; when `change`
    /// refuses, it is given free all the same, for whoever knows what is to be done now. All other
    /// writers wait for `change`; it should only compute.
    ///
    /// # Errors
    /// What `change` says, and [`ResourceError`]: `Stale` when somebody else has taken it since, `Missing` when there is nothing to do any more,
    /// and those of [`Store::modify_resource`].
    ///
    /// # Cancel safety
    /// It happens or it does not.
    pub async fn finish_work<E: From<ResourceError>>(
        &self,
        work: &Work,
        now: Timestamp,
        change: impl FnOnce(&Resource) -> Result<WorkDone, E>,
    ) -> Result<(), E> {
        let run = async {
            let mut tx = self.write().await?;
            let Resource { id, kind, account, .. } = &work.resource;
            let row = query(FENCE).bind(id).fetch_optional(&mut tx).await?.ok_or_else(|| missing(kind, id))?;
            let found = unsigned(&row, "fence")?;
            if found != work.fence {
                return Err(ResourceError::Stale { id: id.clone(), expected: work.fence, found }.into());
            }
            let before = find(&mut tx, id).await?.ok_or_else(|| missing(kind, id))?;
            let WorkDone { content, made, unneeded, ordered } = match change(&before) {
                Ok(done) => done,
                Err(refused) => {
                    query(RELEASE).bind(id).execute(&mut tx).await?;
                    tx.commit().await?;
                    return Ok(Err(refused));
                }
            };
            if let Some((made, audit)) = &made {
                resource_changes::create(&mut tx, made, audit, now).await?;
            }
            check(id, kind, &content, &Audit::default())?;
            let resource = resource_changes::rewrite(&mut tx, before, &content, now).await?;
            resource_changes::record(&mut tx, &resource, &content, None, now).await?;
            query(RELEASE).bind(id).execute(&mut tx).await?;
            if let Some((unneeded, audit)) = &unneeded {
                remove(&mut tx, unneeded, account, audit, now).await?;
            }
            if ordered {
                let forgotten = now - ORDERS_KEPT;
                query(FORGET_ORDERS).bind(forgotten.millis()).execute(&mut tx).await?;
                query(COUNT_ORDER).bind(account.to_string()).bind(now.millis()).execute(&mut tx).await?;
            }
            tx.commit().await?;
            Ok(Ok(()))
        };
        run.await.map_err(|failure| self.resource_error(failure))?
    }

    /// Gives everything free that was taken: for the only process that works on this database, when it starts.
    ///
    /// # Errors
    /// When the database cannot be written.
    ///
    /// # Cancel safety
    /// It happens or it does not.
    pub async fn release_work(&self) -> Result<(), StoreError> {
        self.named(async {
            let mut tx = self.write().await?;
            query(RELEASE_ALL).execute(&mut tx).await?;
            tx.commit().await
        })
        .await
    }

    /// How many certificates were ordered since, within a day: by this account, and by all.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn orders_since(&self, account: &AccountId, since: Timestamp) -> Result<(u64, u64), StoreError> {
        self.named(async {
            let mut reader = self.reader().await?;
            let own = query(ORDERS_OF).bind(since.millis()).bind(account.to_string()).fetch_one(&mut reader).await?;
            let all = query(ORDERS).bind(since.millis()).fetch_one(&mut reader).await?;
            Ok((count(number(&own, "n")?), count(number(&all, "n")?)))
        })
        .await
    }
}

/// Sets when there is something to do with the resource, or that there is nothing. Who works on it now keeps it.
pub(crate) async fn schedule(tx: &mut Connection, id: &str, at: Option<Timestamp>) -> Result<(), Fault> {
    match at {
        Some(at) => query(SCHEDULE).bind(id).bind(at.millis()).execute(tx).await?,
        None => query(CANCEL).bind(id).execute(tx).await?,
    };
    Ok(())
}

async fn remove(
    tx: &mut Connection,
    id: &str,
    account: &AccountId,
    audit: &Audit,
    now: Timestamp,
) -> Result<(), Failure> {
    let Some(unneeded) = find(tx, id).await?.filter(|found| found.account == *account) else { return Ok(()) };
    match referrers::delete(tx, &unneeded, InUse::Refuse, audit, now).await {
        Err(Failure::Refused(ResourceError::InUse { .. })) => Ok(()),
        done => done,
    }
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
