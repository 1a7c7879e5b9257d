//! Receive windows: what a peer may still send on a stream, when credit is returned, and how windows grow and shrink.
//!
//! The rule (`docs/spec/muxado.md`, "Flow control"): every stream starts with the initial window, which the peer assumes and nobody can
//! withhold, so these are bounded by the number of streams. What is granted beyond comes out of one budget for the session. A window
//! doubles when half of it was read within two round trips, since then the window and not the reader is what limits the rate. While
//! more of the session's bytes lie unread than the budget, windows of slow readers shrink by credit that is not returned.

use std::time::Duration;

/// A window that shrinks stops here, so that a slow reader still moves.
const SMALLEST_WINDOW: u32 = 32 * 1024;
/// Round trips below this are taken as this: what limits then is how fast both sides are scheduled, not the path.
const ROUND_TRIP_FLOOR: Duration = Duration::from_millis(2);

/// More came than the window had room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Overrun;

/// What the windows of one session share.
#[derive(Debug)]
pub(super) struct Budget {
    initial: u32,
    largest: u32,
    /// Most bytes granted above the initial windows.
    limit: usize,
    /// Bytes granted above the initial windows.
    granted: usize,
    /// Bytes received and not read, all streams.
    unread: usize,
    round_trip: Duration,
}

impl Budget {
    pub(super) fn new(initial: u32, largest: u32, limit: usize) -> Self {
        Self { initial, largest: largest.max(initial), limit, granted: 0, unread: 0, round_trip: ROUND_TRIP_FLOOR }
    }

    pub(super) fn set_round_trip(&mut self, round_trip: Duration) {
        self.round_trip = round_trip.max(ROUND_TRIP_FLOOR);
    }

    /// Bytes received and not read, all streams.
    #[cfg(test)]
    pub(super) fn unread(&self) -> usize {
        self.unread
    }

    /// Bytes granted above the initial windows.
    #[cfg(test)]
    pub(super) fn granted(&self) -> usize {
        self.granted
    }

    fn under_pressure(&self) -> bool {
        self.unread > self.limit
    }
}

/// The receive window of one stream.
#[derive(Debug)]
pub(super) struct Window {
    /// Bytes the peer may have sent ahead of the reader: `available` + unread + `owed`.
    size: u32,
    /// Bytes the peer may send now.
    available: u32,
    /// Bytes read whose credit was not returned yet.
    owed: u32,
    /// When credit was last returned, or the first bytes came.
    since: Option<Duration>,
}

impl Window {
    pub(super) fn new(budget: &Budget) -> Self {
        Self { size: budget.initial, available: budget.initial, owed: 0, since: None }
    }

    /// Bytes the peer may send now.
    #[cfg(test)]
    pub(super) fn available(&self) -> u32 {
        self.available
    }

    /// Takes `count` bytes of a frame that was announced.
    pub(super) fn charge(&mut self, count: u32, now: Duration) -> Result<(), Overrun> {
        self.available = self.available.checked_sub(count).ok_or(Overrun)?;
        self.since.get_or_insert(now);
        Ok(())
    }

    /// The bytes are here, and lie unread.
    pub(super) fn arrived(&self, count: usize, budget: &mut Budget) {
        budget.unread += count;
    }

    /// The reader took `count` bytes: tells the credit to return to the peer, never 0.
    pub(super) fn consumed(&mut self, count: usize, now: Duration, budget: &mut Budget) -> Option<u32> {
        self.drained(count, budget);
        // A piece read is never larger than the window it arrived in.
        self.owed += count as u32;
        if self.owed < self.size / 2 {
            return None;
        }
        let elapsed = now.saturating_sub(self.since.replace(now).unwrap_or(now));
        let busy = elapsed <= 2 * budget.round_trip;
        match (budget.under_pressure(), busy) {
            (true, false) => self.shrink(budget),
            (false, true) => self.grow(budget),
            _ => {}
        }
        let credit = std::mem::take(&mut self.owed);
        self.available += credit;
        (credit > 0).then_some(credit)
    }

    /// The reader took `count` bytes of a stream that receives no more.
    pub(super) fn drained(&self, count: usize, budget: &mut Budget) {
        budget.unread -= count;
    }

    /// The stream receives no more: what it had of the budget is free. `unread` bytes were dropped.
    pub(super) fn release(&mut self, unread: usize, budget: &mut Budget) {
        budget.unread -= unread;
        budget.granted -= self.size.saturating_sub(budget.initial) as usize;
        self.size = self.size.min(budget.initial);
    }

