//! Queries over UDP, as many resolvers send them.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::Counted;

/// Questions at the same time.
const CLIENTS: u8 = 16;
/// Networks that each client asks from, in turn: a network alone gets a limited number of answers.
const NETWORKS: u8 = 32;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes of a header (RFC 1035 section 4.1.1).
const HEADER: usize = 12;

/// Asks for the addresses of names below `base`, each time another one.
pub(super) fn ask(server: SocketAddr, base: &str, time: Duration) -> Result<Counted> {
    let end = Instant::now() + time;
    let times: Result<Vec<Vec<Duration>>> = thread::scope(|scope| {
        let clients: Vec<_> =
            (0..CLIENTS).map(|client| scope.spawn(move || asked(server, base, client, end))).collect();
        clients.into_iter().map(|client| client.join().expect("a client does not panic")).collect()
    });
    let mut times = times?.concat();
    times.sort();
    let at = |percent: usize| times.get(times.len() * percent / 100).map_or(f64::NAN, |time| time.as_secs_f64() * 1e6);
    Ok(Counted { done: times.len() as f64, p50_us: at(50), p99_us: at(99) })
}

/// How long each answer took that one client got until the end.
fn asked(server: SocketAddr, base: &str, client: u8, end: Instant) -> Result<Vec<Duration>> {
    let mut sockets = Vec::new();
    for network in 0..NETWORKS {
        let socket = UdpSocket::bind((Ipv4Addr::new(127, 1 + client, network, 1), 0)).context("binding a socket")?;
        socket.connect(server).context("connecting a socket")?;
        socket.set_read_timeout(Some(PATIENCE))?;
        sockets.push(socket);
    }
    let mut times = Vec::new();
    for number in 0_usize.. {
        let start = Instant::now();
        if start >= end {
            break;
        }
        let socket = &sockets[number % sockets.len()];
        let id = (number % 0x1_0000) as u16;
        socket.send(&query(id, &format!("n{client}-{number}"), base)).context("asking")?;
        let mut answer = [0; 1500];
        let length = socket.recv(&mut answer).context("no answer from the server's DNS")?;
        let [first, second, flags, code, _, _, _, answers] = answer[..8] else { bail!("no header") };
        let good = length > HEADER && [first, second] == id.to_be_bytes() && flags & 0x80 != 0;
        if !good || code & 0x0f != 0 || answers != 1 {
            bail!("the server's DNS answers with something else than an address: {:?}", &answer[..length.min(64)]);
        }
        times.push(start.elapsed());
    }
    Ok(times)
}

/// A question for an address (RFC 1035 section 4.1).
fn query(id: u16, label: &str, base: &str) -> Vec<u8> {
    let mut query = id.to_be_bytes().to_vec();
    query.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in std::iter::once(label).chain(base.split('.')) {
        query.push(u8::try_from(label.len()).unwrap_or(0));
        query.extend_from_slice(label.as_bytes());
    }
    query.extend_from_slice(&[0, 0, 1, 0, 1]);
    query
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_as_the_protocol_says() {
        assert_eq!(
            query(0x1234, "a", "b.cd"),
            b"\x12\x34\0\0\0\x01\0\0\0\0\0\0\x01a\x01b\x02cd\0\0\x01\0\x01",
            "id, flags, one question, its name, A, IN"
        );
    }
}
