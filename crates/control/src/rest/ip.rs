//! IP policies, their rules, and restrictions that apply them.

use portway_api::{
    IpPolicyCreate, IpPolicyRuleCreate, IpPolicyRuleUpdate, IpPolicyUpdate, IpRestrictionCreate, IpRestrictionUpdate,
    Permission, RestrictionType, Several,
};
use portway_codes::{Code, PublicError};
use portway_names::{AccountId, IpPolicyId, IpPolicyRuleId, IpRestrictionId};
use portway_store::{InUse, Referrer};

use super::call::{Answer, Call, time};
use super::kind::{Kept, Kind, Row, set};
use super::{crud, lockout};
use crate::kept::ip::{IpPolicy, IpPolicyRule, IpRestriction};

pub(crate) static POLICY: Kind = Kind::of::<IpPolicy>();
pub(crate) static RULE: Kind = Kind::of::<IpPolicyRule>();
pub(crate) static RESTRICTION: Kind = Kind::of::<IpRestriction>();

/// Performs an operation of rules.
pub(crate) async fn rules(call: &Call<'_>) -> Result<Answer, PublicError> {
    if is_read(call) {
        return crud::perform(call, &RULE).await;
    }
    let _one_at_a_time = call.inner.restrictions.lock().await;
    lockout::check_rule(call).await?;
    crud::perform(call, &RULE).await
}

/// Performs an operation of restrictions.
pub(crate) async fn restrictions(call: &Call<'_>) -> Result<Answer, PublicError> {
    if is_read(call) {
        return crud::perform(call, &RESTRICTION).await;
    }
    let _one_at_a_time = call.inner.restrictions.lock().await;
    lockout::check_restriction(call).await?;
    crud::perform(call, &RESTRICTION).await
}

fn is_read(call: &Call<'_>) -> bool {
    call.operation.spec().permission == Permission::Read
}

impl Kept for IpPolicy {
    const KIND: &'static str = "ip_policy";
    const COLLECTION: &'static str = "/ip_policies";
    const FOLLOWED: bool = true;
    /// Its rules are a part of it.
    const IN_USE: InUse = InUse::DeleteWith(&[IpPolicyRule::KIND]);
    type Id = IpPolicyId;
    type Create = IpPolicyCreate;
    type Update = IpPolicyUpdate;
    type Reply = portway_api::IpPolicy;

    fn create(_: &Call<'_>, _: &str, body: IpPolicyCreate) -> Result<Self, PublicError> {
        Ok(IpPolicy { description: body.description.into_string(), metadata: body.metadata.into_string() })
    }

    fn update(&mut self, _: &Call<'_>, _: &str, body: IpPolicyUpdate) -> Result<(), PublicError> {
        set(&mut self.description, body.description);
        set(&mut self.metadata, body.metadata);
        Ok(())
    }

    fn reply(&self, call: &Call<'_>, row: &Row<'_>) -> portway_api::IpPolicy {
        portway_api::IpPolicy {
            id: row.id.to_owned(),
            uri: call.base.resource(Self::COLLECTION, row.id),
            created_at: time(row.created),
            description: self.description.clone(),
            metadata: self.metadata.clone(),
        }
    }

    fn in_use(id: &str, referrers: &[Referrer]) -> PublicError {
        let code = match referrers.iter().any(|referrer| referrer.kind == IpRestriction::KIND) {
            true => Code::ERR_NGROK_1420,
            false => Code::ERR_PORTWAY_40903,
        };
        code.with(format!("{id} is in use by {}. Change or delete that first.", super::kind::named(referrers)))
    }
}

impl Kept for IpPolicyRule {
    const KIND: &'static str = "ip_policy_rule";
    const COLLECTION: &'static str = "/ip_policy_rules";
    const FOLLOWED: bool = true;
    type Id = IpPolicyRuleId;
    type Create = IpPolicyRuleCreate;
    type Update = IpPolicyRuleUpdate;
    type Reply = portway_api::IpPolicyRule;

    fn create(_: &Call<'_>, _: &str, body: IpPolicyRuleCreate) -> Result<Self, PublicError> {
        Ok(IpPolicyRule {
            description: body.description.into_string(),
            metadata: body.metadata.into_string(),
            ip_policy_id: body.ip_policy_id.to_string(),
            cidr: body.cidr.to_string(),
            action: body.action,
        })
    }

