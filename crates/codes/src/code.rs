//! One code and what the catalogue says about it.

use std::fmt;

use crate::PublicError;
use crate::catalogue::{ENTRIES, Entry};

/// A public error code of the catalogue. There is no other way to have one than a constant or [`Code::from_number`], so everything
/// about it is known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(u32);

/// Whose number it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// A number that ngrok's clients know: `ERR_NGROK_n`.
    Ngrok,
    /// Portway's own: `ERR_PORTWAY_n`.
    Portway,
}

/// Portway's numbers begin here; ngrok's end far below. So a number alone is unambiguous.
const FIRST_OWN: u32 = 40_000;

impl Code {
    pub(crate) const fn new(number: u32) -> Code {
        Code(number)
    }

    /// The number, unique over both families.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// Whose number it is.
    pub const fn family(self) -> Family {
        if self.0 < FIRST_OWN { Family::Ngrok } else { Family::Portway }
    }

    /// The name as users see it, for example `ERR_NGROK_3200`.
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// HTTP status of an answer that carries this code. For codes that no HTTP answer carries, the status that fits best.
    pub fn status(self) -> u16 {
        self.entry().status
    }

    /// What failed, in a few words without a full stop.
    pub fn title(self) -> &'static str {
        self.entry().title
    }

    /// What failed, why and what to do, for somebody who knows nothing but this. Callers who know more say more: [`Code::with`].
    pub fn text(self) -> &'static str {
        self.entry().text
    }

    /// The code of this number, when the catalogue has it.
    pub fn from_number(number: u32) -> Option<Code> {
        find(number).map(|_| Code(number))
    }

    /// The code of this name (`ERR_NGROK_3200`, `ERR_PORTWAY_42101`), when the catalogue has it.
    pub fn from_name(name: &str) -> Option<Code> {
        let digits = name.strip_prefix("ERR_NGROK_").or_else(|| name.strip_prefix("ERR_PORTWAY_"))?;
        Code::from_number(digits.parse().ok()?).filter(|code| code.name() == name)
    }

    /// An error of this code with a text of its own.
    pub fn with(self, text: impl Into<String>) -> PublicError {
        PublicError { code: self, text: text.into() }
    }

    /// An error of this code with the catalogue's text.
    pub fn plain(self) -> PublicError {
        self.with(self.text())
    }

    fn entry(self) -> &'static Entry {
        find(self.0).expect("a code is made from an entry of the catalogue only")
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The catalogue is sorted by number, which a test holds.
fn find(number: u32) -> Option<&'static Entry> {
    ENTRIES.binary_search_by_key(&number, |entry| entry.number).ok().map(|at| &ENTRIES[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_is_sorted_and_names_carry_their_number() {
        assert!(ENTRIES.is_sorted_by(|a, b| a.number < b.number), "each number once, in order");
        assert_eq!(Code::ALL.len(), ENTRIES.len());
        for code in Code::ALL {
            let prefix = match code.family() {
                Family::Ngrok => "ERR_NGROK_",
                Family::Portway => "ERR_PORTWAY_",
            };
            assert_eq!(code.name(), format!("{prefix}{}", code.number()));
            assert_eq!(code.to_string(), code.name());
            assert_eq!(Code::from_number(code.number()), Some(*code));
            assert_eq!(Code::from_name(code.name()), Some(*code));
        }
    }

    #[test]
    fn every_entry_says_something() {
        for code in Code::ALL {
            assert!((400..=599).contains(&code.status()), "{code}");
            assert!(!code.title().is_empty() && !code.title().ends_with('.'), "{code}");
            assert!(code.text().len() > code.title().len(), "{code}");
            assert!(code.text().ends_with('.'), "{code}");
            // Texts stand in pages, in JSON and on terminals, so they are plain.
            let plain =
                |c: char| c.is_ascii() && !c.is_control() && !matches!(c, '<' | '>' | '&' | '"' | '{' | '}' | '|');
            assert!(code.text().chars().all(plain) && code.title().chars().all(plain), "{code}");
        }
    }

    #[test]
    fn the_number_of_our_own_codes_begins_with_their_status() {
        for code in Code::ALL.iter().filter(|code| code.family() == Family::Portway) {
            assert_eq!(code.number() / 100, u32::from(code.status()), "{code}");
        }
    }

    /// To clients of the REST interface a 5xx is a broken server, and they show no code.
    #[test]
    fn what_an_agent_cannot_do_is_no_failure_of_the_server() {
        use Code as C;
        for code in [C::ERR_NGROK_804, C::ERR_NGROK_805, C::ERR_NGROK_806, C::ERR_NGROK_1121, C::ERR_NGROK_1122] {
            assert_eq!(code.status(), 409, "{code}");
        }
    }

    #[test]
    fn unknown_names_and_numbers_are_no_codes() {
        for number in [0, 1, 3201, 42_100, u32::MAX] {
            assert_eq!(Code::from_number(number), None);
        }
        for name in
            ["", "3200", "ERR_NGROK_", "ERR_NGROK_03200", "ERR_NGROK_+3200", "ERR_PORTWAY_3200", "err_ngrok_3200"]
        {
            assert_eq!(Code::from_name(name), None, "{name}");
        }
    }

    #[test]
    fn an_error_ends_with_its_code_on_a_line_of_its_own() {
        let error = Code::ERR_NGROK_107.with("The authtoken is not valid.\nYours: x\n");
        assert_eq!(error.to_string(), "The authtoken is not valid.\nYours: x\n\nERR_NGROK_107");
        assert_eq!(PublicError::from(Code::ERR_NGROK_802), Code::ERR_NGROK_802.plain());
    }
}
