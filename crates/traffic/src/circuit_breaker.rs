//! `circuit-breaker`: holds requests off an upstream that only fails.

use std::time::Duration;

use portway_codes::Code;
use serde::Deserialize;

use crate::{ConfigError, GoDuration};

/// Parts that a window is counted in; the documented, fixed number.
const BUCKETS: usize = 10;
/// Range of both durations, as documented.
const DURATION_MIN: Duration = Duration::from_secs(1);
const DURATION_MAX: Duration = Duration::from_secs(120);
/// Largest volume, as documented.
const VOLUME_MAX: u32 = 2_000_000_000;

/// Configuration of `circuit-breaker`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CircuitBreakerConfig {
    /// Ratio of failures to requests in the window at which it trips, 0 to 1. Default: 0.5.
    pub error_threshold: f64,
    /// Requests in the window below which it never trips, 1 to 2,000,000,000. Default: 10.
    pub volume_threshold: u32,
    /// How far back requests count, 1 s to 2 min. Default: 10 s.
    pub window_duration: GoDuration,
    /// How long requests are held off before one may try again, 1 s to 2 min. Default: 10 s.
    pub tripped_duration: GoDuration,
    /// Always 10.
    pub num_buckets: u32,
    /// Whether requests are held off at all. Default: true.
    pub enforce: bool,
}

impl Default for CircuitBreakerConfig {
    fn default() -> Self {
        CircuitBreakerConfig {
            error_threshold: 0.5,
            volume_threshold: 10,
            window_duration: GoDuration(Duration::from_secs(10)),
            tripped_duration: GoDuration(Duration::from_secs(10)),
            num_buckets: BUCKETS as u32,
            enforce: true,
        }
    }
}

/// The compiled action: the rules. Each registration of an endpoint has a [`Breaker`] of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CircuitBreaker {
    error_threshold: f64,
    volume_threshold: u32,
    window: Duration,
    tripped: Duration,
    enforce: bool,
}

impl CircuitBreaker {
    /// Type of the action.
    pub const NAME: &str = "circuit-breaker";

    /// Compiles the action.
    ///
    /// # Errors
    /// A ratio outside of 0 to 1 (361), another value outside of its range (2215).
    pub fn new(config: &CircuitBreakerConfig) -> Result<CircuitBreaker, ConfigError> {
        let range = |field, why: &str| Err(ConfigError::new(Code::ERR_NGROK_2215, Self::NAME, field, why));
        if !(0.0..=1.0).contains(&config.error_threshold) {
            let why = "the ratio must be between 0 and 1";
            return Err(ConfigError::new(Code::ERR_NGROK_361, Self::NAME, "error_threshold", why));
        }
        if !(1..=VOLUME_MAX).contains(&config.volume_threshold) {
            return range("volume_threshold", "it must be between 1 and 2,000,000,000");
        }
        for (field, duration) in
            [("window_duration", config.window_duration), ("tripped_duration", config.tripped_duration)]
        {
            if !(DURATION_MIN..=DURATION_MAX).contains(&duration.0) {
                return range(field, "it must be between 1s and 2m");
            }
        }
        if config.num_buckets as usize != BUCKETS {
            return range("num_buckets", "it must be 10");
        }
        Ok(CircuitBreaker {
            error_threshold: config.error_threshold,
            volume_threshold: config.volume_threshold,
            window: config.window_duration.0,
            tripped: config.tripped_duration.0,
            enforce: config.enforce,
        })
    }
}

/// What became of a request that was let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The upstream answered, and not with a 5xx.
    Success,
    /// The upstream answered with a 5xx, or could not be reached.
    Failure,
    /// The visitor left before there was an answer.
    Unknown,
}

/// A request that was let through. Each is given back by [`Breaker::finish`], once.
#[derive(Debug)]
pub struct Ticket {
    round: u64,
}

/// State of a breaker: a machine that gets the time told, as the time since any moment that stays the same.
///
/// Closed, it lets every request through and counts. When enough of the requests in the window failed, it trips: requests are held off. After
/// the tripped duration one request may try; if that succeeds the breaker closes with nothing counted, and if it fails it trips again. One that
/// hangs does not block it for ever: after another tripped duration the next may try. Answers to requests from before a change do not count after it.
#[derive(Debug)]
pub struct Breaker {
    rules: CircuitBreaker,
    state: State,
    /// Counts the changes of state.
    round: u64,
    buckets: [Bucket; BUCKETS],
    /// Number of the newest bucket since the beginning of time.
    newest: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    Open { until: Duration },
    HalfOpen { next_try: Duration },
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    requests: u32,
    failures: u32,
}

impl Breaker {
    /// A closed breaker.
    pub fn new(rules: CircuitBreaker) -> Breaker {
        Breaker { rules, state: State::Closed, round: 0, buckets: Default::default(), newest: 0 }
    }

