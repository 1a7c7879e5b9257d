//! Authtokens, SSH keys and API keys.

use portway_access::Acl;
use portway_api::{
    ApiKeyCreate, ApiKeyUpdate, CredentialCreate, CredentialUpdate, SshCredentialCreate, SshCredentialUpdate, read_body,
};
use portway_codes::{Code, PublicError};
use portway_names::{AccountId, ApiKeyId, CredentialId, SshCredentialId};
use secrecy::{ExposeSecret, SecretString};

use super::call::{Answer, Call, time};
use super::crud;
use super::kind::{Draft, Kept, Kind, Row, set};
use super::owner::{self, NewOwner};
use super::refusal::unreadable;
use crate::kept::principals::{
    API_KEY, ApiKeyBody, CREDENTIAL, CredentialBody, SSH_CREDENTIAL, SshCredentialBody, owner_ref,
};
use crate::random;

pub(crate) static AUTHTOKEN: Kind = Kind::of::<CredentialBody>();
pub(crate) static SSH_KEY: Kind = Kind::of::<SshCredentialBody>();
pub(crate) static KEY: Kind = Kind::of::<ApiKeyBody>();

/// Performs an operation of authtokens.
pub(crate) async fn authtokens(call: &Call<'_>) -> Result<Answer, PublicError> {
    if call.verb() != "create" {
        return crud::perform(call, &AUTHTOKEN).await;
    }
    let body: CredentialCreate = read_body(call.body)?;
    let owner = owner::find(call, body.owner_id, body.owner_email, body.scim_user_id).await?;
    let token = SecretString::from(random::token(call.now));
    let kept = CredentialBody {
        description: body.description.into_string(),
        metadata: body.metadata.into_string(),
        acl: body.acl.rules().collect(),
        digest: random::token_digest(token.expose_secret()),
        owner_id: Some(owner.id.clone()),
        membership_id: owner.membership(),
    };
    insert(call, &AUTHTOKEN, &owner, &kept, Some(token)).await
}

/// Performs an operation of SSH keys.
pub(crate) async fn ssh_keys(call: &Call<'_>) -> Result<Answer, PublicError> {
    if call.verb() != "create" {
        return crud::perform(call, &SSH_KEY).await;
    }
    let body: SshCredentialCreate = read_body(call.body)?;
    let owner = owner::find(call, body.owner_id, body.owner_email, None).await?;
    let digest = random::digest_of(&body.public_key.key.secret());
    // Before SSH keys were a kind of their own, those of the command line were kept as authtokens.
    let older = call.inner.store.resource_by_key(CREDENTIAL, &digest.to_string()).await.map_err(unreadable)?;
    if let Some(older) = older {
        let own = older.account == call.caller.account;
        return Err(SshCredentialBody::taken("", own.then_some(older.id.as_str())));
    }
    let kept = SshCredentialBody {
        description: body.description.into_string(),
        metadata: body.metadata.into_string(),
        acl: body.acl.rules().collect(),
        digest,
        owner_id: Some(owner.id.clone()),
        membership_id: owner.membership(),
        public_key: body.public_key.text,
    };
    insert(call, &SSH_KEY, &owner, &kept, None).await
}

/// Performs an operation of API keys.
pub(crate) async fn api_keys(call: &Call<'_>) -> Result<Answer, PublicError> {
    if call.verb() != "create" {
        return crud::perform(call, &KEY).await;
    }
    let body: ApiKeyCreate = read_body(call.body)?;
    let owner = owner::find(call, body.owner_id, body.owner_email, body.scim_user_id).await?;
    let token = SecretString::from(random::token(call.now));
    let kept = ApiKeyBody {
        description: body.description.into_string(),
        metadata: body.metadata.into_string(),
        digest: random::token_digest(token.expose_secret()),
        owner_id: owner.id.clone(),
        membership_id: owner.membership(),
    };
    insert(call, &KEY, &owner, &kept, Some(token)).await
}

async fn insert<K: Kept>(
    call: &Call<'_>,
    kind: &Kind,
    owner: &NewOwner,
    kept: &K,
    token: Option<SecretString>,
) -> Result<Answer, PublicError> {
    let draft = Draft { token, ..Draft::new(call, (kind.fresh_id)(random::ksuid(call.now)), kept) };
    owner::insert(call, kind, owner, draft).await
}

