//! PROXY protocol headers, versions 1 and 2, as sent in front of a stream towards an upstream
//! (haproxy.org, "The PROXY protocol", sections 2.1 and 2.2).

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
pub use portway_proto::ProxyVersion;
use proxy_header::{ProxiedAddress, ProxyHeader};

/// The header that tells an upstream who connected (`source`) and to which address (`destination`). When one address is IPv4 and the
/// other IPv6, the IPv4 one is sent in its IPv6-mapped form, since the header has room for one family only.
#[must_use]
pub fn encode(version: ProxyVersion, source: SocketAddr, destination: SocketAddr) -> Bytes {
    let (source, destination) = one_family(source, destination);
    let header = ProxyHeader::with_address(ProxiedAddress::stream(source, destination));
    // Longest: version 1 with two IPv6 addresses, 107 bytes.
    let mut out = Vec::with_capacity(108);
    let encoded = match version {
        ProxyVersion::V1 => header.encode_v1(&mut out),
        ProxyVersion::V2 => header.encode_v2(&mut out),
    };
    encoded.expect("two stream addresses of one family without extensions always encode");
    out.into()
}

fn one_family(source: SocketAddr, destination: SocketAddr) -> (SocketAddr, SocketAddr) {
    let plain = (source.ip().to_canonical(), destination.ip().to_canonical());
    let (source_ip, destination_ip) = match plain {
        (IpAddr::V4(v4), v6 @ IpAddr::V6(_)) => (v4.to_ipv6_mapped().into(), v6),
        (v6 @ IpAddr::V6(_), IpAddr::V4(v4)) => (v6, v4.to_ipv6_mapped().into()),
        same => same,
    };
    (SocketAddr::new(source_ip, source.port()), SocketAddr::new(destination_ip, destination.port()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proxy_header::ParseConfig;

    use super::*;

    #[test]
    fn golden_headers() {
        let client = "203.0.113.7:50123".parse().unwrap();
        let server = "192.0.2.1:443".parse().unwrap();
        assert_eq!(encode(ProxyVersion::V1, client, server)[..], b"PROXY TCP4 203.0.113.7 192.0.2.1 50123 443\r\n"[..]);
        let golden = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xcb\x00\x71\x07\xc0\x00\x02\x01\xc3\xcb\x01\xbb";
        assert_eq!(encode(ProxyVersion::V2, client, server)[..], golden[..]);
    }

    #[test]
    fn mixed_families_are_mapped_and_mapped_pairs_are_unmapped() {
        let mixed = encode(ProxyVersion::V1, "10.0.0.1:1".parse().unwrap(), "[2001:db8::1]:2".parse().unwrap());
        assert_eq!(mixed[..], b"PROXY TCP6 ::ffff:10.0.0.1 2001:db8::1 1 2\r\n"[..]);
        let mapped = encode(ProxyVersion::V1, "[::ffff:10.0.0.1]:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap());
        assert_eq!(mapped[..], b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n"[..]);
    }

    proptest! {
        #[test]
        fn a_reader_gets_the_addresses_back(
            source in any::<SocketAddr>(), destination in any::<SocketAddr>(), first in any::<bool>(),
        ) {
            let version = if first { ProxyVersion::V1 } else { ProxyVersion::V2 };
            let bytes = encode(version, source, destination);
            let (header, length) = ProxyHeader::parse(&bytes, ParseConfig::default()).unwrap();
            prop_assert_eq!(length, bytes.len());
            let read = header.proxied_address().unwrap();
            prop_assert_eq!(read.source.ip().to_canonical(), source.ip().to_canonical());
            prop_assert_eq!(read.destination.ip().to_canonical(), destination.ip().to_canonical());
            prop_assert_eq!((read.source.port(), read.destination.port()), (source.port(), destination.port()));
        }
    }
}
