//! `user-agent-filter`: which programs may send requests, by what they call themselves.

use http::HeaderMap;
use http::header::USER_AGENT;
use portway_codes::Code;
use regex_automata::meta::{Builder, Config, Regex};
use regex_automata::nfa::thompson::WhichCaptures;
use regex_syntax::ast::{self, Ast, Flag, Visitor};
use regex_syntax::hir::Hir;
use regex_syntax::hir::translate::TranslatorBuilder;
use serde::Deserialize;

use crate::ConfigError;

/// Patterns in one list.
const PATTERNS_MAX: usize = 100;
/// Bytes of a pattern.
const PATTERN_MAX: usize = 1_024;
/// Bytes of the patterns of one list together. Reading them takes time linear in it, before the compiled size is known.
const LIST_MAX: usize = 4 * 1_024;
/// Memory of one compiled list, and of what matching may build on the way. Matching takes time linear in the text whatever the pattern; this
/// is the factor. Of simple patterns about 1,500 characters have room.
const COMPILED_MAX: usize = 64 * 1_024;
/// Bytes of a `User-Agent` that are looked at. Browsers send 200 at most. With [`COMPILED_MAX`], the worst of patterns take 4 ms for a request,
/// in which the shard serves nobody else.
const VALUE_MAX: usize = 512;
/// Levels of parentheses in a pattern.
const NESTING_MAX: u32 = 50;

/// Configuration of `user-agent-filter`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserAgentFilterConfig {
    /// Regular expressions (RE2 syntax) of programs that may pass whatever `deny` says.
    #[serde(default)]
    pub allow: Vec<String>,
    /// Regular expressions of programs that may not pass.
    #[serde(default)]
    pub deny: Vec<String>,
}

/// The compiled action.
#[derive(Clone, Debug)]
pub struct UserAgentFilter {
    allow: Option<Regex>,
    deny: Option<Regex>,
}

impl UserAgentFilter {
    /// Type of the action.
    pub const NAME: &str = "user-agent-filter";

    /// Compiles the action.
    ///
    /// # Errors
    /// No pattern at all (2223), more than 100 in a list (2218), one that is no regular expression or longer than 1,024 bytes, a list with more
    /// than 4 KiB of patterns or more than 64 KiB compiled (2090).
    pub fn new(config: &UserAgentFilterConfig) -> Result<UserAgentFilter, ConfigError> {
        if config.allow.is_empty() && config.deny.is_empty() {
            return Err(ConfigError::empty(Self::NAME, "allow"));
        }
        Ok(UserAgentFilter { allow: compile("allow", &config.allow)?, deny: compile("deny", &config.deny)? })
    }

    /// Whether a request may pass: its first `User-Agent` matches a pattern of `allow`, or none of `deny`. Without `deny` it must match one of
    /// `allow`. A request that does not say what sent it passes only when `allow` matches the empty text. Of a value longer than 512 bytes
    /// the first 512 count, as if it ended there.
    pub fn permits(&self, headers: &HeaderMap) -> bool {
        let name = headers.get(USER_AGENT).map_or(&b""[..], |name| name.as_bytes());
        let name = &name[..name.len().min(VALUE_MAX)];
        let matches = |list: &Regex| list.is_match(name);
        let allowed = self.allow.as_ref().is_some_and(matches);
        allowed || (!name.is_empty() && self.deny.as_ref().is_some_and(|list| !matches(list)))
    }
}

