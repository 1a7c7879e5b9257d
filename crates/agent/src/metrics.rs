//! Counters of one endpoint.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Durations remembered for the percentiles: enough for a stable 99th, 4 KiB an endpoint.
const REMEMBERED_DURATIONS: usize = 512;

/// A reading of an endpoint's counters.
#[derive(Debug, Clone, Copy, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Metrics {
    /// Connections since the endpoint was opened.
    pub total: u64,
    /// Connections open now.
    pub open: u64,
    /// Connections turned away because the upstream was not reached.
    pub failed: u64,
    /// Median duration of the last 512 connections.
    pub p50: Option<Duration>,
    /// 90th percentile of the same.
    pub p90: Option<Duration>,
}

/// Live counters, shared by the connections of one endpoint.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    total: AtomicU64,
    open: AtomicU64,
    failed: AtomicU64,
    durations: Mutex<Ring>,
}

#[derive(Debug, Default)]
struct Ring {
    micros: Vec<u64>,
    next: usize,
}

impl Counters {
    /// Counts a connection until the returned guard is dropped.
    pub(crate) fn enter(&self) -> Open<'_> {
        self.opened();
        Open { counters: self, since: Instant::now() }
    }

    /// Counts a connection; [`Self::closed`] must follow.
    pub(crate) fn opened(&self) {
        self.total.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts the end of a connection.
    pub(crate) fn closed(&self, lasted: Duration) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        let micros = u64::try_from(lasted.as_micros()).unwrap_or(u64::MAX);
        self.durations.lock().unwrap_or_else(PoisonError::into_inner).push(micros);
    }

    /// Counts a connection that was turned away.
    pub(crate) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// Reads everything.
    pub(crate) fn read(&self) -> Metrics {
        let mut sorted = self.durations.lock().unwrap_or_else(PoisonError::into_inner).micros.clone();
        sorted.sort_unstable();
        Metrics {
            total: self.total.load(Ordering::Relaxed),
            open: self.open.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            p50: percentile(&sorted, 50),
            p90: percentile(&sorted, 90),
        }
    }
}

impl Ring {
    fn push(&mut self, micros: u64) {
        if self.micros.len() < REMEMBERED_DURATIONS {
            self.micros.push(micros);
        } else {
            self.micros[self.next] = micros;
            self.next = (self.next + 1) % REMEMBERED_DURATIONS;
        }
    }
}

/// A connection that is counted as open.
pub(crate) struct Open<'a> {
    counters: &'a Counters,
    since: Instant,
}

impl Open<'_> {
    /// How long the connection has been open.
    pub(crate) fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.counters.closed(self.since.elapsed());
    }
}

/// Nearest-rank percentile.
fn percentile(sorted: &[u64], percent: usize) -> Option<Duration> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_rank() {
        let counters = Counters::default();
        assert_eq!(counters.read().p50, None);
        for millis in 1..=10 {
            counters.opened();
            counters.closed(Duration::from_millis(millis));
        }
        let read = counters.read();
        assert_eq!(read.p50, Some(Duration::from_millis(5)));
        assert_eq!(read.p90, Some(Duration::from_millis(9)));
        assert_eq!((read.total, read.open), (10, 0));
    }

    #[test]
    fn old_durations_are_forgotten() {
        let counters = Counters::default();
        for index in 0..REMEMBERED_DURATIONS * 2 {
            counters.opened();
            counters.closed(Duration::from_micros(if index < REMEMBERED_DURATIONS { 1_000_000 } else { 7 }));
        }
        assert_eq!(counters.read().p90, Some(Duration::from_micros(7)));
    }

    #[test]
    fn a_guard_counts_once() {
        let counters = Counters::default();
        let guard = counters.enter();
        assert_eq!(counters.read().open, 1);
        drop(guard);
        assert_eq!((counters.read().open, counters.read().total), (0, 1));
    }
}
