//! Text of strangers, made safe for a user's terminal.

use std::fmt::{self, Write};

/// Text in which control characters are written as escapes: see [`printable`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printable<'a>(&'a str);

/// Shows `text` without anything that a terminal would obey or that would begin a new line: control characters (also the C1 range and
/// DEL), line and paragraph separators, and the characters that turn the direction of writing become escapes like `\u{1b}`.
pub(crate) fn printable(text: &str) -> Printable<'_> {
    Printable(text)
}

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .chars()
            .try_for_each(|c| if is_unsafe(c) { write!(f, "{}", c.escape_default()) } else { f.write_char(c) })
    }
}

/// General categories Cc, Zl and Zp, and the bidirectional controls (Unicode UAX 9, table 3).
pub(crate) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{061c}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