/// One list, compiled. `None`: there is nothing in it. It takes a millisecond at most, whatever the patterns.
fn compile(field: &str, patterns: &[String]) -> Result<Option<Regex>, ConfigError> {
    if patterns.is_empty() {
        return Ok(None);
    }
    if patterns.len() > PATTERNS_MAX {
        return Err(ConfigError::too_many(UserAgentFilter::NAME, field, PATTERNS_MAX));
    }
    let fault = |field: String, why: &str| ConfigError::new(Code::ERR_NGROK_2090, UserAgentFilter::NAME, field, why);
    if let Some(at) = patterns.iter().position(|pattern| pattern.len() > PATTERN_MAX) {
        return Err(fault(format!("{field}[{at}]"), "it is longer than 1,024 bytes"));
    }
    if patterns.iter().map(String::len).sum::<usize>() > LIST_MAX {
        return Err(fault(field.to_owned(), "the patterns are longer than 4,096 bytes together"));
    }
    let read = patterns.iter().enumerate();
    let read = read.map(|(at, text)| read_pattern(text).map_err(|why| fault(format!("{field}[{at}]"), &why)));
    let read = read.collect::<Result<Vec<_>, _>>()?;
    let mut builder = Builder::new();
    builder.configure(engine()).build_many_from_hir(&read).map(Some).map_err(|error| match error.size_limit() {
        Some(_) => fault(field.to_owned(), "the patterns are larger than 64 KiB together when they are compiled"),
        None => fault(field.to_owned(), "the patterns cannot be compiled"),
    })
}

/// What is built is bounded, and nothing else is prepared: looking for literals in front of patterns would take longer than compiling them.
fn engine() -> Config {
    Config::new()
        .utf8_empty(false)
        .which_captures(WhichCaptures::None)
        .auto_prefilter(false)
        .onepass(false)
        .dfa(false)
        .nfa_size_limit(Some(COMPILED_MAX))
        .hybrid_cache_capacity(COMPILED_MAX)
}

/// Reads one pattern, for bytes: classes such as `\w` and `(?i)` are of ASCII, as in RE2. Unicode's have hundreds of ranges, so that a few of
/// them cost more than all that is wanted here.
fn read_pattern(text: &str) -> Result<Hir, String> {
    let tree = ast::parse::ParserBuilder::new().nest_limit(NESTING_MAX).build().parse(text);
    let tree = tree.map_err(|error| reason(&error))?;
    ast::visit(&tree, NoUnicode)?;
    let read = TranslatorBuilder::new().unicode(false).utf8(false).build().translate(text, &tree);
    read.map_err(|error| reason(&error))
}

/// Refuses the flag that RE2 does not have.
struct NoUnicode;

impl Visitor for NoUnicode {
    type Output = ();
    type Err = String;

    fn finish(self) -> Result<(), String> {
        Ok(())
    }

    fn visit_pre(&mut self, tree: &Ast) -> Result<(), String> {
        let flags = match tree {
            Ast::Flags(set) => Some(&set.flags),
            Ast::Group(group) => group.flags(),
            _ => None,
        };
        match flags.and_then(|flags| flags.flag_state(Flag::Unicode)) {
            Some(true) => Err("the flag u is not available".to_owned()),
            _ => Ok(()),
        }
    }
}

