//! Names that accounts have for good: host names, and addresses of tcp endpoints.
//!
//! Whoever has a name has everything below it. So names of two accounts never lie above each other: what is at or above a name is all of one
//! account, and only where nothing is, what lies below may be somebody's.

use portway_names::{AccountId, EndpointUrl, HostPattern, Scheme};

use crate::error::Fault;
use crate::leases::Claim;
use crate::overlap;
use crate::places::{self, AT_ONCE, filled, lineage, place};
use crate::resource_error::Failure;
use crate::row::{parsed, text};
use crate::sql::{Connection, Row, query};
use crate::{Resource, ResourceError, Store, StoreError, Timestamp};

macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT host, account_id, id FROM reserved_hosts WHERE ", $rest)
    };
}

const AMONG: &str = select!("host IN ($1, $2, $3, $4, $5, $6, $7, $8)");
const BELOW: &str = select!("host > $1 AND host < $2 AND account_id <> $3 LIMIT 1");
const OF_RESOURCE: &str = select!("id = $1");
const ADD: &str = "INSERT INTO reserved_hosts (host, account_id, id) VALUES ($1, $2, $3)";
const REMOVE: &str = "DELETE FROM reserved_hosts WHERE id = $1";
const ADDR: &str = "SELECT account_id FROM resource_keys WHERE kind = $1 AND key = $2";

/// The kind of resources whose key, `host:port`, is an address that nobody else may claim for a tcp endpoint.
pub const RESERVED_ADDR: &str = "reserved_addr";

/// How a host name of another account is to the one that was to be reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostConflict {
    /// It is the same.
    Same,
    /// It takes the wanted one in: it is a wildcard or a name above it.
    Above,
    /// The wanted one takes it in.
    Below,
}

/// What an account has for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReservedName {
    /// A name or wildcard, with everything below it.
    Host(HostPattern),
    /// The `host:port` of tcp endpoints.
    Addr(String),
}

/// A row.
struct Reserved {
    host: HostPattern,
    account: AccountId,
    id: String,
}

impl Store {
    /// Which account has reserved the host or what takes it in, and by which resource: the nearest one.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn host_reservation(&self, host: &HostPattern) -> Result<Option<(AccountId, String)>, StoreError> {
        self.named(async {
            let found = covering(&mut self.reader().await?, host).await?;
            Ok(found.map(|found| (found.account, found.id)))
        })
        .await
    }
}

/// Whether another account has reserved what the claim asks for, or a name below the wildcard that it asks for. Who has a wildcard could not
/// serve it beside an agent of another account that has the name it is of, so that name is not for others either.
pub(crate) async fn from_others(tx: &mut Connection, claim: &Claim) -> Result<bool, Fault> {
    let (url, account) = (&claim.url, &claim.account);
    if url.scheme == Scheme::Tcp {
        return Ok(holder(tx, url).await?.is_some_and(|holder| holder != *account));
    }
    match among(tx, lineage(url.host.name())).await?.first() {
        Some(reserved) => Ok(reserved.account != *account),
        None => Ok(url.host.is_wildcard() && foreign_below(tx, &url.host, account).await?.is_some()),
    }
}

/// Which account has reserved what the URL needs.
pub(crate) async fn holder(connection: &mut Connection, url: &EndpointUrl) -> Result<Option<AccountId>, Fault> {
    if url.scheme != Scheme::Tcp {
        return Ok(covering(connection, &url.host).await?.map(|found| found.account));
    }
    let addr = format!("{}:{}", url.host, url.effective_port());
    let row = query(ADDR).bind(RESERVED_ADDR).bind(addr).fetch_optional(connection).await?;
    row.as_ref().map(|row| parsed(row, "account_id")).transpose()
}

/// Makes this the host that the resource reserves, or none.
pub(crate) async fn replace(
    tx: &mut Connection,
    resource: &Resource,
    host: Option<&HostPattern>,
    now: Timestamp,
) -> Result<(), Failure> {
    let row = query(OF_RESOURCE).bind(&resource.id).fetch_optional(&mut *tx).await?;
    let present = row.as_ref().map(reserved).transpose()?.map(|row| row.host);
    if present.as_ref() == host {
        return Ok(());
    }
    query(REMOVE).bind(&resource.id).execute(&mut *tx).await?;
    let Some(host) = host else { return Ok(()) };
    refuse_conflict(tx, resource, host).await?;
    if let Some((other, account)) = overlap::of_others(tx, host, &resource.account, true, now).await? {
        return Err(ResourceError::HostLeased { host: host.clone(), other, account }.into());
    }
    query(ADD).bind(place(host)).bind(resource.account.to_string()).bind(&resource.id).execute(tx).await?;
    Ok(())
}

async fn refuse_conflict(tx: &mut Connection, resource: &Resource, host: &HostPattern) -> Result<(), Failure> {
    let at_or_above = among(tx, lineage(host.name())).await?;
    if let Some(own) = at_or_above.iter().find(|other| other.host == *host && other.account == resource.account) {
        let (kind, key) = (resource.kind.clone(), host.to_string());
        return Err(ResourceError::KeyTaken { kind, key, account: own.account, id: own.id.clone() }.into());
    }
    let other = match at_or_above.into_iter().next() {
        Some(above) => Some(above).filter(|above| above.account != resource.account),
        None => foreign_below(tx, host, &resource.account).await?,
    };
    let Some(Reserved { host: other, account, id }) = other else { return Ok(()) };
    let conflict = conflict(host, &other);
    Err(ResourceError::HostTaken { host: host.clone(), other, conflict, account, id }.into())
}

fn conflict(host: &HostPattern, other: &HostPattern) -> HostConflict {
    if host == other {
        return HostConflict::Same;
    }
    let name_of_wildcard = host.is_wildcard() && other.exact() == Some(host.name());
    match other.covers(host) || host.name().is_below(other.name()) || name_of_wildcard {
        true => HostConflict::Above,
        false => HostConflict::Below,
    }
}

/// The nearest reserved host that takes this one in, or is it. There is at most one account that has such.
async fn covering(connection: &mut Connection, host: &HostPattern) -> Result<Option<Reserved>, Fault> {
    // The wildcard of a name is below it.
    let found = among(connection, lineage(host.name()).skip(usize::from(!host.is_wildcard()))).await?;
    Ok(found.into_iter().next())
}

async fn foreign_below(
    tx: &mut Connection,
    host: &HostPattern,
    account: &AccountId,
) -> Result<Option<Reserved>, Fault> {
    let (from, to) = places::below(host.name());
    let row = query(BELOW).bind(from).bind(to).bind(account.to_string()).fetch_optional(tx).await?;
    row.as_ref().map(reserved).transpose()
}

/// Those of the hosts that are reserved, in their order.
async fn among(connection: &mut Connection, hosts: impl Iterator<Item = HostPattern>) -> Result<Vec<Reserved>, Fault> {
    let places: Vec<String> = hosts.map(|host| place(&host)).collect();
    let mut found = Vec::new();
    for some in places.chunks(AT_ONCE) {
        let query = filled(some).fold(query(AMONG), |query, place| query.bind(place));
        for row in query.fetch_all(&mut *connection).await? {
            found.push(reserved(&row)?);
        }
    }
    found.sort_by_key(|found| places.iter().position(|at| *at == place(&found.host)));
    Ok(found)
}

fn reserved(row: &Row) -> Result<Reserved, Fault> {
    let host = places::host(&text(row, "host")?).map_err(|error| Fault::Damaged(format!("host: {error}")))?;
    Ok(Reserved { host, account: parsed(row, "account_id")?, id: text(row, "id")? })
}
