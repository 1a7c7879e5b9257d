//! What is wrong with a value of a request, on its way up to the error that the caller sees.

use std::fmt;

use portway_codes::{Code, PublicError};

/// What is wrong with a value. Each object that the value stands in adds its field's name to the path and may set the code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Path of the field, as in `target.kinesis.auth` or `sources[2].type`; empty for the whole body.
    pub path: String,
    /// The public code, when somebody chose one already; 215 otherwise.
    pub code: Option<Code>,
    /// What kind of fault it is.
    pub kind: FaultKind,
    /// What is wrong, without a full stop. It never repeats a secret.
    pub why: String,
}

/// What kind of fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// A field that must be there is not.
    Missing,
    /// A field is there that nobody knows, or that has no place here.
    Unwanted,
    /// A value of the wrong type, or one that breaks a rule.
    Invalid,
}

impl Fault {
    /// A field that must be there and is not.
    pub fn missing() -> Fault {
        Fault { path: String::new(), code: None, kind: FaultKind::Missing, why: "it is missing".to_owned() }
    }

    /// A value that breaks a rule.
    pub fn invalid(why: impl Into<String>) -> Fault {
        Fault { path: String::new(), code: None, kind: FaultKind::Invalid, why: why.into() }
    }

    /// A value that breaks a rule which has a code of its own.
    pub fn coded(code: Code, why: impl Into<String>) -> Fault {
        Fault { code: Some(code), ..Fault::invalid(why) }
    }

    /// A field that has no place here.
    pub(crate) fn unwanted(code: Code, path: &str, why: impl Into<String>) -> Fault {
        Fault { path: path.to_owned(), code: Some(code), kind: FaultKind::Unwanted, why: why.into() }
    }

    /// The same fault, seen from the object that has the value in this field.
    pub(crate) fn in_field(mut self, name: &str) -> Fault {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{name}{dot}{}", self.path);
        self
    }

    /// The same fault, seen from the list that has the value at this place.
    pub(crate) fn at(self, index: usize) -> Fault {
        self.in_field(&format!("[{index}]"))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => write!(f, "The body of the request cannot be used: {}.", self.why),
            path => write!(f, "The field \"{path}\" cannot be used: {}.", self.why),
        }
    }
}

impl std::error::Error for Fault {}

impl From<Fault> for PublicError {
    fn from(fault: Fault) -> PublicError {
        fault.code.unwrap_or(Code::ERR_NGROK_215).with(fault.to_string())
    }
}
