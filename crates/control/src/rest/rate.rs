//! How often an account may call.

use std::net::IpAddr;
use std::num::NonZeroU32;

use governor::clock::DefaultClock;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use portway_codes::{Code, PublicError};
use portway_names::AccountId;

/// Calls of an account in a minute; none for no limit.
pub type RateLimit = Option<NonZeroU32>;

/// When to try again after a refusal: by then there is room for two calls at ngrok's rate of 120 a minute.
pub(super) const RETRY_AFTER_SECS: &str = "1";

/// What each account has left.
#[derive(Debug)]
pub(super) struct Budgets {
    /// Calls in a minute; 0 for any number.
    pub(super) calls: u32,
    limiter: Option<RateLimiter<AccountId, HashMapStateStore<AccountId>, DefaultClock>>,
}

impl Budgets {
    pub(super) fn new(limit: RateLimit) -> Budgets {
        Budgets {
            calls: limit.map_or(0, NonZeroU32::get),
            limiter: limit.map(|calls| RateLimiter::hashmap(Quota::per_minute(calls))),
        }
    }

    /// Counts a call. Calls from this host are free: whoever is here has other ways to keep it busy.
    pub(super) fn spend(&self, account: AccountId, peer: IpAddr) -> Result<(), PublicError> {
        let Some(limiter) = self.limiter.as_ref().filter(|_| !peer.to_canonical().is_loopback()) else { return Ok(()) };
        limiter.check_key(&account).map_err(|_| Code::ERR_NGROK_226.plain())
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use portway_names::{AccountId, Ksuid};

    use super::{Budgets, Code};

    #[test]
    fn each_account_has_a_budget_of_its_own_and_this_host_none() {
        let elsewhere: IpAddr = Ipv4Addr::new(203, 0, 113, 7).into();
        let [one, other] = [1, 2].map(|n| AccountId::new(Ksuid::from_parts(0, [n; 16])));
        let budgets = Budgets::new(std::num::NonZeroU32::new(2));
        assert!(budgets.spend(one, elsewhere).is_ok() && budgets.spend(one, elsewhere).is_ok());
        assert_eq!(budgets.spend(one, elsewhere).unwrap_err().code, Code::ERR_NGROK_226);
        assert!(budgets.spend(other, elsewhere).is_ok());
        for here in
            [Ipv4Addr::LOCALHOST.into(), IpAddr::from(Ipv6Addr::LOCALHOST), Ipv4Addr::LOCALHOST.to_ipv6_mapped().into()]
        {
            assert!(budgets.spend(one, here).is_ok());
        }
        let unlimited = Budgets::new(None);
        assert!((0..1000).all(|_| unlimited.spend(one, elsewhere).is_ok()));
    }
}
