//! Users, what makes them members of accounts, service users, and what they own: authtokens, SSH keys, API keys.
//!
//! What is owned refers to its owner: to the service user, or to the membership of the user in that account. So it goes with the owner, and
//! edges are not given it while the owner is inactive.

use std::fmt;

use portway_api::{DeveloperRole, TeamRole};
use portway_names::{AccountId, ApiKeyId, BotUserId, CredentialId, IdError, ServiceUserId, SshCredentialId, UserId};
use portway_store::{Digest, Store, StoreError, WithNeeds};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::kept::{BodyFault, read};

/// An authtoken.
pub(crate) const CREDENTIAL: &str = "credential";
/// A public SSH key that may log in.
pub(crate) const SSH_CREDENTIAL: &str = "ssh_credential";
/// A key of the REST interface.
pub(crate) const API_KEY: &str = "api_key";
/// Somebody who signs in. Belongs to the operator's account.
pub(crate) const USER: &str = "user";
/// That a user may use an account. Belongs to that account.
pub(crate) const MEMBERSHIP: &str = "membership";
/// A program that owns keys.
pub(crate) const SERVICE_USER: &str = "service_user";

/// What opens sessions of agents, authtokens first.
pub(crate) const AGENT_KINDS: [&str; 2] = [CREDENTIAL, SSH_CREDENTIAL];

/// An authtoken: what is kept of it is its digest, which is its key.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CredentialBody {
    pub(crate) description: String,
    pub(crate) metadata: String,
    /// Rules in their text form; empty means no restriction.
    pub(crate) acl: Vec<String>,
    pub(crate) digest: Digest,
    /// `usr_…`, `service_…` or `bot_…`, as whoever made it called the owner. Those that the operator made on the server's host have none.
    pub(crate) owner_id: Option<String>,
    /// The membership by which a user owns it; it refers to that, and so goes with it.
    #[serde(default)]
    pub(crate) membership_id: Option<String>,
}

/// A public SSH key. Its digest, which is its key, is that of [`portway_access::SshKey::secret`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SshCredentialBody {
    pub(crate) description: String,
    pub(crate) metadata: String,
    pub(crate) acl: Vec<String>,
    pub(crate) digest: Digest,
    pub(crate) owner_id: Option<String>,
    /// The membership by which a user owns it; it refers to that, and so goes with it.
    #[serde(default)]
    pub(crate) membership_id: Option<String>,
    /// As a line of `authorized_keys`.
    pub(crate) public_key: String,
}

/// A key of the REST interface: what is kept of it is its digest, which is its key.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ApiKeyBody {
    pub(crate) description: String,
    pub(crate) metadata: String,
    pub(crate) digest: Digest,
    /// `usr_…`, `service_…` or `bot_…`, as whoever made it called the owner.
    pub(crate) owner_id: String,
    /// The membership by which a user owns it; it refers to that, and so goes with it.
    #[serde(default)]
    pub(crate) membership_id: Option<String>,
}

/// Somebody who signs in. The address, in lower case, is its key.
#[derive(Serialize, Deserialize)]
pub(crate) struct UserBody {
    pub(crate) email: String,
    pub(crate) name: String,
    pub(crate) active: bool,
    /// argon2id, as a PHC string.
    pub(crate) password_hash: String,
}

/// That a user may use an account, and what for. Its key is [`membership_key`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct MembershipBody {
    pub(crate) user_id: String,
    pub(crate) developer: DeveloperRole,
    pub(crate) team: TeamRole,
    pub(crate) administrator: bool,
}

/// A program that owns keys.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ServiceUserBody {
    pub(crate) name: String,
    pub(crate) active: bool,
}

/// The hash can be attacked offline, so it is not shown.
impl fmt::Debug for UserBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserBody").field("email", &self.email).field("active", &self.active).finish_non_exhaustive()
    }
}

/// Whose an API key is, and what they may do. They are active, and so is their account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Principal {
    /// The account that a call is about.
    pub(crate) account: AccountId,
    /// The key.
    pub(crate) api_key: ApiKeyId,
    /// Who owns it.
    pub(crate) owner: Owner,
    /// What they may do with the account's resources.
    pub(crate) developer: DeveloperRole,
    /// What they may do with the account's members.
    pub(crate) team: TeamRole,
    /// Whether they may do everything.
    pub(crate) administrator: bool,
}

