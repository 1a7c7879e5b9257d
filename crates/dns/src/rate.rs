//! How often a network is answered: a spoofed source gets little for what was spent on it.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// Budgets. Networks share them by a hash that nobody knows: memory is the same however many sources there are, and a network suffers for
/// another one only by chance.
const BUDGETS: usize = 16_384;
/// Bits of an IPv4 address that make its network.
const V4_BITS: u32 = 24;
/// Bits of an IPv6 address that make its network.
const V6_BITS: u32 = 56;
/// Every how many replies beyond the rate a short one is sent, which makes a real resolver ask over TCP.
const SLIP: u32 = 2;

/// The budgets of all networks.
pub(crate) struct Rate {
    budgets: Vec<DefaultDirectRateLimiter>,
    hasher: RandomState,
    beyond: AtomicU32,
}

/// What becomes of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Send,
    /// Without records, so that it is asked for over TCP.
    Cut,
    Drop,
}

impl Rate {
    /// Budgets of so many replies a second and network.
    pub(crate) fn new(per_second: NonZeroU32) -> Rate {
        let budgets = (0..BUDGETS).map(|_| RateLimiter::direct(Quota::per_second(per_second))).collect();
        Rate { budgets, hasher: RandomState::new(), beyond: AtomicU32::new(0) }
    }

    pub(crate) fn spend(&self, peer: IpAddr) -> Verdict {
        let at = self.hasher.hash_one(network(peer)) as usize % BUDGETS;
        if self.budgets[at].check().is_ok() {
            return Verdict::Send;
        }
        let beyond = self.beyond.fetch_add(1, Ordering::Relaxed);
        if beyond.is_multiple_of(SLIP) { Verdict::Cut } else { Verdict::Drop }
    }
}

fn network(peer: IpAddr) -> u128 {
    match peer.to_canonical() {
        IpAddr::V4(ip) => u128::from(ip.to_bits() >> (u32::BITS - V4_BITS)),
        IpAddr::V6(ip) => ip.to_bits() >> (u128::BITS - V6_BITS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_beyond_its_rate_is_cut_short_and_others_are_not() {
        let rate = Rate::new(NonZeroU32::new(3).unwrap());
        let verdicts: Vec<Verdict> =
            (1..=7).map(|host| rate.spend(format!("192.0.2.{host}").parse().unwrap())).collect();
        assert_eq!(verdicts[..3], [Verdict::Send; 3]);
        assert_eq!(verdicts[3..], [Verdict::Cut, Verdict::Drop, Verdict::Cut, Verdict::Drop]);
        assert_eq!(rate.spend("198.51.100.1".parse().unwrap()), Verdict::Send);
    }

    #[test]
    fn an_address_has_one_network_however_it_is_written() {
        assert_eq!(network("::ffff:192.0.2.1".parse().unwrap()), network("192.0.2.200".parse().unwrap()));
        assert_eq!(network("2001:db8::1".parse().unwrap()), network("2001:db8:0:ff::2".parse().unwrap()));
        assert_ne!(network("2001:db8::1".parse().unwrap()), network("2001:db8:0:100::1".parse().unwrap()));
    }
}
