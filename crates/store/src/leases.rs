//! Leases: which agent of which account may serve a name, for as long as its edge is alive.
//!
//! A lease is *held* while its edge is alive, *released* (kept for its account alone until a point in time) when the edge gave it back or
//! started anew, and *free* afterwards. Only a change of holder is written; an edge stays alive by one row of its own.

use std::time::Duration;

use portway_names::{AccountId, CredentialId, EdgeId, EndpointUrl, LeaseId};

use crate::digest::{from_hex, to_hex};
use crate::error::Fault;
use crate::row::{number, parsed, signed, text, time, unsigned};
use crate::sql::{Connection, Row, query};
use crate::{ReservedName, Store, StoreError, Timestamp, feed, overlap, places, reserved};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT l.id, l.url, l.account_id, l.credential_id, l.agent_id, l.edge_id, l.fence, l.claimed_ms, ",
            "l.released_until_ms, coalesce(e.alive_until_ms, 0) AS alive_until_ms ",
            "FROM leases l LEFT JOIN edges e ON e.id = l.edge_id ",
            $rest
        )
    };
}

const LIST: &str = select!("ORDER BY l.id");
const BY_ID: &str = select!("WHERE l.id = $1");
const BY_URL: &str = select!("WHERE l.url = $1");
const OWN_BY_URL: &str = select!("WHERE l.account_id = $1 AND l.url = $2");
const OWN_BELOW: &str = select!("WHERE l.account_id = $1 AND (l.place = $2 OR (l.place > $3 AND l.place < $4))");
const PUT: &str = "INSERT INTO leases (id, url, place, account_id, credential_id, agent_id, edge_id, fence, claimed_ms, \
     released_until_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, NULL) ON CONFLICT (url) DO UPDATE SET \
     account_id = excluded.account_id, credential_id = excluded.credential_id, agent_id = excluded.agent_id, \
     edge_id = excluded.edge_id, fence = excluded.fence, claimed_ms = excluded.claimed_ms, released_until_ms = NULL";
const RELEASE: &str =
    "UPDATE leases SET released_until_ms = $1 WHERE id = $2 AND fence = $3 AND released_until_ms IS NULL";
const RELEASE_EDGE: &str =
    "UPDATE leases SET released_until_ms = $1 WHERE edge_id = $2 AND released_until_ms IS NULL RETURNING id";
const ENDED: &str = "SELECT l.id FROM leases l LEFT JOIN edges e ON e.id = l.edge_id WHERE l.released_until_ms <= $1 \
     OR (l.released_until_ms IS NULL AND coalesce(e.alive_until_ms, 0) <= $1) LIMIT $2";
const REMOVE: &str = "DELETE FROM leases WHERE id = $1";
const TOUCH: &str = "INSERT INTO edges (id, alive_until_ms) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET \
     alive_until_ms = excluded.alive_until_ms WHERE edges.alive_until_ms < excluded.alive_until_ms";
const TOUCH_ALL: &str = "UPDATE edges SET alive_until_ms = $1 WHERE alive_until_ms < $1";

/// Ended leases removed in one transaction; the rest waits for the next, so that a claim never waits long.
const REMOVED_AT_ONCE: i64 = 500;

/// The right to serve a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Its id; stays when the holder changes.
    pub id: LeaseId,
    /// The name.
    pub url: EndpointUrl,
    /// Whose it is.
    pub account: AccountId,
    /// The authtoken it was claimed with.
    pub credential: CredentialId,
    /// The agent that serves it, or served it last.
    pub agent: Vec<u8>,
    /// The edge that serves it, or served it last.
    pub edge: EdgeId,
    /// Grows with each change of holder, also over leases of the same name that came and went.
    pub fence: u64,
    /// When this holder got it.
    pub claimed: Timestamp,
    /// Set when nobody serves it: until when it is kept for its account.
    pub released_until: Option<Timestamp>,
}

