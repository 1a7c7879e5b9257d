//! Names whose agents are expected back.
//!
//! After a restart the leases say which names were online, and their agents are on their way: they dial again within milliseconds to
//! seconds. A visitor who comes before them waits for a moment instead of being told that the endpoint is offline.

use std::sync::Arc;
use std::time::Duration;

use portway_names::{EndpointUrl, HostName, HostPattern, LookupKey, Scheme, match_order};
use tokio::time::Instant;

use crate::endpoint::Endpoint;
use crate::state::EdgeShared;

/// How long after its start an edge holds visitors of leased names that are not online yet. Agents of every kind have tried again
/// by then: the slowest second attempt of the known SDKs is made after 2.5 s.
const RETURN_GRACE: Duration = Duration::from_secs(4);

/// The endpoint that `find` finds, at once or when it comes back; none when nobody is expected, or not in time.
///
/// # Cancel safety
/// Nothing is lost when the future is dropped.
pub(crate) async fn find(
    edge: &EdgeShared,
    schemes: &[Scheme],
    host: &HostName,
    find: impl Fn() -> Option<Arc<Endpoint>>,
) -> Option<Arc<Endpoint>> {
    let found = find();
    let deadline = edge.started + RETURN_GRACE;
    if found.is_some() || Instant::now() >= deadline || !is_leased(edge, schemes, host) {
        return found;
    }
    let wait = async {
        loop {
            // Listens before it looks: a change in between is not missed.
            let changed = edge.routes.changed();
            if let Some(endpoint) = find() {
                return endpoint;
            }
            changed.await;
        }
    };
    tokio::time::timeout_at(deadline, wait).await.ok()
}

fn is_leased(edge: &EdgeShared, schemes: &[Scheme], host: &HostName) -> bool {
    match_order(host).any(|key| {
        let pattern = match key {
            LookupKey::Exact(name) => name.parse().map(HostPattern::Exact),
            LookupKey::Wildcard(suffix) => suffix.parse().map(HostPattern::Wildcard),
        };
        pattern.is_ok_and(|host| {
            let url = |scheme: &Scheme| EndpointUrl { scheme: *scheme, host: host.clone(), port: None };
            schemes.iter().any(|scheme| edge.replica.lease(&url(scheme)).is_some())
        })
    })
}
