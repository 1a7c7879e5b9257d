//! What a handshake costs the server with few certificates and with many, and what a certificate costs in memory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use portway_names::Host;
use portway_tls::{CertStore, CertifiedKey, Roots, client_config, separate_resumption, server_config, server_name};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};

const FEW: usize = 10;
const MANY: usize = 100_000;

/// An authority of the benchmark's own.
fn authority() -> (Issuer<'static, KeyPair>, Vec<u8>) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = params.self_signed(&key).expect("a certificate").pem().into_bytes();
    (Issuer::new(params, key), pem)
}

/// The name of a certificate.
fn name(number: usize) -> String {
    format!("n{number}.example.com")
}

/// A store of so many certificates, each with a key of its own.
fn store(count: usize, issuer: &Issuer<'static, KeyPair>) -> Arc<CertStore> {
    let store = Arc::new(CertStore::new());
    for number in 0..count {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name(number)]).expect("a name");
        let certificate = params.signed_by(&key, issuer).expect("a certificate");
        let key = CertifiedKey::from_der(vec![certificate.der().to_vec()], &key.serialize_der()).expect("a pair");
        store.upsert(&number.to_string(), vec![name(number).parse().expect("a name")], key);
    }
    store
}

/// A whole handshake; the time that the server took.
fn handshake(server: &Arc<ServerConfig>, client: &Arc<ClientConfig>, name: &str) -> Duration {
    let host: Host = name.parse().expect("a name");
    let mut client = ClientConnection::new(separate_resumption(client), server_name(&host)).expect("a client");
    let mut server = ServerConnection::new(Arc::clone(server)).expect("a server");
    let mut spent = Duration::ZERO;
    while client.is_handshaking() || server.is_handshaking() {
        let (mut there, mut back) = (Vec::new(), Vec::new());
        while client.wants_write() {
            client.write_tls(&mut there).expect("memory");
        }
        let start = Instant::now();
        let mut there = there.as_slice();
        while !there.is_empty() {
            server.read_tls(&mut there).expect("memory");
            server.process_new_packets().expect("a handshake");
        }
        while server.wants_write() {
            server.write_tls(&mut back).expect("memory");
        }
        spent += start.elapsed();
        let mut back = back.as_slice();
        while !back.is_empty() {
            client.read_tls(&mut back).expect("memory");
            client.process_new_packets().expect("a handshake");
        }
    }
    spent
}

/// Bytes of this process that are in memory.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).expect("pages") * 4096
}

fn handshakes(criterion: &mut Criterion) {
    let (issuer, roots) = authority();
    let client = client_config(&Roots::Pem(roots), &[]).expect("roots");
    for count in [FEW, MANY] {
        let before = resident();
        let store = store(count, &issuer);
        if count == MANY {
            println!("{} bytes of memory for each of {count} certificates", (resident() - before) / count as u64);
        }
        let server = server_config(&store, &[]);
        let mut next = 0;
        criterion.bench_function(&format!("server, {count} certificates"), |bencher| {
            bencher.iter_custom(|times| {
                let mut spent = Duration::ZERO;
                for _ in 0..times {
                    // Each time another certificate, far from the one before.
                    next = (next + 7919) % count;
                    spent += handshake(&server, &client, &name(next));
                }
                spent
            });
        });
    }
}

criterion_group!(benches, handshakes);
criterion_main!(benches);
