//! A name, or all names below one.

use std::fmt;
use std::str::FromStr;

use crate::{HostName, HostNameError};

/// One name or a wildcard.
///
/// Equality and hash agree with [`LookupKey`](crate::LookupKey), so a map keyed by patterns can be asked without making one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostPattern {
    /// Exactly this name.
    Exact(HostName),
    /// `*.base`: every name with one or more labels in front of the base, at any depth; not the base itself.
    Wildcard(HostName),
}

impl HostPattern {
    /// True when the name is this one, or below the wildcard's base.
    pub fn matches(&self, name: &HostName) -> bool {
        match self {
            HostPattern::Exact(own) => own == name,
            HostPattern::Wildcard(base) => name.is_below(base),
        }
    }

    /// True when every name that `other` matches is matched by this pattern too.
    pub fn covers(&self, other: &HostPattern) -> bool {
        match (self, other) {
            (_, HostPattern::Exact(name)) => self.matches(name),
            (HostPattern::Wildcard(base), HostPattern::Wildcard(other)) => base == other || other.is_below(base),
            (HostPattern::Exact(_), HostPattern::Wildcard(_)) => false,
        }
    }

    /// The name itself, or the base that a wildcard stands in front of.
    pub fn name(&self) -> &HostName {
        match self {
            HostPattern::Exact(name) | HostPattern::Wildcard(name) => name,
        }
    }

    /// The name, when the pattern is no wildcard.
    pub fn exact(&self) -> Option<&HostName> {
        match self {
            HostPattern::Exact(name) => Some(name),
            HostPattern::Wildcard(_) => None,
        }
    }

    /// True for `*.base`.
    pub fn is_wildcard(&self) -> bool {
        matches!(self, HostPattern::Wildcard(_))
    }
}

impl FromStr for HostPattern {
    type Err = HostNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("*.") {
            Some(base) => base.parse().map(HostPattern::Wildcard),
            None => text.parse().map(HostPattern::Exact),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostPattern::Exact(name) => write!(f, "{name}"),
            HostPattern::Wildcard(base) => write!(f, "*.{base}"),
        }
    }
}

impl fmt::Debug for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl From<HostName> for HostPattern {
    fn from(name: HostName) -> Self {
        HostPattern::Exact(name)
    }
}
