//! Limits per address, for the whole edge, and over time.

use super::*;

fn admission(change: impl FnOnce(&mut Limits)) -> Arc<Admission> {
    let mut limits = Limits { loopback_exempt: false, ..Limits::default() };
    change(&mut limits);
    Admission::new(limits, Metrics::default())
}

fn peer(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn connections_of_one_address_are_counted_until_they_end() {
    let admission = admission(|limits| limits.connections_per_address = 2);
    let first = admission.connection(peer("192.0.2.1:1")).unwrap();
    let _second = admission.connection(peer("[::ffff:192.0.2.1]:2")).unwrap();
    assert_eq!(admission.connection(peer("192.0.2.1:3")).unwrap_err(), Limit::ConnectionsPerAddress);
    let _other = admission.connection(peer("192.0.2.2:1")).unwrap();
    drop(first);
    let _third = admission.connection(peer("192.0.2.1:3")).unwrap();
    assert_eq!(admission.connections_open(), 3);
}

#[test]
fn an_ipv6_host_cannot_multiply_itself_within_its_64() {
    let admission = admission(|limits| limits.connections_per_address = 1);
    let _first = admission.connection(peer("[2001:db8:0:1::1]:1")).unwrap();
    assert_eq!(admission.connection(peer("[2001:db8:0:1:ffff::2]:1")).unwrap_err(), Limit::ConnectionsPerAddress);
    admission.connection(peer("[2001:db8:0:2::1]:1")).unwrap();
}

#[test]
fn the_whole_edge_has_an_end_too() {
    let admission = admission(|limits| limits.connections = 1);
    let first = admission.connection(peer("192.0.2.1:1")).unwrap();
    assert_eq!(admission.connection(peer("192.0.2.2:1")).unwrap_err(), Limit::Connections);
    drop(first);
    admission.connection(peer("192.0.2.2:1")).unwrap();
}

#[test]
fn handshakes_are_limited_by_address_and_by_how_many_are_half_open() {
    let slow = admission(|limits| limits.handshakes_per_address = 1);
    slow.handshake(peer("192.0.2.1:1")).unwrap();
    slow.handshake(peer("192.0.2.1:2")).unwrap();
    assert_eq!(slow.handshake(peer("192.0.2.1:3")).unwrap_err(), Limit::HandshakesPerAddress);
    slow.handshake(peer("192.0.2.9:3")).unwrap();

    let few = admission(|limits| limits.handshakes_half_open = 1);
    let first = few.handshake(peer("192.0.2.1:1")).unwrap();
    assert_eq!(few.handshake(peer("192.0.2.2:1")).unwrap_err(), Limit::HandshakesHalfOpen);
    drop(first);
    few.handshake(peer("192.0.2.2:1")).unwrap();
}

#[test]
fn bad_tokens_shut_an_address_out_and_nobody_else() {
    let admission = admission(|limits| limits.bad_tokens_per_minute = 3);
    for _ in 0..3 {
        assert!(admission.may_authenticate(peer("192.0.2.1:1")));
        admission.bad_token(peer("192.0.2.1:1"));
    }
    assert!(!admission.may_authenticate(peer("192.0.2.1:1")));
    assert!(admission.may_authenticate(peer("192.0.2.2:1")));
}

#[test]
fn loopback_is_exempt_by_default() {
    let admission = Admission::new(Limits { connections_per_address: 1, ..Limits::default() }, Metrics::default());
    let _first = admission.connection(peer("127.0.0.1:1")).unwrap();
    let _second = admission.connection(peer("127.0.0.1:2")).unwrap();
}

#[test]
fn a_bucket_refills_with_time() {
    let rate = Rate { per_second: 2.0, burst: 2.0 };
    let mut bucket = Bucket::default();
    assert!(bucket.take(Duration::ZERO, rate) && bucket.take(Duration::ZERO, rate));
    assert!(!bucket.take(Duration::ZERO, rate));
    assert!(!bucket.take(Duration::from_millis(400), rate));
    assert!(bucket.take(Duration::from_millis(600), rate));
    assert_eq!(bucket.wait(Duration::from_millis(600), rate), Duration::from_millis(400));
    assert!(bucket.is_full(Duration::from_secs(10), rate));
}

#[test]
fn addresses_with_nothing_to_remember_are_forgotten() {
    let admission = admission(|limits| limits.bad_tokens_per_minute = 60);
    for index in 0..10_000u32 {
        drop(admission.connection(SocketAddr::new(IpAddr::V4(index.into()), 1)));
    }
    let kept: usize = admission.addresses.iter().map(|piece| lock(piece).len()).sum();
    assert_eq!(kept, 0);
}
