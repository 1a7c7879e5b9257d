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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> HostPattern {
        text.parse().unwrap()
    }

    #[test]
    fn a_wildcard_matches_every_depth_and_not_its_base() {
        let wildcard = pattern("*.A.com.");
        assert_eq!(wildcard.to_string(), "*.a.com");
        for (name, matches) in [("x.a.com", true), ("x.y.a.com", true), ("a.com", false), ("evila.com", false)] {
            assert_eq!(wildcard.matches(&name.parse().unwrap()), matches, "{name}");
        }
        assert!(pattern("a.com").matches(&"a.com".parse().unwrap()));
        assert!(!pattern("a.com").matches(&"x.a.com".parse().unwrap()));
    }

    #[test]
    fn covering_is_matching_of_sets() {
        let cases = [
            ("a.com", "a.com", true),
            ("a.com", "*.a.com", false),
            ("*.a.com", "a.com", false),
            ("*.a.com", "x.a.com", true),
            ("*.a.com", "*.a.com", true),
            ("*.a.com", "*.x.a.com", true),
            ("*.x.a.com", "*.a.com", false),
            ("*.a.com", "*.evila.com", false),
        ];
        for (whole, part, covers) in cases {
            assert_eq!(pattern(whole).covers(&pattern(part)), covers, "{whole} {part}");
        }
    }

    #[test]
    fn stars_elsewhere_are_refused() {
        for text in ["*", "*.", "**.a.com", "*a.com", "a*.com", "x.*.com", "*.*.com", "a.com.*"] {
            assert!(text.parse::<HostPattern>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_pattern_covers_what_its_parts_match(
            whole in "(\\*\\.)?([ab]\\.){0,2}c",
            part in "(\\*\\.)?([ab]\\.){0,3}c",
            name in "([ab]\\.){0,5}c",
        ) {
            let (whole, part) = (pattern(&whole), pattern(&part));
            let name: HostName = name.parse().unwrap();
            if whole.covers(&part) && part.matches(&name) {
                prop_assert!(whole.matches(&name));
            }
            prop_assert_eq!(&pattern(&whole.to_string()), &whole);
        }
    }
}
