//! The edge's machine against a model of each family of ngrok SDKs: all bytes arrive in order or the stream is reset, nothing hangs, and
//! nothing is sent that ends an SDK's session.

mod agent;

use std::collections::HashMap;

use proptest::prelude::*;

use self::agent::{Agent, Family, HEAD, Side, content, head};
use super::*;

/// Refusals of one stream until the caller hears of it.
const REFUSALS: usize = 4;

#[derive(Debug, Clone)]
enum Op {
    Open(usize),
    Write(prop::sample::Index, usize),
    Finish(prop::sample::Index),
    Reset(prop::sample::Index),
    Read(prop::sample::Index, usize),
    Transmit(usize),
    /// Brings so many bytes of the link to the agent, or to the edge.
    Down(usize),
    Up(usize),
    /// What agent and service do.
    Ask,
    Accept(usize),
    Serve(prop::sample::Index, usize, usize),
    End(prop::sample::Index),
    Cut(prop::sample::Index),
    Wait(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let index = any::<prop::sample::Index>;
    let size = || prop_oneof![1..100usize, 1..5_000usize, 60_000..300_000usize];
    prop_oneof![
        4 => prop_oneof![4 => 1..4usize, 1 => 1..200usize].prop_map(Op::Open),
        8 => (index(), size()).prop_map(|(stream, size)| Op::Write(stream, size)),
        2 => index().prop_map(Op::Finish),
        2 => index().prop_map(Op::Reset),
        6 => (index(), size()).prop_map(|(stream, size)| Op::Read(stream, size)),
        8 => size().prop_map(Op::Transmit),
        8 => size().prop_map(Op::Down),
        8 => size().prop_map(Op::Up),
        1 => Just(Op::Ask),
        5 => prop_oneof![1..4usize, 1..100usize].prop_map(Op::Accept),
        8 => (index(), size(), size()).prop_map(|(stream, takes, says)| Op::Serve(stream, takes, says)),
        2 => index().prop_map(Op::End),
        1 => index().prop_map(Op::Cut),
        1 => (0..3_000u64).prop_map(Op::Wait),
    ]
}

/// The edge's side of one stream.
#[derive(Debug, Clone)]
struct End {
    opener: Side,
    id: Option<StreamId>,
    written: usize,
    read: usize,
    finished: bool,
    ended: bool,
    reset: bool,
    told: Option<ErrorCode>,
}

struct World {
    edge: Machine,
    agent: Agent,
    down: Vec<u8>,
    up: Vec<u8>,
    input: BytesMut,
    streams: Vec<End>,
    /// Streams of the agent, in the order of their numbers on the wire.
    asked: Vec<usize>,
    by_id: HashMap<StreamId, usize>,
    now: Duration,
}

impl World {
    fn new(family: Family, backlog: usize) -> Self {
        Self {
            edge: Machine::new(Role::Edge, Config::ngrok()),
            agent: Agent::new(family, backlog),
            down: Vec::new(),
            up: Vec::new(),
            input: BytesMut::new(),
            streams: Vec::new(),
            asked: Vec::new(),
            by_id: HashMap::new(),
            now: Duration::ZERO,
        }
    }

    fn run(&mut self, op: &Op) {
        let pick = |stream: &prop::sample::Index| stream.index(self.streams.len().max(1));
        match op {
            Op::Open(count) => (0..*count).for_each(|_| self.open()),
            Op::Write(stream, size) => self.write(pick(stream), *size),
            Op::Finish(stream) => self.finish(pick(stream)),
            Op::Reset(stream) => self.reset(pick(stream)),
            Op::Read(stream, max) => {
                self.read(pick(stream), *max);
            }
            Op::Transmit(limit) => self.transmit(*limit),
            Op::Down(count) => self.deliver_down(*count),
            Op::Up(count) => self.deliver_up(*count),
            Op::Ask => self.ask(),
            Op::Accept(count) => self.agent.accept(*count),
            Op::Serve(stream, takes, says) => self.agent.serve(pick(stream), *takes, *says),
            Op::End(stream) => self.agent.end(pick(stream)),
            Op::Cut(stream) => self.agent.cut(pick(stream)),
            Op::Wait(millis) => self.now += Duration::from_millis(*millis),
        }
    }

