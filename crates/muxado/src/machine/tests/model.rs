//! Two machines against each other and against a model of what streams are: every byte arrives once and in order, an end is not a reset,
//! no window is overrun, and what is written and not reset arrives at last.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

/// Agent 0, edge 1.
type Side = usize;

#[derive(Debug, Clone)]
enum Op {
    Open(Side),
    Write(Side, prop::sample::Index, usize),
    Finish(Side, prop::sample::Index),
    Reset(Side, prop::sample::Index),
    Read(Side, prop::sample::Index, usize),
    /// Takes up to so many bytes out of a machine and onto the link.
    Transmit(Side, usize),
    /// Brings so many bytes of the link to the other machine.
    Deliver(Side, usize),
    Wait(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let side = || 0..2usize;
    let size = || prop_oneof![1..100usize, 1..5_000usize, 60_000..300_000usize];
    let index = any::<prop::sample::Index>;
    prop_oneof![
        3 => side().prop_map(Op::Open),
        8 => (side(), index(), size()).prop_map(|(side, stream, size)| Op::Write(side, stream, size)),
        2 => (side(), index()).prop_map(|(side, stream)| Op::Finish(side, stream)),
        1 => (side(), index()).prop_map(|(side, stream)| Op::Reset(side, stream)),
        6 => (side(), index(), size()).prop_map(|(side, stream, size)| Op::Read(side, stream, size)),
        8 => (side(), size()).prop_map(|(side, size)| Op::Transmit(side, size)),
        8 => (side(), size()).prop_map(|(side, size)| Op::Deliver(side, size)),
        1 => (0..200u64).prop_map(Op::Wait),
    ]
}

/// What the model knows of one side of a stream.
#[derive(Debug, Default, Clone)]
struct End {
    id: Option<StreamId>,
    written: usize,
    read: usize,
    finished: bool,
    ended: bool,
    /// This side has reset the stream; nothing more happens here.
    reset: bool,
    /// This side was told of a reset.
    told: bool,
}

struct Pair {
    machines: [Machine; 2],
    /// Bytes sent by each side and not delivered.
    link: [BytesMut; 2],
    input: [BytesMut; 2],
    streams: Vec<[End; 2]>,
    openers: Vec<Side>,
    /// Wire id to index in `streams`.
    wire: HashMap<u32, usize>,
    by_id: [HashMap<StreamId, usize>; 2],
    now: Duration,
}

impl Pair {
    fn new(agent: Config, edge: Config) -> Self {
        Self {
            machines: [Machine::new(Role::Agent, agent), Machine::new(Role::Edge, edge)],
            link: Default::default(),
            input: Default::default(),
            streams: Vec::new(),
            openers: Vec::new(),
            wire: HashMap::new(),
            by_id: Default::default(),
            now: Duration::ZERO,
        }
    }

    fn run(&mut self, op: &Op) {
        match op {
            Op::Open(side) => self.open(*side),
            Op::Write(side, stream, size) => self.on(*side, stream, |pair, stream| pair.write(*side, stream, *size)),
            Op::Finish(side, stream) => self.on(*side, stream, |pair, stream| pair.finish(*side, stream)),
            Op::Reset(side, stream) => self.on(*side, stream, |pair, stream| pair.reset(*side, stream)),
            Op::Read(side, stream, size) => self.on(*side, stream, |pair, stream| {
                pair.read(*side, stream, *size);
            }),
            Op::Transmit(side, size) => self.transmit(*side, *size),
            Op::Deliver(side, size) => self.deliver(*side, *size),
            Op::Wait(millis) => self.now += Duration::from_millis(*millis),
        }
    }

    fn on(&mut self, side: Side, stream: &prop::sample::Index, act: impl FnOnce(&mut Self, usize)) {
        if !self.streams.is_empty() {
            let stream = stream.index(self.streams.len());
            if self.streams[stream][side].id.is_some() && !self.streams[stream][side].reset {
                act(self, stream);
            }
        }
    }

    fn open(&mut self, side: Side) {
        if let Ok(id) = self.machines[side].open() {
            let mut ends: [End; 2] = Default::default();
            ends[side].id = Some(id);
            self.by_id[side].insert(id, self.streams.len());
            self.streams.push(ends);
            self.openers.push(side);
        }
    }

