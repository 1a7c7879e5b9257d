//! What is online: endpoints, tunnels, and the sessions of agents.

use portway_api::{Ref, TunnelSessionUpdate, not_found, read_body, read_id};
use portway_codes::PublicError;
use portway_names::{EndpointId, Scheme, SessionId, TunnelId};
use portway_proto::AgentCommand;
use portway_store::Timestamp;
use serde_json::Value;

use super::call::{Answer, Call, time};
use super::kind::{Kept, as_json};
use super::page::{Found, page};
use super::refusal::{damaged, unreadable};
use crate::kept::names::{ReservedAddr, ReservedDomain};
use crate::kept::principals::{CredentialBody, SshCredentialBody};
use crate::online::{LiveEndpoint, LiveSession};

const ENDPOINTS: &str = "/endpoints";
const TUNNELS: &str = "/tunnels";
const SESSIONS: &str = "/tunnel_sessions";

/// Performs an operation of endpoints.
pub(crate) async fn endpoints(call: &Call<'_>) -> Result<Answer, PublicError> {
    let (online, account) = (&call.inner.online, call.caller.account);
    if call.verb() == "get" {
        let found = online.endpoint(account, call.parameters.id()?).ok_or_else(not_found)?;
        return Ok(Answer::Object(endpoint(call, &found).await?));
    }
    page(call, |before, at_once| {
        Box::pin(async move {
            let before = before.as_deref().map(read_id::<EndpointId>).transpose()?;
            let mut page = Vec::new();
            for live in online.endpoints(account, before, at_once as usize) {
                let (id, url) = (live.record.id.to_string(), live.public_url());
                let asked = (call.query.ids.is_empty() || call.query.ids.contains(&id))
                    && (call.query.urls.is_empty() || call.query.urls.contains(&url));
                let reply = if asked { Some(endpoint(call, &live).await?) } else { None };
                page.push(Found { id, reply });
            }
            Ok(page)
        })
    })
    .await
}

/// Performs an operation of tunnels.
pub(crate) async fn tunnels(call: &Call<'_>) -> Result<Answer, PublicError> {
    let (online, account) = (&call.inner.online, call.caller.account);
    if call.verb() == "get" {
        let found = online.tunnel(account, call.parameters.id()?).ok_or_else(not_found)?;
        return Ok(Answer::Object(as_json(&tunnel(call, &found))));
    }
    page(call, |before, at_once| {
        Box::pin(async move {
            let before = before.as_deref().map(read_id::<TunnelId>).transpose()?;
            let found = online.tunnels(account, before, at_once as usize).into_iter();
            let found = found.map(|live| {
                let reply = tunnel(call, &live);
                Found { id: reply.id.clone(), reply: Some(as_json(&reply)) }
            });
            Ok(found.collect())
        })
    })
    .await
}

/// Performs an operation of sessions.
pub(crate) async fn sessions(call: &Call<'_>) -> Result<Answer, PublicError> {
    let (online, account) = (&call.inner.online, call.caller.account);
    let command = match call.verb() {
        "stop" => AgentCommand::Stop,
        "restart" => AgentCommand::Restart,
        "update" => {
            let body: TunnelSessionUpdate = read_body(call.body)?;
            let version = body.version.map(|version| version.into_string()).unwrap_or_default();
            AgentCommand::Update { version, permit_major: false }
        }
        "get" => {
            let found = online.session(account, call.parameters.id()?).ok_or_else(not_found)?;
            return Ok(Answer::Object(as_json(&session(call, &found))));
        }
        _ => return list_sessions(call).await,
    };
    online.command(account, call.parameters.id()?, &command).await?;
    Ok(Answer::Nothing)
}

async fn list_sessions(call: &Call<'_>) -> Result<Answer, PublicError> {
    page(call, |before, at_once| {
        Box::pin(async move {
            let before = before.as_deref().map(read_id::<SessionId>).transpose()?;
            let found = call.inner.online.sessions(call.caller.account, before, at_once as usize).into_iter();
            let found = found.map(|live| {
                let reply = session(call, &live);
                Found { id: reply.id.clone(), reply: Some(as_json(&reply)) }
            });
            Ok(found.collect())
        })
    })
    .await
}

