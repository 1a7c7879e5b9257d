//! Who changed which resource. A row is written in the transaction of the change, or neither is.

use portway_names::AccountId;

use crate::error::Fault;
use crate::resources::PAGE_MAX;
use crate::row::{parsed, signed, text, time, unsigned};
use crate::sql::{Connection, Row, query};
use crate::{Store, StoreError, Timestamp};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT seq, account_id, at_ms, who, credential, address, action, operation, kind, id, before_json, after_json FROM audit ",
            $rest
        )
    };
}

const FIRST_PAGE: &str = select!("WHERE account_id = $1 ORDER BY seq DESC LIMIT $2");
const PAGE_BEFORE: &str = select!("WHERE account_id = $1 AND seq < $3 ORDER BY seq DESC LIMIT $2");
// Writers follow each other, so that no two see the same maximum.
const ADD: &str = "INSERT INTO audit (seq, account_id, at_ms, who, address, action, kind, id, before_json, after_json, credential, \
     operation) VALUES ((SELECT coalesce(max(seq), 0) + 1 FROM audit), $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
/// The newest of an account's entries behind the first $2.
const SURPLUS: &str = "SELECT seq FROM audit WHERE account_id = $1 ORDER BY seq DESC LIMIT 1 OFFSET $2";
const PRUNE: &str = "DELETE FROM audit WHERE seq IN (SELECT seq FROM audit WHERE account_id = $1 AND seq <= $2 \
     AND seq < (SELECT max(seq) FROM audit) ORDER BY seq LIMIT $3)";

const OLD: &str = "SELECT seq FROM audit WHERE account_id = $1 AND at_ms < $2 ORDER BY seq LIMIT $3";
const FORGET: &str = "DELETE FROM audit WHERE seq IN (SELECT seq FROM audit WHERE account_id = $1 AND at_ms < $2 \
     AND seq < (SELECT max(seq) FROM audit) ORDER BY seq LIMIT $3)";

/// Entries that are forgotten in one transaction: other writers wait for it.
pub const FORGOTTEN_AT_ONCE: u64 = 10_000;

/// What the caller says of a change. The texts are kept as they are: what must not be read later, secrets first of all, does not belong
/// into them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audit {
    /// Who did it: id of a user or service user, or a part of the program.
    pub who: String,
    /// The key that was used; empty when none was.
    pub credential: String,
    /// The call by which it was done; empty when it was none.
    pub operation: String,
    /// From which address; empty when from none.
    pub address: String,
    /// What was done.
    pub action: String,
    /// The resource before, as JSON.
    pub before: Option<String>,
    /// The resource afterwards, as JSON.
    pub after: Option<String>,
}

/// A change that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Grows with each entry of the installation.
    pub seq: u64,
    /// Whose resource changed.
    pub account: AccountId,
    /// When.
    pub at: Timestamp,
    /// The resource's kind.
    pub kind: String,
    /// The resource's id.
    pub id: String,
    /// What the caller said.
    pub audit: Audit,
}

impl Store {
    /// What happened to the account's resources, newest first: those below the number `before`, or all; at most `limit` and [`PAGE_MAX`].
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn audit_log(
        &self,
        account: &AccountId,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        self.named(async {
            let page = |sql| query(sql).bind(account.to_string()).bind(i64::from(limit.min(PAGE_MAX)));
            let page = match before {
                None => page(FIRST_PAGE),
                Some(before) => page(PAGE_BEFORE).bind(signed(before)),
            };
            page.fetch_all(&mut self.reader().await?).await?.iter().map(entry).collect()
        })
        .await
    }

    /// Forgets the account's entries from before `until`, at most [`FORGOTTEN_AT_ONCE`] of them; returns how many. The newest entry of the
    /// installation stays, so that numbers go on.
    ///
    /// # Errors
    /// When the database cannot be written.
    ///
    /// # Cancel safety
    /// It happens or it does not.
    pub async fn forget_audit(&self, account: &AccountId, until: Timestamp) -> Result<u64, StoreError> {
        self.named(async {
            let forget =
                |sql| query(sql).bind(account.to_string()).bind(until.millis()).bind(signed(FORGOTTEN_AT_ONCE));
            if forget(OLD).fetch_optional(&mut self.reader().await?).await?.is_none() {
                return Ok(0);
            }
            let mut tx = self.write().await?;
            let forgotten = forget(FORGET).execute(&mut tx).await?;
            tx.commit().await?;
            Ok(forgotten)
        })
        .await
    }

    /// Forgets the account's oldest entries beyond the newest `keep`, at most [`FORGOTTEN_AT_ONCE`] of them; returns how many. The newest
    /// entry of the installation stays, so that numbers go on.
    ///
    /// # Errors
    /// When the database cannot be written.
    ///
    /// # Cancel safety
    /// It happens or it does not.
    pub async fn prune_audit(&self, account: &AccountId, keep: u64) -> Result<u64, StoreError> {
        self.named(async {
            let surplus = query(SURPLUS).bind(account.to_string()).bind(signed(keep));
            let Some(row) = surplus.fetch_optional(&mut self.reader().await?).await? else { return Ok(0) };
            let mut tx = self.write().await?;
            let prune = query(PRUNE).bind(account.to_string()).bind(signed(unsigned(&row, "seq")?));
            let forgotten = prune.bind(signed(FORGOTTEN_AT_ONCE)).execute(&mut tx).await?;
            tx.commit().await?;
            Ok(forgotten)
        })
        .await
    }
}

/// Writes down what happened to a resource of the account.
pub(crate) async fn add(
    tx: &mut Connection,
    account: &AccountId,
    kind: &str,
    id: &str,
    audit: &Audit,
    now: Timestamp,
) -> Result<(), Fault> {
    query(ADD)
        .bind(account.to_string())
        .bind(now.millis())
        .bind(&audit.who)
        .bind(&audit.address)
        .bind(&audit.action)
        .bind(kind)
        .bind(id)
        .bind(audit.before.clone())
        .bind(audit.after.clone())
        .bind(&audit.credential)
        .bind(&audit.operation)
        .execute(tx)
        .await?;
    Ok(())
}

fn entry(row: &Row) -> Result<AuditEntry, Fault> {
    Ok(AuditEntry {
        seq: unsigned(row, "seq")?,
        account: parsed(row, "account_id")?,
        at: time(row, "at_ms")?,
        kind: text(row, "kind")?,
        id: text(row, "id")?,
        audit: Audit {
            who: text(row, "who")?,
            credential: text(row, "credential")?,
            operation: text(row, "operation")?,
            address: text(row, "address")?,
            action: text(row, "action")?,
            before: row.get("before_json")?,
            after: row.get("after_json")?,
        },
    })
}
