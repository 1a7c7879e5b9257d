//! The futures that belong to one visitor's connection besides the connection itself. They run on its task and end with it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;

/// A future of a connection.
type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where new futures of a connection are left. Hyper's executor: HTTP/2 hands it one future for each request, whose number the
/// settings of the connection bound.
#[derive(Clone, Default)]
pub(super) struct Spawner {
    new: Arc<Mutex<Vec<Task>>>,
}

impl<F> hyper::rt::Executor<F> for Spawner
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        self.new.lock().unwrap_or_else(PoisonError::into_inner).push(Box::pin(future));
    }
}

impl fmt::Debug for Spawner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spawner")
    }
}

/// The running futures of a connection. Dropped, it drops them all.
pub(super) struct Tasks {
    spawner: Spawner,
    running: FuturesUnordered<Task>,
}

impl Tasks {
    pub(super) fn new(spawner: Spawner) -> Tasks {
        Tasks { spawner, running: FuturesUnordered::new() }
    }

    /// Runs what can run. Must be polled again whenever something was spawned, that is after everything that may spawn was polled.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) {
        loop {
            let new = std::mem::take(&mut *self.spawner.new.lock().unwrap_or_else(PoisonError::into_inner));
            let none_new = new.is_empty();
            self.running.extend(new);
            if self.running.is_empty() {
                return;
            }
            while let Poll::Ready(Some(())) = self.running.poll_next_unpin(cx) {}
            if none_new {
                return;
            }
        }
    }
}

/// The cancellation of a token, for somebody who is polled often: the token, whose lock all connections share, is asked only after it
/// woke.
pub(super) struct Signal {
    wait: FuturesUnordered<Task>,
}

impl Signal {
    pub(super) fn new(token: CancellationToken) -> Signal {
        let wait = FuturesUnordered::new();
        let cancelled: Task = Box::pin(token.cancelled_owned());
        wait.push(cancelled);
        Signal { wait }
    }

    /// Ready once, when the token is cancelled.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.wait.poll_next_unpin(cx) {
            Poll::Ready(Some(())) => Poll::Ready(()),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}
