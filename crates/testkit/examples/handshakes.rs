//! TLS handshakes, one after the other on each of a few connections' places: `cargo xtask bench names` learns from them what one takes.
//!
//! `handshakes ADDR COUNT SECONDS` asks for the names `n0.names.example` to `nCOUNT-1.names.example`, each time another one and a whole
//! handshake, trusting the certificates in `PORTWAY_CA` (a PEM file). It prints how many were done, and how long one took, in microseconds.

use std::env;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portway_tls::{Roots, client_config, separate_resumption, server_name};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;

/// Handshakes at the same time.
const AT_ONCE: usize = 16;
/// From one name to the next: a prime, so that all come, far from the one before.
const STRIDE: usize = 7919;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [address, count, seconds] = arguments.as_slice() else {
        return Err("usage: handshakes ADDR COUNT SECONDS".into());
    };
    let (address, count, seconds): (SocketAddr, usize, u64) = (address.parse()?, count.parse()?, seconds.parse()?);
    let tls = client_config(&Roots::Pem(std::fs::read(env::var("PORTWAY_CA")?)?), &[])?;

    let end = Instant::now() + Duration::from_secs(seconds);
    let mut places = JoinSet::new();
    for place in 0..AT_ONCE {
        let tls = Arc::clone(&tls);
        places.spawn(async move {
            let mut times = Vec::new();
            let mut next = place * STRIDE;
            while Instant::now() < end {
                let start = Instant::now();
                handshake(address, &tls, next % count).await?;
                times.push(start.elapsed());
                next += AT_ONCE * STRIDE;
            }
            Ok::<_, std::io::Error>(times)
        });
    }
    let mut times = Vec::new();
    while let Some(done) = places.join_next().await {
        times.extend(done??);
    }
    times.sort();
    let at = |percent: usize| times.get(times.len() * percent / 100).map_or(0, Duration::as_micros);
    println!(r#"{{"done": {}, "p50_us": {}, "p99_us": {}}}"#, times.len(), at(50), at(99));
    Ok(())
}

/// A handshake that takes up nothing of an earlier one.
async fn handshake(address: SocketAddr, tls: &Arc<ClientConfig>, number: usize) -> std::io::Result<()> {
    let name = format!("n{number}.names.example").parse().map_err(std::io::Error::other)?;
    let tcp = TcpStream::connect(address).await?;
    tcp.set_nodelay(true)?;
    TlsConnector::from(separate_resumption(tls)).connect(server_name(&name), tcp).await.map(drop)
}
