//! Host names in their one canonical spelling.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

/// Longest host name in bytes, without the trailing dot (RFC 1035 section 2.3.4: 255 octets on the wire).
pub const MAX_NAME_LEN: usize = 253;

/// Longest label in bytes (RFC 1035 section 2.3.4).
pub const MAX_LABEL_LEN: usize = 63;

/// Longest text that is looked at as a host name at all. A name written in Unicode may be longer than its ASCII form, but not by
/// more than this; the limit keeps the work for hostile input small.
const MAX_INPUT_LEN: usize = 1024;

/// A host name: ASCII (IDNA, UTS 46, non-transitional), lower case, no trailing dot, at most [`MAX_NAME_LEN`] bytes, labels of 1 to
/// [`MAX_LABEL_LEN`] characters `a-z`, `0-9`, `-` and `_` that neither begin nor end with `-`.
///
/// A name whose last label is a number (`10.0.0.1`, `a.7`, `x.0x1f`) is not a host name: some programs would read it as an IPv4
/// address (WHATWG URL section 3.5, "ends in a number").
///
/// Two equal names are equal values. Cloning copies a pointer.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(Arc<str>);

/// Why a text is not a host name. The texts name the fault, not the whole input, so that hostile input does not reach a log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostNameError {
    /// Nothing there, or nothing but a dot.
    #[error("the host name is empty")]
    Empty,
    /// More than [`MAX_NAME_LEN`] bytes in ASCII form.
    #[error("the host name is longer than 253 bytes")]
    TooLong,
    /// Two dots in a row, or a dot at the front.
    #[error("the host name has an empty label (two dots in a row, or a leading dot)")]
    EmptyLabel,
    /// A label of more than [`MAX_LABEL_LEN`] bytes in ASCII form.
    #[error("a label of the host name is longer than 63 bytes")]
    LabelTooLong,
    /// A character outside `a-z`, `0-9`, `-`, `_` and `.`.
    #[error("the host name contains {0:?}, allowed are letters, digits, '-', '_' and '.'")]
    BadCharacter(char),
    /// A label that begins or ends with `-`.
    #[error("a label of the host name begins or ends with '-'")]
    Hyphen,
    /// The last label is a number, so the text is an IPv4 address or would be read as one.
    #[error("the host name ends in a number, so it would be read as an IP address")]
    NumericEnd,
    /// Not valid under IDNA (UTS 46).
    #[error("the host name is not a valid internationalised name")]
    Idna,
    /// An IPv6 literal in brackets that is none, or has a zone.
    #[error("the address in brackets is not an IPv6 address")]
    BadAddress,
    /// The text after `:` is not a port from 1 to 65535.
    #[error("the port is not a number from 1 to 65535")]
    BadPort,
    /// `*` anywhere but as the whole first label.
    #[error("'*' may stand only as the whole first label, as in *.example.com")]
    BadWildcard,
}

impl HostName {
    /// The name as text: lower case ASCII without trailing dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The labels, leftmost first. There is at least one.
    pub fn labels(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('.')
    }

    /// True when this name has one or more labels in front of `suffix`. A name is not below itself.
    pub fn is_below(&self, suffix: &HostName) -> bool {
        match self.0.strip_suffix(suffix.as_str()) {
            Some(front) => front.ends_with('.'),
            None => false,
        }
    }

    /// The name without its first label, or `None` for a single label.
    pub fn parent(&self) -> Option<HostName> {
        self.0.split_once('.').map(|(_, rest)| HostName(rest.into()))
    }

    /// `label` (which may hold several labels) in front of `base`.
    ///
    /// # Errors
    ///
    /// When `label` is no name or the whole becomes too long.
    pub fn join(label: &str, base: &HostName) -> Result<HostName, HostNameError> {
        if label.is_empty() {
            return Err(HostNameError::Empty);
        }
        if label.ends_with('.') {
            return Err(HostNameError::EmptyLabel);
        }
        format!("{label}.{base}").parse()
    }
}

impl FromStr for HostName {
    type Err = HostNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MAX_INPUT_LEN {
            return Err(HostNameError::TooLong);
        }
        if !text.is_ascii() {
            return from_unicode(text);
        }
        match from_ascii(text)? {
            Checked { name, punycode: false } => Ok(name),
            Checked { punycode: true, .. } => from_unicode(text),
        }
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl AsRef<str> for HostName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Equality, order and hash of a name are those of its text, so maps can be asked with a `&str` in canonical spelling.
impl Borrow<str> for HostName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for HostName {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl PartialEq<&str> for HostName {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}

/// A name whose labels are well formed.
struct Checked {
    name: HostName,
    /// Some label is Punycode. Those labels are decoded and checked too, never taken as they are.
    punycode: bool,
}

/// What may stand in a label, by byte: the lower-case form, or 0 for what may not.
const LOWER: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            allowed @ (b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_') => allowed,
            upper @ b'A'..=b'Z' => upper.to_ascii_lowercase(),
            _ => 0,
        };
        byte += 1;
    }
    table
};

