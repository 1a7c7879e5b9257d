//! IP policies as the control plane tells them. Ids are made of small numbers.

use portway_access::{IpAction, RestrictionType};
use portway_names::{AccountId, IpPolicyId, IpPolicyRuleId, IpRestrictionId, Ksuid};
use portway_proto::{IpPolicyRecord, IpPolicyRuleRecord, IpRestrictionRecord, ReplicaRecord};

fn ksuid(number: u8) -> Ksuid {
    Ksuid::from_parts(1_700_000_000, [number; 16])
}

/// The id of a policy.
pub(crate) fn policy_id(number: u8) -> IpPolicyId {
    IpPolicyId::new(ksuid(number))
}

/// A policy.
pub(crate) fn policy(account: AccountId, number: u8) -> ReplicaRecord {
    ReplicaRecord::IpPolicy(IpPolicyRecord { id: policy_id(number), account })
}

/// A rule of a policy.
pub(crate) fn rule(account: AccountId, policy: u8, number: u8, network: &str, action: IpAction) -> ReplicaRecord {
    ReplicaRecord::IpPolicyRule(IpPolicyRuleRecord {
        id: IpPolicyRuleId::new(ksuid(number)),
        account,
        policy: policy_id(policy),
        network: network.parse().unwrap(),
        action,
    })
}

/// The restriction of this type; its id is the account's.
pub(crate) fn restriction(
    account: AccountId,
    kind: RestrictionType,
    enforced: bool,
    policies: &[u8],
) -> IpRestrictionRecord {
    let policies = policies.iter().map(|number| policy_id(*number)).collect();
    IpRestrictionRecord { id: IpRestrictionId::new(*account.ksuid()), account, kind, enforced, policies }
}
