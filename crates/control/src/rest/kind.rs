//! Kinds of resources that are kept in the store: what is different about each.

use std::fmt::Display;
use std::str::FromStr;

use portway_api::{Input, Text, not_found, read_body, read_id};
use portway_codes::{Code, PublicError};
use portway_names::{AccountId, HostPattern, IdError, Ksuid};
use portway_store::{Content, Following, InUse, Referrer, Resource, Timestamp};
use secrecy::SecretString;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::refusal::damaged;
use crate::rest::call::Call;

/// A kind of resource. The implementor is what the store keeps of one, as JSON.
pub(crate) trait Kept: Serialize + DeserializeOwned {
    /// Its name in the store and in errors.
    const KIND: &'static str;
    /// Where its resources are found: `/ip_policies`.
    const COLLECTION: &'static str;
    /// Whether edges follow it.
    const FOLLOWED: bool = false;
    /// What becomes of those that need it, when it is deleted.
    const IN_USE: InUse = InUse::Refuse;
    /// Its ids.
    type Id: ResourceId;
    /// What makes one.
    type Create: Input;
    /// What changes one.
    type Update: Input;
    /// How it is given back.
    type Reply: Serialize;

    /// The resource that a request makes. Kinds that must look something up first have none: they make their [`Draft`] themselves.
    fn create(_call: &Call<'_>, _id: &str, _body: Self::Create) -> Result<Self, PublicError> {
        Err(not_found())
    }

