//! A deadline that moves often and is reached rarely.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};

/// One timer of the runtime for a deadline that moves with every byte: it is armed for the first deadline asked for, and when it fires
/// too early, armed again. So moving the deadline later costs nothing.
#[derive(Debug, Default)]
pub(super) struct IdleTimer {
    sleep: Option<Pin<Box<Sleep>>>,
}

impl IdleTimer {
    /// Ready when `deadline` is past; otherwise the task is woken then at the latest.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        }
        while sleep.as_mut().poll(cx).is_ready() {
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_deadline_moves_both_ways() {
        let mut timer = IdleTimer::default();
        let start = Instant::now();
        let step = Duration::from_millis(10);
        let mut asked = 0;
        poll_fn(|cx| {
            asked += 1;
            // Every time the timer fires, the deadline is later still, until the third time.
            timer.poll(cx, start + step * asked.min(3))
        })
        .await;
        assert!(start.elapsed() >= step * 3 && asked >= 3, "asked {asked} times");
        // Far away first, then past.
        poll_fn(|cx| {
            assert!(timer.poll(cx, start + Duration::from_secs(3600)).is_pending());
            timer.poll(cx, start)
        })
        .await;
    }
}