    /// Whether a request may go to the upstream. `None`: it is held off.
    pub fn admit(&mut self, now: Duration) -> Option<Ticket> {
        if let State::Open { until } = self.state
            && now >= until
        {
            self.change(State::HalfOpen { next_try: now });
        }
        let free = match &mut self.state {
            State::Closed => true,
            State::HalfOpen { next_try } if now >= *next_try => {
                *next_try = now.saturating_add(self.rules.tripped);
                return Some(Ticket { round: self.round });
            }
            State::Open { .. } | State::HalfOpen { .. } => !self.rules.enforce,
        };
        // Not enforced, what passes an open breaker changes nothing.
        let round = if self.state == State::Closed { self.round } else { u64::MAX };
        free.then_some(Ticket { round })
    }

    /// What became of a request.
    pub fn finish(&mut self, ticket: Ticket, outcome: Outcome, now: Duration) {
        if ticket.round != self.round {
            return;
        }
        match (self.state, outcome) {
            (State::Closed, Outcome::Success | Outcome::Failure) => self.count(outcome == Outcome::Failure, now),
            (State::HalfOpen { .. }, Outcome::Success) => {
                self.buckets = Default::default();
                self.change(State::Closed);
            }
            (State::HalfOpen { .. }, Outcome::Failure) => self.trip(now),
            (State::HalfOpen { .. }, Outcome::Unknown) => self.state = State::HalfOpen { next_try: now },
            (State::Closed, Outcome::Unknown) | (State::Open { .. }, _) => {}
        }
    }

    fn count(&mut self, failed: bool, now: Duration) {
        self.turn(now);
        let bucket = &mut self.buckets[(self.newest % BUCKETS as u64) as usize];
        bucket.requests = bucket.requests.saturating_add(1);
        bucket.failures = bucket.failures.saturating_add(u32::from(failed));
        let sum = |part: fn(&Bucket) -> u32| self.buckets.iter().map(|bucket| u64::from(part(bucket))).sum::<u64>();
        let (requests, failures) = (sum(|bucket| bucket.requests), sum(|bucket| bucket.failures));
        let enough = requests >= u64::from(self.rules.volume_threshold);
        if failed && enough && failures as f64 >= self.rules.error_threshold * requests as f64 {
            self.trip(now);
        }
    }

    /// Forgets the buckets that are out of the window.
    fn turn(&mut self, now: Duration) {
        let length = self.rules.window.as_nanos() / BUCKETS as u128;
        let number = u64::try_from(now.as_nanos() / length.max(1)).unwrap_or(u64::MAX);
        let passed = number.saturating_sub(self.newest).min(BUCKETS as u64);
        for step in 1..=passed {
            // The newest ones are those that passed last, whatever lies between.
            let at = number.saturating_sub(passed - step) % BUCKETS as u64;
            self.buckets[at as usize] = Bucket::default();
        }
        self.newest = self.newest.max(number);
    }

    fn trip(&mut self, now: Duration) {
        self.buckets = Default::default();
        self.change(State::Open { until: now.saturating_add(self.rules.tripped) });
    }