    /// Changes it as a request says. The store waits: this computes only.
    fn update(&mut self, call: &Call<'_>, id: &str, body: Self::Update) -> Result<(), PublicError>;

    /// How it is given back. No secret is in it.
    fn reply(&self, call: &Call<'_>, row: &Row<'_>) -> Self::Reply;

    /// Names that only one resource of the kind has.
    fn keys(&self, _account: &AccountId) -> Vec<String> {
        Vec::new()
    }

    /// Ids of what it needs.
    fn refs(&self) -> Vec<String> {
        Vec::new()
    }

    /// Ids of what it needs of another account.
    fn outside_refs(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether edges are to follow what needs it, from a change on.
    fn referrers(&self) -> Option<Following> {
        None
    }

    /// The host name that it reserves, with all names below.
    fn host(&self) -> Option<HostPattern> {
        None
    }

    /// When the installation is to do something with it by itself.
    fn work_at(&self) -> Option<Timestamp> {
        None
    }

    /// The error when another resource has a key; `own` is that resource when the caller may know of it.
    fn taken(_key: &str, own: Option<&str>) -> PublicError {
        let which = own.map(|id| format!(" {id}")).unwrap_or_default();
        Code::ERR_PORTWAY_40902
            .with(format!("Another {}{which} has this name already. Choose another one.", Self::KIND))
    }

    /// The error when it is to be deleted and others need it.
    fn in_use(id: &str, referrers: &[Referrer]) -> PublicError {
        Code::ERR_PORTWAY_40903.with(format!("{id} is in use by {}. Change or delete that first.", named(referrers)))
    }

    /// The error when what it needs is not there.
    fn no_target(target: &str) -> PublicError {
        Code::ERR_NGROK_215.with(format!("There is no resource {target}."))
    }
}

/// What is known of a resource beside its content.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    /// As the interface shows it.
    pub(crate) id: &'a str,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
}

/// An id of a kind of resource.
pub(crate) trait ResourceId: FromStr<Err = IdError> + Display {
    /// The prefix that the interface shows, without the underscore.
    const SHOWN: &'static str;
    /// The prefix under which the store keeps the resource.
    const STORED: &'static str;
    /// The part after the prefix.
    fn part(&self) -> &Ksuid;
}

macro_rules! resource_ids {
    ($($id:ident $(as $stored:ident)?),+ $(,)?) => {$(
        impl ResourceId for portway_names::$id {
            const SHOWN: &'static str = portway_names::$id::PREFIX;
            const STORED: &'static str = resource_ids!(@ $id $($stored)?);

            fn part(&self) -> &Ksuid {
                self.ksuid()
            }
        }
    )+};
    (@ $id:ident $stored:ident) => { portway_names::$stored::PREFIX };
    (@ $id:ident) => { portway_names::$id::PREFIX };
}

resource_ids! {
    AbuseReportId,
    AgentIngressId,
    ApiKeyId,
    BackupId,
    // A service user has two names and one row.
    BotUserId as ServiceUserId,
    CertificateAuthorityId,
    CredentialId,
    EventDestinationId,
    EventSubscriptionId,
    IpPolicyId,
    IpPolicyRuleId,
    IpRestrictionId,
    MembershipId,
    ReservedAddrId,
    ReservedDomainId,
    SecretId,
    ServiceUserId,
    SshCertificateAuthorityId,
    SshCredentialId,
    SshHostCertificateId,
    SshUserCertificateId,
    TlsCertificateId,
    UserId,
    VaultId,
}

/// A kind as the common operations see it: one compiled copy of them serves all.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) followed: bool,
    pub(crate) when_in_use: InUse,
    /// The id in the store of the resource that the interface calls by this id.
    pub(crate) stored_id: fn(&str) -> Result<String, PublicError>,
    /// And the way back.
    pub(crate) shown_id: fn(&str) -> String,
    /// A fresh id, as the store has it.
    pub(crate) fresh_id: fn(Ksuid) -> String,
    pub(crate) create: fn(&Call<'_>, String) -> Result<Draft, PublicError>,
    pub(crate) update: fn(&Call<'_>, &Resource) -> Result<Draft, PublicError>,
    pub(crate) reply: fn(&Call<'_>, &Resource) -> Result<Value, PublicError>,
    pub(crate) taken: fn(&str, Option<&str>) -> PublicError,
    pub(crate) in_use: fn(&str, &[Referrer]) -> PublicError,
    pub(crate) no_target: fn(&str) -> PublicError,
}

/// A resource as it is to be written.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) id: String,
    pub(crate) content: Content,
    pub(crate) reply: Value,
    /// Whether edges are to follow what needs it, after a change.
    pub(crate) referrers: Option<Following>,
    /// What stands in the reply to the creation only.
    pub(crate) token: Option<SecretString>,
}

impl Draft {
    /// A resource that does not exist yet.
    pub(crate) fn new<K: Kept>(call: &Call<'_>, id: String, kept: &K) -> Draft {
        let row = Row { id: &shown_id::<K>(&id), created: call.now, updated: call.now };
        let (content, reply) = written(call, &row, kept);
        Draft { id, content, reply, referrers: None, token: None }
    }

    /// A resource as it becomes by a change.
    pub(crate) fn changed<K: Kept>(
        call: &Call<'_>,
        resource: &Resource,
        change: impl FnOnce(&mut K) -> Result<(), PublicError>,
    ) -> Result<Draft, PublicError> {
        let mut kept: K = read(resource)?;
        change(&mut kept)?;
        let row = Row { id: &shown_id::<K>(&resource.id), created: resource.created, updated: call.now };
        let (content, reply) = written(call, &row, &kept);
        Ok(Draft { id: resource.id.clone(), content, reply, referrers: kept.referrers(), token: None })
    }
}

impl Kind {
    pub(crate) const fn of<K: Kept>() -> Kind {
        Kind {
            name: K::KIND,
            followed: K::FOLLOWED,
            when_in_use: K::IN_USE,
            stored_id: |id| read_id::<K::Id>(id).map(|id| format!("{}_{}", K::Id::STORED, id.part())),
            shown_id: shown_id::<K>,
            fresh_id: |ksuid| format!("{}_{ksuid}", K::Id::STORED),
            create: |call, id| {
                let kept = K::create(call, &id, read_body(call.body)?)?;
                Ok(Draft::new(call, id, &kept))
            },
            update: |call, resource| {
                Draft::changed::<K>(call, resource, |kept| kept.update(call, &resource.id, read_body(call.body)?))
            },
            reply: |call, resource| {
                let kept: K = read(resource)?;
                let row =
                    Row { id: &shown_id::<K>(&resource.id), created: resource.created, updated: resource.updated };
                Ok(as_json(&kept.reply(call, &row)))
            },
            taken: K::taken,
            in_use: K::in_use,
            no_target: K::no_target,
        }
    }
}

fn shown_id<K: Kept>(stored: &str) -> String {
    let part = stored.rsplit('_').next().unwrap_or(stored);
    format!("{}_{part}", K::Id::SHOWN)
}

/// What the store keeps of a resource.
pub(crate) fn read<K: Kept>(resource: &Resource) -> Result<K, PublicError> {
    crate::kept::read(resource).map_err(damaged)
}

fn written<K: Kept>(call: &Call<'_>, row: &Row<'_>, kept: &K) -> (Content, Value) {
    (content(&call.caller.account, kept), as_json(&kept.reply(call, row)))
}

/// How the store keeps it.
pub(crate) fn content<K: Kept>(account: &AccountId, kept: &K) -> Content {
    Content {
        body: as_json(kept).to_string(),
        keys: kept.keys(account),
        refs: kept.refs(),
        outside_refs: kept.outside_refs(),
        host: kept.host(),
        work_at: kept.work_at(),
    }
}

/// A reply as JSON.
pub(crate) fn as_json<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).expect("names of members are texts")
}

/// Takes a new value for a field, when there is one.
pub(crate) fn set<const MAX: usize>(field: &mut String, value: Option<Text<MAX>>) {
    if let Some(value) = value {
        *field = value.into_string();
    }
}

/// Some of the resources that need another one, for people.
pub(crate) fn named(referrers: &[Referrer]) -> String {
    referrers.iter().map(|referrer| referrer.id.as_str()).collect::<Vec<_>>().join(", ")
}
