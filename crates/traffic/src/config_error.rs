//! Why a configuration makes no action.

use std::fmt;

use portway_codes::{Code, PublicError};

/// What is wrong with the configuration of an action. It says the action and the field, never a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The public code.
    pub code: Code,
    /// Type of the action.
    pub action: &'static str,
    /// Path of the field in the configuration, as in `credentials[2]`; empty when the whole is meant.
    pub field: String,
    /// What is wrong with it, without a full stop.
    pub why: String,
}

impl ConfigError {
    pub(crate) fn new(
        code: Code,
        action: &'static str,
        field: impl Into<String>,
        why: impl Into<String>,
    ) -> ConfigError {
        ConfigError { code, action, field: field.into(), why: why.into() }
    }

    /// A value that is not allowed.
    pub(crate) fn value(action: &'static str, field: impl Into<String>, why: impl Into<String>) -> ConfigError {
        ConfigError::new(Code::ERR_NGROK_2204, action, field, why)
    }

    /// More entries than `max`.
    pub(crate) fn too_many(action: &'static str, field: &str, max: usize) -> ConfigError {
        ConfigError::new(Code::ERR_NGROK_2218, action, field, format!("there are more than {max} entries"))
    }

    /// Nothing where something must be.
    pub(crate) fn empty(action: &'static str, field: impl Into<String>) -> ConfigError {
        ConfigError::new(Code::ERR_NGROK_2223, action, field, "it is empty")
    }

    /// Something that is known, and not built.
    pub(crate) fn not_built(action: &'static str, field: impl Into<String>, why: impl Into<String>) -> ConfigError {
        ConfigError::new(Code::ERR_PORTWAY_40004, action, field, why)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let action = self.action;
        match self.field.as_str() {
            "" => write!(f, "The action {action} cannot be used: {}.", self.why),
            field => write!(f, "The action {action} cannot be used: {field}: {}.", self.why),
        }
    }
}

impl std::error::Error for ConfigError {}

impl From<ConfigError> for PublicError {
    fn from(error: ConfigError) -> PublicError {
        error.code.with(error.to_string())
    }
}
