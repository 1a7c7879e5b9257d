//! Keeps an agent's session alive for ever and its endpoints registered.
//!
//! One task owns the current session, the attempt to make another, and every endpoint's registration. It dials again when the session
//! is lost, when the edge asks to go away, and when the other carrier is the better one; an old session keeps its connections until they
//! end.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use portway_mux::{Backoff, Carrier, CarrierChoice, Dialer};
use portway_proto::agent::v1::{EdgeMessage, GoAway, Goodbye, Refusal, Unbind, agent_message, edge_message};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::agent::Core;
use crate::binding::Served;
use crate::carrier::{self, UpgradeSchedule};
use crate::error::ConnectError;
use crate::link::Link;
use crate::region::{self, Regions};
use crate::registrations::{Registrations, Reply};
use crate::status::{Online, Status};

/// Time for the edge to take the endpoints off when the agent closes.
const UNBIND_PATIENCE: Duration = Duration::from_secs(1);

/// Time for the connections of a session whose control stream has ended.
const ORPHAN_GRACE: Duration = Duration::from_secs(30);

/// What handles ask of the supervisor.
#[derive(Debug)]
pub(crate) enum Command {
    /// `keep`: a refusal does not give the endpoint up; it is asked for again.
    Bind {
        served: Arc<Served>,
        reply: Reply,
        keep: bool,
    },
    Unbind {
        key: u64,
        done: Option<oneshot::Sender<()>>,
    },
    Close {
        grace: Duration,
        done: oneshot::Sender<()>,
    },
}

/// The task that owns an agent's session.
pub(crate) struct Supervisor {
    core: Arc<Core>,
    commands: mpsc::UnboundedReceiver<Command>,
    link: Option<Link>,
    /// The current session was made because its carrier was the better one.
    upgraded: bool,
    /// An older session that still holds registrations until they are all moved, and when it must be over.
    leaving: Option<(Link, Option<Instant>)>,
    /// The edge wants the current session over by then.
    going_away: Option<Instant>,
    /// The edge's last word on the current session.
    refusal: Option<Refusal>,
    dial: Option<Dial>,
    generation: u64,
    backoff: Backoff,
    lost_at: Option<Instant>,
    redial_at: Option<Instant>,
    settle_at: Option<Instant>,
    /// The carrier that the last measurement found better.
    found_better: Option<Carrier>,
    upgrade: UpgradeSchedule,
    regions: Regions,
    registrations: Registrations,
    draining: JoinSet<()>,
}

/// A running attempt to make a session.
struct Dial {
    aim: Aim,
    task: AbortOnDropHandle<Result<Link, ConnectError>>,
}

/// What a dial is for.
#[derive(Clone, Debug)]
pub(crate) enum Aim {
    /// A session at all.
    Session,
    /// One on the other carrier, which is the better one.
    Carrier(Carrier),
    /// One in another region, which is faster.
    Region(Arc<Dialer>),
}

/// Why the event loop stops.
enum Next {
    Go,
    Close { grace: Duration, done: Option<oneshot::Sender<()>> },
}

impl Supervisor {
    /// Takes over the first session.
    pub(crate) fn new(core: Arc<Core>, commands: mpsc::UnboundedReceiver<Command>, link: Link) -> Self {
        let generation = link.generation;
        let registrations = Registrations::new(core.clone());
        let mut supervisor = Self {
            core,
            commands,
            link: None,
            upgraded: false,
            leaving: None,
            going_away: None,
            refusal: None,
            dial: None,
            generation,
            backoff: Backoff::default(),
            lost_at: None,
            redial_at: None,
            settle_at: None,
            found_better: None,
            upgrade: UpgradeSchedule::default(),
            regions: Regions::default(),
            registrations,
            draining: JoinSet::new(),
        };
        supervisor.adopt(link, carrier::SETTLE_AFTER);
        supervisor
    }

    /// Runs until the agent is closed or nobody holds it any more.
    pub(crate) async fn run(mut self) {
        let (grace, done) = loop {
            if let Next::Close { grace, done } = self.step().await {
                break (grace, done);
            }
        };
        self.finish(grace).await;
        self.core.session().take();
        self.core.status.send_replace(Status::Closed);
        if let Some(done) = done {
            // An error means that the caller no longer waits.
            let _unheard = done.send(());
        }
    }

