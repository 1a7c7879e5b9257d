//! Rates that a peer is held to.

use std::time::Duration;

use crate::{ErrorCode, FaultReason, PeerFault};

/// Frames a second that change nothing (empty DATA, unknown types, RST and WNDINC of forgotten streams). An honest peer sends them
/// when messages cross; a flood of them only burns time. SDKs return credit in tiny steps, so the number is high.
const IDLE_FRAMES_PER_SECOND: u32 = 100_000;
/// Answers a second to DATA of unknown streams; data beyond is dropped without an answer.
const STRAY_ANSWERS_PER_SECOND: u32 = 1_000;

/// May a peer's stream be opened?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OpenVerdict {
    Granted,
    TooFast,
}

/// The rates of one session.
#[derive(Debug)]
pub(super) struct Limits {
    opens: Bucket,
    refused_opens: Bucket,
    idle_frames: Bucket,
    stray_answers: Bucket,
    opens_per_second: u32,
}

impl Limits {
    pub(super) fn new(opens_per_second: u32) -> Self {
        Self {
            opens: Bucket::new(opens_per_second),
            refused_opens: Bucket::new(opens_per_second),
            idle_frames: Bucket::new(IDLE_FRAMES_PER_SECOND),
            stray_answers: Bucket::new(STRAY_ANSWERS_PER_SECOND),
            opens_per_second,
        }
    }

    /// Counts a SYN. Beyond the rate it is refused; who keeps beyond twice the rate is at fault.
    pub(super) fn open(&mut self, now: Duration) -> Result<OpenVerdict, PeerFault> {
        if self.opens.take(now) {
            return Ok(OpenVerdict::Granted);
        }
        if self.refused_opens.take(now) {
            return Ok(OpenVerdict::TooFast);
        }
        let reason = FaultReason::TooManyOpens { per_second: self.opens_per_second };
        Err(PeerFault { code: ErrorCode::ENHANCE_YOUR_CALM, reason })
    }

    /// Counts a frame that changed nothing.
    pub(super) fn idle_frame(&mut self, now: Duration) -> Result<(), PeerFault> {
        if self.idle_frames.take(now) {
            return Ok(());
        }
        Err(PeerFault { code: ErrorCode::ENHANCE_YOUR_CALM, reason: FaultReason::TooManyIdleFrames })
    }

    /// Whether another stray DATA frame is worth an answer.
    pub(super) fn stray_answer(&mut self, now: Duration) -> bool {
        self.stray_answers.take(now)
    }
}

/// A token bucket that holds one second's worth (generic cell rate algorithm: one time instead of a level).
#[derive(Debug)]
struct Bucket {
    interval: Duration,
    empty_until: Duration,
}

impl Bucket {
    fn new(per_second: u32) -> Self {
        Self { interval: Duration::from_secs(1) / per_second.max(1), empty_until: Duration::ZERO }
    }

    fn take(&mut self, now: Duration) -> bool {
        let next = self.empty_until.max(now) + self.interval;
        let granted = next <= now + Duration::from_secs(1);
        if granted {
            self.empty_until = next;
        }
        granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_a_burst_and_then_its_rate() {
        let mut bucket = Bucket::new(10);
        let taken = |bucket: &mut Bucket, now| (0..100).filter(|_| bucket.take(now)).count();
        assert_eq!(taken(&mut bucket, Duration::ZERO), 10);
        assert_eq!(taken(&mut bucket, Duration::from_millis(500)), 5);
        assert_eq!(taken(&mut bucket, Duration::from_secs(60)), 10);
    }

    #[test]
    fn opens_are_refused_first_and_a_fault_when_it_goes_on() {
        let mut limits = Limits::new(10);
        let verdicts: Vec<_> = (0..21).map(|_| limits.open(Duration::ZERO)).collect();
        assert!(verdicts[..10].iter().all(|verdict| *verdict == Ok(OpenVerdict::Granted)));
        assert!(verdicts[10..20].iter().all(|verdict| *verdict == Ok(OpenVerdict::TooFast)));
        assert_eq!(verdicts[20].map_err(|fault| fault.code), Err(ErrorCode::ENHANCE_YOUR_CALM));
    }
}
