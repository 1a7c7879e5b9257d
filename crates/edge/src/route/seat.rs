//! The endpoints that share one name: one, or the members of a pool, or the connections of an agent that keeps several.

use std::sync::Arc;

use portway_names::EndpointUrl;

use crate::endpoint::Endpoint;

/// Who serves a name; at least one.
#[derive(Debug, Clone)]
pub(super) struct Seat {
    members: Box<[Arc<Endpoint>]>,
}

/// The name is held by somebody who does not have to give it up.
#[derive(Debug, thiserror::Error)]
#[error("{url} is online already")]
pub(crate) struct Taken {
    pub(crate) url: EndpointUrl,
    /// Whether the same agent holds it, by a later session: the bind comes too late.
    pub(crate) by_later_session: bool,
}

/// What becomes of an endpoint when another one asks for its name.
enum Verdict {
    Stays,
    GivesWay,
    Wins { by_later_session: bool },
}

impl Seat {
    pub(super) fn of(endpoint: Arc<Endpoint>) -> Self {
        Self { members: Box::new([endpoint]) }
    }

    /// The seat with one more, and those that gave way for it.
    pub(super) fn join(&self, new: Arc<Endpoint>) -> Result<(Self, Vec<Arc<Endpoint>>), Taken> {
        let (mut members, mut gone) = (Vec::with_capacity(self.members.len() + 1), Vec::new());
        for old in &self.members {
            match verdict(old, &new) {
                Verdict::Stays => members.push(Arc::clone(old)),
                Verdict::GivesWay => gone.push(Arc::clone(old)),
                Verdict::Wins { by_later_session } => return Err(Taken { url: new.url.clone(), by_later_session }),
            }
        }
        members.push(new);
        Ok((Self { members: members.into() }, gone))
    }

    /// The seat without an endpoint: none when nobody is left. Unchanged when the endpoint is not in it.
    pub(super) fn leave(&self, endpoint: &Arc<Endpoint>) -> Option<Self> {
        let members: Box<[_]> = self.members.iter().filter(|member| !Arc::ptr_eq(member, endpoint)).cloned().collect();
        (!members.is_empty()).then_some(Self { members })
    }

    pub(super) fn holds(&self, endpoint: &Arc<Endpoint>) -> bool {
        self.members.iter().any(|member| Arc::ptr_eq(member, endpoint))
    }

    /// Any member, one that is online where there is one.
    pub(super) fn pick(&self) -> Arc<Endpoint> {
        let [first, others @ ..] = &*self.members else { unreachable!("a seat without members is removed") };
        if others.is_empty() {
            return Arc::clone(first);
        }
        let start = rand::random_range(0..self.members.len());
        let round = self.members[start..].iter().chain(&self.members[..start]);
        round.clone().find(|member| member.is_online()).map_or_else(|| Arc::clone(first), Arc::clone)
    }

    pub(super) fn members(&self) -> &[Arc<Endpoint>] {
        &self.members
    }
}

/// Decides between two claims on one name. Members of a pool, of one session too, and connections of one agent go beside each other. Otherwise the fence of the
/// lease comes first, the generation of the agent's session second; fences of different leases (a tls and an https endpoint on one
/// name) are not compared.
fn verdict(old: &Endpoint, new: &Endpoint) -> Verdict {
    let same_lessee = old.account == new.account && old.holder.lessee == new.holder.lessee;
    let same_agent = old.account == new.account && old.holder.agent == new.holder.agent;
    let same_session = old.holder.session_id == new.holder.session_id;
    let same_link = same_agent && old.holder.leg == new.holder.leg;
    let pooled = new.holder.lessee != new.holder.agent;
    if same_lessee && (!same_link || (pooled && same_session)) && old.url == new.url && old.is_online() {
        return Verdict::Stays;
    }
    let not_late = !same_link || new.holder.generation >= old.holder.generation;
    let fenced_out = old.url == new.url && new.holder.fence > old.holder.fence;
    let newer_session = same_link && !same_session && (old.url != new.url || new.holder.fence == old.holder.fence);
    if not_late && (!old.is_online() || fenced_out || newer_session) {
        return Verdict::GivesWay;
    }
    Verdict::Wins { by_later_session: same_link && !not_late }
}
