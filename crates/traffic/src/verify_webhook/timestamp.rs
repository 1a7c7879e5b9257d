//! Times in signatures.

/// How a time is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Seconds since 1970.
    Seconds,
    /// Milliseconds since 1970.
    Millis,
    /// RFC 3339 section 5.6; without an offset it is UTC.
    Rfc3339,
}

impl Unit {
    /// Seconds since 1970.
    pub(super) fn read(self, text: &str) -> Option<u64> {
        match self {
            Unit::Seconds => digits(text),
            Unit::Millis => digits(text).map(|ms| ms / 1_000),
            Unit::Rfc3339 => rfc3339(text),
        }
    }
}

fn digits(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.len() <= 19 && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

/// `2026-01-31T12:34:56`, an optional fraction, and `Z`, an offset or nothing.
fn rfc3339(text: &str) -> Option<u64> {
    let (date, rest) = text.split_at_checked(10)?;
    let (time, rest) = rest.split_at_checked(9)?;
    let part = |text: &str, from: usize, to: usize| digits(text.get(from..to)?);
    let is_shaped = |text: &str, shape: &str| {
        text.len() == shape.len()
            && text.bytes().zip(shape.bytes()).all(|(a, b)| a == b || (b == b'0' && a.is_ascii_digit()))
    };
    if !is_shaped(date, "0000-00-00") || !is_shaped(&time.replacen([' ', 't'], "T", 1), "T00:00:00") {
        return None;
    }
    let (year, month, day) = (part(date, 0, 4)?, part(date, 5, 7)?, part(date, 8, 10)?);
    let (hour, minute, second) = (part(time, 1, 3)?, part(time, 4, 6)?, part(time, 7, 9)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = days_since_1970(year, month, day)? * 86_400 + hour * 3_600 + minute * 60 + second;
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => rest,
    };
    match zone.as_bytes() {
        [] | [b'Z' | b'z'] => Some(seconds),
        [sign @ (b'+' | b'-'), ..] if is_shaped(&zone[1..], "00:00") => {
            let offset = part(zone, 1, 3)? * 3_600 + part(zone, 4, 6)? * 60;
            if *sign == b'+' { seconds.checked_sub(offset) } else { Some(seconds + offset) }
        }
        _ => None,
    }
}

/// Days in the proleptic Gregorian calendar; a year that begins in March has its odd day at the end.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    days.checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (unit, text, seconds) in [
            (Unit::Seconds, "1531420618", Some(1_531_420_618)),
            (Unit::Millis, "1767225600999", Some(1_767_225_600)),
            (Unit::Rfc3339, "1970-01-01T00:00:00Z", Some(0)),
            (Unit::Rfc3339, "2000-02-29T23:59:59Z", Some(951_868_799)),
            (Unit::Rfc3339, "2026-01-01T00:00:00", Some(1_767_225_600)),
            (Unit::Rfc3339, "2020-01-01T00:00:00-07:00", Some(1_577_862_000)),
            (Unit::Rfc3339, "2020-01-01 00:00:00.123456+01:30", Some(1_577_831_400)),
            (Unit::Seconds, "", None),
            (Unit::Seconds, "+1", None),
            (Unit::Seconds, "1e9", None),
            (Unit::Seconds, "99999999999999999999", None),
            (Unit::Rfc3339, "2020-13-01T00:00:00Z", None),
            (Unit::Rfc3339, "2020-01-01T00:00:00+1", None),
            (Unit::Rfc3339, "2020-01-01", None),
            (Unit::Rfc3339, "2020-01-01T0é:00:0", None),
            (Unit::Rfc3339, "1960-01-01T00:00:00Z", None),
        ] {
            assert_eq!(unit.read(text), seconds, "{text}");
        }
    }
}
