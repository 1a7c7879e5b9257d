//! What endpoints do with traffic: actions under the names of ngrok's Traffic Policy, their configurations, and what they decide.
//!
//! It never carries anything out: requests, addresses and the time are arguments, the answer is a value. A configuration becomes a
//! compiled action once, with every limit checked; deciding cannot fail.

mod action;
mod basic_auth;
mod circuit_breaker;
mod compress_response;
mod config_error;
mod duration;
mod headers;
// Public as a whole: its types have the names of the actions that they ask for.
pub mod middleware;
mod restrict_ips;
mod terminate_tls;
mod user_agent_filter;
mod verify_webhook;

pub use action::{Action, Actions, Phase};
pub use basic_auth::{BasicAuth, BasicAuthConfig};
pub use circuit_breaker::{Breaker, CircuitBreaker, CircuitBreakerConfig, Outcome, Ticket};
pub use compress_response::{Algorithm, CompressResponse, CompressResponseConfig, Compression, adapt_headers};
pub use config_error::ConfigError;
pub use duration::GoDuration;
pub use headers::{AddHeadersConfig, HeaderChange, RemoveHeadersConfig, RequestHeaders};
pub use restrict_ips::{RestrictIps, RestrictIpsConfig};
pub use terminate_tls::{
    ClientAuthorities, PEM_MAX, TerminateTls, TerminateTlsConfig, TlsKeyPair, TlsVersion, VerificationStrategy,
};
pub use user_agent_filter::{UserAgentFilter, UserAgentFilterConfig};
pub use verify_webhook::{
    Challenge, VerifyWebhook, VerifyWebhookConfig, WEBHOOK_BODY_MAX, WebhookRequest, WebhookVerdict,
};
