//! Keeps wildcards off the installation's own names.
//!
//! The control plane leases none of these names; a wildcard that covers them is leased all the same, for what else it covers.

use std::sync::Arc;

use portway_names::{HostName, Scheme, is_reserved};

use crate::endpoint::Endpoint;
use crate::state::EdgeShared;

/// The endpoint that serves a host by http or https.
pub(crate) fn http(edge: &EdgeShared, scheme: Scheme, host: &HostName) -> Option<Arc<Endpoint>> {
    edge.routes.http(scheme, host).filter(|endpoint| may_serve(edge, endpoint, host))
}

/// The endpoint that serves a server name, by https or tls.
pub(crate) fn sni(edge: &EdgeShared, host: &HostName) -> Option<Arc<Endpoint>> {
    edge.routes.sni(host).filter(|endpoint| may_serve(edge, endpoint, host))
}

fn may_serve(edge: &EdgeShared, endpoint: &Endpoint, host: &HostName) -> bool {
    if !endpoint.url.host.is_wildcard() {
        return true;
    }
    let ours = edge.replica.base_domain().is_some_and(|base| *host == base || is_reserved(host, &base));
    !ours && !is_below_connect_name(edge, host)
}

/// Whether a host is one that agents dial, or below one.
fn is_below_connect_name(edge: &EdgeShared, host: &HostName) -> bool {
    let mut name = Some(host.clone());
    while let Some(host) = name {
        if edge.replica.connect_name(&host).is_some() {
            return true;
        }
        name = host.parent();
    }
    false
}
