//! What can be wrong with a field of a message.

use portway_access::{AclError, CidrError};
use portway_codes::{Code, PublicError};
use portway_names::{EndpointUrlError, HostNameError, IdError, SchemeError, TokenError, WantedUrlError};

use crate::AddressError;

/// A field of a message that cannot be accepted, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {fault}")]
pub struct FieldError {
    /// The field as `proto/` names it.
    pub field: &'static str,
    /// What is wrong with it.
    pub fault: FieldFault,
}

/// Why a field cannot be accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldFault {
    /// It must be there.
    #[error("is missing")]
    Missing,
    /// More bytes than allowed.
    #[error("has {len} bytes, allowed are {limit}")]
    TooLong {
        /// Bytes it has.
        len: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Not the one length it can have.
    #[error("has {len} bytes, needed are {needed}")]
    Length {
        /// Bytes it has.
        len: usize,
        /// Bytes needed.
        needed: usize,
    },
    /// A number without meaning here.
    #[error("has the unknown value {0}")]
    Unknown(i64),
    /// An option that endpoints of this scheme do not have.
    #[error("does not apply to {0} endpoints")]
    NotForScheme(portway_names::Scheme),
    /// A URL that cannot be asked for.
    #[error(transparent)]
    WantedUrl(#[from] WantedUrlError),
    /// A URL that is none.
    #[error(transparent)]
    EndpointUrl(#[from] EndpointUrlError),
    /// A host that is none.
    #[error(transparent)]
    Host(#[from] HostNameError),
    /// An id that is none.
    #[error(transparent)]
    Id(#[from] IdError),
    /// A region or edge id that is none.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// An access rule that is none.
    #[error(transparent)]
    Acl(#[from] AclError),
    /// An address that is none.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A network that is none.
    #[error(transparent)]
    Network(#[from] CidrError),
}

impl FieldError {
    pub(crate) fn new(field: &'static str, fault: impl Into<FieldFault>) -> Self {
        Self { field, fault: fault.into() }
    }

    /// The public code for a [`BindRequest`](crate::BindRequest) that was refused for this reason.
    pub fn bind_code(&self) -> Code {
        match &self.fault {
            FieldFault::WantedUrl(error) => url_code(error),
            FieldFault::NotForScheme(_) | FieldFault::Unknown(_) | FieldFault::Host(_) => Code::ERR_PORTWAY_40004,
            _ => Code::ERR_NGROK_301,
        }
    }

    /// The refusal of a bind, for the user of the agent.
    pub fn to_bind_refusal(&self) -> PublicError {
        self.bind_code().with(format!("The endpoint cannot be opened: {self}. Change the endpoint's settings."))
    }
}

/// The public code for a URL of an endpoint that is none.
pub fn url_code(error: &WantedUrlError) -> Code {
    match error {
        WantedUrlError::Address => Code::ERR_NGROK_330,
        WantedUrlError::Url(EndpointUrlError::Scheme(SchemeError)) => Code::ERR_NGROK_332,
        WantedUrlError::Url(EndpointUrlError::Host(error)) => match error {
            HostNameError::BadCharacter(_) => Code::ERR_NGROK_327,
            HostNameError::TooLong | HostNameError::LabelTooLong => Code::ERR_NGROK_328,
            HostNameError::BadWildcard => Code::ERR_NGROK_329,
            HostNameError::EmptyLabel => Code::ERR_NGROK_331,
            HostNameError::Hyphen | HostNameError::Idna => Code::ERR_NGROK_355,
            HostNameError::NumericEnd | HostNameError::BadAddress => Code::ERR_NGROK_330,
            _ => Code::ERR_NGROK_326,
        },
        _ => Code::ERR_NGROK_326,
    }
}

/// The text, when it has at most `limit` bytes.
pub(crate) fn at_most(field: &'static str, text: String, limit: usize) -> Result<String, FieldError> {
    if text.len() > limit {
        return Err(FieldError::new(field, FieldFault::TooLong { len: text.len(), limit }));
    }
    Ok(text)
}

/// Reads a field that is text of something with a parser.
pub(crate) fn parse<T>(field: &'static str, text: &str) -> Result<T, FieldError>
where
    T: std::str::FromStr,
    FieldFault: From<T::Err>,
{
    text.parse().map_err(|error| FieldError::new(field, FieldFault::from(error)))
}

/// A number without meaning in a field that has a few.
pub(crate) fn unknown(field: &'static str, value: impl Into<i64>) -> FieldError {
    FieldError::new(field, FieldFault::Unknown(value.into()))
}
