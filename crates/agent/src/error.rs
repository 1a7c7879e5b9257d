//! Why an agent cannot connect, and why an endpoint cannot be.

use std::time::Duration;

use portway_mux::DialError;

/// Why [`AgentBuilder::connect`](crate::AgentBuilder::connect) failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The connect URL is missing or cannot be read.
    #[error("the connect URL {url:?} cannot be used: {reason}; give host:port, for example connect.example.com:443")]
    ConnectUrl {
        /// What was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The proxy URL cannot be read.
    #[error("the proxy URL {url:?} cannot be used: {reason}")]
    ProxyUrl {
        /// What was given, without its password.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The region is no name of a region.
    #[error(
        "the region {region:?} cannot be used: {reason}; give one of the installation's, or leave it out for the fastest"
    )]
    Region {
        /// What was given.
        region: String,
        /// What is wrong with it.
        reason: portway_names::TokenError,
    },
    /// The installation has no such region.
    #[error(
        "the region {region} is not one of this installation, which has {}; choose one, or leave the region out for the fastest",
        offered.join(", ")
    )]
    RegionNotOffered {
        /// What was given.
        region: String,
        /// What there is.
        offered: Vec<String>,
    },
    /// The certificates to trust cannot be read.
    #[error("the certificates to trust cannot be used: {0}")]
    Roots(#[source] portway_tls::RootsError),
    /// The metadata is longer than the protocol allows.
    #[error("the metadata has {length} bytes; {limit} are allowed")]
    MetadataTooLong {
        /// Bytes given.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The edge was not reached.
    #[error("{0}")]
    Dial(#[source] DialError),
    /// The edge was reached but did not speak the agent protocol to the end of the greeting.
    #[error("{0}")]
    Handshake(String),
    /// The edge did not answer the greeting in time.
    #[error("the edge did not answer the greeting within {} s", .0.as_secs())]
    HandshakeTimeout(Duration),
    /// The edge refused the session.
    #[error("{text}\n\n{code}")]
    Refused {
        /// Public code, for example `ERR_NGROK_107`.
        code: String,
        /// What failed, why, what to do.
        text: String,
        /// Whether trying again with the same credentials can succeed.
        retryable: bool,
    },
    /// The agent was closed meanwhile.
    #[error("the agent is closed")]
    Closed,
}

impl ConnectError {
    /// Whether the same call can succeed later without the caller changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Dial(error) => !crate::carrier::is_permanent(error),
            Self::Handshake(_) | Self::HandshakeTimeout(_) => true,
            Self::Refused { retryable, .. } => *retryable,
            Self::ConnectUrl { .. }
            | Self::ProxyUrl { .. }
            | Self::Region { .. }
            | Self::RegionNotOffered { .. }
            | Self::Roots(_)
            | Self::MetadataTooLong { .. }
            | Self::Closed => false,
        }
    }

    /// The error on one line, for logs and status lines.
    pub(crate) fn one_line(&self) -> String {
        match self {
            Self::Refused { code, text, .. } => format!("{text} {code}"),
            other => other.to_string(),
        }
    }
}

/// Why an endpoint cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The wanted URL cannot be read or does not fit the kind of endpoint.
    #[error("the URL {url:?} cannot be used: {reason}")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The upstream address cannot be read.
    #[error(transparent)]
    Upstream(#[from] crate::UpstreamError),
    /// An option that this kind of endpoint does not have.
    #[error("{option} has no meaning for a {scheme} endpoint; leave it out")]
    Option {
        /// The option.
        option: &'static str,
        /// The kind of endpoint.
        scheme: portway_names::Scheme,
    },
    /// A text is longer than the protocol allows.
    #[error("the {what} has {length} bytes; {limit} are allowed")]
    TooLong {
        /// Which text.
        what: &'static str,
        /// Bytes given.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The edge refused the endpoint.
    #[error("{text}\n\n{code}")]
    Refused {
        /// Public code, for example `ERR_NGROK_334`.
        code: String,
        /// What failed, why, what to do.
        text: String,
        /// Whether the same request may succeed later.
        retryable: bool,
    },
    /// The agent was closed.
    #[error("the agent is closed")]
    Closed,
}
