//! Reserved TCP addresses.

use portway_api::{ReservedAddrCreate, ReservedAddrUpdate, read_body};
use portway_codes::{Code, PublicError};
use portway_names::{AccountId, ReservedAddrId};
use portway_store::ReservedName;

use super::call::{Answer, Call, time};
use super::crud;
use super::kind::{Draft, Kept, Kind, Row, read, set};
use super::refusal::{unreadable, unwritable};
use crate::kept::names::ReservedAddr;
use crate::random;

pub(crate) static ADDR: Kind = Kind::of::<ReservedAddr>();

/// Performs an operation of reserved addresses.
pub(crate) async fn perform(call: &Call<'_>) -> Result<Answer, PublicError> {
    match call.verb() {
        "create" => create(call).await,
        "delete" => delete(call).await,
        _ => crud::perform(call, &ADDR).await,
    }
}

/// Gives the address up: what the account serves there goes offline.
async fn delete(call: &Call<'_>) -> Result<Answer, PublicError> {
    let addr: ReservedAddr = read(&crud::find(call, &ADDR, call.parameters.get("id")).await?)?;
    let answer = crud::delete(call, &ADDR).await?;
    let name = ReservedName::Addr(addr.addr);
    let ended = call.inner.store.end_leases_below(&call.caller.account, &name, call.now).await;
    ended.map_err(unwritable)?;
    call.announce().await;
    Ok(answer)
}

/// Reserves a port that nobody has.
async fn create(call: &Call<'_>) -> Result<Answer, PublicError> {
    let body: ReservedAddrCreate = read_body(call.body)?;
    let names = &call.inner.names;
    let region = body.region.unwrap_or_else(|| names.region.clone());
    if !names.regions().contains(&region.as_str()) {
        return Err(Code::ERR_NGROK_500.with(format!("There is no region {region}. Leave it out.")));
    }
    let (description, metadata) = (body.description.into_string(), body.metadata.into_string());
    // From a port that nobody can guess, so that two calls at once do not try the same ones.
    let ports = names.tcp_ports.clone();
    let first = ports.clone().nth(random::below(ports.len())).unwrap_or_default();
    let order = ports.clone().filter(|port| *port >= first).chain(ports.filter(|port| *port < first));
    for port in order {
        let addr = format!("{}:{port}", names.tcp_host);
        if !is_free(call, &addr).await? {
            continue;
        }
        let kept = ReservedAddr {
            addr,
            region: region.to_string(),
            description: description.clone(),
            metadata: metadata.clone(),
        };
        let draft = Draft::new(call, (ADDR.fresh_id)(random::ksuid(call.now)), &kept);
        match crud::insert(call, &ADDR, draft).await {
            // Another call was faster.
            Err(error) if error.code == Code::ERR_PORTWAY_40902 => {}
            done => return done,
        }
    }
    Err(Code::ERR_NGROK_503.plain())
}

/// Whether nobody has reserved the address, and nobody else serves it.
async fn is_free(call: &Call<'_>, addr: &str) -> Result<bool, PublicError> {
    let store = &call.inner.store;
    if store.resource_by_key(ReservedAddr::KIND, addr).await.map_err(unreadable)?.is_some() {
        return Ok(false);
    }
    let holder = store.lease_holder(&format!("tcp://{addr}"), call.now).await.map_err(unreadable)?;
    Ok(holder.is_none_or(|holder| holder == call.caller.account))
}

impl Kept for ReservedAddr {
    const KIND: &'static str = "reserved_addr";
    const COLLECTION: &'static str = "/reserved_addrs";
    const FOLLOWED: bool = true;
    type Id = ReservedAddrId;
    type Create = ReservedAddrCreate;
    type Update = ReservedAddrUpdate;
    type Reply = portway_api::ReservedAddr;

    fn update(&mut self, _: &Call<'_>, _: &str, body: ReservedAddrUpdate) -> Result<(), PublicError> {
        set(&mut self.description, body.description);
        set(&mut self.metadata, body.metadata);
        Ok(())
    }

    fn reply(&self, call: &Call<'_>, row: &Row<'_>) -> portway_api::ReservedAddr {
        portway_api::ReservedAddr {
            id: row.id.to_owned(),
            uri: call.base.resource(Self::COLLECTION, row.id),
            created_at: time(row.created),
            description: self.description.clone(),
            metadata: self.metadata.clone(),
            addr: self.addr.clone(),
            region: self.region.clone(),
            endpoint_configuration: None,
        }
    }

    fn keys(&self, _: &AccountId) -> Vec<String> {
        vec![self.addr.clone()]
    }
}