    /// Doubles the window, as far as the largest window and half of what is left of the budget allow: half, so that later streams
    /// find something too.
    fn grow(&mut self, budget: &mut Budget) {
        let wanted = self.size.min(budget.largest - self.size.min(budget.largest));
        let free = budget.initial.saturating_sub(self.size);
        let left = u32::try_from(budget.limit.saturating_sub(budget.granted) / 2).unwrap_or(u32::MAX);
        let more = wanted.min(free.saturating_add(left));
        self.resize(self.size + more, budget);
        self.owed += more;
    }

    /// Halves the window, as far as there is credit to keep.
    fn shrink(&mut self, budget: &mut Budget) {
        let kept = (self.size / 2).min(self.size.saturating_sub(SMALLEST_WINDOW)).min(self.owed);
        self.resize(self.size - kept, budget);
        self.owed -= kept;
    }

    fn resize(&mut self, size: u32, budget: &mut Budget) {
        budget.granted -= self.size.saturating_sub(budget.initial) as usize;
        self.size = size;
        budget.granted += self.size.saturating_sub(budget.initial) as usize;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INITIAL: u32 = 262_144;
    const MS: Duration = Duration::from_millis(1);

    /// Sends and reads a full window at `now`; tells the credit returned.
    fn turn(window: &mut Window, budget: &mut Budget, now: Duration) -> u32 {
        let count = window.available();
        window.charge(count, now).unwrap();
        window.arrived(count as usize, budget);
        window.consumed(count as usize, now, budget).unwrap_or(0)
    }

    #[test]
    fn credit_comes_back_at_half_a_window_and_is_never_zero() {
        let mut budget = Budget::new(INITIAL, INITIAL, 0);
        let mut window = Window::new(&budget);
        window.charge(INITIAL, MS).unwrap();
        window.arrived(INITIAL as usize, &mut budget);
        assert_eq!(window.charge(1, MS), Err(Overrun));
        assert_eq!(window.consumed(INITIAL as usize / 2 - 1, MS, &mut budget), None);
        assert_eq!(window.consumed(1, MS, &mut budget), Some(INITIAL / 2));
        assert_eq!(window.available(), INITIAL / 2);
        assert_eq!(budget.unread(), INITIAL as usize / 2);
    }

    #[test]
    fn a_fast_reader_doubles_its_window_up_to_the_largest() {
        let mut budget = Budget::new(INITIAL, 16 << 20, 64 << 20);
        budget.set_round_trip(50 * MS);
        let mut window = Window::new(&budget);
        for turns in 1..20 {
            turn(&mut window, &mut budget, 50 * MS * turns);
        }
        assert_eq!(window.available(), 16 << 20);
        assert_eq!(budget.granted(), (16 << 20) - INITIAL as usize);
        window.release(0, &mut budget);
        assert_eq!(budget.granted(), 0);
    }

    #[test]
    fn a_slow_reader_keeps_its_window() {
        let mut budget = Budget::new(INITIAL, 16 << 20, 64 << 20);
        let mut window = Window::new(&budget);
        for turns in 0..20 {
            turn(&mut window, &mut budget, 50 * MS * turns);
        }
        assert!(window.available() <= 2 * INITIAL, "only the first turn has no time to measure");
    }

    #[test]
    fn growth_stays_within_the_budget_and_leaves_something() {
        let mut budget = Budget::new(INITIAL, 16 << 20, 8 << 20);
        let mut windows: Vec<_> = (0..100).map(|_| Window::new(&budget)).collect();
        for turns in 1..30 {
            for window in &mut windows {
                turn(window, &mut budget, MS * turns);
            }
        }
        assert!(budget.granted() <= 8 << 20);
        assert!(windows.iter().all(|window| window.available() >= INITIAL));
    }

    #[test]
    fn unread_bytes_over_the_budget_shrink_slow_windows() {
        let mut budget = Budget::new(INITIAL, INITIAL, 1 << 20);
        let mut windows: Vec<_> = (0..8).map(|_| Window::new(&budget)).collect();
        for window in &mut windows {
            window.charge(INITIAL, MS).unwrap();
            window.arrived(INITIAL as usize, &mut budget);
        }
        let credit = windows[0].consumed(INITIAL as usize, 1000 * MS, &mut budget);
        assert_eq!(credit, Some(INITIAL / 2));
        let slow = turn(&mut windows[0], &mut budget, 2000 * MS);
        assert_eq!(slow, INITIAL / 4);
        for turns in 3..10 {
            turn(&mut windows[0], &mut budget, 1000 * MS * turns);
        }
        assert_eq!(windows[0].available(), SMALLEST_WINDOW);
        for window in &mut windows[1..] {
            window.release(INITIAL as usize, &mut budget);
        }
        assert_eq!(budget.unread(), 0);
        for turns in 0..10 {
            turn(&mut windows[0], &mut budget, 20_000 * MS + MS * turns);
        }
        assert_eq!(windows[0].available(), INITIAL);
    }
}
