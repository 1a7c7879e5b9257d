//! The lease desk: claims and releases that arrive together are written together.
//!
//! A transaction waits for the disk. One after the other, a thousand agents that come back after a restart would wait for a thousand
//! disk writes; here all that queued up during one write go into the next.

use std::time::Duration;

use portway_bus::Topic;
use portway_store::{Claim, ClaimAnswer, Release, Store, StoreError, Timestamp};
use tokio::sync::{mpsc, oneshot};

/// Orders that wait. An edge keeps at most a few hundred under way; more than this is a storm that is better told to come again.
const QUEUE: usize = 4096;
/// Orders in one transaction: enough to make the disk's time negligible, few enough that one takes milliseconds.
const BATCH: usize = 256;
/// How long a released name is kept for its account: an agent that was stopped and started by hand has its name again.
pub(crate) const RELEASE_GRACE: Duration = Duration::from_secs(30);

/// Where claims and releases are handed in. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct LeaseDesk {
    orders: mpsc::Sender<Order>,
}

/// Why an order was not carried out. All of them may work later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DeskFault {
    #[error("too many claims are waiting")]
    Full,
    #[error("the database cannot be written")]
    Store,
    #[error("the control plane is stopping")]
    Closed,
}

#[derive(Debug)]
enum Order {
    Claim(Box<Claim>, oneshot::Sender<Result<ClaimAnswer, DeskFault>>),
    Release(Vec<Release>, oneshot::Sender<Result<(), DeskFault>>),
}

/// Carries orders out until every [`LeaseDesk`] is gone.
#[derive(Debug)]
pub(crate) struct Clerk {
    orders: mpsc::Receiver<Order>,
    store: Store,
    topic: Topic,
    ttl: Duration,
}

impl LeaseDesk {
    /// A desk, and the clerk that must be run for it.
    pub(crate) fn open(store: Store, topic: Topic, ttl: Duration) -> (LeaseDesk, Clerk) {
        let (sender, orders) = mpsc::channel(QUEUE);
        (LeaseDesk { orders: sender }, Clerk { orders, store, topic, ttl })
    }

    /// Hands a claim in and waits for its outcome.
    ///
    /// # Cancel safety
    /// A claim handed in is carried out although nobody waits.
    pub(crate) async fn claim(&self, claim: Claim) -> Result<ClaimAnswer, DeskFault> {
        let (answer, outcome) = oneshot::channel();
        self.hand_in(Order::Claim(Box::new(claim), answer))?;
        outcome.await.unwrap_or(Err(DeskFault::Closed))
    }

    /// Hands releases in and waits until they are written.
    ///
    /// # Cancel safety
    /// Releases handed in are carried out although nobody waits.
    pub(crate) async fn release(&self, releases: Vec<Release>) -> Result<(), DeskFault> {
        let (answer, outcome) = oneshot::channel();
        self.hand_in(Order::Release(releases, answer))?;
        outcome.await.unwrap_or(Err(DeskFault::Closed))
    }

    fn hand_in(&self, order: Order) -> Result<(), DeskFault> {
        self.orders.try_send(order).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => DeskFault::Full,
            mpsc::error::TrySendError::Closed(_) => DeskFault::Closed,
        })
    }
}

impl Clerk {
    /// Carries orders out, in the order they came, as many at once as there are.
    pub(crate) async fn run(mut self) {
        let mut orders = Vec::with_capacity(BATCH);
        while self.orders.recv_many(&mut orders, BATCH).await > 0 {
            let (mut claims, mut releases) = (Claims::default(), Releases::default());
            for order in orders.drain(..) {
                match order {
                    Order::Claim(claim, answer) => {
                        self.write_releases(&mut releases).await;
                        claims.wanted.push(*claim);
                        claims.answers.push(answer);
                    }
                    Order::Release(some, answer) => {
                        self.write_claims(&mut claims).await;
                        releases.wanted.extend(some);
                        releases.answers.push(answer);
                    }
                }
            }
            self.write_claims(&mut claims).await;
            self.write_releases(&mut releases).await;
            self.wake().await;
        }
    }

    async fn write_claims(&self, claims: &mut Claims) {
        if claims.wanted.is_empty() {
            return;
        }
        let written = self.store.claim(&claims.wanted, Timestamp::now(), self.ttl).await;
        claims.wanted.clear();
        // An answer that nobody waits for any more is no fault.
        match written {
            Ok(outcomes) => {
                for (answer, outcome) in claims.answers.drain(..).zip(outcomes) {
                    let _ = answer.send(Ok(outcome));
                }
            }
            Err(error) => {
                report(&error);
                for answer in claims.answers.drain(..) {
                    let _ = answer.send(Err(DeskFault::Store));
                }
            }
        }
    }

    async fn write_releases(&self, releases: &mut Releases) {
        if releases.answers.is_empty() {
            return;
        }
        let now = Timestamp::now();
        let written = self.store.release(&releases.wanted, now + RELEASE_GRACE, now).await;
        releases.wanted.clear();
        let outcome = written.map_err(|error| {
            report(&error);
            DeskFault::Store
        });
        for answer in releases.answers.drain(..) {
            let _ = answer.send(outcome);
        }
    }

    /// Wakes the watchers. When it fails, the feed's tail does it a moment later.
    async fn wake(&self) {
        if let Ok(feed) = self.store.feed().await {
            self.topic.publish(feed.version);
        }
    }
}

#[derive(Default)]
struct Claims {
    wanted: Vec<Claim>,
    answers: Vec<oneshot::Sender<Result<ClaimAnswer, DeskFault>>>,
}

#[derive(Default)]
struct Releases {
    wanted: Vec<Release>,
    answers: Vec<oneshot::Sender<Result<(), DeskFault>>>,
}

fn report(error: &StoreError) {
    // A claim that comes while the control plane closes is made again at the next one.
    if !matches!(error, StoreError::Closed { .. }) {
        tracing::error!(%error, "leases cannot be written");
    }
}