    fn update(&mut self, _: &Call<'_>, _: &str, body: IpPolicyRuleUpdate) -> Result<(), PublicError> {
        set(&mut self.description, body.description);
        set(&mut self.metadata, body.metadata);
        if let Some(cidr) = body.cidr {
            self.cidr = cidr.to_string();
        }
        Ok(())
    }

    fn reply(&self, call: &Call<'_>, row: &Row<'_>) -> portway_api::IpPolicyRule {
        portway_api::IpPolicyRule {
            id: row.id.to_owned(),
            uri: call.base.resource(Self::COLLECTION, row.id),
            created_at: time(row.created),
            description: self.description.clone(),
            metadata: self.metadata.clone(),
            cidr: self.cidr.clone(),
            ip_policy: call.base.reference(IpPolicy::COLLECTION, &self.ip_policy_id),
            action: self.action,
        }
    }

    fn keys(&self, _: &AccountId) -> Vec<String> {
        vec![format!("{} {}", self.ip_policy_id, self.cidr)]
    }

    fn refs(&self) -> Vec<String> {
        vec![self.ip_policy_id.clone()]
    }

    fn taken(key: &str, own: Option<&str>) -> PublicError {
        let network = key.split(' ').next_back().unwrap_or(key);
        let rule = own.unwrap_or("another rule");
        Code::ERR_NGROK_1408
            .with(format!("The policy has a rule for {network} already: {rule}. Change or delete that one."))
    }

    fn no_target(target: &str) -> PublicError {
        Code::ERR_NGROK_1402.with(format!("There is no IP policy {target}."))
    }
}

impl Kept for IpRestriction {
    const KIND: &'static str = "ip_restriction";
    const COLLECTION: &'static str = "/ip_restrictions";
    const FOLLOWED: bool = true;
    type Id = IpRestrictionId;
    type Create = IpRestrictionCreate;
    type Update = IpRestrictionUpdate;
    type Reply = portway_api::IpRestriction;

    fn create(_: &Call<'_>, _: &str, body: IpRestrictionCreate) -> Result<Self, PublicError> {
        Ok(IpRestriction {
            description: body.description.into_string(),
            metadata: body.metadata.into_string(),
            r#type: body.r#type,
            enforced: body.enforced,
            ip_policy_ids: ids(body.ip_policy_ids),
        })
    }

    fn update(&mut self, _: &Call<'_>, _: &str, body: IpRestrictionUpdate) -> Result<(), PublicError> {
        set(&mut self.description, body.description);
        set(&mut self.metadata, body.metadata);
        self.enforced = body.enforced.unwrap_or(self.enforced);
        if let Some(policies) = body.ip_policy_ids {
            self.ip_policy_ids = ids(policies);
        }
        Ok(())
    }

    fn reply(&self, call: &Call<'_>, row: &Row<'_>) -> portway_api::IpRestriction {
        let policy = |id: &String| call.base.reference(IpPolicy::COLLECTION, id);
        portway_api::IpRestriction {
            id: row.id.to_owned(),
            uri: call.base.resource(Self::COLLECTION, row.id),
            created_at: time(row.created),
            description: self.description.clone(),
            metadata: self.metadata.clone(),
            enforced: self.enforced,
            r#type: self.r#type,
            ip_policies: self.ip_policy_ids.iter().map(policy).collect(),
        }
    }

    fn keys(&self, account: &AccountId) -> Vec<String> {
        vec![IpRestriction::key(account, self.r#type)]
    }

    fn refs(&self) -> Vec<String> {
        self.ip_policy_ids.clone()
    }

    fn taken(_: &str, own: Option<&str>) -> PublicError {
        let which = own.unwrap_or_default();
        Code::ERR_NGROK_1802
            .with(format!("The account has a restriction of this type already: {which}. Change that one."))
    }

    fn no_target(target: &str) -> PublicError {
        Code::ERR_NGROK_1801.with(format!("There is no IP policy {target}."))
    }
}

impl IpRestriction {
    /// The key of an account's restriction of this type.
    pub(crate) fn key(account: &AccountId, r#type: RestrictionType) -> String {
        format!("{account} {type}")
    }
}

fn ids(policies: Several<IpPolicyId>) -> Vec<String> {
    policies.as_slice().iter().map(IpPolicyId::to_string).collect()
}
