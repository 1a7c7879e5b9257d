//! The last connections of visitors, kept only while somebody looks.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use portway_names::EndpointUrl;

use crate::status::{RECENT_CONNECTIONS_MAX, RecentConnection};

/// How long after a look connections are still remembered: a view refreshes more often than that.
const LOOKED_AT_FOR: Duration = Duration::from_secs(30);

/// The feed. When nobody looked lately a connection costs one atomic load and a look at the clock.
#[derive(Debug)]
pub(crate) struct Recent {
    start: Instant,
    /// Milliseconds after `start` until which connections are remembered.
    until_ms: AtomicU64,
    last: Mutex<VecDeque<RecentConnection>>,
}

impl Recent {
    pub(crate) fn new() -> Self {
        Recent { start: Instant::now(), until_ms: AtomicU64::new(0), last: Mutex::default() }
    }

    /// Remembers a connection, if anybody looks.
    pub(crate) fn note(&self, url: &EndpointUrl, client: SocketAddr) {
        let until = self.until_ms.load(Ordering::Relaxed);
        if until == 0 || self.now_ms() > until {
            return;
        }
        let entry = RecentConnection { began: SystemTime::now(), client, url: url.to_string() };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() == RECENT_CONNECTIONS_MAX {
            last.pop_front();
        }
        last.push_back(entry);
    }

    /// The last connections, oldest first. From now on they are remembered for a while.
    pub(crate) fn look(&self) -> Vec<RecentConnection> {
        let until = self.now_ms() + u64::try_from(LOOKED_AT_FOR.as_millis()).unwrap_or(u64::MAX);
        self.until_ms.store(until, Ordering::Relaxed);
        self.last.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_kept_before_somebody_looks_and_little_after() {
        let recent = Recent::new();
        let url: EndpointUrl = "tcp://example.com:20001".parse().unwrap();
        let client = "192.0.2.1:1".parse().unwrap();
        recent.note(&url, client);
        assert!(recent.look().is_empty());
        for _ in 0..RECENT_CONNECTIONS_MAX + 5 {
            recent.note(&url, client);
        }
        let seen = recent.look();
        assert_eq!(seen.len(), RECENT_CONNECTIONS_MAX);
        assert_eq!(seen[0].url, "tcp://example.com:20001");
    }
}
