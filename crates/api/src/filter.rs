//! Filters of lists and of events: a small part of the Common Expression Language.
//!
//! A filter is read once, against the fields that may be named, and then asked about objects. Reading finds every fault, asking has none:
//! a field that is absent is null, and values of different kinds are unequal and in no order.
//!
//! What there is: `! && ||`, `== != < <= > >=`, `in`, parentheses, lists, `size()`, `null`, `startsWith`, `endsWith`, `contains`,
//! `timestamp("…")`, and `timestamp(time.now)` with `.add("24h")` and `.subtract("7d")`; for events `matches`, too.

mod evaluate;
mod parser;
mod tokens;

use portway_codes::{Code, PublicError};
use serde_json::{Value, json};

use crate::event_types::EventType;
use crate::{Described, Fault, Input, Schemas, Text, Timestamp};
use parser::Expression;

/// Longest filter in bytes: it is part of a URL.
pub const MAX_FILTER_LEN: usize = 4096;

/// How deep parentheses, lists and negations may nest. Reading and asking go as deep as a filter does.
pub const MAX_FILTER_DEPTH: usize = 32;

/// A filter that was read.
#[derive(Clone, Debug)]
pub struct Filter(Expression);

impl Filter {
    /// Whether an object passes. `now` is what `time.now` stands for.
    pub fn matches(&self, object: &Value, now: Timestamp) -> bool {
        evaluate::holds(&self.0, object, now)
    }
}

/// What a filter may name.
#[derive(Clone, Copy, Debug)]
pub struct FilterScope {
    /// What the object is called: `obj` or `ev`.
    root: &'static str,
    /// Names of fields behind the root, and where each is in the object.
    fields: &'static [FilterField],
    /// Fields that are there and cannot be named yet.
    barred: &'static [(&'static str, bool)],
    /// Whether `matches` is there.
    patterns: bool,
}

/// A field that a filter may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilterField {
    /// Its name behind the root, as `principal.id`.
    pub name: &'static str,
    /// Where it is in the object.
    pub path: &'static str,
}

impl FilterField {
    /// Ids and serial numbers are random: nobody knows a part of one, and looking for parts would read every object.
    fn is_random(&self) -> bool {
        self.path == "id" || self.path.ends_with(".id") || self.path.ends_with("_id") || self.path == "serial_number"
    }
}

/// What is wrong with a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FilterFault {
    /// It is no filter.
    Syntax(String),
    /// It names a field that is not there.
    Unknown(String),
    /// It names a field that filters cannot name.
    Barred(String),
}

impl std::fmt::Display for FilterFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FilterFault::Syntax(why) => f.write_str(why),
            FilterFault::Unknown(name) => write!(f, "there is no field {name:?} to filter by"),
            FilterFault::Barred(name) => write!(f, "the field {name:?} cannot be filtered by"),
        }
    }
}

impl FilterScope {
    /// The scope of a list whose objects have these fields.
    pub const fn list(fields: &'static [FilterField]) -> FilterScope {
        FilterScope { root: "obj", fields, barred: &[], patterns: false }
    }

    /// The scope of events of a type.
    pub fn event(kind: &EventType) -> FilterScope {
        FilterScope { root: "ev", fields: EVENT_FIELDS, barred: kind.fields(), patterns: true }
    }

    /// Reads the filter of a list.
    ///
    /// # Errors
    ///
    /// 250, with what is wrong.
    pub fn read(&self, text: &str) -> Result<Filter, PublicError> {
        let filter = parser::parse(text, self);
        filter.map(Filter).map_err(|fault| Code::ERR_NGROK_250.with(format!("The filter cannot be used: {fault}.")))
    }

    /// Reads the filter of events.
    ///
    /// # Errors
    ///
    /// 5405 and 5406 for fields, else 5404.
    pub fn check(&self, text: &str) -> Result<Filter, Fault> {
        parser::parse(text, self).map(Filter).map_err(|fault| {
            let code = match fault {
                FilterFault::Syntax(_) => Code::ERR_NGROK_5404,
                FilterFault::Unknown(_) => Code::ERR_NGROK_5405,
                FilterFault::Barred(_) => Code::ERR_NGROK_5406,
            };
            Fault::coded(code, fault.to_string())
        })
    }

    fn field(&self, name: &str) -> Result<FilterField, FilterFault> {
        if let Some(field) = self.fields.iter().find(|field| field.name == name) {
            return Ok(*field);
        }
        let short: String = name.chars().take(64).collect();
        let there = self.barred.iter().any(|(barred, _)| *barred == name);
        Err(if there { FilterFault::Barred(short) } else { FilterFault::Unknown(short) })
    }

    /// Whether there are fields with this name and more behind a dot.
    fn has_below(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
    }
}

/// A filter of events in a request. Its fields depend on the type of events, so it is checked with that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterText(String);

impl FilterText {
    /// The filter as it came.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Described for FilterText {
    fn schema(_: &mut Schemas) -> Value {
        json!({"type": "string", "format": "event-filter", "maxLength": MAX_FILTER_LEN, "examples": ["ev.conn.server_port == 443"]})
    }
}

impl Input for FilterText {
    fn read(value: Value) -> Result<Self, Fault> {
        Text::<MAX_FILTER_LEN>::read(value).map(|text| FilterText(text.into_string()))
    }
}

macro_rules! fields {
    ($($name:literal $(= $path:literal)?),* $(,)?) => {
        &[$($crate::FilterField { name: $name, path: $crate::filter::place!($name $($path)?) }),*]
    };
}

macro_rules! place {
    ($name:literal) => {
        $name
    };
    ($name:literal $path:literal) => {
        $path
    };
}

pub(crate) use {fields, place};

const EVENT_FIELDS: &[FilterField] =
    fields!["conn.client_ip", "conn.server_ip", "conn.server_name", "conn.server_port"];

#[cfg(test)]
mod tests;
