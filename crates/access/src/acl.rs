//! The access list of a credential.

use portway_codes::{Code, PublicError};
use portway_names::{EndpointUrl, HostName, HostPattern, Scheme};

use crate::rule::{AclError, MAX_RULES, Rule};

/// The rules of a credential: what it may bind. Rules are alternatives; a list without rules restricts nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acl {
    rules: Vec<Rule>,
}

/// The answer yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindAllowed;

/// The answer no.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the access rules of the authtoken do not permit {what}")]
pub struct BindDenied {
    /// Which refusal it is.
    pub reason: DenyReason,
    /// What was asked for.
    pub what: String,
}

/// Which refusal a [`BindDenied`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DenyReason {
    /// No rule for the name.
    Name,
    /// No rule for the TCP address.
    Address,
    /// No rule permits that the server chooses a TCP address.
    RandomAddress,
    /// No rule for the label.
    Label,
}

impl Acl {
    /// The list that restricts nothing.
    pub const UNRESTRICTED: Acl = Acl { rules: Vec::new() };

    /// Reads rules: `*`, `bind:*`, `bind:name`, `bind:*.name`, `bind:host:port`, `bind:key=value`.
    ///
    /// # Errors
    ///
    /// The first rule that is none, by its position.
    pub fn parse<'a>(rules: impl IntoIterator<Item = &'a str>) -> Result<Acl, AclError> {
        let mut parsed = Vec::new();
        for rule in rules {
            if parsed.len() == MAX_RULES {
                return Err(AclError::TooMany);
            }
            parsed.push(Rule::parse(rule, parsed.len() + 1)?);
        }
        Ok(Acl { rules: parsed })
    }

    /// The rules as text, in canonical spelling.
    pub fn rules(&self) -> impl Iterator<Item = String> {
        self.rules.iter().map(Rule::to_string)
    }

    /// True when nothing is restricted.
    pub fn is_unrestricted(&self) -> bool {
        self.rules.is_empty() || self.rules.contains(&Rule::Anything)
    }

    /// May this URL be served? A wildcard URL needs a rule that covers all of it.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn permit_bind(&self, url: &EndpointUrl) -> Result<BindAllowed, BindDenied> {
        if self.rules.is_empty() || self.rules.iter().any(|rule| rule.permits(url)) {
            return Ok(BindAllowed);
        }
        let reason = if url.scheme == Scheme::Tcp { DenyReason::Address } else { DenyReason::Name };
        Err(BindDenied { reason, what: url.to_string() })
    }

    /// May the server choose the name or address? Only a list without restriction permits it: what will be chosen is not known yet. For
    /// names below a known base use [`Acl::permit_bind`] with the name that was chosen.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn permit_random(&self, scheme: Scheme) -> Result<BindAllowed, BindDenied> {
        if self.is_unrestricted() {
            return Ok(BindAllowed);
        }
        let reason = if scheme == Scheme::Tcp { DenyReason::RandomAddress } else { DenyReason::Name };
        Err(BindDenied { reason, what: format!("a {scheme} endpoint at an address that the server chooses") })
    }

    /// May the server choose a name of one label below `base`? A rule that covers `*.base` permits it, except for tcp.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn permit_random_below(&self, scheme: Scheme, base: &HostName) -> Result<BindAllowed, BindDenied> {
        if scheme == Scheme::Tcp {
            return self.permit_random(scheme);
        }
        let all = EndpointUrl { scheme, host: HostPattern::Wildcard(base.clone()), port: None };
        self.permit_bind(&all).or_else(|_| self.permit_random(scheme))
    }

    /// May this label be served?
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn permit_label(&self, key: &str, value: &str) -> Result<BindAllowed, BindDenied> {
        if self.rules.is_empty() || self.rules.iter().any(|rule| rule.permits_label(key, value)) {
            return Ok(BindAllowed);
        }
        Err(BindDenied { reason: DenyReason::Label, what: format!("the label {key}={value}") })
    }
}

impl BindDenied {
    /// The public code: 308, 316, 356 or 399.
    pub fn code(&self) -> Code {
        match self.reason {
            DenyReason::Name => Code::ERR_NGROK_316,
            DenyReason::Address => Code::ERR_NGROK_308,
            DenyReason::RandomAddress => Code::ERR_NGROK_356,
            DenyReason::Label => Code::ERR_NGROK_399,
        }
    }
}

