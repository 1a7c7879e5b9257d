//! The edges of the installation, and the regions they are in.

use std::collections::BTreeMap;

use portway_api::{Answer as Reply, Edge, RegionReply, not_found, whole_list};
use portway_codes::PublicError;

use super::accounts::{is_operator, operators_only};
use super::call::{Answer, Call, time};
use super::kind::as_json;
use crate::online::LiveEdge;

/// Performs an operation of edges or regions.
pub(crate) async fn perform(call: &Call<'_>) -> Result<Answer, PublicError> {
    let spec = call.operation.spec();
    if spec.group() == "regions" {
        return list(call, &regions(call));
    }
    if !is_operator(call).await? {
        return Err(operators_only());
    }
    let edges: Vec<Edge> = call.inner.online.edges().iter().map(|edge| shown(call, edge)).collect();
    if call.verb() == "list" {
        return list(call, &edges);
    }
    let id = call.parameters.get("id");
    // While an edge is replaced two processes have its id; the one that stays is last.
    let found = edges.into_iter().rfind(|edge| edge.id == id).ok_or_else(not_found)?;
    Ok(Answer::Object(as_json(&found)))
}

fn list<T: serde::Serialize>(call: &Call<'_>, items: &[T]) -> Result<Answer, PublicError> {
    let Reply::All(list) = &call.operation.spec().answer else { return Err(not_found()) };
    Ok(Answer::Object(whole_list(call.base, call.path, list.key, items)))
}

fn shown(call: &Call<'_>, edge: &LiveEdge) -> Edge {
    Edge {
        id: edge.id.to_string(),
        uri: call.base.resource("/portway/v1/edges", &edge.id),
        region: edge.region.to_string(),
        version: edge.version.clone(),
        connected_at: time(edge.connected_at),
        draining: edge.draining,
        sessions: edge.sessions as u64,
        endpoints: edge.endpoints as u64,
    }
}

/// Those where an edge is, and the one where addresses are given out.
fn regions(call: &Call<'_>) -> Vec<RegionReply> {
    let names = &call.inner.names;
    let mut edges = BTreeMap::from([(names.region.to_string(), 0)]);
    for edge in call.inner.online.edges().iter().filter(|edge| !edge.draining) {
        *edges.entry(edge.region.to_string()).or_default() += 1;
    }
    let connect_url = names.connect_hosts.first().map(|host| format!("{host}:{}", names.connect_port));
    let connect_url = connect_url.unwrap_or_default();
    let region = |(id, edges): (String, u64)| RegionReply {
        uri: call.base.resource("/portway/v1/regions", &id),
        connect_url: connect_url.clone(),
        id,
        edges,
    };
    edges.into_iter().map(region).collect()
}