/// The common case, on the path of every request: one pass, one allocation, and none when the text is refused.
fn from_ascii(text: &str) -> Result<Checked, HostNameError> {
    let text = text.strip_suffix('.').unwrap_or(text).as_bytes();
    if text.is_empty() {
        return Err(HostNameError::Empty);
    }
    if text.len() > MAX_NAME_LEN {
        return Err(HostNameError::TooLong);
    }
    let mut lower = [0; MAX_NAME_LEN];
    let lower = &mut lower[..text.len()];
    let mut punycode = false;
    let mut start = 0;
    for (at, (&byte, out)) in text.iter().zip(lower.iter_mut()).enumerate() {
        if byte == b'.' {
            *out = b'.';
            punycode |= check_label(&text[start..at])?;
            start = at + 1;
            continue;
        }
        *out = LOWER[usize::from(byte)];
        if *out == 0 {
            return Err(match byte {
                b'*' => HostNameError::BadWildcard,
                _ => HostNameError::BadCharacter(byte.into()),
            });
        }
    }
    punycode |= check_label(&text[start..])?;
    if ends_as_number(&lower[start..]) {
        return Err(HostNameError::NumericEnd);
    }
    let lower = std::str::from_utf8(lower).expect("the table holds ASCII only");
    Ok(Checked { name: HostName(lower.into()), punycode })
}

fn from_unicode(text: &str) -> Result<HostName, HostNameError> {
    let ascii = Uts46::new()
        .to_ascii(text.as_bytes(), AsciiDenyList::EMPTY, Hyphens::Allow, DnsLength::Ignore)
        .map_err(|_| HostNameError::Idna)?;
    from_ascii(&ascii).map(|checked| checked.name)
}

/// Checks the shape of a label of allowed characters; true when it is Punycode.
fn check_label(label: &[u8]) -> Result<bool, HostNameError> {
    match label {
        [] => Err(HostNameError::EmptyLabel),
        _ if label.len() > MAX_LABEL_LEN => Err(HostNameError::LabelTooLong),
        [b'x' | b'X', b'n' | b'N', b'-', b'-', ..] => Ok(true),
        [b'-', ..] | [.., b'-'] => Err(HostNameError::Hyphen),
        _ => Ok(false),
    }
}

