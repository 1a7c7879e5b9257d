//! Liveness of a session: own pings, their echoes, and echoes of the peer's pings.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use portway_muxado::{ErrorCode, Machine, StreamFault, StreamId};
use portway_wire::StreamType;

/// Bytes of a ping (`docs/spec/muxado.md`, "Heartbeats").
const PING_LEN: usize = 4;

/// Heartbeat streams that a peer may have; one is what every implementation uses.
const PEER_STREAMS_MAX: usize = 4;

/// How often a ping may outlive its tolerance while the peer sends other bytes: they prove a live link whose queues are long, but
/// not for ever that our bytes arrive.
const PATIENCE: u32 = 4;

/// The pings of one session.
#[derive(Debug)]
pub(super) struct Heartbeat {
    interval: Duration,
    tolerance: Duration,
    own: Option<StreamId>,
    ping: Option<Ping>,
    /// When the next ping is due.
    next: Duration,
    /// When bytes came last.
    heard: Duration,
    rtt: Option<Duration>,
    peers: Vec<StreamId>,
}

#[derive(Clone, Copy, Debug)]
struct Ping {
    nonce: [u8; PING_LEN],
    sent: Duration,
}

/// The peer does not answer any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dead;

impl Heartbeat {
    pub(super) fn new(interval: Duration, tolerance: Duration) -> Self {
        Self {
            interval,
            tolerance,
            own: None,
            ping: None,
            next: Duration::ZERO,
            heard: Duration::ZERO,
            rtt: None,
            peers: Vec::new(),
        }
    }

    /// Streams that callers of the session must not see.
    pub(super) fn streams(&self) -> usize {
        self.peers.len() + usize::from(self.own.is_some())
    }

    pub(super) fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    /// When [`Heartbeat::tick`] has something to do next.
    pub(super) fn due(&self) -> Duration {
        match self.ping {
            None => self.next,
            Some(ping) => ping.sent.max(self.heard.min(self.last_chance(ping))) + self.tolerance,
        }
    }

    /// Bytes came from the peer.
    pub(super) fn heard(&mut self, now: Duration) {
        self.heard = now;
    }

    /// Makes a ping due now, unless one is out.
    pub(super) fn hurry(&mut self, now: Duration) {
        if self.ping.is_none() {
            self.next = now;
        }
    }

    /// Whether a ping is out.
    pub(super) fn waits(&self) -> bool {
        self.ping.is_some()
    }

    /// Sends a ping when one is due, and judges the one that is out.
    pub(super) fn tick(&mut self, machine: &mut Machine, nonce: [u8; PING_LEN], now: Duration) -> Result<(), Dead> {
        if self.ping.is_some() {
            return if now >= self.due() { Err(Dead) } else { Ok(()) };
        }
        if now >= self.next {
            self.ping(machine, nonce, now);
        }
        Ok(())
    }

    /// Takes a stream of type HEARTBEAT that the peer has opened.
    pub(super) fn adopt(&mut self, machine: &mut Machine, id: StreamId, now: Duration) {
        if self.peers.len() >= PEER_STREAMS_MAX {
            machine.reset(id, ErrorCode::STREAM_REFUSED);
            return;
        }
        // Whoever calls this has peeked at the type word.
        let _ = machine.read(id, StreamType::LEN, now);
        self.peers.push(id);
        self.echo(machine, id, now);
    }

    /// Handles an event of one of the heartbeat streams; `false` when it is none.
    pub(super) fn readable(&mut self, machine: &mut Machine, id: StreamId, now: Duration) -> bool {
        if self.own == Some(id) {
            self.answered(machine, id, now);
            return true;
        }
        let known = self.peers.contains(&id);
        if known {
            self.echo(machine, id, now);
        }
        known
    }

    /// As [`Heartbeat::readable`], when the peer has reset the stream.
    pub(super) fn reset(&mut self, machine: &mut Machine, id: StreamId) -> bool {
        if self.own == Some(id) {
            // A peer that does not want our pings: the next one goes out on a new stream.
            self.own = None;
            self.ping = None;
            machine.reset(id, ErrorCode::NONE);
            return true;
        }
        let before = self.peers.len();
        self.peers.retain(|peer| *peer != id);
        let known = self.peers.len() < before;
        if known {
            machine.reset(id, ErrorCode::NONE);
        }
        known
    }

    /// The first tick after this moment fails, whatever else the peer sends.
    fn last_chance(&self, ping: Ping) -> Duration {
        ping.sent + self.tolerance * (PATIENCE - 1)
    }

    fn ping(&mut self, machine: &mut Machine, nonce: [u8; PING_LEN], now: Duration) {
        self.next = now + self.interval;
        let mut bytes = BytesMut::with_capacity(StreamType::LEN + PING_LEN);
        let id = match self.own {
            Some(id) => id,
            None => {
                // All streams in use, or the session is going: try again at the next tick.
                let Ok(id) = machine.open() else { return };
                bytes.extend_from_slice(&StreamType::HEARTBEAT.to_bytes());
                self.own = Some(id);
                id
            }
        };
        bytes.extend_from_slice(&nonce);
        let mut bytes = bytes.freeze();
        if machine.write(id, &mut bytes).is_ok() && bytes.is_empty() {
            // Asks for the event that the answer is there.
            let _ = machine.read(id, PING_LEN, now);
            self.ping = Some(Ping { nonce, sent: now });
        }
    }

