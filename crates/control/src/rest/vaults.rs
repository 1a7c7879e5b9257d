//! Vaults and the secrets in them. Values go in and are never given back.

use std::collections::HashMap;

use portway_api::{Ref, SecretCreate, SecretUpdate, VaultCreate, VaultUpdate, read_body};
use portway_codes::{Code, PublicError};
use portway_names::{AccountId, SecretId, VaultId};
use portway_store::{Referrer, Resource};
use secrecy::ExposeSecret;
use serde_json::Value;

use super::call::{Answer, Call, time};
use super::crud;
use super::dispatch::collection;
use super::kind::{Draft, Kept, Kind, Row, named, read, set};
use super::refusal::unreadable;
use crate::kept::vaults::{Secret, Vault};
use crate::random;

static VAULT: Kind = Kind::of::<Vault>();
static SECRET: Kind = Kind::of::<Secret>();

pub(crate) async fn vaults(call: &Call<'_>) -> Result<Answer, PublicError> {
    if call.verb() != "list-secrets" {
        return crud::perform(call, &VAULT).await;
    }
    let vault = crud::find(call, &VAULT, call.parameters.get("id")).await?;
    let inside = |secret: &Resource| read::<Secret>(secret).is_ok_and(|secret| secret.vault_id == vault.id);
    named_vaults(call, crud::page(call, &SECRET, inside).await?).await
}

pub(crate) async fn secrets(call: &Call<'_>) -> Result<Answer, PublicError> {
    let answer = match call.verb() {
        "create" => create(call).await?,
        _ => crud::perform(call, &SECRET).await?,
    };
    named_vaults(call, answer).await
}

async fn create(call: &Call<'_>) -> Result<Answer, PublicError> {
    let body: SecretCreate = read_body(call.body)?;
    let vault_id = match (body.vault_id, body.vault_name) {
        (Some(id), _) => id.to_string(),
        (None, Some(name)) => {
            let key = Vault::key(&call.caller.account, name.as_str());
            let found = call.inner.store.resource_by_key(Vault::KIND, &key).await.map_err(unreadable)?;
            found.ok_or_else(|| Code::ERR_NGROK_24009.plain())?.id
        }
        (None, None) => return Err(Code::ERR_NGROK_24008.plain()),
    };
    let id = (SECRET.fresh_id)(random::ksuid(call.now));
    let kept = Secret {
        description: body.description.into_string(),
        metadata: body.metadata.into_string(),
        name: body.name.as_str().to_owned(),
        vault_id,
        value: call.inner.master.seal(&Secret::value_context(&id), body.value.expose_secret().as_bytes()),
        created_by: call.caller.owner.to_string(),
        last_updated_by: call.caller.owner.to_string(),
    };
    crud::insert(call, &SECRET, Draft::new(call, id, &kept)).await
}

/// Puts the names of vaults into replies about secrets: a vault may have got another name since.
async fn named_vaults(call: &Call<'_>, answer: Answer) -> Result<Answer, PublicError> {
    let Answer::Object(mut reply) = answer else { return Ok(answer) };
    let secrets = match reply.get_mut("secrets") {
        Some(Value::Array(secrets)) => secrets.iter_mut().collect(),
        _ => vec![&mut reply],
    };
    let mut names: HashMap<String, String> = HashMap::new();
    for secret in secrets {
        let id = secret["vault"]["id"].as_str().unwrap_or_default().to_owned();
        if !names.contains_key(&id) {
            let found = call.inner.store.resource(&call.caller.account, Vault::KIND, &id).await.map_err(unreadable)?;
            // Deleted at this moment, with its secrets.
            let name = found.as_ref().map(read::<Vault>).transpose()?.map_or_else(String::new, |vault| vault.name);
            names.insert(id.clone(), name);
        }
        secret["vault_name"] = names[&id].clone().into();
    }
    Ok(Answer::Object(reply))
}

/// A reference to who did something.
fn principal(call: &Call<'_>, id: &str) -> Ref {
    call.base.reference(collection(id).unwrap_or_default(), id)
}

