//! Log lines that peers cause: one a second at most.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// When a line was logged last: milliseconds since the edge's start, plus one; 0: never.
#[derive(Debug, Default)]
pub(crate) struct Paced(AtomicU64);

impl Paced {
    /// Whether a line is due, `now` after the edge's start. It counts as logged then.
    pub(crate) fn is_due(&self, now: Duration) -> bool {
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
        let last = self.0.load(Ordering::Relaxed);
        let due = last == 0 || now >= last.saturating_add(1_000);
        due && self.0.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_a_second() {
        let paced = Paced::default();
        let due = [0, 1, 999, 1_000, 1_500, 2_000].map(|millis| paced.is_due(Duration::from_millis(millis)));
        assert_eq!(due, [true, false, false, true, false, true]);
    }
}
