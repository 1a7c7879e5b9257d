//! Which names may be asked for at all, whoever has them.

use std::ops::RangeInclusive;

use portway_codes::{Code, PublicError};
use portway_names::{EndpointUrl, HostName, HostPattern, NGROK_REGIONS, Region, Scheme, is_reserved};

use crate::DomainPolicy;

/// Which names are the installation's own, and which are outside.
#[derive(Debug)]
pub(crate) struct NamePolicy {
    pub(crate) base_domain: HostName,
    pub(crate) connect_hosts: Vec<HostName>,
    pub(crate) connect_port: u16,
    pub(crate) domains: DomainPolicy,
    /// Where the installation's TCP addresses are.
    pub(crate) region: Region,
    /// Host of TCP addresses.
    pub(crate) tcp_host: HostName,
    /// Ports of TCP addresses.
    pub(crate) tcp_ports: RangeInclusive<u16>,
}

impl NamePolicy {
    /// Whether the URL's wildcard takes in names that belong to nobody in particular, so that it matters who else is there.
    pub(crate) fn takes_in_base_domain(&self, url: &EndpointUrl) -> bool {
        let HostPattern::Wildcard(below) = &url.host else { return false };
        *below == self.base_domain || self.base_domain.is_below(below)
    }

    /// Whether it matters that the name is reserved by the account that wants it.
    pub(crate) fn needs_reservation(&self, url: &EndpointUrl) -> bool {
        url.scheme != Scheme::Tcp && self.domains == DomainPolicy::BaseDomainOnly && !self.is_below_base(&url.host)
    }

    /// The names below a connect URL that lead to one region each.
    pub(crate) fn regional(&self, connect: &HostName) -> Vec<HostName> {
        HostName::join(self.region.as_str(), connect).into_iter().collect()
    }

    /// Whether the internal CA stands for the name: whoever trusts that CA trusts it for other people's names as well.
    pub(crate) fn may_certify(&self, host: &HostPattern) -> bool {
        self.domains == DomainPolicy::AnyDomain || self.is_below_base(host)
    }

    /// The base domain itself, or anything below.
    pub(crate) fn is_below_base(&self, host: &HostPattern) -> bool {
        host.name().is_below(&self.base_domain) || *host.name() == self.base_domain
    }

    /// Whether the name may be leased to somebody. `accounts` is how many there are; it counts only when
    /// [`NamePolicy::takes_in_base_domain`]. `own`: the account has reserved it; that counts only when
    /// [`NamePolicy::needs_reservation`].
    pub(crate) fn permit(&self, url: &EndpointUrl, accounts: u64, own: bool) -> Result<(), PublicError> {
        // The edge chooses hosts of tcp URLs; ports tell them apart.
        if url.scheme == Scheme::Tcp {
            return Ok(());
        }
        let host = url.host.name();
        let reserved = |name: &HostName| host == name || host.is_below(name);
        if self.connect_hosts.iter().any(reserved) || self.is_reserved(&url.host) {
            let text = format!("{} is used by the installation itself. Choose another name.", url.host);
            return Err(Code::ERR_NGROK_347.with(text));
        }
        if accounts > 1 && self.takes_in_base_domain(url) {
            let text = format!(
                "{} would take names from the other accounts of this installation. Choose a wildcard below a name of your own, \
                 such as *.app.{}.",
                url.host, self.base_domain
            );
            return Err(Code::ERR_NGROK_347.with(text));
        }
        if self.needs_reservation(url) && !own {
            let text = format!(
                "{} is not below {}, and the account has not reserved it. Reserve it first (portway api reserved-domains create), or \
                 use a name below the base domain.",
                url.host, self.base_domain
            );
            return Err(Code::ERR_NGROK_319.with(text));
        }
        Ok(())
    }

    /// Regions that names can be reserved in: the installation's own, and those that ngrok's clients name, which mean the same here.
    pub(crate) fn regions(&self) -> Vec<&str> {
        let mut regions = vec![self.region.as_str()];
        regions.extend(NGROK_REGIONS.into_iter().filter(|other| *other != self.region.as_str()));
        regions
    }

    /// Whether the name may be reserved by somebody.
    pub(crate) fn permit_reservation(&self, host: &HostPattern) -> Result<(), PublicError> {
        let name = host.name();
        let connect = |host: &HostName| name == host || name.is_below(host);
        if self.connect_hosts.iter().any(connect) || self.is_reserved(host) {
            let text = format!("{host} is used by the installation itself. Reserve another name.");
            return Err(Code::ERR_NGROK_450.with(text));
        }
        if host.is_wildcard() && (*name == self.base_domain || self.base_domain.is_below(name)) {
            let text =
                format!("{host} covers all names that this installation gives out. Reserve a narrower wildcard.");
            return Err(Code::ERR_NGROK_416.with(text));
        }
        Ok(())
    }