/// A wish for a name.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Id of the lease, if it is a new one.
    pub id: LeaseId,
    /// The name.
    pub url: EndpointUrl,
    /// Who wants it.
    pub account: AccountId,
    /// With which authtoken.
    pub credential: CredentialId,
    /// For which agent.
    pub agent: Vec<u8>,
    /// Through which edge.
    pub edge: EdgeId,
    /// That edge has no session which serves the name.
    pub holder_offline: bool,
}

/// What became of a [`Claim`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimAnswer {
    /// The agent has the name.
    Granted(Lease),
    /// Another agent of the same account serves it.
    Online,
    /// Another account has it, or a wildcard above it, or a name below the wildcard that was asked for.
    Taken,
    /// Another account has reserved it, what takes it in, or a name below the wildcard that was asked for.
    Reserved,
}

/// A holder that goes.
#[derive(Debug, Clone, Copy)]
pub struct Release {
    /// Which lease.
    pub id: LeaseId,
    /// The fence it was granted with; another one means that the lease has another holder by now.
    pub fence: u64,
}

impl Store {
    /// All leases, also released ones and those whose end nobody has noticed yet.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn leases(&self) -> Result<Vec<Lease>, StoreError> {
        self.named(async {
            let mut tx = self.reader().await?;
            all(&mut tx).await
        })
        .await
    }

    /// The account that has the lease of this URL at `now`, also while it is only kept for it.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn lease_holder(&self, url: &str, now: Timestamp) -> Result<Option<AccountId>, StoreError> {
        self.named(async {
            let row = query(BY_URL).bind(url).fetch_optional(&mut self.reader().await?).await?;
            let Some(row) = row else { return Ok(None) };
            let until = match row.get::<Option<i64>>("released_until_ms")? {
                Some(until) => until,
                None => number(&row, "alive_until_ms")?,
            };
            Ok(if until > now.millis() { Some(parsed(&row, "account_id")?) } else { None })
        })
        .await
    }

    /// Decides claims, in their order and in one transaction: one wait for the disk for all of them. Their edges count as alive for
    /// `ttl` from now.
    ///
    /// The rules: the same agent of the same account gets what it has. A name nobody serves goes to its account at once, to others when it
    /// is free. A name that is served stays with its agent, unless the edge that serves it says that the agent is gone. Names of http,
    /// https and tls belong to one account with all schemes and with everything a wildcard covers. What an account has reserved is for nobody
    /// else.
    ///
    /// # Errors
    /// When the database cannot be written; then none was granted.
    ///
    /// # Cancel safety
    /// All happen or none.
    pub async fn claim(&self, claims: &[Claim], now: Timestamp, ttl: Duration) -> Result<Vec<ClaimAnswer>, StoreError> {
        self.named(async {
            let mut tx = self.write().await?;
            let mut answers = Vec::with_capacity(claims.len());
            let mut touched = Vec::new();
            for claim in claims {
                answers.push(decide(&mut tx, claim, now).await?);
                if !touched.contains(&&claim.edge) {
                    touch(&mut tx, &claim.edge, now + ttl).await?;
                    touched.push(&claim.edge);
                }
            }
            tx.commit().await?;
            Ok(answers)
        })
        .await
    }

    /// Gives leases back; until `reserved_until` they are kept for their accounts. Unknown ids and old fences are ignored.
    ///
    /// # Errors
    /// When the database cannot be written; then none was released.
    ///
    /// # Cancel safety
    /// All happen or none.
    pub async fn release(
        &self,
        releases: &[Release],
        reserved_until: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.named(async {
            let mut tx = self.write().await?;
            let mut changed = Vec::new();
            for release in releases {
                let id = release.id.to_string();
                let query = query(RELEASE).bind(reserved_until.millis()).bind(&id).bind(signed(release.fence));
                if query.execute(&mut tx).await? > 0 {
                    changed.push(id);
                }
            }
            feed::append_some(&mut tx, &changed, now).await?;
            tx.commit().await
        })
        .await
    }

    /// An edge process began: no agent is connected to it yet, so what it held is released, kept for the accounts until `reserved_until`.
    ///
    /// # Errors
    /// When the database cannot be written.
    ///
    /// # Cancel safety
    /// It happens or it does not.
    pub async fn edge_began(&self, edge: &EdgeId, reserved_until: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        self.named(async {
            let mut tx = self.write().await?;
            let query = query(RELEASE_EDGE).bind(reserved_until.millis()).bind(edge.as_str());
            let rows = query.fetch_all(&mut tx).await?;
            let changed = rows.iter().map(|row| text(row, "id")).collect::<Result<Vec<_>, _>>()?;
            touch(&mut tx, edge, reserved_until).await?;
            feed::append_some(&mut tx, &changed, now).await?;
            tx.commit().await
        })
        .await
    }

    /// An edge was heard of: what it holds stays held at least until then.
    ///
    /// # Errors
    /// When the database cannot be written.
    ///
    /// # Cancel safety
    /// It happens or it does not.
    pub async fn edge_alive(&self, edge: &EdgeId, until: Timestamp) -> Result<(), StoreError> {
        self.named(async {
            let mut tx = self.write().await?;
            touch(&mut tx, edge, until).await?;
            tx.commit().await
        })
        .await
    }

    /// The control plane was away and heard of nobody: every edge counts as alive until then.
    ///
    /// # Errors
    /// When the database cannot be written.
    ///
    /// # Cancel safety
    /// It happens or it does not.
    pub async fn edges_alive(&self, until: Timestamp) -> Result<(), StoreError> {
        self.named(async {
            let mut tx = self.write().await?;
            query(TOUCH_ALL).bind(until.millis()).execute(&mut tx).await?;
            tx.commit().await
        })
        .await
    }

    /// Removes the account's leases of a name that it has no longer reserved, and of everything below it; those that another reserved name of
    /// the account takes in stay. Returns how many were removed.
    ///
    /// # Errors
    /// When the database cannot be written.
    ///
    /// # Cancel safety
    /// It happens or it does not.
    pub async fn end_leases_below(
        &self,
        account: &AccountId,
        name: &ReservedName,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        self.named(async {
            let mut tx = self.write().await?;
            let mut ended = Vec::new();
            for lease in below(&mut tx, account, name).await? {
                if reserved::holder(&mut tx, &lease.url).await?.is_none_or(|holder| holder != *account) {
                    query(REMOVE).bind(lease.id.to_string()).execute(&mut tx).await?;
                    ended.push(lease.id.to_string());
                }
            }
            feed::append_some(&mut tx, &ended, now).await?;
            tx.commit().await?;
            Ok(ended.len())
        })
        .await
    }

    /// Removes leases that have ended, a few hundred at most. Returns how many.
    ///
    /// # Errors
    /// When the database cannot be written.
    ///
    /// # Cancel safety
    /// It happens or it does not.
    pub async fn remove_ended_leases(&self, now: Timestamp) -> Result<usize, StoreError> {
        self.named(async {
            // Most of the time nothing has ended: look without taking the write lock.
            if ended(&mut self.reader().await?, now).await?.is_empty() {
                return Ok(0);
            }
            let mut tx = self.write().await?;
            let ended = ended(&mut tx, now).await?;
            for id in &ended {
                query(REMOVE).bind(id).execute(&mut tx).await?;
            }
            feed::append_some(&mut tx, &ended, now).await?;
            tx.commit().await?;
            Ok(ended.len())
        })
        .await
    }
}

