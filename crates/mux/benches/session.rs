//! What a stream and a byte cost: both ends of a session on one thread, as an edge's shard and a local agent would have them.
//!
//! `memory` is muxado over a pipe in memory (the engine alone), `tcp` muxado over loopback TLS, `quic` QUIC over loopback UDP.

#[path = "../tests/loopback/support.rs"]
#[expect(dead_code, clippy::unwrap_used, reason = "shared with the tests, which use all of it")]
mod support;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::join_all;
use portway_mux::{Carrier, Role, Session, SessionConfig, over_tls};
use support::{Pair, echo, pair_with, pattern, read_to_end};
use tokio::runtime::Runtime;

const BULK: usize = 16 << 20;

/// Both ends, and what has to live as long.
struct Link {
    edge: Session,
    agent: Session,
    _pair: Option<Pair>,
}

fn config() -> SessionConfig {
    SessionConfig { opens_per_second: u32::MAX, max_unaccepted: 10_000, ..SessionConfig::agent() }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

async fn link(name: &str) -> Link {
    let carrier = match name {
        "tcp" => Carrier::Tcp,
        "quic" => Carrier::Quic,
        _ => {
            let (near, far) = tokio::io::duplex(256 * 1024);
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
            let edge = over_tls(near, Role::Edge, config(), address, address);
            let agent = over_tls(far, Role::Agent, config(), address, address);
            return Link { edge, agent, _pair: None };
        }
    };
    let pair = pair_with(carrier, config(), config()).await;
    Link { edge: pair.edge.clone(), agent: pair.agent.clone(), _pair: Some(pair) }
}

async fn request(edge: &Session, body: &Bytes) {
    let mut stream = edge.open(body.slice(..16)).await.expect("a stream");
    stream.write_chunk(body.slice(16..)).await.expect("sent");
    stream.finish().await.expect("sent");
    assert_eq!(read_to_end(&mut stream).await.len(), body.len());
}

/// Open, send 1 KiB, get it back, end: one at a time, and 64 at a time (for each).
fn open_echo(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("open_echo_1KiB");
    let body = pattern(1024, 1);
    for name in ["memory", "tcp", "quic"] {
        let runtime = runtime();
        let link = runtime.block_on(link(name));
        let echoing = runtime.spawn(echo(link.agent.clone()));
        for streams in [1u64, 64] {
            group.throughput(Throughput::Elements(streams));
            group.bench_function(BenchmarkId::new(name, streams), |bencher| {
                bencher.to_async(&runtime).iter(|| join_all((0..streams).map(|_| request(&link.edge, &body))));
            });
        }
        link.edge.abort();
        runtime.block_on(echoing).expect("echo ends");
    }
}

/// One request after the other on a stream that stays open, 64 streams at a time.
fn kept_streams(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("kept_streams_1KiB");
    let body = pattern(1024, 1);
    for name in ["memory", "tcp", "quic"] {
        let runtime = runtime();
        let link = runtime.block_on(link(name));
        let echoing = runtime.spawn(echo(link.agent.clone()));
        for streams in [1usize, 64] {
            let open = async {
                let opened = (0..streams).map(|_| link.edge.open(Bytes::from_static(b"head")));
                let mut opened: Vec<_> = join_all(opened).await.into_iter().map(|s| s.expect("a stream")).collect();
                for stream in &mut opened {
                    stream.read_chunk(4).await.expect("the head comes back");
                }
                opened
            };
            let opened = runtime.block_on(open);
            let opened: Vec<_> = opened.into_iter().map(tokio::sync::Mutex::new).collect();
            group.throughput(Throughput::Elements(streams as u64));
            group.bench_function(BenchmarkId::new(name, streams), |bencher| {
                bencher.to_async(&runtime).iter(|| {
                    join_all(opened.iter().map(async |stream| {
                        let mut stream = stream.lock().await;
                        stream.write_chunk(body.clone()).await.expect("sent");
                        let mut left = body.len();
                        while left > 0 {
                            left -= stream.read_chunk(left).await.expect("open").expect("open").len();
                        }
                    }))
                });
            });
        }
        link.edge.abort();
        runtime.block_on(echoing).expect("echo ends");
    }
}

/// One stream that moves 16 MiB.
fn bulk(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("bulk_16MiB");
    group.throughput(Throughput::Bytes(BULK as u64)).sample_size(20);
    let block = pattern(64 * 1024, 1);
    for name in ["memory", "tcp", "quic"] {
        let runtime = runtime();
        let link = runtime.block_on(link(name));
        group.bench_function(name, |bencher| {
            bencher.to_async(&runtime).iter(|| async {
                let mut near = link.edge.open(Bytes::from_static(b"head")).await.expect("a stream");
                let sending = async {
                    for _ in 0..BULK / block.len() {
                        near.write_chunk(block.clone()).await.expect("sent");
                    }
                    near.finish().await.expect("sent");
                };
                let receiving = async {
                    let mut far = link.agent.accept().await.expect("a stream");
                    far.finish().await.expect("sent");
                    let mut total = 0;
                    while let Some(chunk) = far.read_chunk(usize::MAX).await.expect("open") {
                        total += chunk.len();
                    }
                    assert_eq!(total, BULK + 4);
                };
                tokio::join!(sending, receiving);
                assert!(near.read_chunk(1).await.expect("open").is_none());
            });
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(3));
    targets = open_echo, kept_streams, bulk
}
criterion_main!(benches);
