//! IP policies, their rules, and restrictions that apply them.

use portway_names::IpPolicyId;

use crate::object::{body, reply};
use crate::{Description, Metadata, Network, Ref, RestrictionType, RuleAction, Several, Timestamp};

body! {
    /// An IP policy to create.
    IpPolicyCreate {
        /// What a person wants to say about the policy.
        description: Description;
        /// What a program wants to keep with the policy.
        metadata: Metadata;
    }
    refused "action" ERR_NGROK_1423;

    /// A change of an IP policy.
    IpPolicyUpdate {
        /// What a person wants to say about the policy.
        description: Option<Description>;
        /// What a program wants to keep with the policy.
        metadata: Option<Metadata>;
    }
    ignored "id";
    refused "action" ERR_NGROK_1423;
    empty ERR_NGROK_1400;

    /// A rule to add to an IP policy.
    IpPolicyRuleCreate {
        /// What a person wants to say about the rule.
        description: Description, invalid ERR_NGROK_1421;
        /// What a program wants to keep with the rule.
        metadata: Metadata;
        /// The network whose addresses it is about.
        cidr: Network, missing ERR_NGROK_1405;
        /// The policy that it belongs to.
        ip_policy_id: IpPolicyId, missing ERR_NGROK_1405, invalid ERR_NGROK_1414;
        /// What happens to these addresses.
        action: RuleAction, missing ERR_NGROK_1405, invalid ERR_NGROK_1422;
    }

    /// A change of a rule.
    IpPolicyRuleUpdate {
        /// What a person wants to say about the rule.
        description: Option<Description>, invalid ERR_NGROK_1421;
        /// What a program wants to keep with the rule.
        metadata: Option<Metadata>;
        /// The network whose addresses it is about from now on.
        cidr: Option<Network>;
    }
    ignored "id";
    empty ERR_NGROK_1401;

    /// An IP restriction to create. There can be one of each type.
    IpRestrictionCreate {
        /// What a person wants to say about the restriction.
        description: Description;
        /// What a program wants to keep with the restriction.
        metadata: Metadata;
        /// Whether others are refused; otherwise they are only warned.
        enforced: bool = false;
        /// What it protects.
        r#type: RestrictionType, missing ERR_NGROK_1803, invalid ERR_NGROK_1803;
        /// The policies that say who may pass.
        ip_policy_ids: Several<IpPolicyId>, missing ERR_NGROK_1804;
    }

    /// A change of an IP restriction.
    IpRestrictionUpdate {
        /// What a person wants to say about the restriction.
        description: Option<Description>;
        /// What a program wants to keep with the restriction.
        metadata: Option<Metadata>;
        /// Whether others are refused from now on.
        enforced: Option<bool>;
        /// The policies that say who may pass from now on. An empty list changes nothing.
        ip_policy_ids: Option<Several<IpPolicyId>>;
    }
    ignored "id";
}

reply! {
    /// An IP policy: a named set of rules.
    IpPolicy {
        /// The id.
        id: String;
        /// Where it is found.
        uri: String;
        /// When it was created.
        created_at: Timestamp;
        /// What a person said about it.
        description: String;
        /// What a program keeps with it.
        metadata: String;
    }

    /// A rule of an IP policy.
    IpPolicyRule {
        /// The id.
        id: String;
        /// Where it is found.
        uri: String;
        /// When it was created.
        created_at: Timestamp;
        /// What a person said about it.
        description: String;
        /// What a program keeps with it.
        metadata: String;
        /// The network whose addresses it is about.
        cidr: String;
        /// The policy that it belongs to.
        ip_policy: Ref;
        /// What happens to these addresses.
        action: RuleAction;
    }

    /// An IP restriction.
    IpRestriction {
        /// The id.
        id: String;
        /// Where it is found.
        uri: String;
        /// When it was created.
        created_at: Timestamp;
        /// What a person said about it.
        description: String;
        /// What a program keeps with it.
        metadata: String;
        /// Whether others are refused; otherwise they are only warned.
        enforced: bool;
        /// What it protects.
        r#type: RestrictionType;
        /// The policies that say who may pass.
        ip_policies: Vec<Ref>;
    }
}
