//! Fields of a JSON object whose keys are read without regard to case: `AuthToken` of one family of SDKs is `Authtoken` of the other.

use serde_json::{Map, Value};

/// Why a message cannot be used: which field, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct MessageError {
    /// The field with the objects it stands in, for example `Extra.Metadata`.
    pub field: String,
    /// What is wrong.
    pub problem: String,
}

/// An object of a message, and where it stands. A field that is missing or null has its empty value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a> {
    object: Option<&'a Map<String, Value>>,
    path: &'static str,
}

impl<'a> Fields<'a> {
    pub(super) fn new(object: &'a Map<String, Value>) -> Self {
        Self::named(object, "")
    }

    /// As [`Fields::new`], for an object that is named with `path` in errors.
    pub(super) fn named(object: &'a Map<String, Value>, path: &'static str) -> Self {
        Self { object: Some(object), path }
    }

    /// The object below `key`, whose fields are named with `path` in errors.
    pub(super) fn object(self, key: &'static str, path: &'static str) -> Result<Self, MessageError> {
        Ok(Self { object: self.map(key)?, path })
    }

    /// The object below `key`.
    pub(super) fn map(self, key: &str) -> Result<Option<&'a Map<String, Value>>, MessageError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object)),
            Some(other) => Err(self.wrong(key, "an object", other)),
        }
    }

    /// A text of at most `max` bytes.
    pub(super) fn text(self, key: &str, max: usize) -> Result<String, MessageError> {
        match self.get(key) {
            None => Ok(String::new()),
            Some(Value::String(text)) if text.len() <= max => Ok(text.clone()),
            Some(Value::String(text)) => {
                Err(self.error(key, format!("{} bytes are more than the {max} that are allowed", text.len())))
            }
            Some(other) => Err(self.wrong(key, "a string", other)),
        }
    }

    /// As [`Fields::text`], where missing means something else than empty.
    pub(super) fn optional_text(self, key: &str, max: usize) -> Result<Option<String>, MessageError> {
        self.get(key).map(|_| self.text(key, max)).transpose()
    }

    pub(super) fn flag(self, key: &str) -> Result<bool, MessageError> {
        Ok(self.optional_flag(key)?.unwrap_or(false))
    }

    pub(super) fn optional_flag(self, key: &str) -> Result<Option<bool>, MessageError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => Err(self.wrong(key, "true or false", other)),
        }
    }

    pub(super) fn number(self, key: &str) -> Result<i64, MessageError> {
        match self.get(key) {
            None => Ok(0),
            Some(value) => value.as_i64().ok_or_else(|| self.wrong(key, "a whole number", value)),
        }
    }

    /// At most `count` texts of at most `max` bytes.
    pub(super) fn texts(self, key: &str, count: usize, max: usize) -> Result<Vec<String>, MessageError> {
        let list = match self.get(key) {
            None => return Ok(Vec::new()),
            Some(Value::Array(list)) => list,
            Some(other) => return Err(self.wrong(key, "a list of strings", other)),
        };
        if list.len() > count {
            return Err(self.error(key, format!("{} entries are more than the {count} that are allowed", list.len())));
        }
        let text = |value: &Value| match value {
            Value::String(text) if text.len() <= max => Ok(text.clone()),
            Value::String(_) => Err(self.error(key, format!("an entry is longer than {max} bytes"))),
            other => Err(self.wrong(key, "a list of strings", other)),
        };
        list.iter().map(text).collect()
    }

    /// The value of `key`; the key as written wins over other spellings of it. Null is nothing.
    pub(super) fn get(self, key: &str) -> Option<&'a Value> {
        let object = self.object?;
        let any_case = || object.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value);
        object.get(key).or_else(any_case).filter(|value| !value.is_null())
    }

    pub(super) fn error(self, key: &str, problem: impl Into<String>) -> MessageError {
        let field = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        MessageError { field, problem: problem.into() }
    }

    fn wrong(self, key: &str, wanted: &str, got: &Value) -> MessageError {
        let kind = match got {
            Value::Null => "null",
            Value::Bool(_) => "a truth value",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        self.error(key, format!("must be {wanted}, and is {kind}"))
    }
}
