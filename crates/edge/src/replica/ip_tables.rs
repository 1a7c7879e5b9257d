//! IP policies of the replica: their rules, compiled, and where accounts apply them.
//!
//! Readers never wait, and an account without restriction costs them one look at a table. Policies are compiled when an update is complete,
//! once for all of its rules.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use portway_access::{Cidr, IpAction, IpRules, RestrictionType, admitted};
use portway_names::{AccountId, IpPolicyId, IpPolicyRuleId, IpRestrictionId};
use portway_proto::{IpPolicyRecord, IpPolicyRuleRecord, IpRestrictionRecord};

/// What the restriction of an account says of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It may come, or there is no restriction.
    Admitted,
    /// It would be refused if the restriction were enforced.
    Warned,
    /// It may not come.
    Refused,
}

/// Policies and restrictions of all accounts.
#[derive(Debug, Default)]
pub(super) struct IpTables {
    policies: papaya::HashMap<IpPolicyId, Policy>,
    restrictions: papaya::HashMap<(AccountId, RestrictionType), Arc<IpRestrictionRecord>>,
    /// Whoever applies an update has them; readers do not.
    sources: Mutex<Sources>,
}

#[derive(Debug)]
struct Policy {
    account: AccountId,
    rules: IpRules,
}

/// What the tables are made from.
#[derive(Debug, Default)]
struct Sources {
    policies: HashMap<IpPolicyId, Source>,
    /// Policies that changed since they were compiled.
    stale: HashSet<IpPolicyId>,
    /// Restrictions that take effect when the policies are compiled, so that none of them finds a policy that is not there yet.
    pending: Vec<Arc<IpRestrictionRecord>>,
    /// Accounts for which other rules hold.
    touched: HashSet<AccountId>,
}

#[derive(Debug, Default)]
struct Source {
    /// None: rules came before their policy, or stayed behind it.
    account: Option<AccountId>,
    rules: HashMap<IpPolicyRuleId, (Cidr, IpAction)>,
}

impl IpTables {
    /// What the account's restriction of this type says of an address.
    pub(super) fn admission(&self, account: AccountId, kind: RestrictionType, ip: IpAddr) -> Admission {
        if self.restrictions.is_empty() {
            return Admission::Admitted;
        }
        let restrictions = self.restrictions.pin();
        let Some(restriction) = restrictions.get(&(account, kind)) else { return Admission::Admitted };
        match admitted(restriction.policies.iter().map(|policy| self.verdict(account, policy, ip))) {
            true => Admission::Admitted,
            false if restriction.enforced => Admission::Refused,
            false => Admission::Warned,
        }
    }

    /// What a policy of the account says of an address; nothing when the account has no such policy.
    pub(super) fn verdict(&self, account: AccountId, policy: &IpPolicyId, ip: IpAddr) -> Option<IpAction> {
        let policies = self.policies.pin();
        policies.get(policy).filter(|policy| policy.account == account)?.rules.verdict(ip)
    }

    /// Whether the account has this policy.
    pub(super) fn has_policy(&self, account: AccountId, policy: &IpPolicyId) -> bool {
        self.policies.pin().get(policy).is_some_and(|policy| policy.account == account)
    }

    /// Whether the account has a restriction of this type.
    pub(super) fn restricts(&self, account: AccountId, kind: RestrictionType) -> bool {
        self.restrictions.pin().contains_key(&(account, kind))
    }

    pub(super) fn put_policy(&self, record: &IpPolicyRecord) {
        let mut sources = self.sources();
        sources.policies.entry(record.id).or_default().account = Some(record.account);
        sources.stale.insert(record.id);
        sources.touched.insert(record.account);
    }

    pub(super) fn put_rule(&self, record: &IpPolicyRuleRecord) {
        let mut sources = self.sources();
        let source = sources.policies.entry(record.policy).or_default();
        source.rules.insert(record.id, (record.network, record.action));
        sources.stale.insert(record.policy);
        sources.touched.insert(record.account);
    }

    pub(super) fn put_restriction(&self, record: IpRestrictionRecord) {
        let mut sources = self.sources();
        sources.touched.insert(record.account);
        sources.pending.push(Arc::new(record));
    }

    pub(super) fn remove_policy(&self, id: IpPolicyId) {
        let mut sources = self.sources();
        let account = sources.policies.get_mut(&id).and_then(|source| source.account.take());
        sources.touched.extend(account);
        sources.stale.insert(id);
    }

    pub(super) fn remove_rule(&self, policy: IpPolicyId, id: IpPolicyRuleId) {
        let mut sources = self.sources();
        let Some(source) = sources.policies.get_mut(&policy) else { return };
        source.rules.remove(&id);
        let account = source.account;
        sources.touched.extend(account);
        sources.stale.insert(policy);
    }

    /// A newer restriction of the same type may have taken its place already.
    pub(super) fn remove_restriction(&self, account: AccountId, kind: RestrictionType, id: IpRestrictionId) {
        let restrictions = self.restrictions.pin();
        let _ = restrictions.remove_if(&(account, kind), |_, restriction| restriction.id == id);
    }

    /// Lets what was put and removed take effect; returns the accounts for which other rules hold. Policies that are gone go last: until then no
    /// restriction that still names them refuses whom the next one admits.
    pub(super) fn settle(&self) -> HashSet<AccountId> {
        let mut sources = self.sources();
        let (policies, mut gone) = (self.policies.pin(), Vec::new());
        for id in std::mem::take(&mut sources.stale) {
            match sources.policies.get(&id) {
                Some(Source { account: Some(account), rules }) => {
                    policies.insert(id, Policy { account: *account, rules: rules.values().copied().collect() });
                }
                source => gone.push((id, source.is_none_or(|source| source.rules.is_empty()))),
            }
        }
        for restriction in std::mem::take(&mut sources.pending) {
            self.restrictions.pin().insert((restriction.account, restriction.kind), restriction);
        }
        for (id, forgotten) in gone {
            policies.remove(&id);
            if forgotten {
                sources.policies.remove(&id);
            }
        }
        std::mem::take(&mut sources.touched)
    }

    fn sources(&self) -> MutexGuard<'_, Sources> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
