//! Orders certificates from an ACME authority (RFC 8555 section 7.1) for names of accounts and for the base domain, and keeps them renewed.
//!
//! How far each certificate is stands in the resource that it is for, and is written after every step: whoever takes the work next, after a
//! restart or at another control plane, goes on there. The private key is written before anything is ordered for it. A step does one thing
//! at the authority; what can be mended only by the owner of the name is found out before, so that no order is spent on it.

mod accept;
mod account;
mod check;
mod objection;
pub(crate) mod own;
mod step;
mod subject;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use portway_acme::{Authority, ExternalAccount, Fault};
use portway_store::{ResourceError, Store, StoreError, Timestamp, Work};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::kept::BodyFault;
use crate::policy::NamePolicy;
use crate::seal::{MasterKey, NotOpened};
use account::AccountKeeper;
use objection::Objection;

/// How often it is looked for what is due.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Steps at once. Each waits for the authority or for DNS most of the time; authorities limit how many requests they take.
const AT_ONCE: usize = 16;
/// Longest time of a step.
const STEP_MAX: Duration = Duration::from_secs(50);
/// How long a step is held: until then nobody else takes it.
const HOLD: Duration = Duration::from_secs(60);

/// How certificates are ordered.
#[derive(Debug, Clone)]
pub struct AcmeConfig {
    /// From whom.
    pub authority: Authority,
    /// An e-mail address that the authority may write to.
    pub contact: Option<String>,
    /// The account elsewhere that the one at the authority belongs to.
    pub external: Option<ExternalAccount>,
    /// Certificates that an account may order in an hour, renewals not counted; of all accounts together five times as many.
    pub orders_per_hour: NonZeroU32,
    /// Whether the base domain and everything one label below have ordered certificates, too.
    pub base_domain: bool,
    /// Where DNS is asked before an order; none: the system's resolvers.
    pub resolver: Option<SocketAddr>,
}

/// Does the work.
#[derive(Debug)]
pub(crate) struct Issuer {
    store: Store,
    master: Arc<MasterKey>,
    names: Arc<NamePolicy>,
    config: AcmeConfig,
    account: AccountKeeper,
    /// Making an RSA key takes a processor seconds: one at a time.
    rsa: Semaphore,
}

/// Why a step goes no further.
enum Stop {
    /// The authority refuses, or is away.
    Authority(Fault),
    Objection(Objection),
    Unfinished(Unfinished),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Stop::Authority(fault)
    }
}

impl From<Objection> for Stop {
    fn from(objection: Objection) -> Self {
        Stop::Objection(objection)
    }
}

impl<E: Into<Unfinished>> From<E> for Stop {
    fn from(error: E) -> Self {
        Stop::Unfinished(error.into())
    }
}

/// Why a step is not written down. It is tried again when it is not held any more.
#[derive(Debug, thiserror::Error)]
enum Unfinished {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Resource(#[from] ResourceError),
    #[error(transparent)]
    Body(#[from] BodyFault),
    #[error(transparent)]
    Sealed(#[from] NotOpened),
    /// The policy is another one by now: somebody else's work is due.
    #[error("it is not wanted any more")]
    Unwanted,
}

impl Issuer {
    pub(crate) fn new(store: Store, master: Arc<MasterKey>, names: Arc<NamePolicy>, config: AcmeConfig) -> Issuer {
        let account = AccountKeeper::new(store.clone(), Arc::clone(&master), config.clone());
        Issuer { store, master, names, config, account, rsa: Semaphore::new(1) }
    }

    /// Works for ever.
    ///
    /// # Cancel safety
    /// What was written goes on; a step that was not, is done again after a minute.
    pub(crate) async fn run(self: &Arc<Self>) {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut steps: JoinSet<()> = JoinSet::new();
        // A full disk stays full for a while: it is said once.
        let mut said = None;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                Some(_) = steps.join_next() => {}
            }
            if steps.len() > AT_ONCE / 2 {
                continue;
            }
            let (now, free) = (Timestamp::now(), AT_ONCE - steps.len());
            match self.store.take_work(u32::try_from(free).unwrap_or(1), now + HOLD, now).await {
                Ok(taken) => {
                    said = None;
                    for work in taken {
                        steps.spawn(Arc::clone(self).work(work));
                    }
                }
                Err(error) => {
                    let text = error.to_string();
                    if said.as_ref() != Some(&text) {
                        tracing::error!(%error, "it cannot be found out which certificates are due");
                        said = Some(text);
                    }
                    // The next tick is soon enough, whatever steps end meanwhile.
                    ticks.tick().await;
                }
            }
        }
    }

    async fn work(self: Arc<Self>, work: Work) {
        let id = &work.resource.id;
        match Box::pin(self.step(&work)).await {
            Ok(()) => {}
            Err(Unfinished::Unwanted | Unfinished::Resource(ResourceError::Missing { .. })) => {
                tracing::debug!(%id, "a certificate is not wanted any more");
            }
            Err(error) => tracing::error!(%error, %id, "what was done for a certificate cannot be written down"),
        }
    }
}