    fn add(&mut self, opener: Side, id: Option<StreamId>) -> usize {
        let end = End { opener, id, written: 0, read: 0, finished: false, ended: false, reset: false, told: None };
        self.streams.push(end);
        self.streams.len() - 1
    }

    /// A visitor comes: the head leaves with the SYN.
    fn open(&mut self) {
        let Ok(id) = self.edge.open() else { return };
        let index = self.add(Side::Edge, Some(id));
        self.by_id.insert(id, index);
        write_all(&mut self.edge, id, &head(index));
        self.streams[index].written = HEAD;
    }

    /// The agent asks something.
    fn ask(&mut self) {
        if self.agent.open(self.streams.len()) {
            let index = self.add(Side::Agent, None);
            self.asked.push(index);
        }
    }

    fn live(&self, index: usize) -> Option<StreamId> {
        let end = self.streams.get(index)?;
        end.id.filter(|_| !end.reset)
    }

    fn write(&mut self, index: usize, size: usize) {
        let Some(id) = self.live(index) else { return };
        let end = &mut self.streams[index];
        let (opener, from) = (end.opener, end.written);
        let mut bytes: Bytes = (from..from + size).map(|at| content(index, opener, Side::Edge, at)).collect();
        match self.edge.write(id, &mut bytes) {
            Ok(taken) => end.written += taken,
            Err(StreamFault::Finished | StreamFault::Unknown) => assert!(end.finished),
            Err(StreamFault::Reset(code)) => assert_eq!(end.told, Some(code)),
            Err(StreamFault::WouldBlock) => panic!("a write does not say so"),
        }
    }

    fn finish(&mut self, index: usize) {
        if let Some(id) = self.live(index) {
            self.edge.finish(id);
            self.streams[index].finished = true;
        }
    }

    fn reset(&mut self, index: usize) {
        if let Some(id) = self.live(index) {
            self.edge.reset(id, ErrorCode::STREAM_CANCELLED);
            self.streams[index].reset = true;
        }
    }

    /// Reads once; tells whether there was something.
    fn read(&mut self, index: usize, max: usize) -> bool {
        let Some(id) = self.live(index) else { return false };
        let result = self.edge.read(id, max, self.now);
        let end = &mut self.streams[index];
        match result {
            Ok(Some(piece)) => {
                for byte in &piece {
                    assert_eq!(*byte, content(index, end.opener, Side::Agent, end.read), "stream {index}");
                    end.read += 1;
                }
                true
            }
            Ok(None) => {
                assert_eq!(end.read, self.agent.ledgers[index].sent, "an end before all bytes");
                end.ended = true;
                false
            }
            Err(StreamFault::Reset(code)) => {
                assert_eq!(end.told, Some(code));
                false
            }
            Err(StreamFault::Unknown) => {
                assert!(end.ended);
                false
            }
            Err(_) => false,
        }
    }

    fn transmit(&mut self, limit: usize) {
        let mut out = BytesMut::new();
        self.edge.transmit(&mut out, limit);
        self.down.extend_from_slice(&out);
        self.events();
    }

    fn deliver_down(&mut self, count: usize) {
        let rest = self.down.split_off(count.min(self.down.len()));
        let bytes = std::mem::replace(&mut self.down, rest);
        self.agent.take(&bytes);
        self.up.extend(self.agent.sent());
    }

    fn deliver_up(&mut self, count: usize) {
        self.up.extend(self.agent.sent());
        let rest = self.up.split_off(count.min(self.up.len()));
        self.input.extend_from_slice(&self.up);
        self.up = rest;
        self.edge.receive(&mut self.input, self.now).expect("an SDK is no offender");
        self.events();
    }

    /// Lets so many bytes at a time cross the link until nothing more comes.
    fn exchange(&mut self, bytes: usize) {
        while self.edge.wants_transmit() || !self.down.is_empty() || !self.up.is_empty() {
            self.transmit(bytes);
            self.deliver_down(bytes);
            self.deliver_up(bytes);
        }
    }

