//! Who may take how much: limits per address and for the whole edge.
//!
//! A permit counts for as long as it lives. Addresses are kept only while they have a connection open or a rate to remember.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::config::Limits;
use crate::metrics::{LimitLabel, Metrics};
use crate::paced::Paced;

/// Pieces of the address table, each with its own lock.
const PIECES: usize = 16;
/// Addresses in one piece of the table: 16 times this many strangers at once are more than the connections the edge may have, so
/// only a flood of handshakes from forged ranges gets here. About 5 MiB a piece.
const ADDRESSES_MAX: usize = 65_536;
/// Size at which a piece is searched for addresses that have nothing to remember.
const SWEEP_AT: usize = 1_024;

/// A limit on what peers can make grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    Connections,
    ConnectionsPerAddress,
    HandshakesHalfOpen,
    HandshakesPerSecond,
    HandshakesPerAddress,
    BadTokens,
    SessionsPerAccount,
    EndpointsPerSession,
    BindsPerMinute,
    Streams,
    StreamsPerAddress,
    SshLogins,
    SshLoginsPerAddress,
    TcpPorts,
}

impl Limit {
    const COUNT: usize = 14;

    /// Name in metrics and logs: the field of [`Limits`] where there is one.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Limit::Connections => "connections",
            Limit::ConnectionsPerAddress => "connections_per_address",
            Limit::HandshakesHalfOpen => "handshakes_half_open",
            Limit::HandshakesPerSecond => "handshakes_per_second",
            Limit::HandshakesPerAddress => "handshakes_per_address",
            Limit::BadTokens => "bad_tokens_per_minute",
            Limit::SessionsPerAccount => "sessions_per_account",
            Limit::EndpointsPerSession => "endpoints_per_session",
            Limit::BindsPerMinute => "binds_per_minute",
            Limit::Streams => "streams",
            Limit::StreamsPerAddress => "streams_per_address_percent",
            Limit::SshLogins => "ssh_logins",
            Limit::SshLoginsPerAddress => "ssh_logins_per_address",
            Limit::TcpPorts => "tcp_ports",
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Counts what is open and how fast it comes.
#[derive(Debug)]
pub(crate) struct Admission {
    limits: Limits,
    metrics: Metrics,
    start: Instant,
    hasher: RandomState,
    addresses: [Mutex<HashMap<AddressKey, AddressUse>>; PIECES],
    connections: AtomicU32,
    half_open: AtomicU32,
    handshakes: Mutex<Bucket>,
    /// When a line about each limit was last logged.
    logged: [Paced; Limit::COUNT],
}

impl Admission {
    pub(crate) fn new(limits: Limits, metrics: Metrics) -> Arc<Admission> {
        Arc::new(Admission {
            limits,
            metrics,
            start: Instant::now(),
            hasher: RandomState::new(),
            addresses: Default::default(),
            connections: AtomicU32::new(0),
            half_open: AtomicU32::new(0),
            handshakes: Mutex::default(),
            logged: Default::default(),
        })
    }

    /// Admits a connection.
    pub(crate) fn connection(self: &Arc<Self>, peer: SocketAddr) -> Result<ConnectionPermit, Limit> {
        let before = self.connections.fetch_add(1, Ordering::Relaxed);
        // The permit exists from here on, so that every way out gives back what was taken.
        let mut permit = ConnectionPermit { admission: Arc::clone(self), key: None };
        self.metrics.connections_open.inc();
        if before >= self.limits.connections {
            return Err(self.reached(Limit::Connections, peer));
        }
        if let Some(key) = self.key(peer) {
            let mut addresses = self.piece(&key);
            let usage = self.entry(&mut addresses, key);
            let Some(usage) = usage.filter(|usage| usage.open < self.limits.connections_per_address) else {
                return Err(self.reached(Limit::ConnectionsPerAddress, peer));
            };
            usage.open += 1;
            permit.key = Some(key);
        }
        Ok(permit)
    }

    /// Connections open now.
    pub(crate) fn connections_open(&self) -> usize {
        self.connections.load(Ordering::Relaxed) as usize
    }

