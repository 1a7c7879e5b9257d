//! Who may come by the address of its connection: what an account restricts, and what an endpoint does itself. What peers say of their address
//! counts for nothing.

use std::net::SocketAddr;

use portway_access::RestrictionType;
use portway_codes::Code;
use portway_names::AccountId;

use crate::bind::Refused;
use crate::endpoint::{Endpoint, EndpointOptions};
use crate::metrics::{RestrictedLabel, RestrictionOutcome};
use crate::paced::Paced;
use crate::replica::Admission;
use crate::state::EdgeShared;

/// When lines about restrictions that are not enforced were logged last, by what is restricted.
#[derive(Debug, Default)]
pub(crate) struct Warned {
    agents: Paced,
    endpoints: Paced,
}

/// Lets an agent have, or keep, a session of the account.
///
/// # Errors
/// Its address is not admitted (115).
pub(crate) fn admit_agent(edge: &EdgeShared, account: AccountId, peer: SocketAddr) -> Result<(), Refused> {
    if admits(edge, account, RestrictionType::Agent, peer) {
        return Ok(());
    }
    let ip = peer.ip().to_canonical();
    Err(Refused::for_good(Code::ERR_NGROK_115.with(format!(
        "The account restricts the addresses that agents may connect from, and {ip} is not among them. Connect from an allowed network, or have the restriction changed."
    ))))
}

/// Whether a visitor may come to an endpoint.
pub(crate) fn admits_visitor(edge: &EdgeShared, endpoint: &Endpoint, peer: SocketAddr) -> bool {
    let (account, ip) = (endpoint.account, peer.ip());
    admits(edge, account, RestrictionType::Endpoints, peer)
        && endpoint.options.actions.as_ref().is_none_or(|actions| {
            let mut restrictions = actions.rules.restrict_ips.iter();
            restrictions.all(|action| action.permits(ip, |policy| edge.replica.ip_verdict(account, policy, ip)))
        })
}

/// Whether the IP policies that an endpoint refers to are the account's.
///
/// # Errors
/// The first that is not (2216). One that was made a moment ago may not be known yet, so the agent may ask again.
pub(crate) fn check_policies(edge: &EdgeShared, account: AccountId, options: &EndpointOptions) -> Result<(), Refused> {
    let actions = options.actions.iter().flat_map(|actions| &actions.rules.restrict_ips);
    let mut policies = actions.flat_map(|action| action.policies());
    match policies.find(|policy| !edge.replica.has_ip_policy(account, policy)) {
        None => Ok(()),
        Some(policy) => Err(Refused::for_now(Code::ERR_NGROK_2216.with(format!(
            "The action restrict-ips refers to the IP policy {policy}, which the account does not have. Check the id, or list the addresses in the action itself."
        )))),
    }
}

fn admits(edge: &EdgeShared, account: AccountId, kind: RestrictionType, peer: SocketAddr) -> bool {
    let outcome = match edge.replica.admission(account, kind, peer.ip()) {
        Admission::Admitted => return true,
        Admission::Warned => RestrictionOutcome::Warned,
        Admission::Refused => RestrictionOutcome::Refused,
    };
    let restriction = kind.as_str();
    edge.metrics.ip_restricted.get_or_create(&RestrictedLabel { restriction, outcome }).inc();
    let warned = match kind {
        RestrictionType::Agent => &edge.restrictions_warned.agents,
        _ => &edge.restrictions_warned.endpoints,
    };
    if outcome == RestrictionOutcome::Warned && warned.is_due(edge.started.elapsed()) {
        tracing::warn!(%account, restriction, %peer,
            "an IP restriction that is not enforced does not admit this address; it passes. Others within this second are not logged");
    }
    outcome == RestrictionOutcome::Warned
}
