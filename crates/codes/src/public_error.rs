//! An error that is shown to users.

use std::fmt;

use crate::Code;

/// A code and a text for the user: what failed, why, what to do. It holds nothing secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicError {
    /// The code.
    pub code: Code,
    /// The text, one or more lines, without the code.
    pub text: String,
}

impl fmt::Display for PublicError {
    /// The text, an empty line, and the code on a line of its own: clients find the code by that.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n\n{}", self.text.trim_end(), self.code)
    }
}

impl std::error::Error for PublicError {}

impl From<Code> for PublicError {
    fn from(code: Code) -> Self {
        code.plain()
    }
}
