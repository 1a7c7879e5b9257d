//! Which agent process it is.

use std::fmt;

use bytes::Bytes;

use crate::{FieldError, FieldFault};

/// 16 random bytes made once per agent process. Sessions of one account with the same agent id are the same agent, so a newer one may
/// take over what an older one serves.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentId([u8; 16]);

impl AgentId {
    /// The id made of these bytes, which should be random.
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The bytes as a field of a message.
    pub(crate) fn to_field(self) -> Bytes {
        Bytes::copy_from_slice(&self.0)
    }

    pub(crate) fn from_field(field: &'static str, bytes: &[u8]) -> Result<Self, FieldError> {
        bytes
            .try_into()
            .map(Self)
            .map_err(|_| FieldError::new(field, FieldFault::Length { len: bytes.len(), needed: 16 }))
    }
}

impl From<[u8; 16]> for AgentId {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl From<AgentId> for [u8; 16] {
    fn from(id: AgentId) -> Self {
        id.0
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
