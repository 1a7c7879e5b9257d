//! Values out of rows.

use std::fmt::Display;
use std::str::FromStr;

use crate::Timestamp;
use crate::error::Fault;
use crate::sql::Row;

/// Column as text.
pub(crate) fn text(row: &Row, column: &'static str) -> Result<String, Fault> {
    row.get(column)
}

/// Column as number.
pub(crate) fn number(row: &Row, column: &'static str) -> Result<i64, Fault> {
    row.get(column)
}

/// Column as a version, fence or count: never negative.
pub(crate) fn unsigned(row: &Row, column: &'static str) -> Result<u64, Fault> {
    u64::try_from(number(row, column)?).map_err(|_| Fault::Damaged(format!("{column} is negative")))
}

/// Column as time.
pub(crate) fn time(row: &Row, column: &'static str) -> Result<Timestamp, Fault> {
    number(row, column).map(Timestamp::from_millis)
}

/// Column as a value that is written as text.
pub(crate) fn parsed<T>(row: &Row, column: &'static str) -> Result<T, Fault>
where
    T: FromStr,
    T::Err: Display,
{
    text(row, column)?.parse().map_err(|error| Fault::Damaged(format!("{column}: {error}")))
}

/// Column as a list of texts.
pub(crate) fn list(row: &Row, column: &'static str) -> Result<Vec<String>, Fault> {
    serde_json::from_str(&text(row, column)?).map_err(|error| Fault::Damaged(format!("{column}: {error}")))
}

/// A list of texts for a column.
pub(crate) fn list_text(list: &[String]) -> String {
    serde_json::Value::from(list).to_string()
}

/// A version, fence or count for a column. The feed starts at 0 and counts single changes: it does not reach half of 2^64.
pub(crate) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
