//! An agent as the two families of ngrok SDKs are: what their sessions, accept loops and forwarders do with what an edge sends
//! (`docs/spec/ngrok-protocol.md`, "Limits towards SDKs"). It shares no code with the machine, and panics where an SDK would end the
//! session or lose bytes.

mod forwarder;

use std::collections::{BTreeMap, HashMap, VecDeque};

/// Bytes of both families' windows; neither negotiates.
const WINDOW: usize = 262_144;
/// Streams in the table of the Rust family; one more SYN ends the session.
const RUST_STREAMS: usize = 512;
/// Streams that wait for the accept loop of the Rust family; one more stops its reader, and with it all streams.
const RUST_BACKLOG: usize = 64;
/// The type word and the number that the test gives a stream.
pub(super) const HEAD: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Rust,
    Go,
}

/// One side of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Agent,
    Edge,
}

/// What the agent knows of one stream of the test, whatever number it had on the wire.
#[derive(Debug, Default, Clone)]
pub(super) struct Ledger {
    pub(super) sent: usize,
    pub(super) read: usize,
    /// It was given up while the edge could still send.
    pub(super) dropped: bool,
    /// How often the accept queue had no room for it.
    pub(super) refused: usize,
}

/// A stream in the agent's table, with its forwarder and the service behind it.
#[derive(Debug)]
struct Slot {
    index: usize,
    opener: Side,
    accepted: bool,
    inbox: VecDeque<u8>,
    /// Bytes that the edge may send.
    window: usize,
    /// Bytes that the agent may send.
    credit: usize,
    /// FIN came.
    eof: bool,
    /// RST came: writes fail. The Rust family's readers do not notice.
    broken: bool,
    /// FIN was sent.
    finished: bool,
    /// Bytes that the service takes now.
    appetite: usize,
    /// Bytes that the service has to say.
    to_say: usize,
    /// The service has nothing more to say after that.
    ends: bool,
}

pub(super) struct Agent {
    family: Family,
    /// Streams that may wait to be accepted: 128 in the Go family, which refuses more with RST(9).
    backlog: usize,
    wire: Vec<u8>,
    slots: BTreeMap<u32, Slot>,
    numbers: HashMap<usize, u32>,
    queue: VecDeque<u32>,
    /// Streams that the accept loop takes before it is held up.
    accepts: usize,
    last_edge: u32,
    next_own: u32,
    out: Vec<u8>,
    pub(super) ledgers: Vec<Ledger>,
}

