//! The last connections and requests of visitors, kept only while somebody looks.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::status::RECENT_MAX;

/// How long after a look entries are still remembered: a view refreshes more often than that.
const LOOKED_AT_FOR: Duration = Duration::from_secs(30);

/// A feed. When nobody looked lately an entry costs one atomic load and a look at the clock, and before anybody ever looked only the
/// load.
#[derive(Debug)]
pub(crate) struct Recent<T> {
    start: Instant,
    /// Milliseconds after `start` until which entries are remembered.
    until_ms: AtomicU64,
    last: Mutex<VecDeque<T>>,
}

impl<T: Clone> Recent<T> {
    pub(crate) fn new() -> Self {
        Recent { start: Instant::now(), until_ms: AtomicU64::new(0), last: Mutex::default() }
    }

    /// Whether somebody looked lately.
    pub(crate) fn is_watched(&self) -> bool {
        let until = self.until_ms.load(Ordering::Relaxed);
        until != 0 && self.now_ms() <= until
    }

    /// Remembers an entry, if anybody looks.
    pub(crate) fn note(&self, entry: impl FnOnce() -> T) {
        if !self.is_watched() {
            return;
        }
        let entry = entry();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() == RECENT_MAX {
            last.pop_front();
        }
        last.push_back(entry);
    }

    /// The last entries, oldest first. From now on they are remembered for a while.
    pub(crate) fn look(&self) -> Vec<T> {
        let until = self.now_ms() + u64::try_from(LOOKED_AT_FOR.as_millis()).unwrap_or(u64::MAX);
        self.until_ms.store(until, Ordering::Relaxed);
        self.last.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_kept_before_somebody_looks_and_little_after() {
        let recent = Recent::new();
        recent.note(|| 0);
        assert!(recent.look().is_empty());
        for entry in 0..RECENT_MAX + 5 {
            recent.note(|| entry);
        }
        let seen = recent.look();
        assert_eq!((seen.len(), seen[0]), (RECENT_MAX, 5));
    }
}