impl Kept for Vault {
    const KIND: &'static str = "vault";
    const COLLECTION: &'static str = "/vaults";
    type Id = VaultId;
    type Create = VaultCreate;
    type Update = VaultUpdate;
    type Reply = portway_api::Vault;

    fn create(call: &Call<'_>, _: &str, body: VaultCreate) -> Result<Self, PublicError> {
        Ok(Vault {
            description: body.description.into_string(),
            metadata: body.metadata.into_string(),
            name: body.name.as_str().to_owned(),
            created_by: call.caller.owner.to_string(),
            last_updated_by: call.caller.owner.to_string(),
        })
    }

    fn update(&mut self, call: &Call<'_>, _: &str, body: VaultUpdate) -> Result<(), PublicError> {
        set(&mut self.description, body.description);
        set(&mut self.metadata, body.metadata);
        if let Some(name) = body.name {
            self.name = name.as_str().to_owned();
        }
        self.last_updated_by = call.caller.owner.to_string();
        Ok(())
    }

    fn reply(&self, call: &Call<'_>, row: &Row<'_>) -> portway_api::Vault {
        portway_api::Vault {
            id: row.id.to_owned(),
            uri: call.base.resource(Self::COLLECTION, row.id),
            created_at: time(row.created),
            updated_at: time(row.updated),
            name: self.name.clone(),
            description: self.description.clone(),
            metadata: self.metadata.clone(),
            created_by: self.created_by.clone(),
            last_updated_by: self.last_updated_by.clone(),
        }
    }

    fn keys(&self, account: &AccountId) -> Vec<String> {
        vec![Vault::key(account, &self.name)]
    }

    fn taken(_: &str, own: Option<&str>) -> PublicError {
        let which = own.unwrap_or_default();
        Code::ERR_NGROK_23004
            .with(format!("The account has a vault of this name already: {which}. Choose another name."))
    }

    fn in_use(id: &str, referrers: &[Referrer]) -> PublicError {
        Code::ERR_NGROK_23003.with(format!("{id} still holds {}. Delete its secrets first.", named(referrers)))
    }
}

impl Kept for Secret {
    const KIND: &'static str = Secret::KIND;
    const COLLECTION: &'static str = "/vault_secrets";
    type Id = SecretId;
    type Create = SecretCreate;
    type Update = SecretUpdate;
    type Reply = portway_api::Secret;

    fn update(&mut self, call: &Call<'_>, id: &str, body: SecretUpdate) -> Result<(), PublicError> {
        set(&mut self.description, body.description);
        set(&mut self.metadata, body.metadata);
        if let Some(name) = body.name {
            self.name = name.as_str().to_owned();
        }
        if let Some(value) = body.value {
            self.value = call.inner.master.seal(&Secret::value_context(id), value.expose_secret().as_bytes());
        }
        self.last_updated_by = call.caller.owner.to_string();
        Ok(())
    }

    /// Without the name of the vault, which is the vault's.
    fn reply(&self, call: &Call<'_>, row: &Row<'_>) -> portway_api::Secret {
        portway_api::Secret {
            id: row.id.to_owned(),
            uri: call.base.resource(Self::COLLECTION, row.id),
            created_at: time(row.created),
            updated_at: time(row.updated),
            name: self.name.clone(),
            description: self.description.clone(),
            metadata: self.metadata.clone(),
            created_by: principal(call, &self.created_by),
            last_updated_by: principal(call, &self.last_updated_by),
            vault: call.base.reference(Vault::COLLECTION, &self.vault_id),
            vault_name: String::new(),
        }
    }

    fn keys(&self, _: &AccountId) -> Vec<String> {
        vec![format!("{} {}", self.vault_id, self.name)]
    }

    fn refs(&self) -> Vec<String> {
        vec![self.vault_id.clone()]
    }

    fn taken(_: &str, own: Option<&str>) -> PublicError {
        let which = own.unwrap_or_default();
        Code::ERR_NGROK_24005
            .with(format!("The vault has a secret of this name already: {which}. Choose another name."))
    }

    fn no_target(target: &str) -> PublicError {
        Code::ERR_NGROK_24006.with(format!("There is no vault {target}."))
    }
}
