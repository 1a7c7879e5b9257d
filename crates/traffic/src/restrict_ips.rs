//! `restrict-ips`: which addresses visitors may come from.

use std::net::IpAddr;

use portway_access::{Cidr, IpSet};
use portway_codes::Code;
use serde::Deserialize;

use crate::ConfigError;

/// Networks in one list. The list is the owner's and is searched by halves; this bounds what it holds in memory (64 KiB).
const NETWORKS_MAX: usize = 1_000;

/// Configuration of `restrict-ips`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestrictIpsConfig {
    /// Networks in CIDR notation, or addresses, that visitors may come from. Empty: any that is not denied.
    #[serde(default)]
    pub allow: Vec<String>,
    /// Networks that visitors may not come from, whatever `allow` says.
    #[serde(default)]
    pub deny: Vec<String>,
    /// Ids of IP policies; refused, there are none here.
    #[serde(default)]
    pub ip_policies: Vec<String>,
    /// Whether visitors from elsewhere are refused. Default: true.
    #[serde(default = "crate::action::yes")]
    pub enforce: bool,
}

/// The compiled action.
#[derive(Clone, Debug)]
pub struct RestrictIps {
    allow: Option<IpSet>,
    deny: IpSet,
    enforce: bool,
}

impl RestrictIps {
    /// Type of the action.
    pub const NAME: &str = "restrict-ips";

    /// Compiles the action.
    ///
    /// # Errors
    /// A network that is none (2217), more than 1,000 in a list (2218), no network at all (2223), any IP policy (2216).
    pub fn new(config: &RestrictIpsConfig) -> Result<RestrictIps, ConfigError> {
        if !config.ip_policies.is_empty() {
            let why = "IP policies are not available here; list the networks in allow and deny";
            return Err(ConfigError::new(Code::ERR_NGROK_2216, Self::NAME, "ip_policies", why));
        }
        if config.allow.is_empty() && config.deny.is_empty() {
            return Err(ConfigError::empty(Self::NAME, "allow"));
        }
        let allow = if config.allow.is_empty() { None } else { Some(networks("allow", &config.allow)?) };
        Ok(RestrictIps { allow, deny: networks("deny", &config.deny)?, enforce: config.enforce })
    }

    /// Whether a visitor may pass. `ip` is the address of its connection, never one that it says itself.
    pub fn permits(&self, ip: IpAddr) -> bool {
        !self.enforce || (self.allow.as_ref().is_none_or(|allow| allow.contains(ip)) && !self.deny.contains(ip))
    }
}

fn networks(field: &str, texts: &[String]) -> Result<IpSet, ConfigError> {
    if texts.len() > NETWORKS_MAX {
        return Err(ConfigError::too_many(RestrictIps::NAME, field, NETWORKS_MAX));
    }
    let network = |(at, text): (usize, &String)| {
        text.parse::<Cidr>().map_err(|error| {
            let field = format!("{field}[{at}]");
            ConfigError::new(Code::ERR_NGROK_2217, RestrictIps::NAME, field, error.to_string())
        })
    };
    texts.iter().enumerate().map(network).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(allow: &[&str], deny: &[&str]) -> Result<RestrictIps, ConfigError> {
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        let config =
            RestrictIpsConfig { allow: texts(allow), deny: texts(deny), ip_policies: Vec::new(), enforce: true };
        RestrictIps::new(&config)
    }

    #[test]
    fn an_address_must_be_allowed_and_not_denied() {
        let all = rules(&["10.0.0.0/8", "2001:db8::/32"], &["10.9.0.0/16"]).unwrap();
        let (deny_only, allow_only) = (rules(&[], &["10.9.0.0/16"]).unwrap(), rules(&["10.9.0.0/16"], &[]).unwrap());
        for (ip, by_all, by_deny, by_allow) in [
            ("10.1.2.3", true, true, false),
            ("::ffff:10.1.2.3", true, true, false),
            ("10.9.2.3", false, false, true),
            ("::ffff:10.9.2.3", false, false, true),
            ("192.0.2.1", false, true, false),
            ("2001:db8::1", true, true, false),
            ("2001:db9::1", false, true, false),
        ] {
            let ip = ip.parse().unwrap();
            assert_eq!((all.permits(ip), deny_only.permits(ip), allow_only.permits(ip)), (by_all, by_deny, by_allow));
        }
    }

    #[test]
    fn not_enforced_everybody_passes() {
        let config = RestrictIpsConfig {
            allow: vec!["10.0.0.0/8".to_owned()],
            deny: Vec::new(),
            ip_policies: Vec::new(),
            enforce: false,
        };
        assert!(RestrictIps::new(&config).unwrap().permits("192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn faults_name_the_field() {
        let error = rules(&["10.0.0.0/8", "10.0.0.0/99"], &[]).unwrap_err();
        assert_eq!((error.code, error.field.as_str()), (Code::ERR_NGROK_2217, "allow[1]"));
        assert_eq!(rules(&[], &["x"]).unwrap_err().field, "deny[0]");
        assert_eq!(rules(&[], &[]).unwrap_err().code, Code::ERR_NGROK_2223);
        assert_eq!(rules(&["10.0.0.1"; 1_001], &[]).unwrap_err().code, Code::ERR_NGROK_2218);
    }
}
