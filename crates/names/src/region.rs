//! Short names of places and machines.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Longest region in bytes.
const MAX_REGION_LEN: usize = 32;

/// Longest edge id in bytes.
const MAX_EDGE_ID_LEN: usize = 64;

/// Regions that ngrok's clients and configuration files name. An installation without a region of such a name takes them for itself.
pub const NGROK_REGIONS: [&str; 8] = ["us", "eu", "ap", "au", "sa", "jp", "in", "us-cal-1"];

/// A named place where edges run: 1 to 32 characters `a-z`, `0-9`, `-`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region(Arc<str>);

/// The stable name of one edge: 1 to 64 characters `A-Z`, `a-z`, `0-9`, `-`, `_`, `.`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EdgeId(Arc<str>);

/// Why a text is no region or edge id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Nothing there.
    #[error("the name is empty")]
    Empty,
    /// More bytes than the limit.
    #[error("the name is longer than {0} bytes")]
    TooLong(usize),
    /// A character that is not allowed.
    #[error("the name contains {0:?}, which is not allowed here")]
    BadCharacter(char),
}

impl Region {
    /// The region as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl EdgeId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Region {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        check(text, MAX_REGION_LEN, allowed).map(|()| Region(text.into()))
    }
}

impl FromStr for EdgeId {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        check(text, MAX_EDGE_ID_LEN, allowed).map(|()| EdgeId(text.into()))
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Display for EdgeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for EdgeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

fn check(text: &str, limit: usize, allowed: impl Fn(char) -> bool) -> Result<(), TokenError> {
    if text.is_empty() {
        return Err(TokenError::Empty);
    }
    if text.len() > limit {
        return Err(TokenError::TooLong(limit));
    }
    match text.chars().find(|&c| !allowed(c)) {
        Some(bad) => Err(TokenError::BadCharacter(bad)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens() {
        assert_eq!("us-cal-1".parse::<Region>().unwrap().as_str(), "us-cal-1");
        assert_eq!("Edge_1.fra".parse::<EdgeId>().unwrap().to_string(), "Edge_1.fra");
        assert_eq!("".parse::<Region>(), Err(TokenError::Empty));
        assert_eq!("EU".parse::<Region>(), Err(TokenError::BadCharacter('E')));
        assert_eq!("a".repeat(33).parse::<Region>(), Err(TokenError::TooLong(32)));
        assert_eq!("a/b".parse::<EdgeId>(), Err(TokenError::BadCharacter('/')));
        assert_eq!("a".repeat(65).parse::<EdgeId>(), Err(TokenError::TooLong(64)));
    }
}
