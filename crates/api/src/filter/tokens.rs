//! The words of a filter.

use super::{FilterFault, MAX_FILTER_LEN};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A name: of a field, a function, or a word of the language.
    Name(String),
    Text(String),
    Number(f64),
    /// An operator or a bracket.
    Sign(&'static str),
}

/// Longer signs first, so that `<=` is not read as `<`.
const SIGNS: [&str; 17] = ["&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "(", ")", "[", "]", ",", ".", "-", "="];

pub(super) fn read(text: &str) -> Result<Vec<Token>, FilterFault> {
    if text.len() > MAX_FILTER_LEN {
        return Err(FilterFault::Syntax(format!("it is longer than {MAX_FILTER_LEN} bytes")));
    }
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = if first == '"' || first == '\'' {
            quoted(rest, first)?
        } else if first.is_ascii_digit() {
            number(rest)?
        } else if first.is_ascii_alphabetic() || first == '_' {
            let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            (Token::Name(rest[..length].to_owned()), length)
        } else {
            let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
            let sign = sign.ok_or_else(|| FilterFault::Syntax(format!("{first:?} has no meaning in it")))?;
            (Token::Sign(sign), sign.len())
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

fn quoted(rest: &str, quote: char) -> Result<(Token, usize), FilterFault> {
    let mut text = String::new();
    let mut characters = rest.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            _ if character == quote => return Ok((Token::Text(text), at + 1)),
            '\\' => match characters.next() {
                Some((_, escaped @ ('\\' | '"' | '\''))) => text.push(escaped),
                Some((_, 'n')) => text.push('\n'),
                Some((_, 't')) => text.push('\t'),
                _ => return Err(FilterFault::Syntax("a backslash in a string has no meaning".to_owned())),
            },
            _ => text.push(character),
        }
    }
    Err(FilterFault::Syntax("a string has no end".to_owned()))
}

fn number(rest: &str) -> Result<(Token, usize), FilterFault> {
    let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let whole = digits(rest);
    // The dot of 4.5, not that of 4.add(…).
    let fraction = rest[whole..].strip_prefix('.').map_or(0, digits);
    let length = if fraction == 0 { whole } else { whole + 1 + fraction };
    let wrong = |_| FilterFault::Syntax("a number is none".to_owned());
    Ok((Token::Number(rest[..length].parse().map_err(wrong)?), length))
}