    /// Admits the beginning of a handshake.
    pub(crate) fn handshake(self: &Arc<Self>, peer: SocketAddr) -> Result<HandshakePermit, Limit> {
        let before = self.half_open.fetch_add(1, Ordering::Relaxed);
        let permit = HandshakePermit { admission: Arc::clone(self) };
        if before >= self.limits.handshakes_half_open {
            return Err(self.reached(Limit::HandshakesHalfOpen, peer));
        }
        let now = self.start.elapsed();
        if let Some(key) = self.key(peer) {
            let rate = Rate::per_second(self.limits.handshakes_per_address);
            let mut addresses = self.piece(&key);
            if !self.entry(&mut addresses, key).is_some_and(|usage| usage.handshakes.take(now, rate)) {
                return Err(self.reached(Limit::HandshakesPerAddress, peer));
            }
        }
        let rate = Rate::per_second(self.limits.handshakes_per_second);
        if !lock(&self.handshakes).take(now, rate) {
            return Err(self.reached(Limit::HandshakesPerSecond, peer));
        }
        Ok(permit)
    }

    /// Whether an address may have another credential looked at.
    pub(crate) fn may_authenticate(&self, peer: SocketAddr) -> bool {
        let Some(key) = self.key(peer) else { return true };
        let rate = self.bad_token_rate();
        let now = self.start.elapsed();
        let allowed = self.piece(&key).get(&key).is_none_or(|usage| usage.bad_tokens.has(now, rate));
        if !allowed {
            self.reached(Limit::BadTokens, peer);
        }
        allowed
    }

    /// Remembers that an address sent a credential that does not exist.
    pub(crate) fn bad_token(&self, peer: SocketAddr) {
        let Some(key) = self.key(peer) else { return };
        let (now, rate) = (self.start.elapsed(), self.bad_token_rate());
        let mut addresses = self.piece(&key);
        if let Some(usage) = self.entry(&mut addresses, key) {
            usage.bad_tokens.take(now, rate);
        }
    }

    /// Admits one more bind of a session whose `binds` these are. The error is the time after which the next is admitted.
    pub(crate) fn bind(&self, binds: &mut SessionBinds, peer: SocketAddr) -> Result<(), Duration> {
        let per_minute = f64::from(self.limits.binds_per_minute.max(1));
        let rate = Rate { per_second: per_minute / 60.0, burst: f64::from(self.limits.binds_burst()) };
        let now = self.start.elapsed();
        if binds.0.take(now, rate) {
            return Ok(());
        }
        self.reached(Limit::BindsPerMinute, peer);
        Err(binds.0.wait(now, rate))
    }

    /// Counts that a limit was reached and logs it, at most once a second a limit.
    pub(crate) fn reached(&self, limit: Limit, peer: SocketAddr) -> Limit {
        self.metrics.limits_reached.get_or_create(&LimitLabel { limit: limit.name() }).inc();
        if self.logged[limit as usize].is_due(self.start.elapsed()) {
            tracing::warn!(limit = limit.name(), %peer, "limit reached; others within this second are not logged");
        }
        limit
    }

    fn bad_token_rate(&self) -> Rate {
        let per_minute = f64::from(self.limits.bad_tokens_per_minute);
        Rate { per_second: per_minute / 60.0, burst: per_minute.max(1.0) }
    }

    fn key(&self, peer: SocketAddr) -> Option<AddressKey> {
        AddressKey::limited(peer, self.limits.loopback_exempt)
    }

    fn piece(&self, key: &AddressKey) -> MutexGuard<'_, HashMap<AddressKey, AddressUse>> {
        let hash = self.hasher.hash_one(key);
        lock(&self.addresses[hash as usize % PIECES])
    }

    /// The entry of an address; none when the table is full of addresses that have something to remember.
    fn entry<'a>(
        &self,
        addresses: &'a mut HashMap<AddressKey, AddressUse>,
        key: AddressKey,
    ) -> Option<&'a mut AddressUse> {
        let crowded = addresses.len() >= SWEEP_AT && addresses.len().is_power_of_two();
        if (crowded || addresses.len() >= ADDRESSES_MAX) && !addresses.contains_key(&key) {
            let (now, bad_tokens) = (self.start.elapsed(), self.bad_token_rate());
            let handshakes = Rate::per_second(self.limits.handshakes_per_address);
            addresses.retain(|_, usage| {
                usage.open > 0
                    || !usage.handshakes.is_full(now, handshakes)
                    || !usage.bad_tokens.is_full(now, bad_tokens)
            });
            if addresses.len() >= ADDRESSES_MAX {
                return None;
            }
        }
        Some(addresses.entry(key).or_default())
    }
}

