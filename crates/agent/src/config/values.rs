//! What single values mean, and where their keys stand.

use std::time::Duration;

use portway_mux::CarrierChoice;

use crate::endpoint::ProxyProtocol;

/// Where the key of a value stands: in front of it on its line, or on the nearest line above, less deep than the value. The place of the
/// value when it is not found.
pub(super) fn key_place(text: &str, key: &str, (line, column): (u64, u64)) -> (u64, u64) {
    let lines: Vec<&str> = text.lines().take(usize::try_from(line).unwrap_or(usize::MAX)).collect();
    for (index, text) in lines.iter().enumerate().rev() {
        let here = index + 1 == lines.len();
        let found = text.match_indices(key).filter(|(at, _)| {
            let before = text[..*at].chars().next_back();
            let starts = before.is_none_or(|c| c.is_whitespace() || matches!(c, '{' | ',' | '"' | '\''));
            let after = text[at + key.len()..].trim_start_matches(['"', '\'']).trim_start();
            starts && after.starts_with(':')
        });
        let columns = found.map(|(at, _)| (text[..at].chars().count() + 1) as u64);
        if let Some(found) = columns.filter(|found| !here || *found <= column).last() {
            return ((index + 1) as u64, found);
        }
    }
    (line, column)
}

pub(super) fn one_of(text: &str, words: &[&str]) -> Result<String, String> {
    if words.contains(&text) {
        Ok(text.to_owned())
    } else {
        Err(format!("{text:?} is not one of {}", words.join(", ")))
    }
}

pub(super) fn carrier(text: &str) -> Result<CarrierChoice, String> {
    match text {
        "auto" => Ok(CarrierChoice::Auto),
        "quic" => Ok(CarrierChoice::Quic),
        "tcp" => Ok(CarrierChoice::Tcp),
        _ => Err(format!("{text:?} is not one of auto, quic, tcp")),
    }
}

pub(super) fn proxy_protocol(text: &str) -> Result<ProxyProtocol, String> {
    match text {
        "1" => Ok(ProxyProtocol::V1),
        "2" => Ok(ProxyProtocol::V2),
        _ => Err(format!("{text:?} is not a version of the PROXY protocol; use 1 or 2")),
    }
}

pub(super) fn terminate_at(text: &str) -> Result<bool, String> {
    match text {
        "edge" => Ok(true),
        "upstream" => Ok(false),
        "agent" => Err("ending TLS in the agent is not built yet; use edge or upstream".to_owned()),
        _ => Err(format!("{text:?} is not one of edge, upstream")),
    }
}

/// A duration as Go writes it: `10s`, `1m30s`, `500ms`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let fail = || format!("{text:?} is not a duration; write for example 10s, 1m30s or 500ms");
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(fail)?;
        let count: u64 = rest[..digits].parse().map_err(|_| fail())?;
        let unit_end = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |at| digits + at);
        let millis = match &rest[digits..unit_end] {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(fail()),
        };
        total = count
            .checked_mul(millis)
            .and_then(|millis| total.checked_add(Duration::from_millis(millis)))
            .ok_or_else(fail)?;
        rest = &rest[unit_end..];
    }
    if total.is_zero() { Err(fail()) } else { Ok(total) }
}

/// Why a known key is refused.
pub(super) fn not_built(key: &str) -> String {
    let reason = match key {
        "basic_auth" | "ip_restriction" | "mutual_tls_cas" | "oauth" | "oidc" | "user_agent_filter"
        | "verify_webhook" => "the endpoint would be open to everybody without it",
        "policy" | "traffic_policy" | "traffic_policy_file" | "traffic_policy_url" => {
            "what the policy allows or denies would not be held"
        }
        "crt" | "key" | "agent_tls_termination" => "visitors would not get that certificate",
        "labels" => "labeled tunnels are replaced by endpoints with a url",
        "bind_tls" => "write `schemes: [http, https]` instead",
        "pooling_enabled" => "a second endpoint of the same URL would be refused",
        "connect_interface" | "dns_resolver_ips" => "the agent would connect another way than you ask",
        _ => "requests and answers would pass unchanged",
    };
    format!("`{key}` is not supported by this version: {reason}; remove it to go on")
}
