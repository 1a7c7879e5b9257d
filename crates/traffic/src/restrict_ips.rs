//! `restrict-ips`: which addresses visitors may come from.

use std::net::IpAddr;

use portway_access::{Cidr, IpAction, IpRules, admitted};
use portway_codes::Code;
use portway_names::IpPolicyId;
use serde::Deserialize;

use crate::ConfigError;

/// Networks in one list. The list is the owner's and is searched by halves; this bounds what it holds in memory (64 KiB).
const NETWORKS_MAX: usize = 1_000;

/// IP policies of one action: each is looked up for every visitor.
const POLICIES_MAX: usize = 100;

/// Configuration of `restrict-ips`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestrictIpsConfig {
    /// Networks in CIDR notation, or addresses, that visitors may come from. Empty, and without IP policies: any that is not denied.
    #[serde(default)]
    pub allow: Vec<String>,
    /// Networks that visitors may not come from, whatever `allow` and the policies say.
    #[serde(default)]
    pub deny: Vec<String>,
    /// Ids of IP policies of the account, whose rules count as if they stood in `allow` and `deny`.
    #[serde(default)]
    pub ip_policies: Vec<String>,
    /// Whether visitors from elsewhere are refused. Default: true.
    #[serde(default = "crate::action::yes")]
    pub enforce: bool,
}

/// The compiled action.
#[derive(Clone, Debug)]
pub struct RestrictIps {
    own: IpRules,
    /// Nothing is allowed by name: whoever is not denied may come.
    open: bool,
    policies: Box<[IpPolicyId]>,
    enforce: bool,
}

impl RestrictIps {
    /// Type of the action.
    pub const NAME: &str = "restrict-ips";

    /// Compiles the action.
    ///
    /// # Errors
    /// A network that is none (2217), more than 1,000 in a list or more than 100 IP policies (2218), neither a network nor a policy (2223), a
    /// text that is no id of an IP policy (2216).
    pub fn new(config: &RestrictIpsConfig) -> Result<RestrictIps, ConfigError> {
        let RestrictIpsConfig { allow, deny, ip_policies, enforce } = config;
        if allow.is_empty() && deny.is_empty() && ip_policies.is_empty() {
            return Err(ConfigError::empty(Self::NAME, "allow"));
        }
        let allowed = networks("allow", allow)?.into_iter().map(|network| (network, IpAction::Allow));
        let denied = networks("deny", deny)?.into_iter().map(|network| (network, IpAction::Deny));
        Ok(RestrictIps {
            own: allowed.chain(denied).collect(),
            open: allow.is_empty() && ip_policies.is_empty(),
            policies: policies(ip_policies)?,
            enforce: *enforce,
        })
    }

    /// The IP policies that it refers to.
    pub fn policies(&self) -> &[IpPolicyId] {
        &self.policies
    }

    /// Whether a visitor may pass. `ip` is the address of its connection, never one that it says itself; `verdict` is what an IP policy says of
    /// it: one that is gone says nothing.
    pub fn permits(&self, ip: IpAddr, verdict: impl Fn(&IpPolicyId) -> Option<IpAction>) -> bool {
        let own = self.own.verdict(ip).or(self.open.then_some(IpAction::Allow));
        !self.enforce || admitted(std::iter::once(own).chain(self.policies.iter().map(verdict)))
    }
}

fn networks(field: &str, texts: &[String]) -> Result<Vec<Cidr>, ConfigError> {
    if texts.len() > NETWORKS_MAX {
        return Err(ConfigError::too_many(RestrictIps::NAME, field, NETWORKS_MAX));
    }
    let network = |(at, text): (usize, &String)| {
        text.parse::<Cidr>().map_err(|error| {
            let field = format!("{field}[{at}]");
            ConfigError::new(Code::ERR_NGROK_2217, RestrictIps::NAME, field, error.to_string())
        })
    };
    texts.iter().enumerate().map(network).collect()
}

