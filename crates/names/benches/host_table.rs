//! Lookups among a million names. To hold: an exact name in 600 ns, a wildcard in 900 ns, on one core of a small server.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use portway_names::{HostName, HostPattern, HostTable, split_host_port};

const NAMES: u64 = 1_000_000;
const WILDCARDS: u64 = 10_000;

/// A number below `range` that looks unrelated to its neighbours, so that lookups in a row are far apart in memory.
fn scatter(nr: u64, range: u64) -> u64 {
    (nr.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 24) % range
}

fn name(text: &str) -> HostName {
    text.parse().expect("names of the bench are names")
}

fn table() -> HostTable<u64> {
    let mut table = HostTable::with_seed([0x243F_6A88_85A3_08D3, 0x1319_8A2E_0370_7344]);
    table.reserve(NAMES as usize);
    for nr in 0..NAMES {
        table.insert(HostPattern::Exact(name(&format!("app-{nr}.tenant{}.example.com", nr % 1000))), nr);
    }
    for nr in 0..WILDCARDS {
        table.insert(HostPattern::Wildcard(name(&format!("wild{nr}.example.net"))), nr);
    }
    table
}

/// Names to ask for, many more than a cache holds.
fn questions(make: impl Fn(u64) -> String) -> Vec<HostName> {
    (0..1 << 17).map(|nr| name(&make(nr))).collect()
}

fn lookups(c: &mut Criterion) {
    let table = table();
    let exact = questions(|nr| {
        let nr = scatter(nr, NAMES);
        format!("app-{nr}.tenant{}.example.com", nr % 1000)
    });
    let wildcard = questions(|nr| format!("a{nr}.wild{}.example.net", scatter(nr, WILDCARDS)));
    let deep = questions(|nr| format!("a{nr}.b.c.wild{}.example.net", scatter(nr, WILDCARDS)));
    let miss = questions(|nr| format!("nobody{nr}.tenant{}.example.com", nr % 1000));

    let mut group = c.benchmark_group("host_table_1m");
    for (label, names, found) in
        [("exact", &exact, true), ("wildcard", &wildcard, true), ("wildcard_deep", &deep, true), ("miss", &miss, false)]
    {
        assert!(names.iter().all(|name| table.get(name).is_some() == found), "{label}");
        let mut next = names.iter().cycle();
        group.bench_function(label, |b| {
            b.iter(|| black_box(table.get(next.next().expect("a cycle never ends"))));
        });
    }
    group.finish();

    c.bench_function("split_host_port", |b| {
        b.iter(|| split_host_port(black_box("App-123456.tenant7.example.com:8443")));
    });
}

criterion_group!(benches, lookups);
criterion_main!(benches);
