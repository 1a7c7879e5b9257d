//! At most one line in a while, however often something happens.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Lets one line through in each period and counts the others. One for each place that logs what peers can cause:
///
/// ```
/// use portway_telemetry::Throttle;
///
/// static REFUSED: Throttle = Throttle::new();
/// if let Some(suppressed) = REFUSED.admit() {
///     tracing::warn!(suppressed, "connection refused: too many from one address");
/// }
/// ```
#[derive(Debug)]
pub struct Throttle {
    period: Duration,
    /// When the next line may pass, in milliseconds since the first use of any throttle.
    next: AtomicU64,
    suppressed: AtomicU64,
}

impl Throttle {
    /// One line a second.
    pub const fn new() -> Self {
        Self::every(Duration::from_secs(1))
    }

    /// One line in this time.
    pub const fn every(period: Duration) -> Self {
        Self { period, next: AtomicU64::new(0), suppressed: AtomicU64::new(0) }
    }

    /// `Some` when a line may pass now, with the number of lines that were held back since the last one.
    pub fn admit(&self) -> Option<u64> {
        static START: OnceLock<Instant> = OnceLock::new();
        self.admit_at(START.get_or_init(Instant::now).elapsed())
    }

    /// The same with the time, since any fixed moment, as an argument.
    fn admit_at(&self, now: Duration) -> Option<u64> {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let now = millis(now);
        let next = self.next.load(Ordering::Relaxed);
        let after = now.saturating_add(millis(self.period));
        // Of several threads at once, one moves the mark and passes.
        if now < next || self.next.compare_exchange(next, after, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            self.suppressed.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(self.suppressed.swap(0, Ordering::Relaxed))
    }
}

impl Default for Throttle {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_passes_in_each_period_and_the_rest_is_counted() {
        let throttle = Throttle::new();
        let at = |millis| throttle.admit_at(Duration::from_millis(millis));
        assert_eq!(at(0), Some(0));
        assert_eq!(at(1), None);
        assert_eq!(at(999), None);
        assert_eq!(at(1000), Some(2));
        assert_eq!(at(1999), None);
        assert_eq!(at(9000), Some(1));
        assert_eq!(at(10_000), Some(0));
    }

    #[test]
    fn of_many_threads_one_passes() {
        let throttle = Throttle::every(Duration::from_secs(3600));
        let passed: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| (0..1000).filter(|_| throttle.admit_at(Duration::from_secs(5)).is_some()).count())
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(passed, 1);
        assert_eq!(throttle.admit_at(Duration::from_secs(4000)), Some(7999));
    }
}
