//! Datagrams on their way from a process that reads a UDP socket to its successor, which answers them.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::unix::net::UnixDatagram;

use quinn::udp::{EcnCodepoint, RecvMeta};

/// Bytes in front of a relayed datagram: address and port it came from, its scope, address it came to, flags.
const HEAD_LEN: usize = 16 + 2 + 4 + 16 + 1;
/// Bytes that one relayed datagram may have.
pub(super) const RELAYED_MAX: usize = HEAD_LEN + u16::MAX as usize;

/// Flags: the two bits of ECN, and which of the two addresses are what they look like.
const ECN: u8 = 0b11;
const FROM_V4: u8 = 0b100;
const TO_V4: u8 = 0b1000;
const TO_KNOWN: u8 = 0b1_0000;

/// The end that sends. What does not fit into the socket's buffer is lost, as in any network; QUIC sends it again.
#[derive(Debug)]
pub(super) struct Relay {
    socket: UnixDatagram,
}

impl Relay {
    /// Takes one end of a socket pair.
    pub(super) fn new(socket: UnixDatagram) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self { socket })
    }

    /// Passes one datagram on.
    pub(super) fn pass(&self, meta: &RecvMeta, datagram: &[u8]) {
        let mut message = Vec::with_capacity(HEAD_LEN + datagram.len());
        message.extend_from_slice(&head(meta));
        message.extend_from_slice(datagram);
        if let Err(error) = self.socket.send(&message) {
            tracing::debug!(%error, "a datagram for the successor is lost");
        }
    }
}

/// Takes a relayed message apart: where it came from, and the datagram. None when it is no such message.
pub(super) fn take(message: &[u8]) -> Option<(RecvMeta, &[u8])> {
    let (head, datagram) = message.split_first_chunk::<HEAD_LEN>()?;
    let flags = head[HEAD_LEN - 1];
    let ip = |at: usize, v4: u8| {
        let ip = Ipv6Addr::from(head[at..].first_chunk::<16>().copied().unwrap_or_default());
        if flags & v4 == 0 { IpAddr::V6(ip) } else { ip.to_canonical() }
    };
    let port = u16::from_be_bytes([head[16], head[17]]);
    let scope = u32::from_be_bytes([head[18], head[19], head[20], head[21]]);
    let addr = match ip(0, FROM_V4) {
        IpAddr::V4(ip) => SocketAddr::new(ip.into(), port),
        IpAddr::V6(ip) => SocketAddrV6::new(ip, port, 0, scope).into(),
    };
    let dst_ip = (flags & TO_KNOWN != 0).then(|| ip(22, TO_V4));
    let meta = RecvMeta {
        addr,
        len: datagram.len(),
        stride: datagram.len(),
        ecn: EcnCodepoint::from_bits(flags & ECN),
        dst_ip,
    };
    Some((meta, datagram))
}

fn head(meta: &RecvMeta) -> [u8; HEAD_LEN] {
    let mapped = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    };
    let mut flags = meta.ecn.map_or(0, |ecn| ecn as u8);
    let scope = match meta.addr {
        SocketAddr::V4(_) => {
            flags |= FROM_V4;
            0
        }
        SocketAddr::V6(addr) => addr.scope_id(),
    };
    let mut head = [0; HEAD_LEN];
    head[..16].copy_from_slice(&mapped(meta.addr.ip()));
    head[16..18].copy_from_slice(&meta.addr.port().to_be_bytes());
    head[18..22].copy_from_slice(&scope.to_be_bytes());
    if let Some(ip) = meta.dst_ip {
        flags |= TO_KNOWN | if ip.is_ipv4() { TO_V4 } else { 0 };
        head[22..38].copy_from_slice(&mapped(ip));
    }
    head[HEAD_LEN - 1] = flags;
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_datagram_came_from_survives() {
        let addresses = ["192.0.2.1:7", "[2001:db8::1]:443", "[::ffff:192.0.2.1]:9", "[fe80::1%3]:1"];
        let targets = [None, Some("192.0.2.2"), Some("2001:db8::2"), Some("::ffff:192.0.2.2")];
        let marks = [None, Some(EcnCodepoint::Ect0), Some(EcnCodepoint::Ect1), Some(EcnCodepoint::Ce)];
        for addr in addresses.map(|text| text.parse::<SocketAddr>().unwrap()) {
            for dst_ip in targets.map(|ip| ip.map(|ip| ip.parse::<IpAddr>().unwrap())) {
                for ecn in marks {
                    let meta = RecvMeta { addr, len: 9, stride: 9, ecn, dst_ip };
                    let message = [&head(&meta)[..], b"datagram!"].concat();
                    let (taken, datagram) = take(&message).unwrap();
                    assert_eq!(datagram, b"datagram!");
                    let told = |meta: RecvMeta| (meta.addr, meta.len, meta.stride, meta.ecn, meta.dst_ip);
                    assert_eq!(told(taken), told(meta));
                }
            }
        }
    }

    #[test]
    fn what_is_too_short_is_no_message() {
        assert!(take(&[0; HEAD_LEN - 1]).is_none());
        assert!(take(&[0; HEAD_LEN]).is_some_and(|(_, datagram)| datagram.is_empty()));
    }
}