    async fn step(&mut self) -> Next {
        let wake = self.next_wake();
        let Self { commands, link, dial, regions, draining, .. } = self;
        tokio::select! {
            command = commands.recv() => match command {
                None => return Next::Close { grace: Duration::ZERO, done: None },
                Some(Command::Close { grace, done }) => return Next::Close { grace, done: Some(done) },
                Some(Command::Bind { served, reply, keep }) => self.registrations.add(link.as_ref(), served, reply, keep),
                Some(Command::Unbind { key, done }) => {
                    self.registrations.remove(link.as_ref(), key, done);
                    self.leave_when_moved();
                }
            },
            message = receive(link) => match message {
                Some(message) => self.message(message),
                None => self.lost(),
            },
            (aim, result) = finished(dial) => self.dialled(aim, result),
            better = regions.measured() => self.region_measured(better),
            () = sleep_until(wake) => self.woken(),
            Some(_) = draining.join_next() => {}
        }
        Next::Go
    }

    // ---- the session -----------------------------------------------------------------------------------------------------------

    /// Makes `link` the current session, asks it for every endpoint, and leaves the old one.
    fn adopt(&mut self, link: Link, settle_after: Duration) {
        let now = Instant::now();
        if let Some(old) = self.link.replace(link) {
            let deadline = self.going_away.take();
            self.leave_old();
            self.leaving = Some((old, deadline));
        }
        let Some(link) = &self.link else { return };
        self.going_away = None;
        self.refusal = None;
        self.found_better = None;
        self.redial_at = None;
        self.lost_at = None;
        self.settle_at = (self.core.choice == CarrierChoice::Auto).then(|| now + settle_after);
        *self.core.session() = Some(link.session.clone());
        tracing::info!(obj = "tunnels.session", carrier = %link.session.carrier(), peer = %link.session.peer_addr(), "client session established");
        tracing::info!(
            obj = "tunnels.session",
            id = link.welcome.session_id,
            region = link.welcome.region,
            "tunnel session started"
        );
        self.core.status.send_replace(Status::Online(Arc::new(Online {
            session_id: link.welcome.session_id.clone(),
            region: link.welcome.region.clone(),
            edge_version: link.welcome.edge_version.clone(),
            account: link.welcome.account_name.clone(),
            base_domain: link.welcome.base_domain.clone(),
            carrier: link.session.carrier(),
            peer: link.session.peer_addr(),
            generation: link.generation,
        })));
        self.regions.adopted(&self.core, link);
        self.registrations.move_to(link);
        self.leave_when_moved();
    }

    /// The current session is over.
    fn lost(&mut self) {
        let Some(link) = self.link.take() else { return };
        self.core.session().take();
        let now = Instant::now();
        let lived = link.since.elapsed();
        let error = match (&self.refusal, link.session.close_reason()) {
            (Some(refusal), _) => format!("{} {}", refusal.text, refusal.code),
            (None, Some(reason)) => reason.to_string(),
            (None, None) => "the edge ended the session".to_owned(),
        };
        if link.session.close_reason().is_none() {
            // Only its control stream has ended: what runs may end too, within the time the edge gave.
            let deadline = self.going_away.unwrap_or(now + ORPHAN_GRACE);
            self.draining.spawn(link.leave(Some(deadline)));
        }
        if carrier::was_stable(lived) {
            self.backoff.reset();
        }
        if std::mem::take(&mut self.upgraded) {
            self.settle_at = Some(now + self.upgrade.ended(lived));
        }
        self.going_away = None;
        self.lost_at = Some(now);
        self.registrations.lose();
        let slow = self.refusal.take().is_some_and(|refusal| !refusal.retryable);
        tracing::warn!(obj = "tunnels.session", err = error, "session closed, starting reconnect loop");
        if self.dial.is_none() {
            self.redial_later(error, slow);
        }
    }

    /// An attempt to make a session ended.
    fn dialled(&mut self, aim: Aim, result: Result<Link, ConnectError>) {
        self.dial = None;
        let stays = self.link.is_some() && self.going_away.is_none();
        match result {
            Ok(link) => {
                let settle_after = match self.settle_at {
                    // The wait after a failed attempt outlives the session it was made from.
                    Some(at) => at.saturating_duration_since(Instant::now()).max(carrier::SETTLE_AFTER),
                    None => carrier::SETTLE_AFTER,
                };
                self.upgraded = matches!(aim, Aim::Carrier(_));
                if let Aim::Region(dialer) = aim {
                    self.regions.moved(dialer);
                }
                self.adopt(link, settle_after);
            }
            Err(error) if stays && matches!(aim, Aim::Region(_)) => {
                tracing::debug!(%error, "the faster region was not reached");
            }
            Err(error) if stays && matches!(aim, Aim::Carrier(_)) => {
                let wait = self.upgrade.failed();
                tracing::debug!(%error, retry_in = ?wait, "the better carrier was not reached");
                self.settle_at = Some(Instant::now() + wait);
            }
            Err(error) => {
                self.regions.lost();
                let slow = matches!(
                    error,
                    ConnectError::Refused { retryable: false, .. } | ConnectError::RegionNotOffered { .. }
                );
                let error = error.one_line();
                let retry_in = self.redial_later(error.clone(), slow);
                tracing::warn!(obj = "tunnels.session", err = error, ?retry_in, "failed to reconnect session");
            }
        }
    }