    /// Whether agents may dial the name as one of an account's own: whoever answers for it would answer for everything below it, too.
    pub(crate) fn permit_connect_url(&self, domain: &HostName) -> Result<(), PublicError> {
        let ours = |own: &HostName| domain == own || domain.is_below(own) || own.is_below(domain);
        match self.connect_hosts.iter().chain([&self.base_domain, &self.tcp_host]).find(|own| ours(own)) {
            Some(own) => Err(Code::ERR_NGROK_6705
                .with(format!("{domain} overlaps with {own}, a domain of the installation. Use a domain of yours."))),
            None => Ok(()),
        }
    }

    /// A reserved name, or a wildcard below one. The base domain's own wildcard is leased; the edge keeps reserved names out of it.
    fn is_reserved(&self, pattern: &HostPattern) -> bool {
        let host = pattern.name();
        if *host == self.base_domain {
            return pattern.exact().is_some();
        }
        is_reserved(host, &self.base_domain)
    }
}

#[cfg(test)]
mod tests {
    use portway_codes::Code;
    use portway_names::EndpointUrl;

    use super::NamePolicy;
    use crate::DomainPolicy;

    fn policy(domains: DomainPolicy) -> NamePolicy {
        NamePolicy {
            base_domain: "portway.localhost".parse().unwrap(),
            connect_hosts: vec!["connect.portway.localhost".parse().unwrap(), "edge.example.net".parse().unwrap()],
            connect_port: 443,
            domains,
            region: "local".parse().unwrap(),
            tcp_host: "portway.localhost".parse().unwrap(),
            tcp_ports: 20_000..=20_999,
        }
    }

    fn code(policy: &NamePolicy, url: &str, accounts: u64) -> Option<Code> {
        policy.permit(&url.parse::<EndpointUrl>().unwrap(), accounts, false).err().map(|error| error.code)
    }

    #[test]
    fn the_installations_own_names_are_refused() {
        let policy = policy(DomainPolicy::AnyDomain);
        for url in [
            "https://connect.portway.localhost",
            "tls://x.connect.portway.localhost",
            "https://*.connect.portway.localhost",
            "http://api.portway.localhost",
            "https://v2.api.portway.localhost",
            "https://dashboard.portway.localhost",
            "https://www.portway.localhost",
            "https://portway.localhost",
            "https://edge.example.net",
            "https://x.edge.example.net",
        ] {
            assert_eq!(code(&policy, url, 1), Some(Code::ERR_NGROK_347), "{url}");
        }
        for url in [
            "https://app.portway.localhost",
            "https://api.app.portway.localhost",
            "https://xconnect.portway.localhost",
            "https://api.example.com",
            "https://example.net",
            "tcp://portway.localhost:20001",
        ] {
            assert_eq!(code(&policy, url, 2), None, "{url}");
        }
    }

    #[test]
    fn connect_urls_do_not_overlap_with_the_installation() {
        let policy = policy(DomainPolicy::BaseDomainOnly);
        for (domain, allowed) in [
            ("portway.localhost", false),
            ("app.portway.localhost", false),
            ("x.edge.example.net", false),
            ("example.net", false),
            ("xedge.example.net", true),
            ("connect.example.com", true),
        ] {
            let code = policy.permit_connect_url(&domain.parse().unwrap()).err().map(|error| error.code);
            assert_eq!(code, (!allowed).then_some(Code::ERR_NGROK_6705), "{domain}");
        }
    }

    #[test]
    fn the_base_domains_wildcard_needs_an_installation_of_one_account() {
        let policy = policy(DomainPolicy::AnyDomain);
        for url in ["https://*.portway.localhost", "https://*.localhost"] {
            assert_eq!(code(&policy, url, 1), None, "{url}");
            assert_eq!(code(&policy, url, 2), Some(Code::ERR_NGROK_347), "{url}");
        }
        assert_eq!(code(&policy, "https://*.app.portway.localhost", 2), None);
    }

    #[test]
    fn names_outside_follow_the_policy() {
        assert_eq!(code(&policy(DomainPolicy::AnyDomain), "https://example.com", 2), None);
        let strict = policy(DomainPolicy::BaseDomainOnly);
        assert_eq!(code(&strict, "https://example.com", 1), Some(Code::ERR_NGROK_319));
        let url = "https://example.com".parse::<EndpointUrl>().unwrap();
        assert!(strict.permit(&url, 1, true).is_ok(), "it is reserved");
        assert!(!strict.may_certify(&url.host) && strict.may_certify(&"*.portway.localhost".parse().unwrap()));
        assert_eq!(code(&strict, "https://*.localhost", 1), Some(Code::ERR_NGROK_319));
        assert_eq!(code(&strict, "https://a.b.portway.localhost", 1), None);
        assert_eq!(code(&strict, "https://*.portway.localhost", 1), None);
    }
}
