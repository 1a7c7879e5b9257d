//! When a start gives up on a database that takes no writes.

use std::time::Duration;

use portway_control::Health;
use tokio::time::{Instant, sleep, timeout_at};

/// How long a start goes on after a write failed. Longer than what an ordinary neighbour takes, `portway admin` or a backup; short enough
/// that whoever started the server still looks at it.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often the database is asked after.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Ready with the reason when the database began to fail [`PATIENCE`] ago; never while it works.
///
/// # Cancel safety
/// Nothing is lost; a new call begins to wait anew.
pub(crate) async fn unwritable(health: &Health) -> String {
    let mut reason = loop {
        match health.fault() {
            Some(reason) => break reason,
            None => sleep(LOOK_EVERY).await,
        }
    };
    let end = Instant::now() + PATIENCE;
    let follow = async {
        loop {
            sleep(LOOK_EVERY).await;
            // A write that went well in between was not the one that the start waits for.
            if let Some(latest) = health.fault() {
                reason = latest;
            }
        }
    };
    let _: Result<(), _> = timeout_at(end, follow).await;
    reason
}
