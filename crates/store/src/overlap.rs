//! Names that agents of other accounts serve, and from which somebody would take visitors.

use portway_names::{AccountId, EndpointUrl, HostPattern, Scheme};

use crate::Timestamp;
use crate::error::Fault;
use crate::leases::Claim;
use crate::places::{self, AT_ONCE, filled, lineage, place};
use crate::row::{parsed, text};
use crate::sql::{Connection, Query, query};

macro_rules! foreign {
    ($place:literal) => {
        concat!(
            "SELECT l.place, l.account_id FROM leases l LEFT JOIN edges e ON e.id = l.edge_id WHERE l.account_id <> $1 ",
            "AND coalesce(l.released_until_ms, e.alive_until_ms, 0) > $2 AND ",
            $place,
            " LIMIT 1"
        )
    };
}

const AMONG: &str = foreign!("l.place IN ($3, $4, $5, $6, $7, $8, $9, $10)");
const BELOW: &str = foreign!("l.place > $3 AND l.place < $4");

/// Whether an agent of another account has the claim's host under any scheme, a wildcard above it, the name that the claimed wildcard is of,
/// or a name below it.
///
/// Two accounts on one host would let one take the other's visitors by a scheme the other does not serve, or by a more exact name; and whoever
/// trusts a name trusts what looks like its own subdomains. Hosts
/// of tcp URLs are shared: there the port tells accounts apart.
pub(crate) async fn exists(tx: &mut Connection, claim: &Claim, now: Timestamp) -> Result<bool, Fault> {
    if claim.url.scheme == Scheme::Tcp {
        return Ok(false);
    }
    let below = claim.url.host.is_wildcard();
    Ok(of_others(tx, &claim.url.host, &claim.account, below, now).await?.is_some())
}

/// A host that an agent of another account has: this one, a wildcard above it, the name that a wildcard is of, and when it is asked for, one
/// below.
pub(crate) async fn of_others(
    tx: &mut Connection,
    host: &HostPattern,
    account: &AccountId,
    below: bool,
    now: Timestamp,
) -> Result<Option<(HostPattern, AccountId)>, Fault> {
    let foreign = |sql| query(sql).bind(account.to_string()).bind(now.millis());
    for places in at_or_above(host).chunks(AT_ONCE) {
        let among = filled(places).fold(foreign(AMONG), |query, place| query.bind(place));
        if let Some(found) = first(tx, among).await? {
            return Ok(Some(found));
        }
    }
    if !below {
        return Ok(None);
    }
    let (from, to) = places::below(host.name());
    first(tx, foreign(BELOW).bind(from).bind(to)).await
}

async fn first(tx: &mut Connection, query: Query) -> Result<Option<(HostPattern, AccountId)>, Fault> {
    let Some(row) = query.fetch_optional(tx).await? else { return Ok(None) };
    let host = places::host(&text(&row, "place")?).map_err(|error| Fault::Damaged(format!("place: {error}")))?;
    Ok(Some((host, parsed(&row, "account_id")?)))
}

/// What the place column of a lease holds.
pub(crate) fn place_column(url: &EndpointUrl) -> String {
    match url.scheme {
        Scheme::Tcp => String::new(),
        _ => place(&url.host),
    }
}

/// The places of the pattern itself and of every wildcard that covers it; of a wildcard also the name that it is of.
fn at_or_above(host: &HostPattern) -> Vec<String> {
    let counts =
        |other: &HostPattern| other == host || other.covers(host) || other.name() == host.name() && host.is_wildcard();
    lineage(host.name()).filter(counts).map(|host| place(&host)).collect()
}

#[cfg(test)]
mod tests {
    use super::at_or_above;

    #[test]
    fn wildcards_above_are_listed_nearest_first() {
        let above = |text: &str| at_or_above(&text.parse().expect("a pattern"));
        assert_eq!(above("a.b.c"), ["c.b.a", "c.b.*", "c.*"]);
        assert_eq!(above("*.b.c"), ["c.b.*", "c.b", "c.*"]);
        assert_eq!(above("c"), ["c"]);
    }
}