/// One open connection; counted until dropped.
#[derive(Debug)]
pub(crate) struct ConnectionPermit {
    admission: Arc<Admission>,
    key: Option<AddressKey>,
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let admission = &self.admission;
        admission.connections.fetch_sub(1, Ordering::Relaxed);
        admission.metrics.connections_open.dec();
        let Some(key) = self.key else { return };
        let mut addresses = admission.piece(&key);
        if let Some(usage) = addresses.get_mut(&key) {
            usage.open -= 1;
            let (now, bad_tokens) = (admission.start.elapsed(), admission.bad_token_rate());
            let handshakes = Rate::per_second(admission.limits.handshakes_per_address);
            if usage.open == 0 && usage.handshakes.is_full(now, handshakes) && usage.bad_tokens.is_full(now, bad_tokens)
            {
                addresses.remove(&key);
            }
        }
    }
}

/// One handshake under way; counted until dropped.
#[derive(Debug)]
pub(crate) struct HandshakePermit {
    admission: Arc<Admission>,
}

impl Drop for HandshakePermit {
    fn drop(&mut self) {
        self.admission.half_open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What one session has bound of late.
#[derive(Debug, Default)]
pub(crate) struct SessionBinds(Bucket);

/// What counts as one client address: an IPv4 address, or the /64 of an IPv6 one, since a single host has all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum AddressKey {
    V4(u32),
    V6(u64),
}

impl AddressKey {
    /// What a peer counts as; none when it is free of the limits per address.
    pub(crate) fn limited(peer: SocketAddr, loopback_exempt: bool) -> Option<AddressKey> {
        let ip = peer.ip().to_canonical();
        if loopback_exempt && ip.is_loopback() { None } else { Some(AddressKey::from(ip)) }
    }
}

impl From<IpAddr> for AddressKey {
    fn from(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => AddressKey::V4(ip.to_bits()),
            IpAddr::V6(ip) => AddressKey::V6((ip.to_bits() >> 64) as u64),
        }
    }
}

#[derive(Debug, Default)]
struct AddressUse {
    open: u32,
    handshakes: Bucket,
    bad_tokens: Bucket,
}

/// How fast tokens come back, and how many there can be.
#[derive(Debug, Clone, Copy)]
struct Rate {
    per_second: f64,
    burst: f64,
}

impl Rate {
    fn per_second(rate: u32) -> Rate {
        Rate { per_second: rate.into(), burst: f64::from(rate) * 2.0 }
    }
}

/// A token bucket: full at first.
#[derive(Debug, Default)]
struct Bucket {
    /// Tokens taken and not come back yet, at `at`.
    taken: f64,
    at: Duration,
}

impl Bucket {
    fn taken_at(&self, now: Duration, rate: Rate) -> f64 {
        (self.taken - now.saturating_sub(self.at).as_secs_f64() * rate.per_second).max(0.0)
    }

    fn take(&mut self, now: Duration, rate: Rate) -> bool {
        let taken = self.taken_at(now, rate);
        let allowed = taken + 1.0 <= rate.burst;
        *self = Bucket { taken: if allowed { taken + 1.0 } else { taken }, at: now };
        allowed
    }

    /// Time until one can be taken.
    fn wait(&self, now: Duration, rate: Rate) -> Duration {
        let missing = (self.taken_at(now, rate) + 1.0 - rate.burst).max(0.0);
        Duration::from_secs_f64(missing / rate.per_second)
    }

    fn has(&self, now: Duration, rate: Rate) -> bool {
        self.taken_at(now, rate) + 1.0 <= rate.burst
    }

    fn is_full(&self, now: Duration, rate: Rate) -> bool {
        self.taken_at(now, rate) <= 0.0
    }
}

/// A panic elsewhere leaves counters valid, so a poisoned lock is used on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