impl From<&BindDenied> for PublicError {
    fn from(denied: &BindDenied) -> Self {
        denied.code().with(format!(
            "The access rules of the authtoken do not permit {}. Use another authtoken, or add a bind rule for it.",
            denied.what
        ))
    }
}

impl From<BindDenied> for PublicError {
    fn from(denied: BindDenied) -> Self {
        PublicError::from(&denied)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn acl(rules: &[&str]) -> Acl {
        Acl::parse(rules.iter().copied()).unwrap()
    }

    fn permits(rules: &[&str], url: &str) -> bool {
        acl(rules).permit_bind(&url.parse().unwrap()).is_ok()
    }

    #[test]
    fn wildcard_rules_cover_what_is_below() {
        let cases = [
            ("https://x.a.com", true),
            ("https://x.y.a.com", true),
            ("http://x.a.com", true),
            ("tls://x.a.com", true),
            ("https://x.a.com:8443", true),
            ("https://*.a.com", true),
            ("https://*.x.a.com", true),
            ("https://X.A.COM", true),
            ("https://a.com", false),
            ("https://evila.com", false),
            ("https://*.com", false),
            ("https://x.a.com.evil.org", false),
            ("tcp://x.a.com:20001", false),
        ];
        for (url, permitted) in cases {
            assert_eq!(permits(&["bind:*.A.com"], url), permitted, "{url}");
        }
    }

    #[test]
    fn exact_rules_cover_one_name() {
        for (url, permitted) in [
            ("https://a.com", true),
            ("https://x.a.com", false),
            ("https://*.a.com", false),
            ("https://evila.com", false),
        ] {
            assert_eq!(permits(&["bind:a.com"], url), permitted, "{url}");
        }
        assert!(permits(&["bind:b.com", "bind:a.com"], "https://a.com"), "rules are alternatives");
        assert!(permits(&["bind:bücher.example"], "https://xn--bcher-kva.example"), "names are compared in ASCII");
    }

    #[test]
    fn address_rules_cover_one_port() {
        let rule = "bind:1.tcp.example.com:20001";
        let cases = [
            (rule, "tcp://1.tcp.example.com:20001", true),
            (rule, "tcp://1.tcp.example.com:20002", false),
            (rule, "tcp://2.tcp.example.com:20001", false),
            ("bind:*.tcp.example.com:20001", "tcp://2.tcp.example.com:20001", true),
            ("bind:*.tcp.example.com:20001", "tcp://tcp.example.com:20001", false),
            ("bind:1.tcp.example.com", "tcp://1.tcp.example.com:20001", false),
            ("bind:a.com:443", "https://a.com", true),
            ("bind:a.com:8443", "https://a.com", false),
        ];
        for (rule, url, permitted) in cases {
            assert_eq!(permits(&[rule], url), permitted, "{rule} {url}");
        }
    }

    #[test]
    fn a_list_that_restricts_nothing() {
        for rules in [&[][..], &["*"], &["bind:*"], &["bind:a.com", "*"]] {
            let acl = acl(rules);
            assert!(acl.is_unrestricted());
            for url in ["https://b.com", "https://*.b.com", "tcp://b.com:7"] {
                assert_eq!(acl.permit_bind(&url.parse().unwrap()), Ok(BindAllowed));
            }
            assert!(Scheme::ALL.into_iter().all(|scheme| acl.permit_random(scheme).is_ok()));
            assert_eq!(acl.permit_label("env", "prod"), Ok(BindAllowed));
        }
        assert_eq!(Acl::UNRESTRICTED, Acl::default());
    }

    #[test]
    fn what_the_server_chooses() {
        let base = "example.com".parse().unwrap();
        let below = |rules: &[&str], scheme| acl(rules).permit_random_below(scheme, &base).is_ok();
        assert!(below(&["bind:*.example.com"], Scheme::Https));
        assert!(below(&["bind:*.com"], Scheme::Tls));
        assert!(below(&["*"], Scheme::Https));
        assert!(below(&[], Scheme::Http));
        assert!(!below(&["bind:*.app.example.com"], Scheme::Https));
        assert!(!below(&["bind:app.example.com"], Scheme::Https));
        assert!(!below(&["bind:*.example.com"], Scheme::Tcp));
        assert!(acl(&["bind:*.example.com"]).permit_random(Scheme::Https).is_err());
    }

    #[test]
    fn label_rules() {
        let permits = |rule, key, value| acl(&[rule]).permit_label(key, value).is_ok();
        assert!(permits("bind:env=prod", "env", "prod"));
        assert!(!permits("bind:env=prod", "env", "test"));
        assert!(permits("bind:env=*", "env", "test"));
        assert!(!permits("bind:env=*", "role", "test"));
        assert!(permits("bind:*=prod", "role", "prod"));
        assert!(permits("bind:*=*", "a", "b"));
        assert!(!permits("bind:a.com", "a", "b"));
        assert!(acl(&["bind:env=prod"]).permit_bind(&"https://a.com".parse().unwrap()).is_err());
        assert!(acl(&["bind:*=*"]).permit_random(Scheme::Https).is_err());
    }

    #[test]
    fn refusals_carry_their_code_and_say_what_was_asked() {
        let acl = acl(&["bind:b.com", "bind:b.com:7"]);
        let denied = acl.permit_bind(&"https://a.com".parse().unwrap()).unwrap_err();
        assert_eq!((denied.reason, denied.code()), (DenyReason::Name, Code::ERR_NGROK_316));
        let error = PublicError::from(denied);
        assert!(error.text.contains("https://a.com"), "{error}");
        let denied = acl.permit_bind(&"tcp://a.com:7".parse().unwrap()).unwrap_err();
        assert_eq!(denied.code(), Code::ERR_NGROK_308);
        assert_eq!(acl.permit_random(Scheme::Tcp).unwrap_err().code(), Code::ERR_NGROK_356);
        assert_eq!(acl.permit_random(Scheme::Https).unwrap_err().code(), Code::ERR_NGROK_316);
        assert_eq!(acl.permit_label("k", "v").unwrap_err().code(), Code::ERR_NGROK_399);
    }

    #[test]
    fn what_is_no_rule() {
        let error = |rule: &str| Acl::parse(["bind:ok.com", rule]).unwrap_err();
        for rule in ["", "a.com", "BIND:a.com", " bind:a.com", "**"] {
            assert_eq!(error(rule), AclError::Kind { index: 2 }, "{rule}");
        }
        assert_eq!(error("bind:"), AclError::Empty { index: 2 });
        let hosts = [
            "a..com",
            "*a.com",
            "x.*.com",
            " a.com",
            "a.com:",
            "a.com:0",
            "a.com:+1",
            "a.com:1:2",
            "https://a.com",
            "10.0.0.1",
        ];
        for host in hosts {
            let error = error(&format!("bind:{host}"));
            assert!(matches!(error, AclError::Host { index: 2, .. }), "{host}: {error}");
        }
        for rule in ["bind:=x", "bind:a*=x", "bind:a=*x"] {
            assert_eq!(error(rule), AclError::Label { index: 2 }, "{rule}");
        }
        let long = format!("bind:k={}", "v".repeat(crate::MAX_RULE_LEN));
        assert_eq!(Acl::parse([long.as_str()]), Err(AclError::TooLong { index: 1 }));
        assert_eq!(Acl::parse(vec!["bind:a.com"; MAX_RULES + 1]), Err(AclError::TooMany));
        assert!(Acl::parse(vec!["bind:a.com"; MAX_RULES]).is_ok());
    }

    proptest! {
        #[test]
        fn rules_print_as_they_are_read(
            rules in proptest::collection::vec(
                "\\*|bind:\\*|bind:(\\*\\.)?[a-c]\\.com(:[1-9][0-9]{0,3})?|bind:(\\*|k[a-c=]?)=(\\*|[a-z=]{0,3})", 0..8)
        ) {
            if let Ok(read) = Acl::parse(rules.iter().map(String::as_str)) {
                let printed: Vec<_> = read.rules().collect();
                prop_assert_eq!(Acl::parse(printed.iter().map(String::as_str)), Ok(read));
            }
        }

        #[test]
        fn a_permitted_wildcard_means_each_of_its_names_is_permitted(
            rules in proptest::collection::vec("bind:(\\*\\.)?([ab]\\.){0,2}com", 1..4),
            base in "([ab]\\.){0,2}com",
            label in "([abx]\\.){1,2}",
        ) {
            let rules: Vec<_> = rules.iter().map(String::as_str).collect();
            if permits(&rules, &format!("https://*.{base}")) {
                let url = format!("https://{label}{base}");
                prop_assert!(permits(&rules, &url));
            }
        }

        #[test]
        fn arbitrary_rules_never_panic(rule in "(bind:)?\\PC{0,30}") {
            let _ = Acl::parse([rule.as_str()]);
        }
    }
}
