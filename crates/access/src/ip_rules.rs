//! Rules of IP policies, compiled: which addresses are admitted.

use std::net::IpAddr;

use crate::{Cidr, IpSet};

/// What a rule of an IP policy does with the addresses of its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IpAction {
    /// They may pass.
    Allow,
    /// They may not, whatever other rules say.
    Deny,
}

/// What an IP restriction of an account protects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RestrictionType {
    /// The dashboard.
    Dashboard,
    /// The REST interface.
    Api,
    /// Sessions of agents.
    Agent,
    /// All endpoints.
    Endpoints,
}

impl RestrictionType {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            RestrictionType::Dashboard => "dashboard",
            RestrictionType::Api => "api",
            RestrictionType::Agent => "agent",
            RestrictionType::Endpoints => "endpoints",
        }
    }
}

/// The rules of an IP policy, or of several together, compiled; their order means nothing. Asking costs the logarithm of their number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IpRules {
    allow: IpSet,
    deny: IpSet,
}

impl IpRules {
    /// What the rules say of an address: one that denies wins; none when no rule is about it. An IPv4-mapped IPv6 address is the IPv4 address
    /// it stands for.
    pub fn verdict(&self, ip: IpAddr) -> Option<IpAction> {
        if self.deny.contains(ip) {
            return Some(IpAction::Deny);
        }
        self.allow.contains(ip).then_some(IpAction::Allow)
    }

    /// Whether an address is admitted: a rule allows it, and none denies it. Without rules nobody is.
    pub fn admit(&self, ip: IpAddr) -> bool {
        self.verdict(ip) == Some(IpAction::Allow)
    }
}

/// Whether an address is admitted by several policies whose rules count together, from what each of them says of it: at least one allows it, and
/// none denies it.
pub fn admitted(verdicts: impl IntoIterator<Item = Option<IpAction>>) -> bool {
    let mut allowed = false;
    for verdict in verdicts {
        match verdict {
            Some(IpAction::Deny) => return false,
            Some(IpAction::Allow) => allowed = true,
            None => {}
        }
    }
    allowed
}

impl FromIterator<(Cidr, IpAction)> for IpRules {
    fn from_iter<I: IntoIterator<Item = (Cidr, IpAction)>>(rules: I) -> Self {
        let (mut allow, mut deny) = (Vec::new(), Vec::new());
        for (network, action) in rules {
            match action {
                IpAction::Allow => allow.push(network),
                IpAction::Deny => deny.push(network),
            }
        }
        IpRules { allow: allow.into_iter().collect(), deny: deny.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    fn rules(texts: &[(&str, IpAction)]) -> IpRules {
        texts.iter().map(|(text, action)| (text.parse().unwrap(), *action)).collect()
    }

    #[test]
    fn one_must_allow_and_none_may_deny() {
        let office = rules(&[("192.0.2.0/24", IpAction::Allow), ("2001:db8::/32", IpAction::Allow)]);
        let guests = rules(&[("192.0.2.128/25", IpAction::Deny), ("198.51.100.7/32", IpAction::Allow)]);
        let (empty, denies) = (IpRules::default(), rules(&[("192.0.2.0/24", IpAction::Deny)]));
        for (ip, by_office, by_guests, by_both) in [
            ("192.0.2.1", true, false, true),
            ("::ffff:192.0.2.1", true, false, true),
            ("192.0.2.200", true, false, false),
            ("::ffff:192.0.2.200", true, false, false),
            ("198.51.100.7", false, true, true),
            ("203.0.113.1", false, false, false),
            ("2001:db8::1", true, false, true),
            ("2001:db9::1", false, false, false),
        ] {
            let ip = ip.parse().unwrap();
            let both = admitted([office.verdict(ip), guests.verdict(ip)]);
            assert_eq!((office.admit(ip), guests.admit(ip), both), (by_office, by_guests, by_both), "{ip}");
            assert!(!empty.admit(ip) && !denies.admit(ip) && !admitted([empty.verdict(ip), denies.verdict(ip)]));
            assert_eq!(admitted([office.verdict(ip), empty.verdict(ip)]), by_office);
        }
        assert!(!admitted([]));
    }

    /// A network as the model has it: first bits of an address, or all of a family.
    #[derive(Clone, Debug)]
    struct Network {
        ip: IpAddr,
        bits: u32,
    }

    impl Network {
        fn cidr(&self) -> Cidr {
            format!("{}/{}", self.ip, self.bits).parse().unwrap()
        }

        /// Bit by bit, with mapped addresses and networks as IPv4.
        fn holds(&self, asked: IpAddr) -> bool {
            let (mut network, mut bits) = (self.ip, self.bits);
            if let IpAddr::V6(ip) = network
                && let Some(plain) = ip.to_ipv4_mapped()
                && bits >= 96
            {
                (network, bits) = (plain.into(), bits - 96);
            }
            match (network, asked.to_canonical()) {
                (IpAddr::V4(network), IpAddr::V4(ip)) => {
                    (0..bits).all(|bit| (network.to_bits() ^ ip.to_bits()) >> (31 - bit) & 1 == 0)
                }
                (IpAddr::V6(network), IpAddr::V6(ip)) => {
                    (0..bits).all(|bit| (network.to_bits() ^ ip.to_bits()) >> (127 - bit) & 1 == 0)
                }
                _ => false,
            }
        }
    }

    /// Few distinct addresses, so that networks hold one another.
    fn address() -> impl Strategy<Value = IpAddr> {
        let v4 = (0_u32..8, 0_u32..8).prop_map(|(high, low)| Ipv4Addr::from_bits(high << 29 | low).into());
        let v6 = (0_u128..8, 0_u128..8).prop_map(|(high, low)| Ipv6Addr::from_bits(high << 125 | low).into());
        let mapped =
            (0_u32..8, 0_u32..8).prop_map(|(high, low)| Ipv4Addr::from_bits(high << 29 | low).to_ipv6_mapped().into());
        prop_oneof![v4, v6, mapped]
    }

    fn network() -> impl Strategy<Value = Network> {
        (address(), any::<prop::sample::Index>()).prop_map(|(ip, bits)| {
            let most = if ip.is_ipv4() { 32 } else { 128 };
            Network { ip, bits: bits.index(most + 1) as u32 }
        })
    }

    fn action() -> impl Strategy<Value = IpAction> {
        prop_oneof![Just(IpAction::Allow), Just(IpAction::Deny)]
    }

    proptest! {
        #[test]
        fn policies_decide_as_the_naive_model_does(
            policies in prop::collection::vec(prop::collection::vec((network(), action()), 0..12), 0..4),
            asked in prop::collection::vec(address(), 1..20),
        ) {
            let compiled: Vec<IpRules> = policies
                .iter()
                .map(|rules| rules.iter().map(|(network, action)| (network.cidr(), *action)).collect())
                .collect();
            let together: IpRules =
                policies.iter().flatten().map(|(network, action)| (network.cidr(), *action)).collect();
            for ip in asked {
                let says = |wanted| policies.iter().flatten().any(|(net, action)| *action == wanted && net.holds(ip));
                let naive = says(IpAction::Allow) && !says(IpAction::Deny);
                prop_assert_eq!(admitted(compiled.iter().map(|rules| rules.verdict(ip))), naive);
                prop_assert_eq!(together.admit(ip), naive);
            }
        }
    }
}