    fn change(&mut self, state: State) {
        self.state = state;
        self.round += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn breaker(change: impl FnOnce(&mut CircuitBreakerConfig)) -> Breaker {
        let mut config = CircuitBreakerConfig { volume_threshold: 4, ..CircuitBreakerConfig::default() };
        change(&mut config);
        Breaker::new(CircuitBreaker::new(&config).unwrap())
    }

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn run(breaker: &mut Breaker, outcome: Outcome, now: Duration) -> bool {
        let ticket = breaker.admit(now);
        let admitted = ticket.is_some();
        if let Some(ticket) = ticket {
            breaker.finish(ticket, outcome, now);
        }
        admitted
    }

    #[test]
    fn it_trips_at_the_ratio_and_not_below_the_volume() {
        use Outcome::{Failure, Success, Unknown};
        let mut breaker = breaker(|_| {});
        for outcome in [Failure, Failure, Unknown, Unknown, Failure] {
            assert!(run(&mut breaker, outcome, secs(1)));
        }
        assert!(run(&mut breaker, Success, secs(2)), "three of four failed, but the last one did not");
        assert!(run(&mut breaker, Failure, secs(2)));
        assert!(!run(&mut breaker, Success, secs(3)));
        assert!(!run(&mut breaker, Success, secs(11)));
        assert!(run(&mut breaker, Success, secs(12)), "one may try after ten seconds");
        assert!(run(&mut breaker, Failure, secs(12)), "and nothing is held against the upstream");
    }

    #[test]
    fn one_at_a_time_tries() {
        let mut breaker = breaker(|config| config.volume_threshold = 1);
        let slow = breaker.admit(secs(0)).unwrap();
        assert!(run(&mut breaker, Outcome::Failure, secs(0)));
        let first = breaker.admit(secs(10)).unwrap();
        assert!(breaker.admit(secs(10)).is_none());
        breaker.finish(slow, Outcome::Success, secs(10));
        assert!(breaker.admit(secs(10)).is_none(), "an answer from before it tripped decides nothing");
        breaker.finish(first, Outcome::Unknown, secs(11));
        let second = breaker.admit(secs(11)).unwrap();
        breaker.finish(second, Outcome::Failure, secs(12));
        assert!(breaker.admit(secs(21)).is_none());
        assert!(breaker.admit(secs(22)).is_some());
    }

    #[test]
    fn one_that_hangs_does_not_block_the_rest() {
        let mut breaker = breaker(|config| config.volume_threshold = 1);
        assert!(run(&mut breaker, Outcome::Failure, secs(0)));
        let hanging = breaker.admit(secs(10)).unwrap();
        assert!(breaker.admit(secs(19)).is_none());
        assert!(run(&mut breaker, Outcome::Success, secs(20)));
        breaker.finish(hanging, Outcome::Failure, secs(21));
        assert!(run(&mut breaker, Outcome::Success, secs(21)));
    }

    #[test]
    fn old_requests_leave_the_window() {
        let mut breaker = breaker(|_| {});
        for at in 0..3 {
            assert!(run(&mut breaker, Outcome::Failure, secs(at)));
        }
        // The first two are out of the window by now: it takes three more.
        for _ in 0..3 {
            assert!(run(&mut breaker, Outcome::Failure, secs(11)));
        }
        assert!(!run(&mut breaker, Outcome::Failure, secs(11)));
        // Times may come out of order, as tasks do.
        breaker.turn(secs(3));
        assert_eq!(breaker.newest, 11);
    }

    #[test]
    fn not_enforced_it_never_holds_off() {
        let mut breaker = breaker(|config| config.enforce = false);
        for _ in 0..50 {
            assert!(run(&mut breaker, Outcome::Failure, secs(1)));
        }
    }

    #[test]
    fn ratios_at_the_ends() {
        let mut never = breaker(|config| config.error_threshold = 1.0);
        run(&mut never, Outcome::Success, secs(0));
        (0..50).for_each(|_| assert!(run(&mut never, Outcome::Failure, secs(0))));
        let mut always = breaker(|config| config.error_threshold = 0.0);
        (0..50).for_each(|_| assert!(run(&mut always, Outcome::Success, secs(0))));
        assert!(run(&mut always, Outcome::Failure, secs(0)));
        assert!(!run(&mut always, Outcome::Success, secs(0)));
    }

    #[test]
    fn limits_hold() {
        let of = |change: fn(&mut CircuitBreakerConfig)| {
            let mut config = CircuitBreakerConfig::default();
            change(&mut config);
            CircuitBreaker::new(&config).map_err(|error| (error.code, error.field)).err()
        };
        let range = |field: &str| Some((Code::ERR_NGROK_2215, field.to_owned()));
        let ratio = Some((Code::ERR_NGROK_361, "error_threshold".to_owned()));
        assert_eq!(of(|_| {}), None);
        assert_eq!(of(|config| config.error_threshold = 1.01), ratio);
        assert_eq!(of(|config| config.error_threshold = -0.1), ratio);
        assert_eq!(of(|config| config.error_threshold = f64::NAN), ratio);
        assert_eq!(of(|config| config.volume_threshold = 0), range("volume_threshold"));
        assert_eq!(of(|config| config.volume_threshold = 2_000_000_001), range("volume_threshold"));
        assert_eq!(of(|config| config.window_duration = GoDuration(secs(0))), range("window_duration"));
        assert_eq!(of(|config| config.tripped_duration = GoDuration(secs(121))), range("tripped_duration"));
        assert_eq!(of(|config| config.num_buckets = 11), range("num_buckets"));
    }

    proptest! {
        /// Whatever happens in whatever order, an open breaker holds off until its time is over, and lets one through then.
        #[test]
        fn it_always_comes_back(steps in proptest::collection::vec((0_u64..3_000, 0..3_u8, any::<bool>()), 1..200)) {
            let mut breaker = breaker(|_| {});
            let mut now = Duration::ZERO;
            let mut held = Vec::new();
            for (wait, outcome, keep) in steps {
                now += Duration::from_millis(wait);
                let outcome = [Outcome::Success, Outcome::Failure, Outcome::Unknown][outcome as usize];
                let open = matches!(breaker.state, State::Open { until } if now < until);
                match breaker.admit(now) {
                    Some(ticket) => {
                        prop_assert!(!open);
                        if keep { held.push((ticket, outcome)) } else { breaker.finish(ticket, outcome, now) }
                    }
                    None => {
                        let tried = matches!(breaker.state, State::HalfOpen { next_try } if now < next_try);
                        prop_assert!(open || tried);
                    }
                }
                let requests: u32 = breaker.buckets.iter().map(|bucket| bucket.requests).sum();
                prop_assert!(requests <= 200);
            }
            for (ticket, outcome) in held {
                breaker.finish(ticket, outcome, now);
            }
            prop_assert!(breaker.admit(now + secs(10)).is_some());
        }
    }
}
