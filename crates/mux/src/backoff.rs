//! When to try again.

use std::time::Duration;

/// Waits between attempts to get a lost session back: the first attempt at once, then at random between zero and a bound that doubles up to
/// a ceiling ("full jitter"). When an edge restarts, its agents spread over the bound instead of arriving together.
#[derive(Clone, Debug)]
pub struct Backoff {
    base: Duration,
    ceiling: Duration,
    attempts: u32,
}

impl Backoff {
    /// Bound of the second attempt; the first waits for nothing.
    pub const BASE: Duration = Duration::from_millis(500);
    /// Largest bound: an agent is back within half a minute of its edge.
    pub const CEILING: Duration = Duration::from_secs(30);

    /// With [`Backoff::BASE`] and [`Backoff::CEILING`].
    pub const fn new() -> Self {
        Self::with_bounds(Self::BASE, Self::CEILING)
    }

    /// With other bounds.
    pub const fn with_bounds(base: Duration, ceiling: Duration) -> Self {
        Self { base, ceiling, attempts: 0 }
    }

    /// How long to wait before the next attempt.
    #[expect(clippy::should_implement_trait, reason = "an endless schedule is no collection to iterate over")]
    pub fn next(&mut self) -> Duration {
        self.next_with(self.ceiling, rand::random::<f64>())
    }

    /// As [`Backoff::next`], with a lower ceiling for this one wait. It is still spread over the whole of its bound.
    pub fn next_below(&mut self, ceiling: Duration) -> Duration {
        self.next_with(ceiling, rand::random::<f64>())
    }

    /// As [`Backoff::next_below`], with the randomness given: a number from 0 up to 1.
    pub fn next_with(&mut self, ceiling: Duration, random: f64) -> Duration {
        let bound = self.bound().min(ceiling);
        self.attempts = self.attempts.saturating_add(1);
        bound.mul_f64(random.clamp(0.0, 1.0))
    }

    /// The longest that the next wait can be.
    pub fn bound(&self) -> Duration {
        match self.attempts.checked_sub(1) {
            None => Duration::ZERO,
            Some(doublings) => {
                let factor = 1u32.checked_shl(doublings).unwrap_or(u32::MAX);
                self.base.saturating_mul(factor).min(self.ceiling)
            }
        }
    }

    /// Attempts since the start or the last [`Backoff::reset`].
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The attempt has succeeded and has lasted: start over.
    pub const fn reset(&mut self) {
        self.attempts = 0;
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn first_at_once_then_doubling_to_the_ceiling() {
        let mut backoff = Backoff::new();
        let waits: Vec<_> = (0..9).map(|_| backoff.next_with(Backoff::CEILING, 1.0).as_millis()).collect();
        assert_eq!(waits, [0, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
        backoff.reset();
        assert_eq!(backoff.next_with(Backoff::CEILING, 1.0), Duration::ZERO);
    }

    #[test]
    fn a_lower_ceiling_bounds_what_is_spread() {
        let mut backoff = Backoff::new();
        let low = Duration::from_secs(2);
        let waits: Vec<_> = (0..6).map(|_| backoff.next_with(low, 0.5).as_millis()).collect();
        assert_eq!(waits, [0, 250, 500, 1000, 1000, 1000]);
        // The schedule went on behind it.
        assert_eq!(backoff.next_with(Backoff::CEILING, 0.5).as_secs(), 8);
    }

    proptest! {
        #[test]
        fn never_beyond_the_bound(randoms in prop::collection::vec(0.0..1.0f64, 1..100)) {
            let mut backoff = Backoff::new();
            for random in randoms {
                let bound = backoff.bound();
                prop_assert!(bound <= Backoff::CEILING);
                prop_assert!(backoff.next_with(Backoff::CEILING, random) <= bound);
            }
        }
    }
}
