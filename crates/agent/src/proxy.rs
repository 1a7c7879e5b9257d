//! Proxies as the environment names them.

use std::net::IpAddr;

use portway_names::{ConnectUrl, Host};

/// The proxy that the environment asks for when `connect_url` is dialled: `HTTPS_PROXY`, `https_proxy`, `ALL_PROXY` or `all_proxy`, unless
/// `NO_PROXY` or `no_proxy` names the host. Loopback addresses and localhost are never dialled through a proxy. `lookup` reads one
/// variable.
pub fn proxy_from_env(connect_url: &ConnectUrl, lookup: impl Fn(&str) -> Option<String>) -> Option<String> {
    let first = |names: [&str; 2]| names.into_iter().find_map(|name| lookup(name).filter(|value| !value.is_empty()));
    let proxy = first(["HTTPS_PROXY", "https_proxy"]).or_else(|| first(["ALL_PROXY", "all_proxy"]))?;
    let exempt = is_local(&connect_url.host)
        || first(["NO_PROXY", "no_proxy"])
            .is_some_and(|list| list.split(',').any(|entry| exempts(entry.trim(), connect_url)));
    if exempt {
        return None;
    }
    Some(if proxy.contains("://") { proxy } else { format!("http://{proxy}") })
}

/// A proxy URL without user name and password.
pub(crate) fn redacted(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    if scheme.is_empty() { host.to_owned() } else { format!("{scheme}://{host}") }
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Ip(ip) => ip.is_loopback(),
        Host::Name(name) => name.as_str() == "localhost" || name.as_str().ends_with(".localhost"),
    }
}

/// One entry of NO_PROXY: `*`, an address, an address block, or a host with everything below it, each with an optional port.
fn exempts(entry: &str, url: &ConnectUrl) -> bool {
    if entry.is_empty() {
        return false;
    }
    if entry == "*" {
        return true;
    }
    if let (Some((network, bits)), Host::Ip(ip)) = (entry.split_once('/'), &url.host) {
        return block_contains(network, bits, *ip);
    }
    let (host, port) = match entry.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port.parse::<u16>().ok()),
        _ => (entry, None),
    };
    if port.is_some_and(|port| port != url.port) {
        return false;
    }
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match &url.host {
        Host::Ip(ip) => host.parse::<IpAddr>().is_ok_and(|entry| entry == *ip),
        Host::Name(name) => {
            let suffix = host.trim_start_matches('*').trim_start_matches('.').to_ascii_lowercase();
            let name = name.as_str();
            name == suffix || name.strip_suffix(suffix.as_str()).is_some_and(|rest| rest.ends_with('.'))
        }
    }
}

fn block_contains(network: &str, bits: &str, ip: IpAddr) -> bool {
    let Ok(bits) = bits.parse::<u32>() else { return false };
    match (network.parse::<IpAddr>(), ip) {
        (Ok(IpAddr::V4(network)), IpAddr::V4(ip)) if bits <= 32 => {
            (u32::from(network) ^ u32::from(ip)).checked_shr(32 - bits).unwrap_or(0) == 0
        }
        (Ok(IpAddr::V6(network)), IpAddr::V6(ip)) if bits <= 128 => {
            (u128::from(network) ^ u128::from(ip)).checked_shr(128 - bits).unwrap_or(0) == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(url: &str, env: &[(&str, &str)]) -> Option<String> {
        let url = url.parse().expect("valid connect URL");
        proxy_from_env(&url, |name| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn the_most_specific_variable_wins() {
        let env = [("ALL_PROXY", "socks5://all:1"), ("https_proxy", "http://lower:2")];
        assert_eq!(choose("connect.example.com", &env).as_deref(), Some("http://lower:2"));
        assert_eq!(choose("connect.example.com", &env[..1]).as_deref(), Some("socks5://all:1"));
        assert_eq!(
            choose("connect.example.com", &[("HTTPS_PROXY", "proxy:3128")]).as_deref(),
            Some("http://proxy:3128")
        );
        assert_eq!(choose("connect.example.com", &[("HTTPS_PROXY", "")]), None);
    }

    #[test]
    fn exemptions() {
        for (url, list, exempt) in [
            ("connect.example.com", "example.com", true),
            ("connect.example.com", ".example.com", true),
            ("connect.example.com", "*.example.com", true),
            ("connect.example.com", "notexample.com", false),
            ("myexample.com", "example.com", false),
            ("connect.example.com", "other.com, EXAMPLE.com", true),
            ("connect.example.com:8443", "example.com:443", false),
            ("connect.example.com:443", "example.com:443", true),
            ("connect.example.com", "*", true),
            ("10.1.2.3", "10.0.0.0/8", true),
            ("11.1.2.3", "10.0.0.0/8", false),
            ("10.1.2.3", "0.0.0.0/0", true),
            ("10.1.2.3", "10.1.2.3", true),
            ("[fd00::1]:443", "fd00::/8", true),
            ("connect.portway.localhost:8443", "", true),
            ("127.0.0.1:8443", "", true),
        ] {
            let chosen = choose(url, &[("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", list)]);
            assert_eq!(chosen.is_none(), exempt, "{url} with {list:?}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(redacted("http://me:secret@proxy:3128"), "http://proxy:3128");
        assert_eq!(redacted("proxy:3128"), "proxy:3128");
    }
}