/// WHATWG URL section 3.5: decimal digits, or `0x` and hexadecimal digits (also none).
fn ends_as_number(label: &[u8]) -> bool {
    label.iter().all(u8::is_ascii_digit)
        || label.strip_prefix(b"0x").is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> HostName {
        text.parse().unwrap()
    }

    fn long(labels: usize, last: usize) -> String {
        let mut text = format!("{}.", "a".repeat(MAX_LABEL_LEN)).repeat(labels);
        text.push_str(&"b".repeat(last));
        text
    }

    #[test]
    fn one_spelling_for_each_name() {
        let cases = [
            ("App.Example.COM", "app.example.com"),
            ("example.com.", "example.com"),
            ("localhost", "localhost"),
            ("_acme-challenge.example.com", "_acme-challenge.example.com"),
            ("a--b.example.com", "a--b.example.com"),
            ("Bücher.example", "xn--bcher-kva.example"),
            ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
            ("bu\u{308}cher.example", "xn--bcher-kva.example"),
            ("faß.de", "xn--fa-hia.de"),
            ("ｅｘａｍｐｌｅ。com", "example.com"),
            ("3.example.7up", "3.example.7up"),
        ];
        for (text, canonical) in cases {
            assert_eq!(name(text).as_str(), canonical, "{text}");
        }
        assert_eq!(name(&long(3, 61)).as_str().len(), MAX_NAME_LEN);
        assert_eq!(name(&format!("{}.", long(3, 61))).as_str().len(), MAX_NAME_LEN);
    }

    #[test]
    fn what_is_no_name_is_refused_and_says_why() {
        use HostNameError as E;
        let cases = [
            ("", E::Empty),
            (".", E::Empty),
            ("..", E::EmptyLabel),
            (".example.com", E::EmptyLabel),
            ("a..b", E::EmptyLabel),
            ("example.com..", E::EmptyLabel),
            ("a b.com", E::BadCharacter(' ')),
            ("user@example.com", E::BadCharacter('@')),
            ("example.com:443", E::BadCharacter(':')),
            ("example.com/x", E::BadCharacter('/')),
            ("exa%6dple.com", E::BadCharacter('%')),
            ("example.com\0", E::BadCharacter('\0')),
            ("example.com\n", E::BadCharacter('\n')),
            ("[::1]", E::BadCharacter('[')),
            ("-a.com", E::Hyphen),
            ("a-.com", E::Hyphen),
            ("*.example.com", E::BadWildcard),
            ("a.*.com", E::BadWildcard),
            ("127.0.0.1", E::NumericEnd),
            ("127.1", E::NumericEnd),
            ("2130706433", E::NumericEnd),
            ("a.0x7f", E::NumericEnd),
            ("a.0X", E::NumericEnd),
            ("１２７.0.0.１", E::NumericEnd),
            ("xn--.com", E::Idna),
            ("xn--a.com", E::Idna),
            ("xn--example-.com", E::Idna),
            ("a\u{200d}b.com", E::Idna),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<HostName>(), Err(error), "{text:?}");
        }
        assert_eq!("a".repeat(64).parse::<HostName>(), Err(E::LabelTooLong));
        assert_eq!(long(3, 62).parse::<HostName>(), Err(E::TooLong));
        assert_eq!("ü".repeat(600).parse::<HostName>(), Err(E::TooLong));
        assert_eq!("ü".repeat(300).parse::<HostName>(), Err(E::TooLong));
    }

    #[test]
    fn punycode_of_plain_letters_is_refused() {
        // RUSTSEC-2024-0421: a label that decodes to ASCII must not become a second spelling of it.
        assert_eq!("xn--example-.org".parse::<HostName>(), Err(HostNameError::Idna));
        assert_eq!("xn--abc-.example.com".parse::<HostName>(), Err(HostNameError::Idna));
    }

    #[test]
    fn below_means_whole_labels() {
        let base = name("a.com");
        assert!(name("x.a.com").is_below(&base));
        assert!(name("y.x.a.com").is_below(&base));
        assert!(!name("a.com").is_below(&base));
        assert!(!name("evila.com").is_below(&base));
        assert!(!name("com").is_below(&base));
    }

    #[test]
    fn parents_and_joins() {
        assert_eq!(name("a.b.c").parent(), Some(name("b.c")));
        assert_eq!(name("c").parent(), None);
        assert_eq!(HostName::join("App", &name("example.com")), Ok(name("app.example.com")));
        assert_eq!(HostName::join("a.b", &name("example.com")), Ok(name("a.b.example.com")));
        assert_eq!(HostName::join("", &name("example.com")), Err(HostNameError::Empty));
        assert_eq!(HostName::join("a.", &name("example.com")), Err(HostNameError::EmptyLabel));
        assert_eq!(HostName::join("*", &name("example.com")), Err(HostNameError::BadWildcard));
        assert_eq!(HostName::join(&"a".repeat(60), &name(&long(3, 61))), Err(HostNameError::TooLong));
        assert_eq!(name("a.b.c").labels().collect::<Vec<_>>(), ["a", "b", "c"]);
    }

    proptest! {
        #[test]
        fn printing_and_reading_again_changes_nothing(text in "\\PC{0,40}") {
            if let Ok(read) = text.parse::<HostName>() {
                prop_assert_eq!(&read.to_string().parse::<HostName>(), &Ok(read.clone()));
                prop_assert!(read.as_str().len() <= MAX_NAME_LEN);
                prop_assert!(read.labels().all(|label| (1..=MAX_LABEL_LEN).contains(&label.len())));
            }
        }

        #[test]
        fn case_and_trailing_dot_do_not_matter(text in "[a-zA-Z0-9_]{1,12}(\\.[a-zA-Z0-9_-]{1,12}){0,3}(\\.[a-z]{2,3})") {
            let read = text.parse::<HostName>();
            prop_assert_eq!(&read, &text.to_uppercase().parse());
            prop_assert_eq!(&read, &text.to_lowercase().parse());
            prop_assert_eq!(&read, &format!("{text}.").parse());
        }

        #[test]
        fn arbitrary_text_never_panics(text in any::<String>()) {
            let _ = text.parse::<HostName>();
            let _ = crate::split_host_port(&text);
            let _ = text.parse::<crate::WantedUrl>();
            let _ = text.parse::<crate::EndpointUrl>();
            let _ = text.parse::<crate::ConnectUrl>();
        }
    }
}