async fn endpoint(call: &Call<'_>, live: &LiveEndpoint) -> Result<Value, PublicError> {
    let record = &live.record;
    let started = at(record.started_at_ms);
    let (domain, tcp_addr) = reservation(call, live).await?;
    let public_url = live.public_url();
    Ok(as_json(&portway_api::Endpoint {
        id: record.id.to_string(),
        uri: call.base.resource(ENDPOINTS, record.id),
        region: live.region.to_string(),
        created_at: started,
        updated_at: started,
        url: public_url.clone(),
        public_url,
        proto: live.scheme().to_owned(),
        scheme: live.scheme().to_owned(),
        hostport: live.hostport(),
        host: live.host(),
        port: live.port(),
        r#type: "ephemeral".to_owned(),
        metadata: record.metadata.clone(),
        description: record.description.clone(),
        domain,
        tcp_addr,
        tunnel: Some(call.base.reference(TUNNELS, live.tunnel_id())),
        edge: None,
        upstream_url: record.forwards_to.clone(),
        upstream_protocol: live.upstream_protocol().to_owned(),
        principal: principal(call, record.session).await?,
        traffic_policy: record.traffic_policy.clone(),
        bindings: Some(vec![live.binding().to_owned()]),
        tunnel_session: Some(call.base.reference(SESSIONS, record.session)),
        name: record.name.clone(),
        pooling_enabled: record.pooled,
    }))
}

/// The reservation that the endpoint is at: of a domain, or of an address.
async fn reservation(call: &Call<'_>, live: &LiveEndpoint) -> Result<(Option<Ref>, Option<Ref>), PublicError> {
    let Some(url) = &live.record.url else { return Ok((None, None)) };
    let store = &call.inner.store;
    if url.scheme == Scheme::Tcp {
        let found = store.resource_by_key(ReservedAddr::KIND, &live.hostport()).await.map_err(unreadable)?;
        let own = found.filter(|found| found.account == call.caller.account);
        return Ok((None, own.map(|own| call.base.reference(ReservedAddr::COLLECTION, own.id))));
    }
    let found = store.host_reservation(&url.host).await.map_err(unreadable)?;
    let own = found.filter(|(account, _)| *account == call.caller.account);
    Ok((own.map(|(_, id)| call.base.reference(ReservedDomain::COLLECTION, id)), None))
}

/// Who owns what the agent logged in with. Ids only say it; there is no address that is right for all owners.
async fn principal(call: &Call<'_>, session: SessionId) -> Result<Option<Ref>, PublicError> {
    let Some(live) = call.inner.online.session(call.caller.account, session) else { return Ok(None) };
    let (kind, id) =
        (if live.record.ssh_key { SshCredentialBody::KIND } else { CredentialBody::KIND }, live.credential_id());
    let found = call.inner.store.resource(&call.caller.account, kind, &id).await.map_err(unreadable)?;
    // Authtokens and SSH keys say it in the same way.
    #[derive(serde::Deserialize)]
    struct Owned {
        owner_id: Option<String>,
    }
    let owner = found.map(|found| crate::kept::read::<Owned>(&found)).transpose().map_err(damaged)?;
    let owner = owner.and_then(|owned| owned.owner_id);
    Ok(owner.map(|id| {
        let collection = if id.starts_with("service_") { "/service_users" } else { "/portway/v1/users" };
        call.base.reference(collection, id)
    }))
}

fn tunnel(call: &Call<'_>, live: &LiveEndpoint) -> portway_api::Tunnel {
    let record = &live.record;
    let id = live.tunnel_id();
    portway_api::Tunnel {
        id: id.to_string(),
        uri: call.base.resource(TUNNELS, id),
        public_url: live.public_url(),
        started_at: at(record.started_at_ms),
        metadata: record.metadata.clone(),
        proto: live.scheme().to_owned(),
        region: live.region.to_string(),
        tunnel_session: call.base.reference(SESSIONS, record.session),
        endpoint: record.url.is_some().then(|| call.base.reference(ENDPOINTS, record.id)),
        labels: record.url.is_none().then(|| record.labels.clone()),
        backends: None,
        forwards_to: record.forwards_to.clone(),
    }
}

fn session(call: &Call<'_>, live: &LiveSession) -> portway_api::TunnelSession {
    let record = &live.record;
    let credentials = if record.ssh_key { SshCredentialBody::COLLECTION } else { CredentialBody::COLLECTION };
    portway_api::TunnelSession {
        agent_version: record.agent_version.clone(),
        credential: call.base.reference(credentials, live.credential_id()),
        id: record.id.to_string(),
        ip: record.ip.to_string(),
        metadata: record.metadata.clone(),
        os: record.os.clone(),
        region: live.region.to_string(),
        started_at: at(record.started_at_ms),
        transport: live.transport().to_owned(),
        uri: call.base.resource(SESSIONS, record.id),
    }
}

fn at(millis: i64) -> portway_api::Timestamp {
    time(Timestamp::from_millis(millis))
}
