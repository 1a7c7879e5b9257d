//! What peers of one address may have of something that many want: not all of a session's streams, or one visitor could keep everybody else
//! away from a service.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

use portway_mux::Stream;

use crate::admission::AddressKey;
use crate::config::Limits;

/// Counts what is open by the address of the peer. It has as many addresses as there are shares taken, at most.
#[derive(Debug)]
pub(crate) struct Shares {
    most: u32,
    loopback_exempt: bool,
    open: Mutex<HashMap<AddressKey, u32>>,
}

/// One of what is counted, until it is dropped.
#[derive(Debug)]
pub(crate) struct Share(Option<(Arc<Shares>, AddressKey)>);

/// A stream to a service that counts as its visitor's until it is dropped.
#[derive(Debug)]
pub(crate) struct VisitorStream {
    stream: Stream,
    share: Share,
}

impl Shares {
    /// So many for each address, one at least.
    pub(crate) fn new(most: u32, loopback_exempt: bool) -> Arc<Shares> {
        Arc::new(Shares { most: most.max(1), loopback_exempt, open: Mutex::default() })
    }

    /// Of a session that may have so many streams.
    pub(crate) fn of_session(limits: &Limits, streams: usize) -> Arc<Shares> {
        let percent = u64::from(limits.streams_per_address_percent);
        let most = (streams as u64).saturating_mul(percent) / 100;
        Shares::new(u32::try_from(most).unwrap_or(u32::MAX), limits.loopback_exempt)
    }

    /// Whether nothing is counted.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// One more; none when the address has its share.
    pub(crate) fn take(self: &Arc<Self>, peer: SocketAddr) -> Option<Share> {
        let Some(key) = AddressKey::limited(peer, self.loopback_exempt) else { return Some(Share(None)) };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(key).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Share(Some((Arc::clone(self), key))))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let Some((shares, key)) = self.0.take() else { return };
        let mut open = shares.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                open.remove(&key);
            }
        }
    }
}

impl VisitorStream {
    pub(crate) fn new(stream: Stream, share: Share) -> VisitorStream {
        VisitorStream { stream, share }
    }

    /// The bare stream, and what is to be kept for as long as it is used.
    pub(crate) fn into_parts(self) -> (Stream, Share) {
        (self.stream, self.share)
    }
}

impl Deref for VisitorStream {
    type Target = Stream;

    fn deref(&self) -> &Stream {
        &self.stream
    }
}

impl DerefMut for VisitorStream {
    fn deref_mut(&mut self) -> &mut Stream {
        &mut self.stream
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_share_and_leaves_the_rest_to_others() {
        let shares = Shares::of_session(&Limits::default(), 500);
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let mut held: Vec<_> = (0..125).map(|_| shares.take(at("203.0.113.1:1")).unwrap()).collect();
        assert!(shares.take(at("203.0.113.1:2")).is_none());
        let others: Vec<_> =
            ["203.0.113.2:1", "[2001:db8::1]:1"].iter().map(|text| shares.take(at(text)).unwrap()).collect();
        assert_eq!(shares.open.lock().unwrap().len(), 3);
        assert!((0..500).all(|_| shares.take(at("127.0.0.1:1")).is_some()), "loopback is free of limits per address");
        held.pop();
        assert!(shares.take(at("203.0.113.1:3")).is_some());
        drop((held, others));
        assert!(shares.open.lock().unwrap().is_empty());
    }

    #[test]
    fn a_small_session_has_a_stream_for_everybody() {
        let shares = Shares::of_session(&Limits { loopback_exempt: false, ..Limits::default() }, 3);
        let visitor = "127.0.0.1:1".parse().unwrap();
        let _held = shares.take(visitor).unwrap();
        assert!(shares.take(visitor).is_none());
    }
}