    fn redial_later(&mut self, error: String, slow: bool) -> Duration {
        let now = Instant::now();
        let outage = self.lost_at.map_or(Duration::ZERO, |lost_at| now.duration_since(lost_at));
        let mut retry_in = self.backoff.next_below(carrier::redial_ceiling(outage));
        if slow {
            retry_in = retry_in.max(carrier::REFUSED_WAIT);
        }
        self.redial_at = Some(now + retry_in);
        if self.link.is_none() {
            self.core.status.send_replace(Status::Reconnecting { error, retry_in });
        }
        retry_in
    }

    fn start_dial(&mut self, aim: Aim) {
        self.generation += 1;
        let (core, generation) = (self.core.clone(), self.generation);
        let dialer = match (&aim, &self.link) {
            (Aim::Region(dialer), _) => dialer,
            (Aim::Carrier(_), Some(link)) => &link.dialer,
            (Aim::Carrier(_) | Aim::Session, _) => self.regions.dialer(&self.core),
        };
        let dialer = dialer.clone();
        let wanted = aim.clone();
        let task = tokio::spawn(async move { dial(&core, dialer, &wanted, generation).await });
        self.dial = Some(Dial { aim, task: AbortOnDropHandle::new(task) });
    }

    /// Moves to a region that was found better. A dial that runs comes first: the next measurement finds the region again.
    fn region_measured(&mut self, better: Option<Arc<Dialer>>) {
        if let Some(dialer) = better.filter(|_| self.link.is_some() && self.going_away.is_none() && self.dial.is_none())
        {
            self.start_dial(Aim::Region(dialer));
        }
    }

    /// Compares the carriers, and dials the other one when two measurements in a row find it better.
    fn settle(&mut self) {
        let Some(link) = &self.link else { return };
        self.settle_at = Some(Instant::now() + carrier::MEASURE_EVERY);
        let Some(rtt) = self.core.path_rtt.or_else(|| link.session.rtt()) else {
            self.settle_at = Some(Instant::now() + carrier::SETTLE_AFTER);
            return;
        };
        let preferred = carrier::better(&self.core.dialer, rtt, link.session.carrier(), self.upgraded);
        let confirmed = preferred.is_some() && (self.core.path_rtt.is_some() || self.found_better == preferred);
        self.found_better = preferred;
        if let Some(better) = preferred.filter(|_| confirmed) {
            tracing::debug!(?rtt, %better, "the other carrier is the better one for this path");
            self.settle_at = None;
            self.start_dial(Aim::Carrier(better));
        } else if preferred.is_some() {
            self.settle_at = Some(Instant::now() + carrier::CONFIRM_AFTER);
        }
    }

    // ---- time ------------------------------------------------------------------------------------------------------------------

    fn next_wake(&self) -> Option<Instant> {
        let redial = self.redial_at.filter(|_| self.dial.is_none());
        let on_link = self.link.as_ref().and_then(|_| {
            let settle = self.settle_at.filter(|_| self.dial.is_none());
            self.registrations.next_retry().into_iter().chain(settle).chain(self.regions.due()).min()
        });
        redial.into_iter().chain(on_link).min()
    }

    fn woken(&mut self) {
        let now = Instant::now();
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if due(self.redial_at) && self.dial.is_none() {
            self.redial_at = None;
            self.start_dial(Aim::Session);
        }
        if self.link.is_some() && due(self.settle_at) && self.dial.is_none() {
            self.settle();
        }
        if let Some(link) = &self.link {
            if due(self.regions.due()) {
                self.regions.measure();
            }
            self.registrations.retry(link, now);
        }
    }

    // ---- the edge's messages ---------------------------------------------------------------------------------------------------