/// The byte at a place of a direction of a stream: the opener's direction begins with the head.
pub(super) fn content(index: usize, opener: Side, from: Side, at: usize) -> u8 {
    if opener == from && at < HEAD {
        return head(index)[at];
    }
    let mixed = (at as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (index as u64 * 2 + from as u64) << 32;
    (mixed.wrapping_mul(0xD6E8_FEB8_6659_FD93) >> 56) as u8
}

pub(super) fn head(index: usize) -> [u8; HEAD] {
    let mut head = [0, 0, 0, 3, 0, 0, 0, 0];
    head[4..].copy_from_slice(&(index as u32).to_be_bytes());
    head
}

fn index_in(head: &[u8]) -> usize {
    u32::from_be_bytes(head[4..HEAD].try_into().unwrap()) as usize
}

impl Agent {
    pub(super) fn new(family: Family, backlog: usize) -> Self {
        Self {
            family,
            backlog: if family == Family::Rust { RUST_BACKLOG } else { backlog },
            wire: Vec::new(),
            slots: BTreeMap::new(),
            numbers: HashMap::new(),
            queue: VecDeque::new(),
            accepts: 0,
            last_edge: 0,
            next_own: 3,
            out: Vec::new(),
            ledgers: Vec::new(),
        }
    }

    /// Bytes come: the reader takes all frames first, then whoever it has woken has its turn.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.wire.extend_from_slice(bytes);
        let mut wire = std::mem::take(&mut self.wire);
        let mut rest = &wire[..];
        while let Some((header, after)) = rest.split_first_chunk::<8>() {
            let length = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
            assert!(length <= WINDOW, "a frame of {length} bytes");
            if after.len() < length {
                break;
            }
            let number = u32::from_be_bytes(header[4..].try_into().unwrap());
            self.frame(header[3], number, &after[..length]);
            rest = &after[length..];
        }
        let taken = wire.len() - rest.len();
        self.wire = wire.split_off(taken);
        self.run();
    }

    /// What was sent since the last call.
    pub(super) fn sent(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// The accept loop goes on for so many streams.
    pub(super) fn accept(&mut self, count: usize) {
        self.accepts = self.accepts.saturating_add(count);
        self.run();
    }

    /// The service takes so many bytes more, and has so many to say.
    pub(super) fn serve(&mut self, index: usize, appetite: usize, to_say: usize) {
        if let Some(slot) = self.slot(index) {
            slot.appetite = slot.appetite.saturating_add(appetite);
            slot.to_say += if slot.ends { 0 } else { to_say };
        }
        self.run();
    }

    /// The service closes its connection when it has said all.
    pub(super) fn end(&mut self, index: usize) {
        if let Some(slot) = self.slot(index) {
            slot.ends = true;
        }
        self.run();
    }

    /// The service breaks its connection, so the stream is dropped.
    pub(super) fn cut(&mut self, index: usize) {
        if let Some(number) = self.numbers.get(&index).copied()
            && self.slots.get(&number).is_some_and(|slot| slot.accepted)
        {
            self.drop_stream(number);
        }
    }

    /// Opens a stream, as for a question; false when the table is full.
    pub(super) fn open(&mut self, index: usize) -> bool {
        if self.family == Family::Rust && self.slots.len() >= RUST_STREAMS {
            return false;
        }
        let number = self.next_own;
        self.next_own += 2;
        let mut slot = Slot::new(index, Side::Agent);
        slot.accepted = true;
        slot.credit -= HEAD;
        self.add(number, slot);
        self.ledgers[index].sent = HEAD;
        self.send(0x12, number, &head(index));
        true
    }

    /// Streams in the table.
    pub(super) fn streams(&self) -> usize {
        self.slots.len()
    }

    fn slot(&mut self, index: usize) -> Option<&mut Slot> {
        self.slots.get_mut(self.numbers.get(&index)?)
    }

    fn add(&mut self, number: u32, slot: Slot) {
        if self.ledgers.len() <= slot.index {
            self.ledgers.resize_with(slot.index + 1, Ledger::default);
        }
        self.numbers.insert(slot.index, number);
        self.slots.insert(number, slot);
    }

    fn send(&mut self, kind: u8, number: u32, payload: &[u8]) {
        let length = (payload.len() as u32).to_be_bytes();
        self.out.extend_from_slice(&[length[1], length[2], length[3], kind]);
        self.out.extend_from_slice(&number.to_be_bytes());
        self.out.extend_from_slice(payload);
    }

    fn frame(&mut self, kind: u8, number: u32, payload: &[u8]) {
        assert!(number != 0, "frame {kind:#x} on stream 0 ends the session");
        match kind {
            0x10..=0x13 => self.on_data(number, payload, kind & 2 != 0, kind & 1 != 0),
            0x00 => self.on_rst(number, payload),
            0x20 => self.on_credit(number, payload),
            _ => panic!("frame {kind:#x} ends the session of one family"),
        }
    }

    fn on_data(&mut self, number: u32, payload: &[u8], syn: bool, fin: bool) {
        if syn && !self.on_syn(number, payload) {
            return;
        }
        let Some(slot) = self.slots.get_mut(&number) else {
            if !payload.is_empty() || !fin {
                self.send(0x00, number, &4u32.to_be_bytes());
            }
            return;
        };
        assert!(!slot.eof, "data after the end of stream {number}");
        assert!(!slot.broken, "data after the reset of stream {number}");
        slot.window = slot.window.checked_sub(payload.len()).expect("the window is overrun: RST(3)");
        slot.inbox.extend(payload);
        slot.eof |= fin;
    }

    /// Tells whether the stream is there.
    fn on_syn(&mut self, number: u32, payload: &[u8]) -> bool {
        assert!(number.is_multiple_of(2), "stream {number} has the agent's parity: the session ends");
        assert!(number > self.last_edge, "stream {number} after {}", self.last_edge);
        assert!(payload.len() >= HEAD, "the type word is read with one call");
        self.last_edge = number;
        let slot = Slot::new(index_in(payload), Side::Edge);
        let (index, full) = (slot.index, self.queue.len() >= self.backlog);
        match self.family {
            Family::Rust => {
                assert!(self.slots.len() < RUST_STREAMS, "more than {RUST_STREAMS} streams: the session ends");
                assert!(!full, "the reader waits for the accept loop, and everything with it");
            }
            Family::Go => {}
        }
        self.add(number, slot);
        if full {
            // It stays in the table, and nobody will ever read it.
            self.ledgers[index].refused += 1;
            self.send(0x00, number, &9u32.to_be_bytes());
            return true;
        }
        self.queue.push_back(number);
        true
    }

    fn on_rst(&mut self, number: u32, payload: &[u8]) {
        assert_eq!(payload.len(), 4, "an RST of another length ends the session");
        let Some(slot) = self.slots.get_mut(&number) else { return };
        slot.broken = true;
        if self.family == Family::Go {
            self.remove(number);
        }
    }

    fn on_credit(&mut self, number: u32, payload: &[u8]) {
        let increment = u32::from_be_bytes(payload.try_into().expect("a WNDINC of another length ends the session"));
        assert!(increment > 0, "an increment of 0 ends the session of the Go family");
        let family = self.family;
        let Some(slot) = self.slots.get_mut(&number) else { return };
        slot.credit += increment as usize;
        if family == Family::Rust {
            slot.credit = slot.credit.min(WINDOW);
        }
    }

    /// Forwarders were woken by earlier frames than the accept loop, so they have their turn first.
    fn run(&mut self) {
        self.slots.keys().copied().collect::<Vec<_>>().into_iter().for_each(|number| self.forward(number));
        while self.accepts > 0
            && let Some(number) = self.queue.pop_front()
        {
            self.accepts -= 1;
            let Some(slot) = self.slots.get_mut(&number) else { continue };
            slot.accepted = true;
            slot.appetite += HEAD;
            self.forward(number);
        }
    }

    fn drop_stream(&mut self, number: u32) {
        let Some(slot) = self.remove(number) else { return };
        self.ledgers[slot.index].dropped |= !slot.eof || !slot.inbox.is_empty();
        if !slot.finished && !slot.broken {
            self.send(0x11, number, b"");
        }
    }

    fn remove(&mut self, number: u32) -> Option<Slot> {
        let slot = self.slots.remove(&number)?;
        if self.numbers.get(&slot.index) == Some(&number) {
            self.numbers.remove(&slot.index);
        }
        Some(slot)
    }
}

impl Slot {
    fn new(index: usize, opener: Side) -> Self {
        Self {
            index,
            opener,
            accepted: false,
            inbox: VecDeque::new(),
            window: WINDOW,
            credit: WINDOW,
            eof: false,
            broken: false,
            finished: false,
            appetite: 0,
            to_say: 0,
            ends: false,
        }
    }
}
