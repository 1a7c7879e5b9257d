//! Work that is done one piece at a time, in turns of accounts: whoever asks for much waits for itself, and others for one piece of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use portway_names::AccountId;
use tokio::sync::{Mutex as Queue, OwnedMutexGuard};

/// The turns of one kind of work.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// Accounts queue here, each with one piece of work.
    all: Arc<Queue<()>>,
    /// The pieces of each account that has some.
    accounts: Mutex<HashMap<AccountId, Arc<Queue<()>>>>,
}

/// The right to work, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    _all: OwnedMutexGuard<()>,
    _account: OwnedMutexGuard<()>,
}

impl Turns {
    /// Waits for the account's turn.
    ///
    /// # Cancel safety
    /// The place in the queue is lost.
    pub(crate) async fn wait(&self, account: AccountId) -> Turn {
        let own = {
            let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
            accounts.retain(|_, queue| Arc::strong_count(queue) > 1);
            Arc::clone(accounts.entry(account).or_default())
        };
        let account = own.lock_owned().await;
        Turn { _all: Arc::clone(&self.all).lock_owned().await, _account: account }
    }
}

#[cfg(test)]
mod tests {
    use portway_names::Ksuid;
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn an_account_with_much_work_does_not_hold_up_another() {
        let turns = Arc::new(Turns::default());
        let [busy, other] = [1, 2].map(|n| AccountId::new(Ksuid::from_parts(0, [n; 16])));
        let first = turns.wait(busy).await;
        let (done, mut order) = mpsc::unbounded_channel();
        let queue = |account: AccountId| {
            let (turns, done) = (Arc::clone(&turns), done.clone());
            async move {
                let _turn = turns.wait(account).await;
                done.send(account).expect("the test listens");
            }
        };
        for account in [busy, busy, busy, other] {
            tokio::spawn(queue(account));
            // In this order.
            tokio::task::yield_now().await;
        }
        drop(first);
        let mut seen = Vec::new();
        for _ in 0..4 {
            seen.extend(order.recv().await);
        }
        assert!(seen[..2].contains(&other), "{seen:?}");
        drop(turns.wait(other).await);
        assert_eq!(turns.accounts.lock().expect("a test").len(), 1, "who is done is forgotten");
    }
}
