//! The access list of a credential.

use portway_codes::{Code, PublicError};
use portway_names::{EndpointUrl, Scheme};

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