/// Who owns a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    User(UserId),
    ServiceUser(ServiceUserId),
}

/// Why nobody may call with a key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoCaller {
    #[error("there is no such API key")]
    Unknown,
    #[error("its owner is inactive")]
    OwnerInactive,
    #[error("the account is suspended")]
    AccountSuspended,
    #[error(transparent)]
    Body(#[from] BodyFault),
    #[error("an id in the database cannot be read: {0}")]
    Id(#[from] IdError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Owner::User(id) => id.fmt(f),
            Owner::ServiceUser(id) => id.fmt(f),
        }
    }
}

/// The id by which edges know what an agent has logged in with: an SSH key is to them the authtoken with the same KSUID.
pub(crate) fn edge_id(id: &str) -> String {
    id.parse().map_or_else(|_| id.to_owned(), |key: SshCredentialId| CredentialId::new(*key.ksuid()).to_string())
}

/// The kinds and ids of what edges may know by this id.
pub(crate) fn known_as(id: &CredentialId) -> [(&'static str, String); 2] {
    [(CREDENTIAL, id.to_string()), (SSH_CREDENTIAL, SshCredentialId::new(*id.ksuid()).to_string())]
}

/// What something refers to that has this owner.
pub(crate) fn owner_ref(owner: Option<&String>, membership: Option<&String>) -> Vec<String> {
    membership.cloned().or_else(|| owner.map(|owner| stored_owner(owner))).into_iter().collect()
}

/// The id under which an owner is kept: service users also have their older name.
pub(crate) fn stored_owner(named: &str) -> String {
    let bot = named.parse::<BotUserId>().ok();
    bot.map_or_else(|| named.to_owned(), |bot| ServiceUserId::new(*bot.ksuid()).to_string())
}

/// The key of the membership of a user in an account.
pub(crate) fn membership_key(account: &AccountId, user: &str) -> String {
    format!("{account} {user}")
}

/// Whose the API key with this digest is. They are found when they may call at all: the owner is active, and so is the account.
pub(crate) async fn caller(store: &Store, digest: &Digest) -> Result<Principal, NoCaller> {
    let found = store.resource_by_key_with_needs(API_KEY, &digest.to_string()).await?.ok_or(NoCaller::Unknown)?;
    let key: ApiKeyBody = read(&found.resource)?;
    // The index found it by its beginning, in a time that says how long that is; from here on nothing does.
    if aws_lc_rs::constant_time::verify_slices_are_equal(key.digest.as_bytes(), digest.as_bytes()).is_err() {
        return Err(NoCaller::Unknown);
    }
    if found.suspended {
        return Err(NoCaller::AccountSuspended);
    }
    let owner = stored_owner(&key.owner_id);
    match owner.parse() {
        Ok(id) => service_user(&found, id),
        Err(_) => member(&found, owner.parse()?),
    }
}

fn service_user(key: &WithNeeds, id: ServiceUserId) -> Result<Principal, NoCaller> {
    let ServiceUserBody { active: true, .. } = needed(key, SERVICE_USER)? else { return Err(NoCaller::OwnerInactive) };
    Ok(Principal {
        account: key.resource.account,
        api_key: key.resource.id.parse()?,
        owner: Owner::ServiceUser(id),
        // Programs have no roles: they do what a developer may do.
        developer: DeveloperRole::ReadWrite,
        team: TeamRole::ReadOnly,
        administrator: false,
    })
}

fn member(key: &WithNeeds, id: UserId) -> Result<Principal, NoCaller> {
    let UserBody { active: true, .. } = needed(key, USER)? else { return Err(NoCaller::OwnerInactive) };
    let membership: MembershipBody = needed(key, MEMBERSHIP)?;
    Ok(Principal {
        account: key.resource.account,
        api_key: key.resource.id.parse()?,
        owner: Owner::User(id),
        developer: membership.developer,
        team: membership.team,
        administrator: membership.administrator,
    })
}

/// What a key refers to: its owner, or the membership by which the owner has it and then the owner.
fn needed<T: DeserializeOwned>(key: &WithNeeds, kind: &str) -> Result<T, NoCaller> {
    let found = key.needs.iter().find(|needed| needed.kind == kind).ok_or(NoCaller::OwnerInactive)?;
    Ok(read(found)?)
}

#[cfg(test)]
mod tests;
