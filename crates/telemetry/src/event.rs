//! The fields of an event and of the spans around it.

use std::error::Error;
use std::fmt;

use tracing::Level;
use tracing::field::{Field, Visit};

/// One event, ready to be written as a line.
pub(crate) struct Event {
    pub(crate) level: Level,
    /// Which part of the program speaks.
    pub(crate) object: String,
    pub(crate) message: String,
    pub(crate) fields: Fields,
}

/// Named values in the order in which they came. A later value of a name replaces the earlier one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(Vec<(&'static str, Value)>);

/// A value as it is written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// A number or truth value, which JSON writes without quotes.
    Literal(String),
    /// Anything else.
    Text(String),
}

impl Fields {
    pub(crate) fn set(&mut self, name: &'static str, value: Value) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    pub(crate) fn extend(&mut self, other: &Fields) {
        for (name, value) in &other.0 {
            self.set(name, value.clone());
        }
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(known, _)| *known == name)?;
        match self.0.remove(at).1 {
            Value::Literal(text) | Value::Text(text) => Some(text),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.0.iter().map(|(name, value)| (*name, value))
    }

    fn text(&mut self, field: &Field, text: String) {
        self.set(name(field), Value::Text(text));
    }

    fn literal(&mut self, field: &Field, value: impl fmt::Display) {
        self.set(name(field), Value::Literal(value.to_string()));
    }
}

/// A raw identifier (`r#type`) without its mark.
fn name(field: &Field) -> &'static str {
    let name = field.name();
    name.strip_prefix("r#").unwrap_or(name)
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no infinities and no NaN.
        if value.is_finite() { self.literal(field, value) } else { self.text(field, value.to_string()) }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.literal(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.literal(field, value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.literal(field, value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.literal(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.literal(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value.to_owned());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            let reason = error.to_string();
            // Many errors say their cause in their own words already.
            if !text.contains(&reason) {
                text.push_str(": ");
                text.push_str(&reason);
            }
            cause = error.source();
        }
        self.text(field, text);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, format!("{value:?}"));
    }
}