fn set_acl(acl: &mut Vec<String>, change: Option<Acl>) {
    if let Some(change) = change {
        *acl = change.rules().collect();
    }
}

impl Kept for CredentialBody {
    const KIND: &'static str = CREDENTIAL;
    const COLLECTION: &'static str = "/credentials";
    const FOLLOWED: bool = true;
    type Id = CredentialId;
    type Create = CredentialCreate;
    type Update = CredentialUpdate;
    type Reply = portway_api::Credential;

    fn update(&mut self, _: &Call<'_>, _: &str, body: CredentialUpdate) -> Result<(), PublicError> {
        set(&mut self.description, body.description);
        set(&mut self.metadata, body.metadata);
        set_acl(&mut self.acl, body.acl);
        Ok(())
    }

    fn reply(&self, call: &Call<'_>, row: &Row<'_>) -> portway_api::Credential {
        portway_api::Credential {
            id: row.id.to_owned(),
            uri: call.base.resource(Self::COLLECTION, row.id),
            created_at: time(row.created),
            description: self.description.clone(),
            metadata: self.metadata.clone(),
            token: None,
            acl: self.acl.clone(),
            owner_id: self.owner_id.clone(),
        }
    }

    fn keys(&self, _: &AccountId) -> Vec<String> {
        vec![self.digest.to_string()]
    }

    fn refs(&self) -> Vec<String> {
        owner_ref(self.owner_id.as_ref(), self.membership_id.as_ref())
    }
}

impl Kept for SshCredentialBody {
    const KIND: &'static str = SSH_CREDENTIAL;
    const COLLECTION: &'static str = "/ssh_credentials";
    const FOLLOWED: bool = true;
    type Id = SshCredentialId;
    type Create = SshCredentialCreate;
    type Update = SshCredentialUpdate;
    type Reply = portway_api::SshCredential;

    fn update(&mut self, _: &Call<'_>, _: &str, body: SshCredentialUpdate) -> Result<(), PublicError> {
        set(&mut self.description, body.description);
        set(&mut self.metadata, body.metadata);
        set_acl(&mut self.acl, body.acl);
        Ok(())
    }

    fn reply(&self, call: &Call<'_>, row: &Row<'_>) -> portway_api::SshCredential {
        portway_api::SshCredential {
            id: row.id.to_owned(),
            uri: call.base.resource(Self::COLLECTION, row.id),
            created_at: time(row.created),
            description: self.description.clone(),
            metadata: self.metadata.clone(),
            public_key: self.public_key.clone(),
            acl: self.acl.clone(),
            owner_id: self.owner_id.clone(),
        }
    }

    fn keys(&self, _: &AccountId) -> Vec<String> {
        vec![self.digest.to_string()]
    }

    fn refs(&self) -> Vec<String> {
        owner_ref(self.owner_id.as_ref(), self.membership_id.as_ref())
    }

    fn taken(_: &str, own: Option<&str>) -> PublicError {
        match own {
            Some(id) => {
                Code::ERR_NGROK_609.with(format!("The account has this SSH key already, as {id}. Use that entry."))
            }
            None => Code::ERR_NGROK_610.plain(),
        }
    }
}

impl Kept for ApiKeyBody {
    const KIND: &'static str = API_KEY;
    const COLLECTION: &'static str = "/api_keys";
    type Id = ApiKeyId;
    type Create = ApiKeyCreate;
    type Update = ApiKeyUpdate;
    type Reply = portway_api::ApiKey;

    fn update(&mut self, _: &Call<'_>, _: &str, body: ApiKeyUpdate) -> Result<(), PublicError> {
        set(&mut self.description, body.description);
        set(&mut self.metadata, body.metadata);
        Ok(())
    }

    fn reply(&self, call: &Call<'_>, row: &Row<'_>) -> portway_api::ApiKey {
        portway_api::ApiKey {
            id: row.id.to_owned(),
            uri: call.base.resource(Self::COLLECTION, row.id),
            description: self.description.clone(),
            metadata: self.metadata.clone(),
            created_at: time(row.created),
            token: None,
            owner_id: Some(self.owner_id.clone()),
        }
    }

    fn keys(&self, _: &AccountId) -> Vec<String> {
        vec![self.digest.to_string()]
    }

    fn refs(&self) -> Vec<String> {
        owner_ref(Some(&self.owner_id), self.membership_id.as_ref())
    }
}