/// The last line says what is wrong; those before it draw the place, over several lines.
fn reason(error: &impl std::fmt::Display) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(allow: &[&str], deny: &[&str]) -> Result<UserAgentFilter, ConfigError> {
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        UserAgentFilter::new(&UserAgentFilterConfig { allow: texts(allow), deny: texts(deny) })
    }

    fn permits(filter: &UserAgentFilter, names: &[&str]) -> bool {
        filter.permits(&names.iter().map(|name| (USER_AGENT, name.parse().unwrap())).collect())
    }

    #[test]
    fn allow_overrides_deny() {
        let images = filter(&["(?i)google-images"], &["(?i)google", "[Bb]ing"]).unwrap();
        let (allow, deny) = (filter(&[r"^foo/(\d)+"], &[]).unwrap(), filter(&[], &["bot$"]).unwrap());
        for (names, by_images, by_allow, by_deny) in [
            (&["Google-Images/1"][..], true, false, true),
            (&["Googlebot"], false, false, false),
            (&["foo/12"], true, true, true),
            (&["xfoo/12"], true, false, true),
            (&[], false, false, false),
            (&[""], false, false, false),
            (&["foo/1", "Googlebot"], true, true, true),
        ] {
            let got = (permits(&images, names), permits(&allow, names), permits(&deny, names));
            assert_eq!(got, (by_images, by_allow, by_deny), "{names:?}");
        }
        let silent = filter(&["^$"], &["bot"]).unwrap();
        assert!(permits(&silent, &[]) && permits(&silent, &["curl"]) && !permits(&silent, &["bot"]));
        let mut raw = HeaderMap::new();
        raw.insert(USER_AGENT, http::HeaderValue::from_bytes(b"\xff bot").unwrap());
        assert!(!deny.permits(&raw));
    }

    #[test]
    fn patterns_are_bounded() {
        for (pattern, why) in [("(", "unclosed group"), (r"(a)\1", "backreferences"), ("(?=a)", "look-around")] {
            let error = filter(&["ok"], &["ok", pattern]).unwrap_err();
            assert_eq!((error.code, error.field.as_str()), (Code::ERR_NGROK_2090, "deny[1]"));
            assert!(error.why.contains(why), "{error}");
            assert!(!error.why.contains('\n'));
        }
        let long = "a".repeat(1_025);
        for pattern in [long.as_str(), r"(\w{1000}){1000}", &"(".repeat(60)] {
            assert_eq!(filter(&[pattern], &[]).unwrap_err().code, Code::ERR_NGROK_2090, "{pattern}");
        }
        assert_eq!(filter(&[], &["a"; 101]).unwrap_err().code, Code::ERR_NGROK_2218);
        assert_eq!(filter(&[], &[]).unwrap_err().code, Code::ERR_NGROK_2223);
    }
    #[test]
    fn a_value_is_looked_at_to_a_length() {
        let (allow, deny) = (filter(&["^x+$"], &[]).unwrap(), filter(&[], &["bot"]).unwrap());
        for (length, by_allow, by_deny) in
            [(509, false, false), (510, false, true), (512, true, true), (60_000, true, true)]
        {
            let name = "x".repeat(length) + "bot";
            assert_eq!((permits(&allow, &[&name]), permits(&deny, &[&name])), (by_allow, by_deny), "{length}");
        }
    }

    #[test]
    fn a_list_is_bounded_as_a_whole() {
        let refused = |patterns: Vec<String>, field: &str, why: &str| {
            let config = UserAgentFilterConfig { allow: vec!["ok".to_owned()], deny: patterns };
            let error = UserAgentFilter::new(&config).unwrap_err();
            assert_eq!((error.code, error.field.as_str()), (Code::ERR_NGROK_2090, field), "{error}");
            assert!(error.why.contains(why), "{error}");
        };
        // What takes the longest to match: a new state for nearly every byte.
        refused((0..30).map(|at| format!("(?-u)[ab]*a[ab]{{300}}c{at}")).collect(), "deny", "64 KiB together");
        refused((0..100).map(|at| format!(r"\w{{20}}N{at}")).collect(), "deny", "64 KiB together");
        refused(vec!["a".repeat(1_000); 5], "deny", "4,096 bytes together");
        // What takes the longest to compile.
        for pattern in [r"(?u)\w", r"a(?iu:\w)", r"(?x)( ?u:\w)"] {
            refused(vec!["ok".to_owned(), pattern.to_owned()], "deny[1]", "the flag u");
        }
        refused(vec![r"\p{L}".to_owned()], "deny[0]", "Unicode");
        let usual = |at: usize| format!("[Bb]ot-{at:02}/[0-9.]+");
        assert!(
            UserAgentFilter::new(&UserAgentFilterConfig { allow: vec![], deny: (0..100).map(usual).collect() }).is_ok()
        );
    }

    #[test]
    fn classes_are_those_of_ascii() {
        let word = filter(&[r"^\w$"], &[]).unwrap();
        let mut raw = HeaderMap::new();
        raw.insert(USER_AGENT, http::HeaderValue::from_bytes("ä".as_bytes()).unwrap());
        assert!(permits(&word, &["a"]) && !word.permits(&raw));
        assert!(filter(&["^ä$"], &[]).unwrap().permits(&raw));
    }
}
