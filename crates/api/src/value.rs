//! Kinds of values: how each is read from a request, and how it is described in the OpenAPI document.
//!
//! A type does both, so that the document cannot say anything else than what is read.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde_json::{Map, Value, json};

use crate::Fault;
use crate::schema::or_null;

/// Longest body of a request in bytes: a certificate with a long chain and its key fit several times.
pub const MAX_BODY_LEN: usize = 256 * 1024;

/// Most entries of a list in a request, unless its type says less.
pub const MAX_LIST_LEN: usize = 256;

/// Named schemas that others refer to: `components.schemas` of the OpenAPI document.
pub type Schemas = BTreeMap<&'static str, Value>;

/// A type that has a JSON schema.
pub trait Described {
    /// The schema. Named ones are put into `schemas`, and the answer refers to them.
    fn schema(schemas: &mut Schemas) -> Value;
}

/// A type that is read from requests.
pub trait Input: Described + Sized {
    /// Reads a value that is there and not null.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    fn read(value: Value) -> Result<Self, Fault>;

    /// What a field has that is absent, null or unset.
    ///
    /// # Errors
    ///
    /// That it is missing.
    fn absent() -> Result<Self, Fault> {
        Err(Fault::missing())
    }

    /// Whether a value stands for nothing. Clients send `""` for fields that their user left out, so for everything but free text an empty
    /// string does.
    fn is_unset(value: &Value) -> bool {
        value.as_str() == Some("")
    }

    /// Whether this is what an absent field has in a change: nothing to do.
    fn is_absent(&self) -> bool {
        false
    }
}

/// Reads the body of a request. Nothing at all is the empty object: calls without fields may leave their body away.
///
/// # Errors
///
/// The first thing that is wrong with it: 41302 for its size, 213 when it is no JSON, 214 for unknown fields, else what the fields say.
pub fn read_body<T: Input>(body: &[u8]) -> Result<T, portway_codes::PublicError> {
    use portway_codes::Code;
    if body.len() > MAX_BODY_LEN {
        return Err(
            Code::ERR_PORTWAY_41302.with(format!("The body of the request is longer than {MAX_BODY_LEN} bytes."))
        );
    }
    let value = if body.is_empty() {
        Value::Object(Map::new())
    } else {
        // The text of the error says where, and nothing of the body, which may hold secrets.
        serde_json::from_slice(body).map_err(|error| {
            Code::ERR_NGROK_213.with(format!("The body of the request is not JSON: {}.", place(&error)))
        })?
    };
    Ok(T::read(value)?)
}

fn place(error: &serde_json::Error) -> String {
    let what = if error.is_eof() { "it ends too early" } else { "something is wrong" };
    format!("{what} at line {}, column {}", error.line(), error.column())
}

/// Takes a text out of a value.
pub(crate) fn text(value: Value) -> Result<String, Fault> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(wrong_type("a string", &other)),
    }
}

pub(crate) fn wrong_type(wanted: &str, value: &Value) -> Fault {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    Fault::invalid(format!("it is {found} instead of {wanted}"))
}

/// Free text of at most `MAX` bytes, without NUL. Empty text is a value: it clears what was there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text<const MAX: usize>(String);

/// What a person wrote about a resource.
pub type Description = Text<255>;

/// What a program keeps with a resource, often JSON.
pub type Metadata = Text<4096>;

impl<const MAX: usize> Text<MAX> {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl<const MAX: usize> Described for Text<MAX> {
    fn schema(_: &mut Schemas) -> Value {
        // JSON schema counts characters; none is shorter than a byte, so longer ones are refused in any case.
        json!({"type": "string", "maxLength": MAX, "pattern": "^[^\\u0000]*$"})
    }
}

impl<const MAX: usize> Input for Text<MAX> {
    fn read(value: Value) -> Result<Self, Fault> {
        let text = text(value)?;
        match text.len() {
            len if len > MAX => Err(Fault::invalid(format!("it has {len} bytes, at most {MAX} are allowed"))),
            // PostgreSQL keeps no such text.
            _ if text.contains('\0') => Err(Fault::invalid("it has a NUL character")),
            _ => Ok(Text(text)),
        }
    }

    fn absent() -> Result<Self, Fault> {
        Ok(Text(String::new()))
    }

