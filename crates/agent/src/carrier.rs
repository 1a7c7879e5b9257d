//! When to dial again, and when to try the better carrier: pure decisions over times.

use std::time::Duration;

use portway_mux::{Backoff, Carrier, DialCause, DialError, Dialer, ProxyError};

/// Time after which the round trip of a new session is taken as its own.
pub(crate) const SETTLE_AFTER: Duration = Duration::from_secs(2);
/// Time until a second ping has been answered (mux pings every 10 s).
pub(crate) const CONFIRM_AFTER: Duration = Duration::from_secs(11);
/// Time between later measurements: the path may change under a session that moves with it.
pub(crate) const MEASURE_EVERY: Duration = Duration::from_secs(60);
/// First wait after a failed attempt at the better carrier.
const FIRST_RETRY: Duration = Duration::from_secs(60);
/// Longest wait between attempts at the better carrier.
const LAST_RETRY: Duration = Duration::from_secs(30 * 60);
/// A session on the better carrier that dies younger than this counts as a failed attempt: some networks let the handshake of a carrier
/// through and then drop it.
const PROVEN_AFTER: Duration = Duration::from_secs(60);
/// A session of this age was a good one: the next redial starts from the first, immediate retry.
const STABLE_AFTER: Duration = Duration::from_secs(10);
/// An outage of this length or less is a server that restarts or a link that comes back: agents are to be there within 3 s of it.
const SHORT_OUTAGE: Duration = Duration::from_secs(120);
/// Longest wait between redials in a short outage. The rest of the 3 s is for the dial.
const SHORT_WAIT: Duration = Duration::from_secs(2);
/// Wait after a refusal that repeating cannot change: the user may restore the credential meanwhile.
pub(crate) const REFUSED_WAIT: Duration = Duration::from_secs(30);

/// When the better carrier is tried, over the whole life of an agent.
#[derive(Debug, Default)]
pub(crate) struct UpgradeSchedule {
    failures: u32,
}

impl UpgradeSchedule {
    /// Notes a failed attempt and says how long to wait before the next: one minute, doubling to half an hour.
    pub(crate) fn failed(&mut self) -> Duration {
        let wait = FIRST_RETRY.saturating_mul(1 << self.failures.min(10)).min(LAST_RETRY);
        self.failures += 1;
        wait
    }

    /// Notes the end of a session that an attempt had made, and says how long to wait before the next attempt.
    pub(crate) fn ended(&mut self, lived: Duration) -> Duration {
        if lived < PROVEN_AFTER {
            return self.failed();
        }
        self.failures = 0;
        SETTLE_AFTER
    }
}

/// The carrier to move to, if any. A session that was moved before moves again only when the path is far from the border, so that a path on
/// the border is not changed to and fro.
pub(crate) fn better(dialer: &Dialer, rtt: Duration, current: Carrier, moved: bool) -> Option<Carrier> {
    let preferred = dialer.preferred(rtt);
    let far = dialer.preferred(rtt / 2) == dialer.preferred(rtt * 2);
    (preferred != current && (far || !moved)).then_some(preferred)
}

/// Whether a session of this age resets the redial schedule.
pub(crate) fn was_stable(lived: Duration) -> bool {
    lived >= STABLE_AFTER
}

/// The longest wait before a redial that befits the outage.
pub(crate) fn redial_ceiling(outage: Duration) -> Duration {
    if outage <= SHORT_OUTAGE { SHORT_WAIT } else { Backoff::CEILING }
}

/// Whether dialling again cannot help before somebody changes something: whoever answered is not the edge, or is not trusted.
pub(crate) fn is_permanent(error: &DialError) -> bool {
    match error.cause() {
        Some(DialCause::Tls(_) | DialCause::AlpnMissing) => true,
        Some(DialCause::Proxy { error, .. }) => {
            matches!(error, ProxyError::SocksLogin | ProxyError::Status { status: 407 })
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_double_from_a_minute_to_half_an_hour() {
        let mut schedule = UpgradeSchedule::default();
        let minutes: Vec<u64> = (0..8).map(|_| schedule.failed().as_secs() / 60).collect();
        assert_eq!(minutes, [1, 2, 4, 8, 16, 30, 30, 30]);
        for _ in 0..100 {
            assert_eq!(schedule.failed(), LAST_RETRY);
        }
    }

    #[test]
    fn a_short_life_is_a_failure_and_a_long_one_forgives() {
        let mut schedule = UpgradeSchedule::default();
        assert_eq!(schedule.ended(Duration::from_secs(59)), Duration::from_secs(60));
        assert_eq!(schedule.ended(Duration::from_secs(3)), Duration::from_secs(120));
        assert_eq!(schedule.ended(Duration::from_secs(61)), SETTLE_AFTER);
        assert_eq!(schedule.failed(), Duration::from_secs(60));
    }

    #[test]
    fn a_path_on_the_border_is_not_changed_to_and_fro() {
        let url = "connect.example.com".parse().expect("valid");
        let dialer = Dialer::new(url, &portway_tls::Roots::Webpki).expect("usable");
        let millis = Duration::from_millis;
        assert_eq!(better(&dialer, millis(6), Carrier::Tcp, false), Some(Carrier::Quic));
        assert_eq!(better(&dialer, millis(4), Carrier::Quic, true), None);
        assert_eq!(better(&dialer, millis(1), Carrier::Quic, true), Some(Carrier::Tcp));
        assert_eq!(better(&dialer, millis(40), Carrier::Tcp, true), Some(Carrier::Quic));
        assert_eq!(better(&dialer, millis(40), Carrier::Quic, false), None);
    }

    #[test]
    fn a_short_outage_is_never_waited_out_for_long() {
        let seconds = Duration::from_secs;
        let mut backoff = Backoff::new();
        assert_eq!(backoff.next_with(redial_ceiling(seconds(0)), 1.0), seconds(0), "the first at once");
        // As many attempts as fit into two minutes.
        for _ in 0..100 {
            assert!(backoff.next_with(redial_ceiling(seconds(25)), 1.0) <= seconds(2));
            assert!(backoff.next_with(redial_ceiling(seconds(120)), 1.0) <= seconds(2));
        }
        assert_eq!(backoff.next_with(redial_ceiling(seconds(121)), 1.0), seconds(30));
    }
}