pub(crate) async fn all(connection: &mut Connection) -> Result<Vec<Lease>, Fault> {
    query(LIST).fetch_all(connection).await?.iter().map(lease).collect()
}

pub(crate) async fn find(connection: &mut Connection, id: &str) -> Result<Option<Lease>, Fault> {
    let row = query(BY_ID).bind(id).fetch_optional(connection).await?;
    row.as_ref().map(lease).transpose()
}

async fn decide(tx: &mut Connection, claim: &Claim, now: Timestamp) -> Result<ClaimAnswer, Fault> {
    if reserved::from_others(tx, claim).await? {
        return Ok(ClaimAnswer::Reserved);
    }
    let row = query(BY_URL).bind(claim.url.to_string()).fetch_optional(&mut *tx).await?;
    let Some(row) = row else {
        return match overlap::exists(tx, claim, now).await? {
            true => Ok(ClaimAnswer::Taken),
            false => grant(tx, claim.id, claim, now).await.map(ClaimAnswer::Granted),
        };
    };
    let (lease, alive_until) = (lease(&row)?, time(&row, "alive_until_ms")?);
    let live = lease.released_until.unwrap_or(alive_until) > now;
    if live && lease.account != claim.account || !live && overlap::exists(tx, claim, now).await? {
        return Ok(ClaimAnswer::Taken);
    }
    let held = lease.released_until.is_none() && lease.account == claim.account;
    let same_edge = lease.edge == claim.edge;
    if held && lease.agent == claim.agent && same_edge && lease.credential == claim.credential {
        return Ok(ClaimAnswer::Granted(lease));
    }
    if held && live && lease.agent != claim.agent && !(same_edge && claim.holder_offline) {
        return Ok(ClaimAnswer::Online);
    }
    grant(tx, lease.id, claim, now).await.map(ClaimAnswer::Granted)
}

