//! From which addresses an account's API keys may be used.
//!
//! Rules are compiled once and follow the change feed, so that a change counts from the next call on, whoever wrote it.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use portway_access::{Cidr, IpAction, IpRules};
use portway_api::{RestrictionType, RuleAction};
use portway_codes::{Code, PublicError};
use portway_names::{AccountId, IpPolicyRuleId};
use portway_store::{PAGE_MAX, Resource, Store};

use super::kind::{Kept, read};
use super::refusal::{damaged, unreadable};
use crate::kept::ip::{IpPolicyRule, IpRestriction};

/// Changes that are followed one by one. After more of them all rules are read again, which costs no more.
const FOLLOWED_AT_ONCE: u32 = 512;
/// Log lines in a second about calls that a restriction would refuse if it were enforced.
const WARNINGS: std::num::NonZeroU32 = std::num::NonZeroU32::MIN;

/// The rules of some policies, by their ids.
pub(super) type Rules = BTreeMap<String, (Cidr, IpAction)>;

/// Who is admitted to which account. What it keeps is in the database as well; there is one entry for each account that calls and has a
/// restriction.
#[derive(Debug)]
pub(super) struct Admission {
    known: Mutex<HashMap<AccountId, Known>>,
    warnings: DefaultDirectRateLimiter,
}

/// The rules of an account's restriction, as they were at a version of the feed.
#[derive(Debug, Clone)]
struct Known {
    policies: Vec<String>,
    epoch: String,
    version: u64,
    rules: Arc<Rules>,
    compiled: Arc<IpRules>,
}

impl Admission {
    pub(super) fn new() -> Admission {
        Admission { known: Mutex::default(), warnings: RateLimiter::direct(Quota::per_second(WARNINGS)) }
    }

    /// Lets a call of the account come from `peer`. Costs accounts without a restriction one look at an index.
    ///
    /// # Errors
    /// Its address is not admitted (220), or the database cannot be read.
    pub(super) async fn admit(&self, store: &Store, account: AccountId, peer: IpAddr) -> Result<(), PublicError> {
        let Some(restriction) = restriction(store, &account).await? else {
            self.known().remove(&account);
            return Ok(());
        };
        let IpRestriction { enforced, ip_policy_ids, .. } = read(&restriction)?;
        if self.compiled(store, account, ip_policy_ids).await?.admit(peer) {
            return Ok(());
        }
        let ip = peer.to_canonical();
        if enforced {
            return Err(Code::ERR_NGROK_220.with(format!(
                "The account restricts the addresses that its API keys may be used from, and {ip} is not among them. Use an allowed network, or have the restriction changed."
            )));
        }
        if self.warnings.check().is_ok() {
            tracing::warn!(%account, restriction = "api", %ip,
                "an IP restriction that is not enforced does not admit this address; the call passes. Others within this second are not logged");
        }
        Ok(())
    }

    async fn compiled(
        &self,
        store: &Store,
        account: AccountId,
        policies: Vec<String>,
    ) -> Result<Arc<IpRules>, PublicError> {
        let known = self.known().get(&account).filter(|known| known.policies == policies).cloned();
        let followed = match known {
            Some(known) => known.followed(store, &account).await?,
            None => None,
        };
        let known = match followed {
            Some(known) => known,
            None => Known::read(store, policies).await?,
        };
        let compiled = Arc::clone(&known.compiled);
        self.known().insert(account, known);
        Ok(compiled)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<AccountId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    async fn read(store: &Store, policies: Vec<String>) -> Result<Known, PublicError> {
        // First: what changes while the rules are read is looked at again by the next call.
        let feed = store.feed().await.map_err(unreadable)?;
        let rules = rules(store, &policies).await?;
        let compiled = Arc::new(compile(&rules));
        Ok(Known { policies, epoch: feed.epoch, version: feed.version, rules: Arc::new(rules), compiled })
    }

    /// As it is after all changes until now; none when there were too many.
    async fn followed(mut self, store: &Store, account: &AccountId) -> Result<Option<Known>, PublicError> {
        let changed = store.changed_ids(&self.epoch, self.version, FOLLOWED_AT_ONCE).await.map_err(unreadable)?;
        let Some((version, ids)) = changed.filter(|(_, ids)| ids.len() < FOLLOWED_AT_ONCE as usize) else {
            return Ok(None);
        };
        self.version = version;
        let mut changed = false;
        for id in ids {
            if id.parse::<IpPolicyRuleId>().is_err() {
                continue;
            }
            let found = store.resource(account, IpPolicyRule::KIND, &id).await.map_err(unreadable)?;
            let found = found.map(|resource| rule(&resource)).transpose()?;
            match found.filter(|(policy, _)| self.policies.contains(policy)) {
                Some((_, rule)) => changed |= Arc::make_mut(&mut self.rules).insert(id, rule) != Some(rule),
                None if self.rules.contains_key(&id) => {
                    changed |= Arc::make_mut(&mut self.rules).remove(&id).is_some();
                }
                None => {}
            }
        }
        if changed {
            self.compiled = Arc::new(compile(&self.rules));
        }
        Ok(Some(self))
    }
}

/// The account's restriction of the interface, if there is one.
pub(super) async fn restriction(store: &Store, account: &AccountId) -> Result<Option<Resource>, PublicError> {
    let key = IpRestriction::key(account, RestrictionType::Api);
    store.resource_by_key(IpRestriction::KIND, &key).await.map_err(unreadable)
}

/// All rules of the policies.
pub(super) async fn rules(store: &Store, policies: &[String]) -> Result<Rules, PublicError> {
    let mut rules = Rules::new();
    for policy in policies {
        let mut after = String::new();
        loop {
            let page = store.resources_needing(policy, IpPolicyRule::KIND, &after, PAGE_MAX).await;
            let page = page.map_err(unreadable)?;
            for resource in &page {
                rules.insert(resource.id.clone(), rule(resource)?.1);
            }
            match page.last() {
                Some(last) if page.len() == PAGE_MAX as usize => after.clone_from(&last.id),
                _ => break,
            }
        }
    }
    Ok(rules)
}

pub(super) fn compile(rules: &Rules) -> IpRules {
    rules.values().copied().collect()
}

/// A rule's policy, and what the rule says.
fn rule(resource: &Resource) -> Result<(String, (Cidr, IpAction)), PublicError> {
    let rule: IpPolicyRule = read(resource)?;
    let said = said(&rule)?;
    Ok((rule.ip_policy_id, said))
}

/// What a rule says.
pub(super) fn said(rule: &IpPolicyRule) -> Result<(Cidr, IpAction), PublicError> {
    let action = match rule.action {
        RuleAction::Allow => IpAction::Allow,
        RuleAction::Deny => IpAction::Deny,
    };
    Ok((rule.cidr.parse().map_err(damaged)?, action))
}
