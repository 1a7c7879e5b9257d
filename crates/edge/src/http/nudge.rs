//! The wake-ups of a state machine that is driven by hand.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use futures_util::task::AtomicWaker;

/// What wakes a driver that one task drives by hand, between other things. It remembers that something happened, so that a driver to
/// which nothing happened is not polled for nothing; and what happens while its task is at work with it does not wake the task once
/// more: hyper wakes the task that runs several times for each request.
#[derive(Default)]
pub(super) struct Nudge {
    woken: AtomicBool,
    at_work: AtomicBool,
    task: AtomicWaker,
}

impl Nudge {
    /// A nudge as the driver's waker. It counts as woken: a driver has to be polled once to begin.
    pub(super) fn new() -> (Arc<Nudge>, Waker) {
        let nudge = Arc::new(Nudge { woken: AtomicBool::new(true), ..Nudge::default() });
        let waker = Waker::from(Arc::clone(&nudge));
        (nudge, waker)
    }

    /// The task that drives from now on.
    pub(super) fn follow(&self, task: &Waker) {
        self.task.register(task);
    }

    /// Whether something happened since it was asked last.
    pub(super) fn take(&self) -> bool {
        self.woken.swap(false, Ordering::SeqCst)
    }

    /// Whether something happened that nobody has asked for.
    pub(super) fn is_woken(&self) -> bool {
        self.woken.load(Ordering::SeqCst)
    }

    /// Works with the driver. What happens meanwhile is remembered and wakes nobody: the caller drives, or asks
    /// [`is_woken`](Self::is_woken), before it waits.
    pub(super) fn while_working<R>(&self, work: impl FnOnce() -> R) -> R {
        self.at_work.store(true, Ordering::SeqCst);
        let done = work();
        self.at_work.store(false, Ordering::SeqCst);
        done
    }
}

impl Wake for Nudge {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        if !self.at_work.load(Ordering::SeqCst) {
            self.task.wake();
        }
    }
}

impl fmt::Debug for Nudge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nudge").field("woken", &self.is_woken()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Task(std::sync::atomic::AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn what_happens_at_work_is_remembered_and_wakes_nobody() {
        let task = Arc::new(Task::default());
        let (nudge, waker) = Nudge::new();
        assert!(nudge.take(), "a driver must be polled once");
        nudge.follow(&Waker::from(Arc::clone(&task)));

        nudge.while_working(|| waker.wake_by_ref());
        assert!(nudge.is_woken());
        assert_eq!(task.0.load(Ordering::SeqCst), 0);
        assert!(nudge.take() && !nudge.take());

        waker.wake_by_ref();
        assert_eq!(task.0.load(Ordering::SeqCst), 1);
        assert!(nudge.take());
    }
}
