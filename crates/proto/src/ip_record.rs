//! IP policies, their rules and restrictions in an edge's replica, checked.

use portway_access::{Cidr, IpAction, RestrictionType};
use portway_names::{AccountId, IpPolicyId, IpPolicyRuleId, IpRestrictionId};

use crate::FieldError;
use crate::control::v1::{IpAction as ActionField, IpRestrictionType as TypeField};
use crate::control::v1::{IpPolicy, IpPolicyRule, IpRestriction};
use crate::field::{parse, unknown};

/// A named set of rules about addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpPolicyRecord {
    /// Id of the policy.
    pub id: IpPolicyId,
    /// Its account.
    pub account: AccountId,
}

/// A rule of an IP policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpPolicyRuleRecord {
    /// Id of the rule.
    pub id: IpPolicyRuleId,
    /// Its account.
    pub account: AccountId,
    /// The policy that it belongs to.
    pub policy: IpPolicyId,
    /// The addresses that it is about.
    pub network: Cidr,
    /// What happens to them.
    pub action: IpAction,
}

/// Where an account applies IP policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpRestrictionRecord {
    /// Id of the restriction.
    pub id: IpRestrictionId,
    /// Its account.
    pub account: AccountId,
    /// What it protects.
    pub kind: RestrictionType,
    /// Whether those who are not admitted are refused.
    pub enforced: bool,
    /// The policies whose rules count together.
    pub policies: Vec<IpPolicyId>,
}

impl IpPolicyRecord {
    pub(crate) fn from_message(id: &str, message: &IpPolicy) -> Result<Self, FieldError> {
        Ok(IpPolicyRecord { id: parse("id", id)?, account: parse("account_id", &message.account_id)? })
    }

    pub(crate) fn to_message(&self) -> IpPolicy {
        IpPolicy { account_id: self.account.to_string() }
    }
}

impl IpPolicyRuleRecord {
    pub(crate) fn from_message(id: &str, message: &IpPolicyRule) -> Result<Self, FieldError> {
        let action = match ActionField::try_from(message.action) {
            Ok(ActionField::Allow) => IpAction::Allow,
            Ok(ActionField::Deny) => IpAction::Deny,
            Ok(ActionField::Unspecified) | Err(_) => return Err(unknown("action", message.action)),
        };
        Ok(IpPolicyRuleRecord {
            id: parse("id", id)?,
            account: parse("account_id", &message.account_id)?,
            policy: parse("ip_policy_id", &message.ip_policy_id)?,
            network: parse("cidr", &message.cidr)?,
            action,
        })
    }

    pub(crate) fn to_message(&self) -> IpPolicyRule {
        let action = match self.action {
            IpAction::Allow => ActionField::Allow,
            IpAction::Deny => ActionField::Deny,
        };
        IpPolicyRule {
            account_id: self.account.to_string(),
            ip_policy_id: self.policy.to_string(),
            cidr: self.network.to_string(),
            action: action.into(),
        }
    }
}

impl IpRestrictionRecord {
    pub(crate) fn from_message(id: &str, message: &IpRestriction) -> Result<Self, FieldError> {
        let kind = match TypeField::try_from(message.r#type) {
            Ok(TypeField::Dashboard) => RestrictionType::Dashboard,
            Ok(TypeField::Api) => RestrictionType::Api,
            Ok(TypeField::Agent) => RestrictionType::Agent,
            Ok(TypeField::Endpoints) => RestrictionType::Endpoints,
            Ok(TypeField::Unspecified) | Err(_) => return Err(unknown("type", message.r#type)),
        };
        Ok(IpRestrictionRecord {
            id: parse("id", id)?,
            account: parse("account_id", &message.account_id)?,
            kind,
            enforced: message.enforced,
            policies: message.ip_policy_ids.iter().map(|id| parse("ip_policy_ids", id)).collect::<Result<_, _>>()?,
        })
    }

    pub(crate) fn to_message(&self) -> IpRestriction {
        let kind = match self.kind {
            RestrictionType::Dashboard => TypeField::Dashboard,
            RestrictionType::Api => TypeField::Api,
            RestrictionType::Agent => TypeField::Agent,
            RestrictionType::Endpoints => TypeField::Endpoints,
        };
        IpRestriction {
            account_id: self.account.to_string(),
            r#type: kind.into(),
            enforced: self.enforced,
            ip_policy_ids: self.policies.iter().map(IpPolicyId::to_string).collect(),
        }
    }
}
