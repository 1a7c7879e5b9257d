//! Points in time as the interface writes them.

use std::fmt;

use portway_codes::Code;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::value::text;
use crate::{Described, Fault, Input, Schemas};

/// A point in time in whole seconds, written as `2024-02-16T19:35:10Z` (RFC 3339 section 5.6). It lies in the years 0 to 9999.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// 0000-01-01T00:00:00Z: earlier years have no four digits.
const FIRST: i64 = -62_167_219_200;
/// 9999-12-31T23:59:59Z.
const LAST: i64 = 253_402_300_799;

impl Timestamp {
    /// From seconds since 1970; what lies outside of the years 0 to 9999 becomes the nearest that does not.
    pub const fn from_unix(secs: i64) -> Timestamp {
        Timestamp(if secs < FIRST {
            FIRST
        } else if secs > LAST {
            LAST
        } else {
            secs
        })
    }

    /// Seconds since 1970.
    pub const fn unix_secs(self) -> i64 {
        self.0
    }

    /// Reads any form of RFC 3339 section 5.6; fractions of seconds are cut off.
    pub(crate) fn parse(text: &str) -> Option<Timestamp> {
        // The longest form has nanoseconds and an offset.
        let time = OffsetDateTime::parse(Some(text).filter(|text| text.len() <= 40)?, &Rfc3339).ok()?;
        Some(Timestamp::from_unix(time.unix_timestamp()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = OffsetDateTime::from_unix_timestamp(self.0).expect("the years 0 to 9999 are in range");
        let (date, time) = (time.date(), time.time());
        let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
        write!(f, "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", time.hour(), time.minute(), time.second())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Timestamp::parse(&text).ok_or_else(|| serde::de::Error::custom("not an RFC 3339 timestamp"))
    }
}

impl Described for Timestamp {
    fn schema(_: &mut Schemas) -> Value {
        json!({"type": "string", "format": "date-time"})
    }
}

impl Input for Timestamp {
    fn read(value: Value) -> Result<Self, Fault> {
        let wrong = || Fault::coded(Code::ERR_NGROK_241, "it is no time as in 2025-01-31T12:00:00Z");
        Timestamp::parse(&text(value)?).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn other_offsets_and_fractions_are_read() {
        for (text, read) in [
            ("2024-02-16T19:35:10Z", "2024-02-16T19:35:10Z"),
            ("2024-02-16T20:35:10.999+01:00", "2024-02-16T19:35:10Z"),
            ("0000-01-01T00:00:00+23:00", "0000-01-01T00:00:00Z"),
        ] {
            assert_eq!(Timestamp::parse(text).unwrap().to_string(), read, "{text}");
        }
        for text in ["", "2024-02-16", "2024-02-16 19:35:10", "2024-13-01T00:00:00Z", "yesterday"] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(secs in any::<i64>()) {
            let time = Timestamp::from_unix(secs);
            prop_assert_eq!(Timestamp::parse(&time.to_string()), Some(time));
        }
    }
}
