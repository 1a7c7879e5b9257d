//! Notices that a peer does not answer any more.
//!
//! quinn's own idle timer is not enough for that: it is content with packets of the peer, so where only one direction is dead, the side
//! that still hears something waits for the other one's timeout first and for its own afterwards; and it says nothing when it fires.

use std::sync::Weak;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Handle;

/// How late a check may come and still be believed: when this process was held up for longer, the answer may be waiting to be read.
const LATE: Duration = Duration::from_secs(1);

/// Asks once a period for an acknowledgement, and gives the session up when none came within the next. A link that dies is noticed within
/// two periods, in either direction. The price of an idle session is a wake-up, a small packet and its acknowledgement for each of them.
pub(super) async fn watch(session: Weak<Handle>, period: Duration) {
    sleep(period).await;
    loop {
        let Some(heard) = session.upgrade().map(|session| {
            session.ask();
            session.heard()
        }) else {
            return;
        };
        let asked = Instant::now();
        sleep(period).await;
        let Some(session) = session.upgrade() else { return };
        if session.heard() == heard && asked.elapsed() < period + LATE {
            return session.give_up();
        }
    }
}