/// Writes the new holder. The fence is the change's version in the feed: it grows for ever, also when the row is removed in between.
async fn grant(tx: &mut Connection, id: LeaseId, claim: &Claim, now: Timestamp) -> Result<Lease, Fault> {
    let fence = feed::append(tx, &[id.to_string()], now).await?;
    query(PUT)
        .bind(id.to_string())
        .bind(claim.url.to_string())
        .bind(overlap::place_column(&claim.url))
        .bind(claim.account.to_string())
        .bind(claim.credential.to_string())
        .bind(to_hex(&claim.agent))
        .bind(claim.edge.as_str())
        .bind(signed(fence))
        .bind(now.millis())
        .execute(tx)
        .await?;
    Ok(Lease {
        id,
        url: claim.url.clone(),
        account: claim.account,
        credential: claim.credential,
        agent: claim.agent.clone(),
        edge: claim.edge.clone(),
        fence,
        claimed: now,
        released_until: None,
    })
}

/// The account's leases of a name and of what is below it.
async fn below(tx: &mut Connection, account: &AccountId, name: &ReservedName) -> Result<Vec<Lease>, Fault> {
    let account = account.to_string();
    let query = match name {
        ReservedName::Addr(addr) => query(OWN_BY_URL).bind(account).bind(format!("tcp://{addr}")),
        ReservedName::Host(host) => {
            let (from, to) = places::below(host.name());
            query(OWN_BELOW).bind(account).bind(places::place(host)).bind(from).bind(to)
        }
    };
    query.fetch_all(tx).await?.iter().map(lease).collect()
}

async fn touch(tx: &mut Connection, edge: &EdgeId, until: Timestamp) -> Result<(), Fault> {
    query(TOUCH).bind(edge.as_str()).bind(until.millis()).execute(tx).await?;
    Ok(())
}

async fn ended(connection: &mut Connection, now: Timestamp) -> Result<Vec<String>, Fault> {
    let rows = query(ENDED).bind(now.millis()).bind(REMOVED_AT_ONCE).fetch_all(connection).await?;
    rows.iter().map(|row| text(row, "id")).collect()
}

fn lease(row: &Row) -> Result<Lease, Fault> {
    let agent = from_hex(&text(row, "agent_id")?).ok_or_else(|| Fault::Damaged("agent_id is not hex".to_owned()))?;
    let released_until: Option<i64> = row.get("released_until_ms")?;
    Ok(Lease {
        id: parsed(row, "id")?,
        url: parsed(row, "url")?,
        account: parsed(row, "account_id")?,
        credential: parsed(row, "credential_id")?,
        agent,
        edge: parsed(row, "edge_id")?,
        fence: unsigned(row, "fence")?,
        claimed: time(row, "claimed_ms")?,
        released_until: released_until.map(Timestamp::from_millis),
    })
}