    fn events(&mut self) {
        while let Some(event) = self.edge.next_event() {
            match event {
                Event::Opened(id) => {
                    let number = self.edge.wire_id(id).unwrap();
                    let index = self.asked[(number as usize - 3) / 2];
                    self.streams[index].id = Some(id);
                    self.by_id.insert(id, index);
                }
                Event::Reset(id, code) => self.streams[self.by_id[&id]].told = Some(code),
                Event::Readable(_) | Event::Writable(_) => {}
                Event::GoneAway { .. } => panic!("nobody went"),
            }
        }
    }

    /// Lets everything come to its end: streams that nobody gave up, whole.
    fn settle(&mut self) {
        for index in 0..self.streams.len() {
            self.finish(index);
        }
        self.agent.accept(usize::MAX);
        for round in 0.. {
            assert!(round < 5_000, "does not come to rest");
            let mut moved = false;
            for index in 0..self.streams.len() {
                self.agent.serve(index, usize::MAX, 0);
                while self.read(index, usize::MAX) {
                    moved = true;
                }
                if self.streams[index].told.is_some() {
                    self.reset(index);
                }
                if self.streams[index].opener == Side::Agent && !self.streams[index].finished {
                    self.finish(index);
                }
            }
            self.up.extend(self.agent.sent());
            moved |= self.edge.wants_transmit() || !self.down.is_empty() || !self.up.is_empty();
            self.transmit(200_000);
            self.deliver_down(usize::MAX);
            self.deliver_up(usize::MAX);
            self.now += Duration::from_millis(1);
            if !moved {
                break;
            }
        }
        self.check();
    }

    fn check(&self) {
        for (index, end) in self.streams.iter().enumerate() {
            let ledger = &self.agent.ledgers.get(index).cloned().unwrap_or_default();
            let whole = end.ended && end.read == ledger.sent && (ledger.dropped || ledger.read == end.written);
            let why = match end.told {
                Some(ErrorCode::STREAM_CLOSED) => ledger.dropped,
                Some(ErrorCode::ACCEPT_QUEUE_FULL) => ledger.refused == REFUSALS,
                Some(_) => false,
                None => end.reset || whole,
            };
            assert!(why, "stream {index}: {end:?}, and at the agent {ledger:?}");
        }
        assert_eq!(self.edge.streams(), 0);
        assert_eq!(self.agent.streams(), 0, "streams are left at the agent");
        assert_eq!((self.edge.budget.unread(), self.edge.budget.granted()), (0, 0));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn the_rust_family_is_served(ops in prop::collection::vec(op(), 1..150)) {
        let mut world = World::new(Family::Rust, 0);
        ops.iter().for_each(|op| world.run(op));
        world.settle();
    }

    #[test]
    fn the_go_family_is_served(backlog in prop_oneof![1..10usize, Just(128)], ops in prop::collection::vec(op(), 1..150)) {
        let mut world = World::new(Family::Go, backlog);
        ops.iter().for_each(|op| world.run(op));
        world.settle();
    }

    /// All places are taken, and visitors come as fast as others leave.
    #[test]
    fn the_rust_family_survives_coming_and_going_at_its_limit(
        turns in prop::collection::vec((1..200usize, any::<bool>(), 100..100_000usize), 1..30),
    ) {
        let mut world = World::new(Family::Rust, 0);
        world.agent.accept(usize::MAX);
        (0..500).for_each(|_| world.open());
        world.exchange(usize::MAX / 2);
        prop_assert_eq!(world.agent.streams(), 500);
        let mut leaves = 0;
        for (count, gives_up, bytes) in turns {
            let leave = leaves..(leaves + count).min(world.streams.len());
            leaves = leave.end;
            for index in leave {
                if gives_up { world.reset(index) } else { world.finish(index) }
                world.read(index, usize::MAX);
            }
            (0..600).for_each(|_| world.open());
            world.exchange(bytes);
            prop_assert!(world.edge.streams() <= 500);
        }
        world.settle();
    }
}
