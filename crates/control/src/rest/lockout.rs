//! Changes after which their maker could not use the interface any more: they need to be asked for in so many words.

use portway_api::{RestrictionType, is_forced, read_body};
use portway_codes::{Code, PublicError};

use super::admission::{self, Rules, compile, said};
use super::call::Call;
use super::crud;
use super::ip::{RESTRICTION, RULE};
use super::kind::{Kept, read};
use super::refusal::unreadable;
use crate::kept::ip::{IpPolicy, IpPolicyRule, IpRestriction};

/// Checks a change of restrictions.
///
/// # Errors
/// The caller's address would not be admitted (40905); what is wrong with the request.
pub(super) async fn check_restriction(call: &Call<'_>) -> Result<(), PublicError> {
    let restriction = match call.verb() {
        "create" => IpRestriction::create(call, "", read_body(call.body)?)?,
        "update" => {
            let found = crud::find(call, &RESTRICTION, call.parameters.get("id")).await?;
            let mut restriction: IpRestriction = read(&found)?;
            restriction.update(call, &found.id, read_body(call.body)?)?;
            restriction
        }
        // Without it everybody is admitted.
        _ => return Ok(()),
    };
    if restriction.r#type != RestrictionType::Api || !restriction.enforced {
        return Ok(());
    }
    for policy in &restriction.ip_policy_ids {
        let found = call.inner.store.resource(&call.caller.account, IpPolicy::KIND, policy).await;
        if found.map_err(unreadable)?.is_none() {
            // The change fails by that.
            return Ok(());
        }
    }
    check(call, &admission::rules(&call.inner.store, &restriction.ip_policy_ids).await?)
}

/// Checks a change of rules.
///
/// # Errors
/// The caller's address would not be admitted (40905); what is wrong with the request.
pub(super) async fn check_rule(call: &Call<'_>) -> Result<(), PublicError> {
    let store = &call.inner.store;
    let Some(restriction) = admission::restriction(store, &call.caller.account).await? else { return Ok(()) };
    let IpRestriction { enforced: true, ip_policy_ids: policies, .. } = read(&restriction)? else { return Ok(()) };
    // A rule that is new has no id yet.
    let (id, rule) = match call.verb() {
        "create" => (String::new(), IpPolicyRule::create(call, "", read_body(call.body)?)?),
        _ => {
            let found = crud::find(call, &RULE, call.parameters.get("id")).await?;
            let mut rule: IpPolicyRule = read(&found)?;
            if call.verb() == "update" {
                rule.update(call, &found.id, read_body(call.body)?)?;
            }
            (found.id, rule)
        }
    };
    if !policies.contains(&rule.ip_policy_id) {
        return Ok(());
    }
    let mut rules = admission::rules(store, &policies).await?;
    match call.verb() {
        "delete" => rules.remove(&id),
        _ => rules.insert(id, said(&rule)?),
    };
    check(call, &rules)
}

/// Checks a change by which users, service users and members lose what they own, with the ids of those that it ends.
///
/// # Errors
/// The caller is one of them, and so the key of the call is lost as well (40905).
pub(super) fn check_own(call: &Call<'_>, ended: &str) -> Result<(), PublicError> {
    if is_forced(call.headers) || ended != call.caller.owner.to_string() {
        return Ok(());
    }
    Err(Code::ERR_PORTWAY_40905.with(format!(
        "{ended} is who calls: the key of this call, and whatever else they own, would be of no use any more. Call with a key of somebody \
         else, or send the header Portway-Force: true (`portway api --force`) to do it all the same."
    )))
}

fn check(call: &Call<'_>, rules: &Rules) -> Result<(), PublicError> {
    if is_forced(call.headers) || compile(rules).admit(call.peer) {
        return Ok(());
    }
    let ip = call.peer.to_canonical();
    Err(Code::ERR_PORTWAY_40905.with(format!(
        "After this change your own address, {ip}, could not use the API. Allow it first, or send the header Portway-Force: true (`portway api --force`) to do it all the same."
    )))
}
