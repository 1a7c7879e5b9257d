//! `user-agent-filter`: which programs may send requests, by what they call themselves.

use http::HeaderMap;
use http::header::USER_AGENT;
use portway_codes::Code;
use regex::bytes::{RegexSet, RegexSetBuilder};
use serde::Deserialize;

use crate::ConfigError;

/// Patterns in one list.
const PATTERNS_MAX: usize = 100;
/// Bytes of a pattern.
const PATTERN_MAX: usize = 1_024;
/// Memory of one compiled list, and of what matching may build on the way. Matching takes time linear in the text whatever the pattern; this
/// bounds the factor.
const COMPILED_MAX: usize = 1 << 20;
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
    allow: RegexSet,
    deny: RegexSet,
}

impl UserAgentFilter {
    /// Type of the action.
    pub const NAME: &str = "user-agent-filter";

    /// Compiles the action.
    ///
    /// # Errors
    /// No pattern at all (2223), more than 100 in a list (2218), one that is no regular expression, longer than 1,024 bytes or too large (2090).
    pub fn new(config: &UserAgentFilterConfig) -> Result<UserAgentFilter, ConfigError> {
        if config.allow.is_empty() && config.deny.is_empty() {
            return Err(ConfigError::empty(Self::NAME, "allow"));
        }
        Ok(UserAgentFilter { allow: compile("allow", &config.allow)?, deny: compile("deny", &config.deny)? })
    }

    /// Whether a request may pass: its first `User-Agent` matches a pattern of `allow`, or none of `deny`. Without `deny` it must match one of
    /// `allow`. A request that does not say what sent it passes only when `allow` matches the empty text.
    pub fn permits(&self, headers: &HeaderMap) -> bool {
        let name = headers.get(USER_AGENT).map_or(&b""[..], |name| name.as_bytes());
        self.allow.is_match(name) || (!self.deny.is_empty() && !name.is_empty() && !self.deny.is_match(name))
    }
}

fn compile(field: &str, patterns: &[String]) -> Result<RegexSet, ConfigError> {
    if patterns.len() > PATTERNS_MAX {
        return Err(ConfigError::too_many(UserAgentFilter::NAME, field, PATTERNS_MAX));
    }
    let fault = |field: String, why: String| ConfigError::new(Code::ERR_NGROK_2090, UserAgentFilter::NAME, field, why);
    for (at, pattern) in patterns.iter().enumerate() {
        let field = format!("{field}[{at}]");
        if pattern.len() > PATTERN_MAX {
            return Err(fault(field, "it is longer than 1,024 bytes".to_owned()));
        }
        build(std::slice::from_ref(pattern)).map_err(|error| fault(field, reason(&error)))?;
    }
    build(patterns).map_err(|error| fault(field.to_owned(), reason(&error)))
}

fn build(patterns: &[String]) -> Result<RegexSet, regex::Error> {
    RegexSetBuilder::new(patterns).size_limit(COMPILED_MAX).dfa_size_limit(COMPILED_MAX).nest_limit(NESTING_MAX).build()
}

/// The last line says what is wrong; those before it draw the place, over several lines.
fn reason(error: &regex::Error) -> String {
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
}
