//! Two session machines joined by a buffer: bulk, many small streams, and opening.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use portway_muxado::{Config, Event, Machine, Role, StreamId};

const NOW: Duration = Duration::from_secs(1);
/// What a driver collects for one write.
const WRITE: usize = 64 * 1024;

struct Pair {
    agent: Machine,
    edge: Machine,
    wire: BytesMut,
    now: Duration,
}

impl Pair {
    fn new() -> Self {
        let config = Config { opens_per_second: u32::MAX, ..Config::native() };
        let (agent, edge) = (Machine::new(Role::Agent, config.clone()), Machine::new(Role::Edge, config));
        Self { agent, edge, wire: BytesMut::with_capacity(WRITE), now: NOW }
    }

    /// Moves all that the edge has to say; the agent's answers (`handle` gets its events) go back.
    fn exchange(&mut self, mut handle: impl FnMut(&mut Machine, Event)) {
        self.now += Duration::from_micros(100);
        while self.edge.wants_transmit() || self.agent.wants_transmit() {
            self.wire.reserve(WRITE);
            self.edge.transmit(&mut self.wire, WRITE);
            self.agent.receive(&mut self.wire, self.now).expect("good frames");
            while let Some(event) = self.agent.next_event() {
                handle(&mut self.agent, event);
            }
            self.wire.reserve(WRITE);
            self.agent.transmit(&mut self.wire, WRITE);
            self.edge.receive(&mut self.wire, self.now).expect("good frames");
        }
    }

    fn open(&mut self) -> StreamId {
        self.edge.open().expect("below the limit")
    }
}

fn drain(machine: &mut Machine, id: StreamId) -> usize {
    let mut total = 0;
    while let Ok(Some(piece)) = machine.read(id, usize::MAX, NOW) {
        total += piece.len();
    }
    total
}

fn bulk(c: &mut Criterion) {
    let mut group = c.benchmark_group("bulk");
    for size in [16 * 1024, 64 * 1024] {
        let payload = Bytes::from(vec![0x5A; size]);
        let mut pair = Pair::new();
        let id = pair.open();
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(format!("{} KiB writes", size / 1024), |b| {
            b.iter(|| {
                let mut piece = payload.clone();
                pair.edge.write(id, &mut piece).expect("open");
                pair.exchange(|agent, event| match event {
                    Event::Opened(id) | Event::Readable(id) => {
                        drain(agent, id);
                    }
                    _ => {}
                });
            });
        });
    }
    group.finish();
}

fn small_requests(c: &mut Criterion) {
    const STREAMS: usize = 64;
    let (request, answer) = (Bytes::from(vec![1; 120]), Bytes::from(vec![2; 250]));
    let mut pair = Pair::new();
    let ids: Vec<_> = (0..STREAMS).map(|_| pair.open()).collect();
    let mut group = c.benchmark_group("requests");
    group.throughput(Throughput::Elements(STREAMS as u64));
    group.bench_function("64 kept-alive streams, one request and answer each", |b| {
        b.iter(|| {
            for id in &ids {
                pair.edge.write(*id, &mut request.clone()).expect("open");
            }
            pair.exchange(|agent, event| {
                if let Event::Opened(id) | Event::Readable(id) = event {
                    drain(agent, id);
                    agent.write(id, &mut answer.clone()).expect("open");
                }
            });
            while pair.edge.next_event().is_some() {}
            for id in &ids {
                assert_eq!(drain(&mut pair.edge, *id), answer.len());
            }
        });
    });
    group.finish();
}

fn open(c: &mut Criterion) {
    let (request, answer) = (Bytes::from(vec![1; 120]), Bytes::from(vec![2; 250]));
    let mut pair = Pair::new();
    c.bench_function("open, request, answer, close", |b| {
        b.iter_batched(
            || (request.clone(), answer.clone()),
            |(mut request, answer)| {
                let id = pair.open();
                pair.edge.write(id, &mut request).expect("open");
                pair.edge.finish(id);
                pair.exchange(|agent, event| {
                    if let Event::Opened(id) | Event::Readable(id) = event {
                        drain(agent, id);
                        let _ = agent.write(id, &mut answer.clone());
                        agent.finish(id);
                    }
                });
                while pair.edge.next_event().is_some() {}
                assert_eq!(drain(&mut pair.edge, id), answer.len());
                assert_eq!(pair.edge.streams(), 0);
            },
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, bulk, small_requests, open);
criterion_main!(benches);
