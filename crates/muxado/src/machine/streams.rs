//! The stream table: by slot for the caller, by wire id for received frames; and the streams lately reset.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, Hasher, RandomState};

use slab::Slab;

use super::StreamId;
use super::stream::{Origin, Stream};

/// Streams whose leftovers are remembered. More at once within a round trip cost an answer each, nothing else.
const MAX_LEFTOVERS: usize = 1024;

/// All streams of a session.
#[derive(Debug)]
pub(super) struct Streams {
    slots: Slab<Stream>,
    numbers: HashMap<u32, u32, NumberHash>,
    next_serial: u32,
    local: usize,
}

impl Streams {
    pub(super) fn new() -> Self {
        Self { slots: Slab::new(), numbers: HashMap::with_hasher(NumberHash::new()), next_serial: 0, local: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Streams that have an id on the wire.
    pub(super) fn on_wire(&self) -> usize {
        self.numbers.len()
    }

    /// Streams the peer opened.
    pub(super) fn peer_opened(&self) -> usize {
        self.slots.len() - self.local
    }

    /// Adds the stream that `make` builds from its serial number.
    pub(super) fn insert(&mut self, make: impl FnOnce(u32) -> Stream) -> StreamId {
        let serial = self.next_serial;
        self.next_serial = serial.wrapping_add(1);
        let stream = make(serial);
        let (number, origin) = (stream.number, stream.origin);
        // The table is bounded by `Config::max_streams`, far below 32 bits.
        let slot = self.slots.insert(stream) as u32;
        self.local += usize::from(origin == Origin::Local);
        if let Some(number) = number {
            self.numbers.insert(number, slot);
        }
        StreamId { slot, serial }
    }

    /// Gives a stream of ours its wire id.
    pub(super) fn assign(&mut self, id: StreamId, number: u32) {
        if let Some(stream) = self.get_mut(id) {
            stream.number = Some(number);
            self.numbers.insert(number, id.slot);
        }
    }

    /// Takes a stream's wire id away: it is opened again under another one.
    pub(super) fn unassign(&mut self, id: StreamId) -> Option<u32> {
        let number = self.get_mut(id)?.number.take()?;
        self.numbers.remove(&number);
        Some(number)
    }

    pub(super) fn get(&self, id: StreamId) -> Option<&Stream> {
        self.slots.get(id.slot()).filter(|stream| stream.serial == id.serial)
    }

    pub(super) fn get_mut(&mut self, id: StreamId) -> Option<&mut Stream> {
        self.slots.get_mut(id.slot()).filter(|stream| stream.serial == id.serial)
    }

    pub(super) fn find(&self, number: u32) -> Option<StreamId> {
        let slot = *self.numbers.get(&number)?;
        Some(StreamId { slot, serial: self.slots.get(slot as usize)?.serial })
    }

    pub(super) fn remove(&mut self, id: StreamId) -> Option<Stream> {
        self.get(id)?;
        let stream = self.slots.remove(id.slot());
        self.local -= usize::from(stream.origin == Origin::Local);
        if let Some(number) = stream.number {
            self.numbers.remove(&number);
        }
        Some(stream)
    }

    pub(super) fn ids(&self) -> Vec<StreamId> {
        self.slots.iter().map(|(slot, stream)| StreamId { slot: slot as u32, serial: stream.serial }).collect()
    }
}

/// Streams that were reset here while the peer may still be sending. What arrives for them is dropped without a word: the peer has not
/// seen the reset yet.
#[derive(Debug)]
pub(super) struct Leftovers {
    numbers: HashSet<u32, NumberHash>,
    oldest_first: VecDeque<u32>,
}

impl Leftovers {
    pub(super) fn new() -> Self {
        Self { numbers: HashSet::with_hasher(NumberHash::new()), oldest_first: VecDeque::new() }
    }

    /// More bytes may come for the stream.
    pub(super) fn expect(&mut self, number: u32) {
        if self.oldest_first.len() >= MAX_LEFTOVERS
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.numbers.remove(&oldest);
        }
        if self.numbers.insert(number) {
            self.oldest_first.push_back(number);
        }
    }

    /// Whether bytes for the stream were to be expected.
    pub(super) fn expected(&self, number: u32) -> bool {
        self.numbers.contains(&number)
    }

    /// The peer has ended the stream: tells whether it was remembered.
    pub(super) fn forget(&mut self, number: u32) -> bool {
        self.numbers.remove(&number)
    }
}

/// Hashes wire ids: a multiplication folded over a secret, since a peer chooses the ids.
#[derive(Debug, Clone)]
struct NumberHash {
    secret: u64,
}

impl NumberHash {
    fn new() -> Self {
        // Odd, so that the multiplication loses nothing. It decides where entries lie and nothing that can be observed.
        Self { secret: RandomState::new().hash_one(0u8) | 1 }
    }
}

impl BuildHasher for NumberHash {
    type Hasher = NumberHasher;

    fn build_hasher(&self) -> NumberHasher {
        NumberHasher { secret: self.secret, hash: 0 }
    }
}

struct NumberHasher {
    secret: u64,
    hash: u64,
}

impl Hasher for NumberHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u32(u32::from(*byte)));
    }

    fn write_u32(&mut self, number: u32) {
        let product = u128::from(self.hash ^ u64::from(number) ^ self.secret.rotate_left(32)) * u128::from(self.secret);
        self.hash = (product >> 64) as u64 ^ product as u64;
    }

    fn finish(&self) -> u64 {
        self.hash
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn hashes_of_neighbours_differ_where_the_table_looks() {
        let hash = NumberHash::new();
        let hashes: Vec<u64> = (0..4096u32).map(|number| hash.hash_one(number * 2 + 1)).collect();
        let low: HashSet<u64> = hashes.iter().map(|hash| hash & 0xFFF).collect();
        assert!(low.len() > 1000, "{} of 4096 buckets used", low.len());
        assert_eq!(hashes.iter().collect::<HashSet<_>>().len(), 4096);
    }

    #[test]
    fn leftovers_are_bounded_and_the_oldest_goes_first() {
        let mut leftovers = Leftovers::new();
        for number in 0..=MAX_LEFTOVERS as u32 {
            leftovers.expect(number);
        }
        assert!(!leftovers.expected(0));
        assert!(leftovers.expected(1));
        assert!(leftovers.forget(1));
        assert!(!leftovers.expected(1));
    }
}