    fn answered(&mut self, machine: &mut Machine, id: StreamId, now: Duration) {
        loop {
            match machine.read(id, PING_LEN, now) {
                Ok(Some(bytes)) => {
                    let Some(ping) = self.ping.filter(|ping| bytes[..] == ping.nonce) else { continue };
                    self.ping = None;
                    let sample = now.saturating_sub(ping.sent);
                    // RFC 6298 section 2.3: an eighth of each new sample. A shorter one counts in full: pings are rare, and what was longer
                    // had waited for something other than the path, most of all the first one of a busy start.
                    let smoothed = |rtt: Duration| if sample < rtt { sample } else { (rtt * 7 + sample) / 8 };
                    let rtt = self.rtt.map_or(sample, smoothed);
                    self.rtt = Some(rtt);
                    machine.set_rtt(rtt);
                }
                Err(StreamFault::WouldBlock) => return,
                Ok(None) | Err(_) => {
                    self.own = None;
                    self.ping = None;
                    machine.reset(id, ErrorCode::NONE);
                    return;
                }
            }
        }
    }

    /// Sends back what came. When the peer does not take its echoes, its pings stay unread: it can only fill its own window.
    fn echo(&mut self, machine: &mut Machine, id: StreamId, now: Duration) {
        loop {
            match machine.read(id, PING_LEN, now) {
                Ok(Some(bytes)) => {
                    let mut bytes: Bytes = bytes;
                    if !matches!(machine.write(id, &mut bytes), Ok(count) if count > 0) {
                        return;
                    }
                }
                Err(StreamFault::WouldBlock) => return,
                Ok(None) | Err(_) => {
                    self.peers.retain(|peer| *peer != id);
                    machine.finish(id);
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use portway_muxado::{Config, Event, Role};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A side with its own heartbeat. Frames go across when told to.
    struct Side {
        machine: Machine,
        heartbeat: Heartbeat,
        nonce: u8,
    }

    impl Side {
        fn new(role: Role) -> Self {
            let heartbeat = Heartbeat::new(10 * SECOND, 15 * SECOND);
            Self { machine: Machine::new(role, Config::native()), heartbeat, nonce: 0 }
        }

        fn tick(&mut self, now: Duration) -> Result<(), Dead> {
            self.nonce = self.nonce.wrapping_add(1);
            self.heartbeat.tick(&mut self.machine, [self.nonce; PING_LEN], now)
        }

        /// Takes frames; tells how many streams came up that are no heartbeats.
        fn take(&mut self, bytes: &mut BytesMut, now: Duration) -> usize {
            let mut others = 0;
            if !bytes.is_empty() {
                self.heartbeat.heard(now);
            }
            self.machine.receive(bytes, now).unwrap();
            while let Some(event) = self.machine.next_event() {
                match event {
                    Event::Opened(id) if self.machine.peek(id).starts_with(&[0xFF; 4]) => {
                        self.heartbeat.adopt(&mut self.machine, id, now);
                    }
                    Event::Readable(id) if self.heartbeat.readable(&mut self.machine, id, now) => {}
                    _ => others += 1,
                }
            }
            others
        }

        fn give(&mut self) -> BytesMut {
            let mut bytes = BytesMut::new();
            while self.machine.wants_transmit() {
                self.machine.transmit(&mut bytes, 4096);
            }
            bytes
        }
    }

    #[test]
    fn a_living_peer_is_pinged_for_ever_and_measured() {
        let (mut edge, mut agent) = (Side::new(Role::Edge), Side::new(Role::Agent));
        for second in 0..1000 {
            let now = SECOND * second;
            edge.tick(now).unwrap();
            assert_eq!(agent.take(&mut edge.give(), now), 0);
            assert_eq!(edge.take(&mut agent.give(), now + SECOND / 10), 0);
        }
        assert_eq!(edge.heartbeat.rtt(), Some(SECOND / 10));
        assert_eq!((edge.heartbeat.streams(), agent.heartbeat.streams()), (1, 1));
    }

    #[test]
    fn a_silent_peer_is_dead_within_interval_and_tolerance() {
        let mut edge = Side::new(Role::Edge);
        edge.tick(Duration::ZERO).unwrap();
        assert_eq!(edge.heartbeat.due(), 15 * SECOND);
        edge.tick(14 * SECOND).unwrap();
        assert_eq!(edge.tick(15 * SECOND), Err(Dead));
    }

    #[test]
    fn other_bytes_excuse_a_late_echo_but_not_for_ever() {
        let mut edge = Side::new(Role::Edge);
        edge.tick(Duration::ZERO).unwrap();
        for second in 1..60 {
            edge.heartbeat.heard(SECOND * second);
            edge.tick(SECOND * second).unwrap();
        }
        assert_eq!(edge.tick(60 * SECOND), Err(Dead));
    }

    #[test]
    fn a_fifth_heartbeat_stream_is_refused() {
        let (mut edge, mut agent) = (Side::new(Role::Edge), Side::new(Role::Agent));
        for _ in 0..5 {
            let id = agent.machine.open().unwrap();
            agent.machine.write(id, &mut Bytes::from_static(&[0xFF; 8])).unwrap();
        }
        assert_eq!(edge.take(&mut agent.give(), SECOND), 0);
        assert_eq!(edge.heartbeat.streams(), PEER_STREAMS_MAX);
        assert_eq!(edge.machine.streams(), PEER_STREAMS_MAX);
    }
}