    fn is_unset(_: &Value) -> bool {
        false
    }
}

/// Text that must not be empty, of at most `MAX` bytes, without control characters: it stands in the lines of programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word<const MAX: usize>(String);

impl<const MAX: usize> Word<MAX> {
    /// A text that is known to fit: a default.
    pub(crate) fn known(text: &'static str) -> Self {
        Word(text.to_owned())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl<const MAX: usize> Described for Word<MAX> {
    fn schema(_: &mut Schemas) -> Value {
        json!({"type": "string", "minLength": 1, "maxLength": MAX, "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]+$"})
    }
}

impl<const MAX: usize> Input for Word<MAX> {
    fn read(value: Value) -> Result<Self, Fault> {
        let text = Text::<MAX>::read(value)?.0;
        if text.contains(char::is_control) {
            return Err(Fault::invalid("it has a control character"));
        }
        Ok(Word(text))
    }
}

/// A secret that is taken and never given back.
impl Described for SecretString {
    fn schema(_: &mut Schemas) -> Value {
        json!({"type": "string", "format": "password", "writeOnly": true, "minLength": 1, "maxLength": MAX_SECRET_LEN})
    }
}

/// Longest secret in bytes: a private RSA key of 16,384 bits in PEM has 13,000.
pub const MAX_SECRET_LEN: usize = 32 * 1024;

impl Input for SecretString {
    fn read(value: Value) -> Result<Self, Fault> {
        match text(value)? {
            text if text.len() > MAX_SECRET_LEN => {
                Err(Fault::invalid(format!("it is longer than {MAX_SECRET_LEN} bytes")))
            }
            text => Ok(text.into()),
        }
    }
}

/// An object of some kind.
impl Described for Value {
    fn schema(_: &mut Schemas) -> Value {
        json!({"type": "object"})
    }
}

impl Described for bool {
    fn schema(_: &mut Schemas) -> Value {
        json!({"type": "boolean"})
    }
}

impl Input for bool {
    fn read(value: Value) -> Result<Self, Fault> {
        value.as_bool().ok_or_else(|| wrong_type("true or false", &value))
    }
}

/// A switch for what this version does not do: it can only be off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unserved;

impl Described for Unserved {
    fn schema(_: &mut Schemas) -> Value {
        json!({"type": "boolean", "enum": [false]})
    }
}

impl Input for Unserved {
    fn read(value: Value) -> Result<Self, Fault> {
        match bool::read(value)? {
            false => Ok(Unserved),
            true => Err(Fault::invalid("this version of the server does not serve it; leave it out, or false")),
        }
    }

    fn absent() -> Result<Self, Fault> {
        Ok(Unserved)
    }
}

/// A whole number, which may be written as 5.0.
fn whole(value: &Value) -> Result<u64, Fault> {
    // Above this, numbers with a fraction have no place for one.
    const EXACT: f64 = (1_u64 << 53) as f64;
    let written = value.as_f64().filter(|number| number.fract() == 0.0 && (0.0..=EXACT).contains(number));
    match value.as_u64().or(written.map(|number| number as u64)) {
        Some(number) => Ok(number),
        None if value.is_number() => Err(Fault::invalid("it is not a whole number, or out of range")),
        None => Err(wrong_type("a number", value)),
    }
}

macro_rules! numbers {
    ($($type:ty)+) => {$(
        impl Described for $type {
            fn schema(_: &mut Schemas) -> Value {
                json!({"type": "integer", "minimum": 0, "maximum": <$type>::MAX})
            }
        }

        impl Input for $type {
            fn read(value: Value) -> Result<Self, Fault> {
                whole(&value)?.try_into().map_err(|_| Fault::invalid("the number is too large"))
            }
        }
    )+};
}

numbers!(u64 u32 u16);

impl Described for f64 {
    fn schema(_: &mut Schemas) -> Value {
        json!({"type": "number"})
    }
}

impl Described for String {
    fn schema(_: &mut Schemas) -> Value {
        json!({"type": "string"})
    }
}

impl<T: Described> Described for Option<T> {
    fn schema(schemas: &mut Schemas) -> Value {
        or_null(T::schema(schemas))
    }
}

impl<T: Input> Input for Option<T> {
    fn read(value: Value) -> Result<Self, Fault> {
        T::read(value).map(Some)
    }

    fn absent() -> Result<Self, Fault> {
        Ok(None)
    }

    fn is_unset(value: &Value) -> bool {
        T::is_unset(value)
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl<T: Described> Described for Vec<T> {
    fn schema(schemas: &mut Schemas) -> Value {
        json!({"type": "array", "items": T::schema(schemas)})
    }
}

impl<T: Input> Input for Vec<T> {
    fn read(value: Value) -> Result<Self, Fault> {
        entries(value, MAX_LIST_LEN)
    }

    fn absent() -> Result<Self, Fault> {
        Ok(Vec::new())
    }
}

fn entries<T: Input>(value: Value, max: usize) -> Result<Vec<T>, Fault> {
    let Value::Array(entries) = value else { return Err(wrong_type("a list", &value)) };
    if entries.len() > max {
        return Err(Fault::invalid(format!("it has more than {max} entries")));
    }
    let read = |(index, entry)| T::read(entry).map_err(|fault: Fault| fault.at(index));
    entries.into_iter().enumerate().map(read).collect()
}

/// A list with at least one entry and at most `MAX`. `[]` is the same as leaving it out: one client sends that in every change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Several<T, const MAX: usize = MAX_LIST_LEN>(Vec<T>);

impl<T, const MAX: usize> Several<T, MAX> {
    /// The entries.
    pub fn into_vec(self) -> Vec<T> {
        self.0
    }

    /// The entries.
    pub fn as_slice(&self) -> &[T] {
        &self.0
    }
}

impl<T: Described, const MAX: usize> Described for Several<T, MAX> {
    fn schema(schemas: &mut Schemas) -> Value {
        json!({"type": "array", "items": T::schema(schemas), "minItems": 1, "maxItems": MAX})
    }
}

impl<T: Input, const MAX: usize> Input for Several<T, MAX> {
    fn read(value: Value) -> Result<Self, Fault> {
        entries(value, MAX).map(Several)
    }

    fn is_unset(value: &Value) -> bool {
        value.as_array().is_some_and(Vec::is_empty)
    }
}

impl<T: Described> Described for BTreeMap<String, T> {
    fn schema(schemas: &mut Schemas) -> Value {
        json!({"type": "object", "additionalProperties": T::schema(schemas)})
    }
}

impl<T: Input> Input for BTreeMap<String, T> {
    fn read(value: Value) -> Result<Self, Fault> {
        let Value::Object(members) = value else { return Err(wrong_type("an object", &value)) };
        if members.len() > MAX_LIST_LEN {
            return Err(Fault::invalid(format!("it has more than {MAX_LIST_LEN} members")));
        }
        let read = |(key, value): (String, Value)| match T::read(value) {
            Ok(value) => Ok((key, value)),
            Err(fault) => Err(fault.in_field(&key.escape_debug().take(64).collect::<String>())),
        };
        members.into_iter().map(read).collect()
    }

    fn absent() -> Result<Self, Fault> {
        Ok(BTreeMap::new())
    }
}
