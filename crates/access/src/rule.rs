//! One rule of an access list.

use std::fmt;

use portway_names::{EndpointUrl, HostNameError, HostPattern, Scheme};

/// Longest rule in bytes: `bind:`, `*.`, a name and a port fit well.
pub const MAX_RULE_LEN: usize = 512;

/// Most rules of one list. A list is read at each bind, so its length is work that the owner of the credential chooses.
pub const MAX_RULES: usize = 256;

/// Why a text is no access rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AclError {
    /// Neither `*` nor `bind:…`.
    #[error("rule {index}: a rule is \"*\" or begins with \"bind:\"")]
    Kind {
        /// Position of the rule, from 1.
        index: usize,
    },
    /// `bind:` and nothing.
    #[error("rule {index}: there is nothing after \"bind:\"")]
    Empty {
        /// Position of the rule, from 1.
        index: usize,
    },
    /// The name or the port is none.
    #[error("rule {index}: {source}")]
    Host {
        /// Position of the rule, from 1.
        index: usize,
        /// What is wrong with it.
        source: HostNameError,
    },
    /// A label rule with an empty key, or with `*` in a word.
    #[error("rule {index}: a label rule is bind:key=value, with \"*\" for any key or any value")]
    Label {
        /// Position of the rule, from 1.
        index: usize,
    },
    /// Longer than [`MAX_RULE_LEN`].
    #[error("rule {index} is longer than 512 bytes")]
    TooLong {
        /// Position of the rule, from 1.
        index: usize,
    },
    /// More than [`MAX_RULES`].
    #[error("there are more than 256 rules")]
    TooMany,
}

/// A rule in parsed form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// `*` or `bind:*`.
    Anything,
    /// A name, and for TCP addresses a port.
    Host { host: HostPattern, port: Option<u16> },
    /// A label of a labelled endpoint. `None` is `*`.
    Label { key: Option<String>, value: Option<String> },
}

impl Rule {
    pub(crate) fn parse(text: &str, index: usize) -> Result<Rule, AclError> {
        if text.len() > MAX_RULE_LEN {
            return Err(AclError::TooLong { index });
        }
        if text == "*" {
            return Ok(Rule::Anything);
        }
        let value = text.strip_prefix("bind:").ok_or(AclError::Kind { index })?;
        match value {
            "" => Err(AclError::Empty { index }),
            "*" => Ok(Rule::Anything),
            _ if value.contains('=') => parse_label(value).ok_or(AclError::Label { index }),
            _ => parse_host(value).map_err(|source| AclError::Host { index, source }),
        }
    }

    /// True when everything that the URL stands for is permitted by this rule.
    pub(crate) fn permits(&self, url: &EndpointUrl) -> bool {
        match self {
            Rule::Anything => true,
            Rule::Label { .. } => false,
            // A rule without port is about names, and a TCP address is a name and a port.
            Rule::Host { host, port: None } => url.scheme != Scheme::Tcp && host.covers(&url.host),
            Rule::Host { host, port: Some(port) } => *port == url.effective_port() && host.covers(&url.host),
        }
    }

    pub(crate) fn permits_label(&self, wanted_key: &str, wanted_value: &str) -> bool {
        match self {
            Rule::Anything => true,
            Rule::Host { .. } => false,
            Rule::Label { key, value } => {
                key.as_deref().is_none_or(|key| key == wanted_key)
                    && value.as_deref().is_none_or(|value| value == wanted_value)
            }
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rule::Anything => f.write_str("*"),
            Rule::Host { host, port: None } => write!(f, "bind:{host}"),
            Rule::Host { host, port: Some(port) } => write!(f, "bind:{host}:{port}"),
            Rule::Label { key, value } => {
                write!(f, "bind:{}={}", key.as_deref().unwrap_or("*"), value.as_deref().unwrap_or("*"))
            }
        }
    }
}

fn parse_label(value: &str) -> Option<Rule> {
    let (key, value) = value.split_once('=')?;
    let word = |text: &str| match text {
        "*" => Some(None),
        _ if text.contains('*') => None,
        _ => Some(Some(text.to_owned())),
    };
    if key.is_empty() { None } else { Some(Rule::Label { key: word(key)?, value: word(value)? }) }
}

fn parse_host(value: &str) -> Result<Rule, HostNameError> {
    let (host, port) = match value.split_once(':') {
        None => (value, None),
        Some((host, port)) if !port.is_empty() && port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit()) => {
            let port = port.parse().ok().filter(|&port: &u16| port != 0).ok_or(HostNameError::BadPort)?;
            (host, Some(port))
        }
        Some(_) => return Err(HostNameError::BadPort),
    };
    Ok(Rule::Host { host: host.parse()?, port })
}
