//! Addresses against 10,000 rules. To hold: one question in 500 ns, compiling in 5 ms, on one core of a small server.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use criterion::{Criterion, criterion_group, criterion_main};
use portway_access::{Cidr, IpAction, IpRules};

const RULES: u64 = 10_000;

/// Numbers that look unrelated to their neighbours.
fn scatter(nr: u64) -> u64 {
    nr.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

fn v4(nr: u64) -> IpAddr {
    Ipv4Addr::from_bits((scatter(nr) >> 32) as u32).into()
}

fn v6(nr: u64) -> IpAddr {
    // Below 2000::/3, where public addresses are.
    Ipv6Addr::from_bits(u128::from(scatter(nr) >> 3 | 1 << 61) << 64).into()
}

/// Half of them about IPv4, a quarter of each family denying, with prefixes of many lengths, so that few hold one another.
fn rules() -> Vec<(Cidr, IpAction)> {
    let rule = |nr| {
        let (ip, bits) = if nr % 2 == 0 { (v4(nr), 20 + nr / 2 % 13) } else { (v6(nr), 32 + nr / 2 % 33) };
        let network = format!("{ip}/{bits}").parse().expect("networks of the bench are networks");
        (network, if nr / 2 % 4 < 3 { IpAction::Allow } else { IpAction::Deny })
    };
    (0..RULES).map(rule).collect()
}

fn decisions(c: &mut Criterion) {
    let list = rules();
    let rules: IpRules = list.iter().copied().collect();
    let mut group = c.benchmark_group("ip_rules_10k");
    for (label, address) in [("v4", v4 as fn(u64) -> IpAddr), ("v6", v6)] {
        // Every other address is that of a rule.
        let asked: Vec<IpAddr> = (0..1 << 16)
            .map(|nr| address(if nr % 2 == 0 { nr * 7 + 3 } else { (scatter(nr) >> 24) % RULES }))
            .collect();
        assert!(asked.iter().any(|ip| rules.admit(*ip)) && asked.iter().any(|ip| !rules.admit(*ip)), "{label}");
        let mut next = asked.iter().cycle();
        group.bench_function(label, |b| {
            b.iter(|| black_box(rules.admit(*next.next().expect("a cycle never ends"))));
        });
    }
    group.bench_function("compile", |b| b.iter(|| black_box(list.iter().copied().collect::<IpRules>())));
    group.finish();
}

criterion_group!(benches, decisions);
criterion_main!(benches);