    fn write(&mut self, side: Side, stream: usize, size: usize) {
        let end = &mut self.streams[stream][side];
        let id = end.id.unwrap();
        let mut bytes: Bytes = (end.written..end.written + size).map(|at| content(stream, side, at)).collect();
        match self.machines[side].write(id, &mut bytes) {
            Ok(taken) => {
                assert_eq!(taken + bytes.len(), size);
                assert!(!end.finished && !end.told);
                end.written += taken;
            }
            Err(StreamFault::Finished) => assert!(end.finished),
            Err(StreamFault::Unknown) => assert!(end.finished && end.ended),
            Err(StreamFault::Reset(_)) => self.expect_reset_by_peer(side, stream),
            Err(StreamFault::WouldBlock) => panic!("a write does not say so"),
        }
    }

    fn finish(&mut self, side: Side, stream: usize) {
        let end = &mut self.streams[stream][side];
        self.machines[side].finish(end.id.unwrap());
        end.finished = true;
    }

    fn reset(&mut self, side: Side, stream: usize) {
        let unknown = |pair: &Self| pair.machines[side].wire_id(pair.streams[stream][side].id.unwrap()).is_none();
        if self.streams[stream][side].finished && unknown(self) {
            // Its id must be known here before the machine sends all of it and forgets it.
            self.transmit(side, usize::MAX / 2);
        }
        let end = &mut self.streams[stream][side];
        self.machines[side].reset(end.id.unwrap(), ErrorCode(0x100 + stream as u32));
        end.reset = true;
    }

    /// Reads once; tells whether there was something.
    fn read(&mut self, side: Side, stream: usize, max: usize) -> bool {
        let id = self.streams[stream][side].id.unwrap();
        let result = self.machines[side].read(id, max, self.now);
        let [ref mut end, ref mut peer] = self.streams[stream];
        let (end, peer) = if side == 0 { (end, peer) } else { (peer, end) };
        match result {
            Ok(Some(piece)) => {
                assert!(!piece.is_empty() && piece.len() <= max && !end.ended);
                let right =
                    piece.iter().enumerate().all(|(at, byte)| *byte == content(stream, 1 - side, end.read + at));
                assert!(right, "wrong bytes");
                end.read += piece.len();
                assert!(end.read <= peer.written);
                true
            }
            Ok(None) => {
                assert!(peer.finished, "an end that nobody sent");
                assert_eq!(end.read, peer.written, "an end before all bytes");
                end.ended = true;
                false
            }
            Err(StreamFault::WouldBlock) => false,
            Err(StreamFault::Unknown) => {
                assert!(end.finished && end.ended);
                false
            }
            Err(StreamFault::Reset(_)) => {
                self.expect_reset_by_peer(side, stream);
                false
            }
            Err(StreamFault::Finished) => panic!("a read does not say so"),
        }
    }

    fn expect_reset_by_peer(&self, side: Side, stream: usize) {
        assert!(self.streams[stream][1 - side].reset, "a reset that nobody sent");
    }

    fn transmit(&mut self, side: Side, limit: usize) {
        let before = self.link[side].len();
        let count = self.machines[side].transmit(&mut self.link[side], limit);
        assert_eq!(self.link[side].len() - before, count);
        assert!(count <= limit.max(1024));
        for (stream, ends) in self.streams.iter().enumerate() {
            if self.openers[stream] == side
                && let Some(number) = ends[side].id.and_then(|id| self.machines[side].wire_id(id))
            {
                self.wire.insert(number, stream);
            }
        }
        self.events(side);
    }

    fn deliver(&mut self, from: Side, count: usize) {
        let to = 1 - from;
        let count = count.min(self.link[from].len());
        let bytes = self.link[from].split_to(count);
        self.input[to].extend_from_slice(&bytes);
        let mut input = std::mem::take(&mut self.input[to]);
        self.machines[to].receive(&mut input, self.now).expect("both keep to the protocol");
        assert!(input.len() < HEADER_LEN + 4096);
        self.input[to] = input;
        self.events(to);
    }

    fn events(&mut self, side: Side) {
        while let Some(event) = self.machines[side].next_event() {
            match event {
                Event::Opened(id) => {
                    let number = self.machines[side].wire_id(id).unwrap();
                    let stream = self.wire[&number];
                    assert!(self.openers[stream] != side && self.streams[stream][side].id.is_none());
                    self.streams[stream][side].id = Some(id);
                    self.by_id[side].insert(id, stream);
                }
                Event::Reset(id, code) => {
                    let stream = self.by_id[side][&id];
                    assert_eq!(code, ErrorCode(0x100 + stream as u32));
                    self.expect_reset_by_peer(side, stream);
                    self.streams[stream][side].told = true;
                }
                Event::Readable(_) | Event::Writable(_) => {}
                Event::GoneAway { .. } => panic!("nobody went"),
            }
        }
    }