fn policies(texts: &[String]) -> Result<Box<[IpPolicyId]>, ConfigError> {
    if texts.len() > POLICIES_MAX {
        return Err(ConfigError::too_many(RestrictIps::NAME, "ip_policies", POLICIES_MAX));
    }
    let policy = |(at, text): (usize, &String)| {
        text.parse().map_err(|_| {
            let (field, why) = (format!("ip_policies[{at}]"), "it is no id of an IP policy; such ids begin with ipp_");
            ConfigError::new(Code::ERR_NGROK_2216, RestrictIps::NAME, field, why)
        })
    };
    texts.iter().enumerate().map(policy).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(allow: &[&str], deny: &[&str], policies: &[&str]) -> Result<RestrictIps, ConfigError> {
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        let (allow, deny, ip_policies) = (texts(allow), texts(deny), texts(policies));
        RestrictIps::new(&RestrictIpsConfig { allow, deny, ip_policies, enforce: true })
    }

    /// Without any IP policy in the account.
    fn permits(action: &RestrictIps, ip: &str) -> bool {
        action.permits(ip.parse().unwrap(), |_| None)
    }

    #[test]
    fn an_address_must_be_allowed_and_not_denied() {
        let all = action(&["10.0.0.0/8", "2001:db8::/32"], &["10.9.0.0/16"], &[]).unwrap();
        let deny_only = action(&[], &["10.9.0.0/16"], &[]).unwrap();
        let allow_only = action(&["10.9.0.0/16"], &[], &[]).unwrap();
        for (ip, by_all, by_deny, by_allow) in [
            ("10.1.2.3", true, true, false),
            ("::ffff:10.1.2.3", true, true, false),
            ("10.9.2.3", false, false, true),
            ("::ffff:10.9.2.3", false, false, true),
            ("192.0.2.1", false, true, false),
            ("2001:db8::1", true, true, false),
            ("2001:db9::1", false, true, false),
        ] {
            let found = (permits(&all, ip), permits(&deny_only, ip), permits(&allow_only, ip));
            assert_eq!(found, (by_all, by_deny, by_allow), "{ip}");
        }
    }

    #[test]
    fn rules_of_policies_count_with_those_of_the_action() {
        let (office, guests) = ("ipp_0ujtsYcgvSTl8PAuAdqWYSMnLOv", "ipp_0ujssxh0cECutqzMgbtXSGnjorm");
        let rule = |text: &str, action| (text.parse::<Cidr>().unwrap(), action);
        let office_rules: IpRules = [rule("192.0.2.0/24", IpAction::Allow)].into_iter().collect();
        let guest_rules: IpRules =
            [rule("198.51.100.0/24", IpAction::Allow), rule("192.0.2.9/32", IpAction::Deny)].into_iter().collect();
        let permits = |action: &RestrictIps, ip: &str| {
            let ip = ip.parse().unwrap();
            action.permits(ip, |id| match id {
                id if id.to_string() == office => office_rules.verdict(ip),
                id if id.to_string() == guests => guest_rules.verdict(ip),
                _ => None,
            })
        };
        let one = action(&["203.0.113.1"], &["192.0.2.7"], &[office]).unwrap();
        assert_eq!(one.policies().len(), 1);
        let both = action(&[], &["192.0.2.7"], &[office, guests]).unwrap();
        for (ip, by_one, by_both) in [
            ("192.0.2.1", true, true),
            ("192.0.2.7", false, false),
            ("192.0.2.9", true, false),
            ("198.51.100.1", false, true),
            ("203.0.113.1", true, false),
            // With a policy, what is only not denied is not allowed.
            ("203.0.113.2", false, false),
        ] {
            assert_eq!((permits(&one, ip), permits(&both, ip)), (by_one, by_both), "{ip}");
        }
        assert!(!self::permits(&both, "192.0.2.1"), "a policy that is gone admits nobody");
    }

    #[test]
    fn not_enforced_everybody_passes() {
        let (allow, deny, ip_policies) = (vec!["10.0.0.0/8".to_owned()], Vec::new(), Vec::new());
        let action = RestrictIps::new(&RestrictIpsConfig { allow, deny, ip_policies, enforce: false }).unwrap();
        assert!(permits(&action, "192.0.2.1"));
    }

    #[test]
    fn faults_name_the_field() {
        let error = action(&["10.0.0.0/8", "10.0.0.0/99"], &[], &[]).unwrap_err();
        assert_eq!((error.code, error.field.as_str()), (Code::ERR_NGROK_2217, "allow[1]"));
        assert_eq!(action(&[], &["x"], &[]).unwrap_err().field, "deny[0]");
        assert_eq!(action(&[], &[], &[]).unwrap_err().code, Code::ERR_NGROK_2223);
        assert_eq!(action(&["10.0.0.1"; 1_001], &[], &[]).unwrap_err().code, Code::ERR_NGROK_2218);
        let error = action(&[], &[], &["ipp_x"]).unwrap_err();
        assert_eq!((error.code, error.field.as_str()), (Code::ERR_NGROK_2216, "ip_policies[0]"));
        let many = ["ipp_0ujtsYcgvSTl8PAuAdqWYSMnLOv"; 101];
        assert_eq!(action(&[], &[], &many).unwrap_err().code, Code::ERR_NGROK_2218);
    }
}
