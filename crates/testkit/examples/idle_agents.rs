//! Agents that do nothing: `cargo xtask bench` learns from them what a connected agent takes at the edge.
//!
//! `idle_agents COUNT tcp|quic` connects that many agents, prints `ready` and holds them until it is killed. Where to is in
//! `PORTWAY_CONNECT_URL`, `PORTWAY_AUTHTOKEN` and `PORTWAY_CA` (a PEM file).

use std::env;
use std::error::Error;
use std::io::Write;

use portway_agent::{Agent, CarrierChoice, ConnectError, Roots};
use tokio::task::JoinSet;

/// Agents that connect at the same time.
const AT_ONCE: usize = 16;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [count, carrier] = arguments.as_slice() else { return Err("usage: idle_agents COUNT tcp|quic".into()) };
    let count: usize = count.parse()?;
    let carrier = if carrier == "quic" { CarrierChoice::Quic } else { CarrierChoice::Tcp };
    let pem = std::fs::read(env::var("PORTWAY_CA")?)?;

    let mut held = Vec::new();
    let mut connecting = JoinSet::new();
    for started in 0..count {
        if started >= AT_ONCE {
            held.extend(connecting.join_next().await.transpose()?.transpose()?);
        }
        connecting.spawn(connect(
            pem.clone(),
            carrier,
            env::var("PORTWAY_CONNECT_URL")?,
            env::var("PORTWAY_AUTHTOKEN")?,
        ));
    }
    while let Some(agent) = connecting.join_next().await {
        held.push(agent??);
    }
    println!("ready: {} agents", held.len());
    std::io::stdout().flush()?;
    std::future::pending::<()>().await;
    Ok(())
}

async fn connect(pem: Vec<u8>, carrier: CarrierChoice, url: String, authtoken: String) -> Result<Agent, ConnectError> {
    Agent::builder().connect_url(url).authtoken(authtoken).roots(Roots::Pem(pem)).carrier(carrier).connect().await
}
