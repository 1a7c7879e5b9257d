//! Names of other accounts that a claim would take visitors from.

use portway_names::{EndpointUrl, HostName, HostPattern, Scheme};

use crate::Timestamp;
use crate::error::Fault;
use crate::leases::Claim;
use crate::sql::{Connection, query};

macro_rules! foreign {
    ($host:literal) => {
        concat!(
            "SELECT l.id FROM leases l LEFT JOIN edges e ON e.id = l.edge_id WHERE ",
            $host,
            " AND l.account_id <> $2 AND coalesce(l.released_until_ms, e.alive_until_ms, 0) > $3 LIMIT 1"
        )
    };
}

const AT: &str = foreign!("l.host = $1");
const BELOW: &str = foreign!("l.host LIKE $1 ESCAPE '!'");

/// Whether another account has the claim's host under any scheme, a wildcard above it, the name that the claimed wildcard is of, or a
/// name below it.
///
/// Two accounts on one host would let one take the other's visitors by a scheme the other does not serve, or by a more exact name; and whoever
/// trusts a name trusts what looks like its own subdomains. Hosts
/// of tcp URLs are shared: there the port tells accounts apart.
pub(crate) async fn exists(tx: &mut Connection, claim: &Claim, now: Timestamp) -> Result<bool, Fault> {
    if claim.url.scheme == Scheme::Tcp {
        return Ok(false);
    }
    let account = claim.account.to_string();
    for host in at_or_above(&claim.url.host) {
        let query = query(AT).bind(host).bind(&account).bind(now.millis());
        if query.fetch_optional(&mut *tx).await?.is_some() {
            return Ok(true);
        }
    }
    let HostPattern::Wildcard(base) = &claim.url.host else { return Ok(false) };
    let below = format!("%.{}", base.as_str().replace('_', "!_"));
    let query = query(BELOW).bind(below).bind(&account).bind(now.millis());
    Ok(query.fetch_optional(tx).await?.is_some())
}

/// What the host column of a lease holds.
pub(crate) fn host_column(url: &EndpointUrl) -> String {
    match url.scheme {
        Scheme::Tcp => String::new(),
        _ => url.host.to_string(),
    }
}

/// The pattern itself and every wildcard that covers it; of a wildcard also the name that it is of.
fn at_or_above(host: &HostPattern) -> impl Iterator<Item = String> {
    let base = host.is_wildcard().then(|| host.name().to_string());
    let above = std::iter::successors(host.name().parent(), HostName::parent).map(|base| format!("*.{base}"));
    std::iter::once(host.to_string()).chain(above).chain(base)
}

#[cfg(test)]
mod tests {
    use super::at_or_above;

    #[test]
    fn wildcards_above_are_listed_nearest_first() {
        let above = |text: &str| at_or_above(&text.parse().expect("a pattern")).collect::<Vec<_>>();
        assert_eq!(above("a.b.c"), ["a.b.c", "*.b.c", "*.c"]);
        assert_eq!(above("*.b.c"), ["*.b.c", "*.c", "b.c"]);
        assert_eq!(above("c"), ["c"]);
    }
}
