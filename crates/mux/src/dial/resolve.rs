//! From a name to addresses.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use portway_names::Host;

use super::DialCause;

/// Addresses of a host, the families taking turns (RFC 8305 section 4), in the order of the system otherwise.
pub(super) async fn resolve(host: &Host, port: u16) -> Result<Vec<SocketAddr>, DialCause> {
    let name = match host {
        Host::Ip(ip) => return Ok(vec![SocketAddr::new(*ip, port)]),
        Host::Name(name) => name,
    };
    // Never asked of a resolver (RFC 6761 section 6.3), and not every system's own look-up knows it.
    if name.as_str() == "localhost" || name.as_str().ends_with(".localhost") {
        return Ok(vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]);
    }
    let found = tokio::net::lookup_host((name.as_str(), port)).await.map_err(DialCause::Dns)?;
    let addresses = alternate(found.collect());
    if addresses.is_empty() { Err(DialCause::NoAddress) } else { Ok(addresses) }
}

fn alternate(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_ipv6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|a| a.is_ipv6() == first_is_ipv6);
    let mut second = second.into_iter();
    let mut mixed: Vec<SocketAddr> = first.into_iter().flat_map(|a| [Some(a), second.next()]).flatten().collect();
    mixed.extend(second);
    let mut seen = std::collections::HashSet::new();
    mixed.retain(|address| seen.insert(*address));
    mixed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_below_localhost_are_loopback() {
        let host = "connect.portway.localhost".parse().unwrap();
        let addresses = resolve(&host, 7).await.unwrap();
        assert_eq!(addresses, ["127.0.0.1:7".parse().unwrap(), "[::1]:7".parse::<SocketAddr>().unwrap()]);
    }

    #[test]
    fn families_take_turns_and_nothing_comes_twice() {
        let parse = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let mixed = alternate(parse(&["[::1]:1", "[::2]:1", "[::1]:1", "1.1.1.1:1"]));
        assert_eq!(mixed, parse(&["[::1]:1", "1.1.1.1:1", "[::2]:1"]));
        assert_eq!(alternate(parse(&["1.1.1.1:1", "[::1]:1", "[::2]:1"])).len(), 3);
    }
}
