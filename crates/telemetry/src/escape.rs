//! Text of strangers, made safe for a terminal and for a line of a log.

use std::fmt::{self, Write};

/// Text in which control characters are written as escapes: see [`printable`].
#[derive(Clone, Copy, Debug)]
pub struct Printable<'a>(&'a str);

/// Shows `text` without anything that a terminal would obey or that would begin a new line: control characters (also the C1 range and
/// DEL), line and paragraph separators, and the characters that turn the direction of writing become escapes like `\u{1b}`.
pub fn printable(text: &str) -> Printable<'_> {
    Printable(text)
}

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .chars()
            .try_for_each(|c| if steers_terminal(c) { write!(f, "{}", c.escape_default()) } else { f.write_char(c) })
    }
}

/// Writes `text` between double quotes, escaped as JSON has it (RFC 8259 section 7), and unsafe characters too.
pub(crate) fn write_quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // All of them are in the basic plane, so four digits are enough. Writing to a string cannot fail.
            c if steers_terminal(c) => drop(write!(out, "\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Writes `text` bare when it is one word without quotes, else like [`write_quoted`].
pub(crate) fn write_word(out: &mut String, text: &str) {
    let bare = |c: char| !c.is_whitespace() && !steers_terminal(c) && !matches!(c, '"' | '=' | '\\' | '\'');
    if !text.is_empty() && text.chars().all(bare) { out.push_str(text) } else { write_quoted(out, text) }
}

/// What must not reach a terminal: general categories Cc, Zl and Zp, and the bidirectional controls (Unicode UAX 9, table 3).
pub fn steers_terminal(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{061c}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_what_a_terminal_obeys() {
        let cases = [
            ("\x1b[2J", "\\u{1b}[2J"),
            ("a\nb\tc\r", "a\\nb\\tc\\r"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("\u{202e}evil", "\\u{202e}evil"),
            ("\x7f\0", "\\u{7f}\\u{0}"),
            ("plain ünïcode", "plain ünïcode"),
        ];
        for (raw, safe) in cases {
            assert_eq!(printable(raw).to_string(), safe);
        }
    }

    #[test]
    fn words_are_quoted_when_needed() {
        let cases = [("plain", "plain"), ("", "\"\""), ("a b", "\"a b\""), ("a=b", "\"a=b\""), ("it's", "\"it's\"")];
        for (raw, written) in cases {
            let mut out = String::new();
            write_word(&mut out, raw);
            assert_eq!(out, written);
        }
        let mut out = String::new();
        write_word(&mut out, "say \"hi\"\n\x1b");
        assert_eq!(out, r#""say \"hi\"\n\u001b""#);
    }

    proptest! {
        #[test]
        fn nothing_unsafe_comes_out(text in any::<String>()) {
            let mut out = String::new();
            write_word(&mut out, &text);
            prop_assert!(!out.chars().any(steers_terminal));
            prop_assert!(!printable(&text).to_string().chars().any(steers_terminal));
        }

        #[test]
        fn quoted_text_is_json(text in any::<String>()) {
            let mut out = String::new();
            write_quoted(&mut out, &text);
            prop_assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }
    }
}