    fn message(&mut self, message: EdgeMessage) {
        let Some(link) = &self.link else { return };
        match message.message {
            Some(edge_message::Message::Bound(bound)) => self.registrations.bound(link, bound),
            Some(edge_message::Message::BindRefused(refused)) => self.registrations.refused(refused),
            Some(edge_message::Message::Unbound(unbound)) => self.registrations.handle_gone(link, unbound.endpoint),
            Some(edge_message::Message::EndpointClosed(closed)) => self.registrations.closed(link, closed),
            Some(edge_message::Message::GoAway(go_away)) => self.go_away(go_away),
            Some(edge_message::Message::Command(command)) => {
                link.send(agent_message::Message::CommandAnswer(self.core.remote.obey(command)));
            }
            Some(edge_message::Message::Refusal(refusal)) => {
                self.refusal = Some(refusal);
                self.lost();
            }
            // A second welcome means nothing, and a newer edge may say more than this agent understands.
            Some(edge_message::Message::Welcome(_)) | None => {}
        }
        self.leave_when_moved();
    }

    fn go_away(&mut self, go_away: GoAway) {
        let grace = Duration::from_millis(go_away.grace_ms.into());
        tracing::info!(
            obj = "tunnels.session",
            reason = go_away.reason,
            ?grace,
            "the edge asks to go away; moving to a new session"
        );
        self.going_away = Some(Instant::now() + grace);
        self.settle_at = None;
        if self.dial.as_ref().is_none_or(|dial| !matches!(dial.aim, Aim::Session)) {
            self.dial = None;
            self.start_dial(Aim::Session);
        }
    }

    // ---- leaving ---------------------------------------------------------------------------------------------------------------

    /// Leaves the old session once the new one has answered for every endpoint.
    fn leave_when_moved(&mut self) {
        if self.registrations.settled() {
            self.leave_old();
        }
    }

    fn leave_old(&mut self) {
        if let Some((link, deadline)) = self.leaving.take() {
            self.draining.spawn(link.leave(deadline));
        }
    }

    /// Takes everything off and lets connections finish.
    async fn finish(&mut self, grace: Duration) {
        self.dial = None;
        let deadline = Instant::now() + grace;
        self.leave_old();
        if let Some(mut link) = self.link.take() {
            let mut waiting: usize = 0;
            for handle in self.registrations.handles() {
                link.send(agent_message::Message::Unbind(Unbind { endpoint: handle }));
                waiting += 1;
            }
            link.send(agent_message::Message::Goodbye(Goodbye {}));
            let taken_off = async {
                while waiting > 0 {
                    match link.receive().await.map(|message| message.message) {
                        None => return,
                        Some(Some(edge_message::Message::Unbound(_))) => waiting -= 1,
                        Some(_) => {}
                    }
                }
            };
            // Without an answer the connections are given their time all the same.
            let _unanswered = tokio::time::timeout(UNBIND_PATIENCE, taken_off).await;
            if tokio::time::timeout_at(deadline, link.idle()).await.is_err() {
                tracing::warn!(connections = link.connections(), "the grace is over; running connections are cut");
            }
            link.session.close("the agent was closed");
        }
        let drained = async { while self.draining.join_next().await.is_some() {} };
        // What has not finished is cut when the set is dropped.
        let _cut = tokio::time::timeout_at(deadline, drained).await;
        self.core.served().clear();
    }
}

/// Dials the edge and greets it. Where it is of no matter which session comes of it, the region of the user's choice is dialled.
pub(crate) async fn dial(core: &Arc<Core>, dialer: Dialer, aim: &Aim, generation: u64) -> Result<Link, ConnectError> {
    let session = match (aim, &core.region) {
        (Aim::Session, Some(region)) => return region::dial_pinned(core, region, generation).await,
        (Aim::Carrier(carrier), _) => dialer.dial_carrier(*carrier).await,
        (Aim::Session | Aim::Region(_), _) => dialer.dial().await,
    };
    Link::establish(core, dialer, session.map_err(ConnectError::Dial)?, generation).await
}

async fn receive(link: &mut Option<Link>) -> Option<EdgeMessage> {
    match link {
        Some(link) => link.receive().await,
        None => pending().await,
    }
}

async fn finished(dial: &mut Option<Dial>) -> (Aim, Result<Link, ConnectError>) {
    match dial {
        Some(dial) => {
            let result = (&mut dial.task).await;
            let result =
                result.unwrap_or_else(|error| Err(ConnectError::Handshake(format!("the attempt broke: {error}"))));
            (dial.aim.clone(), result)
        }
        None => pending().await,
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => pending().await,
    }
}
