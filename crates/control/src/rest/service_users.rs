//! Service users, also under the older name of bot users: one resource with two ids.

use std::marker::PhantomData;

use portway_api::{ServiceUserCreate, ServiceUserUpdate, read_body};
use portway_codes::PublicError;
use portway_names::{BotUserId, ServiceUserId};
use portway_store::{Following, InUse};
use serde::{Deserialize, Serialize};

use super::call::{Answer, Call, time};
use super::kind::{Kept, Kind, ResourceId, Row};
use super::{crud, lockout};
use crate::kept::principals::{AGENT_KINDS, API_KEY, CREDENTIAL, SERVICE_USER, SSH_CREDENTIAL, ServiceUserBody};

pub(crate) static SERVICE: Kind = Kind::of::<User<ServiceUserId>>();
pub(crate) static BOT: Kind = Kind::of::<User<BotUserId>>();

/// A service user under one of its names.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "", transparent)]
pub(crate) struct User<Id>(ServiceUserBody, #[serde(skip)] PhantomData<Id>);

/// Where each of the names is found.
pub(crate) trait Named {
    const COLLECTION: &'static str;
}

impl Named for ServiceUserId {
    const COLLECTION: &'static str = "/service_users";
}

impl Named for BotUserId {
    const COLLECTION: &'static str = "/bot_users";
}

/// Performs an operation of service users, whichever name they are called by.
pub(crate) async fn perform(call: &Call<'_>, kind: &Kind) -> Result<Answer, PublicError> {
    if ["update", "delete"].contains(&call.verb()) {
        let user = crud::find(call, kind, call.parameters.get("id")).await?;
        if call.verb() == "delete" || read_body::<ServiceUserUpdate>(call.body)?.active == Some(false) {
            lockout::check_own(call, &user.id)?;
        }
    }
    crud::perform(call, kind).await
}

impl<Id: ResourceId + Named> Kept for User<Id> {
    const KIND: &'static str = SERVICE_USER;
    const COLLECTION: &'static str = Id::COLLECTION;
    /// What it owns goes with it.
    const IN_USE: InUse = InUse::DeleteWith(&[CREDENTIAL, SSH_CREDENTIAL, API_KEY]);
    type Id = Id;
    type Create = ServiceUserCreate;
    type Update = ServiceUserUpdate;
    type Reply = portway_api::ServiceUser;

    fn create(_: &Call<'_>, _: &str, body: ServiceUserCreate) -> Result<Self, PublicError> {
        Ok(User(ServiceUserBody { name: body.name.into_string(), active: body.active }, PhantomData))
    }

    fn update(&mut self, _: &Call<'_>, _: &str, body: ServiceUserUpdate) -> Result<(), PublicError> {
        if let Some(name) = body.name {
            self.0.name = name.into_string();
        }
        self.0.active = body.active.unwrap_or(self.0.active);
        Ok(())
    }

    /// Edges know what it owns while it is active.
    fn referrers(&self) -> Option<Following> {
        Some(Following { followed: self.0.active, kinds: &AGENT_KINDS, through: &[] })
    }

    fn reply(&self, call: &Call<'_>, row: &Row<'_>) -> portway_api::ServiceUser {
        portway_api::ServiceUser {
            id: row.id.to_owned(),
            uri: call.base.resource(Self::COLLECTION, row.id),
            name: self.0.name.clone(),
            active: self.0.active,
            created_at: time(row.created),
        }
    }
}
