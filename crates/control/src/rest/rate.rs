//! How often an account may call, and how many of its calls may be under way.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};

use governor::clock::DefaultClock;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use portway_codes::{Code, PublicError};
use portway_names::AccountId;

/// Calls of an account in a minute; none for no limit.
pub type RateLimit = Option<NonZeroU32>;

/// Calls of an account at a time. Each may hold a body in memory and wait for the database.
const MAX_AT_ONCE: u32 = 32;

/// When to try again after a refusal: by then there is room for two calls at ngrok's rate of 120 a minute.
pub(super) const RETRY_AFTER_SECS: &str = "1";

/// What each account has left.
#[derive(Debug)]
pub(super) struct Budgets {
    /// Calls in a minute; 0 for any number.
    pub(super) calls: u32,
    limiter: Option<RateLimiter<AccountId, HashMapStateStore<AccountId>, DefaultClock>>,
    /// Calls under way, of accounts that have some.
    under_way: Mutex<HashMap<AccountId, u32>>,
}

/// A call that is under way, until it is dropped; none for those that are not counted.
#[derive(Debug)]
pub(super) struct UnderWay<'a>(Option<(&'a Budgets, AccountId)>);

impl Budgets {
    pub(super) fn new(limit: RateLimit) -> Budgets {
        Budgets {
            calls: limit.map_or(0, NonZeroU32::get),
            limiter: limit.map(|calls| RateLimiter::hashmap(Quota::per_minute(calls))),
            under_way: Mutex::default(),
        }
    }

    /// Counts a call. Calls from this host are free: whoever is here has other ways to keep it busy.
    pub(super) fn spend(&self, account: AccountId, peer: IpAddr) -> Result<UnderWay<'_>, PublicError> {
        if peer.to_canonical().is_loopback() {
            return Ok(UnderWay(None));
        }
        if let Some(limiter) = &self.limiter {
            limiter.check_key(&account).map_err(|_| Code::ERR_NGROK_226.plain())?;
        }
        let mut all = self.under_way();
        let own = all.entry(account).or_default();
        if *own >= MAX_AT_ONCE {
            return Err(Code::ERR_NGROK_225.plain());
        }
        *own += 1;
        Ok(UnderWay(Some((self, account))))
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<AccountId, u32>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let Some((budgets, account)) = self.0 else { return };
        let mut all = budgets.under_way();
        if let Some(own) = all.get_mut(&account) {
            *own -= 1;
            if *own == 0 {
                all.remove(&account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use portway_names::{AccountId, Ksuid};

    use super::{Budgets, Code, MAX_AT_ONCE};

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

    #[test]
    fn calls_under_way_are_counted_until_they_end() {
        let elsewhere: IpAddr = Ipv4Addr::new(203, 0, 113, 7).into();
        let [one, other] = [1, 2].map(|n| AccountId::new(Ksuid::from_parts(0, [n; 16])));
        let budgets = Budgets::new(None);
        let mut calls: Vec<_> =
            (0..MAX_AT_ONCE).map(|_| budgets.spend(one, elsewhere).expect("there is room")).collect();
        assert_eq!(budgets.spend(one, elsewhere).unwrap_err().code, Code::ERR_NGROK_225);
        assert!(budgets.spend(other, elsewhere).is_ok() && budgets.spend(one, Ipv4Addr::LOCALHOST.into()).is_ok());
        calls.pop();
        calls.push(budgets.spend(one, elsewhere).expect("one has ended"));
        drop(calls);
        assert!(budgets.under_way().is_empty());
    }
}