    /// Ends everything in good order, and checks that nothing is left.
    fn settle(&mut self) {
        for round in 0.. {
            assert!(round < 10_000, "does not come to rest");
            let mut moved = false;
            for side in 0..2 {
                for stream in 0..self.streams.len() {
                    let end = self.streams[stream][side].clone();
                    if end.id.is_none() || end.reset {
                        continue;
                    }
                    self.finish(side, stream);
                    while self.read(side, stream, 100_000) {
                        moved = true;
                    }
                    if self.streams[stream][side].told {
                        self.reset(side, stream);
                    }
                }
                moved |= self.machines[side].wants_transmit() || !self.link[side].is_empty();
                self.transmit(side, 200_000);
                self.deliver(side, usize::MAX);
            }
            if !moved {
                break;
            }
        }
        for (stream, ends) in self.streams.iter().enumerate() {
            if ends.iter().all(|end| !end.reset) {
                for side in 0..2 {
                    assert!(ends[side].ended, "stream {stream} did not end: {ends:?}");
                    assert_eq!(ends[side].read, ends[1 - side].written);
                }
            }
        }
        for machine in &self.machines {
            assert_eq!(machine.streams(), 0);
            assert_eq!((machine.budget.unread(), machine.budget.granted()), (0, 0));
            assert_eq!((machine.unaccepted, machine.unnumbered, machine.schedule.ready()), (0, 0, 0));
            assert!(!machine.wants_transmit());
        }
    }
}

/// The byte at a place of a direction of a stream: any loss, repetition or mix-up shows.
fn content(stream: usize, side: Side, at: usize) -> u8 {
    let mixed = (at as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (stream as u64 * 2 + side as u64) << 32;
    (mixed.wrapping_mul(0xD6E8_FEB8_6659_FD93) >> 56) as u8
}

fn configs() -> impl Strategy<Value = Config> {
    let sizes = (prop_oneof![Just(0usize), Just(1 << 20), Just(64 << 20)], prop_oneof![Just(1000usize), Just(262_144)]);
    sizes.prop_map(|(memory_budget, send_buffer)| Config {
        memory_budget,
        send_buffer,
        max_streams: 20,
        ..Config::native()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn machines_agree_with_the_model(
        agent in configs(),
        edge in configs(),
        ops in prop::collection::vec(op(), 1..150),
    ) {
        let mut pair = Pair::new(agent, edge);
        for op in &ops {
            pair.run(op);
        }
        pair.settle();
    }

    #[test]
    fn any_bytes_are_taken_or_refused_and_held_within_limits(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..40),
        strict in any::<bool>(),
    ) {
        let config = if strict { Config::native() } else { Config::ngrok() };
        let mut edge = Machine::new(Role::Edge, config);
        let mut input = BytesMut::new();
        for piece in pieces {
            input.extend_from_slice(&piece);
            if edge.receive(&mut input, NOW).is_err() {
                break;
            }
            prop_assert!(input.len() <= HEADER_LEN + 16 * 1024);
            for event in events(&mut edge) {
                if let Event::Opened(id) = event {
                    let _ = edge.read(id, 10, NOW);
                }
            }
            sent(&mut edge);
        }
    }

    #[test]
    fn small_streams_are_served_soon(bulk in 1..20usize, small in 1..50usize) {
        let mut agent = Machine::new(Role::Agent, Config::native());
        for _ in 0..bulk {
            let id = agent.open().unwrap();
            write_all(&mut agent, id, &[0; 262_144]);
        }
        let mut out = BytesMut::new();
        agent.transmit(&mut out, 100_000);
        out.clear();
        for _ in 0..small {
            let id = agent.open().unwrap();
            write_all(&mut agent, id, b"request");
        }
        let sent = sent(&mut agent);
        let last = frames(&sent).iter().rposition(|(header, _)| header.length == 7).unwrap();
        prop_assert!(last <= small + small / 8 + 1, "the last small frame came as number {}", last);
    }
}
