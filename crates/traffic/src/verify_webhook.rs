//! `verify-webhook`: whether a request was really sent by the provider it claims to be from.

mod content;
mod mac;
mod own_ways;
mod provider;
mod timestamp;

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use http::{HeaderMap, Method};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use self::provider::{Provider, Scheme};
use crate::ConfigError;
use crate::headers::shown;

/// Bytes of a body that is read whole to verify it. Providers send kilobytes; a push of thousands of commits has a few megabytes.
pub const WEBHOOK_BODY_MAX: usize = 4 * 1024 * 1024;

/// How far the time in a signature may be from now, in seconds, either way: long enough for slow deliveries and clocks, too short for a replay
/// that somebody plans.
const TOLERANCE: u64 = 300;

/// Bytes of a secret. Public keys have about 124 characters.
const SECRET_MAX: usize = 1_024;

/// Configuration of `verify-webhook`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifyWebhookConfig {
    /// Name of the provider, such as `github`.
    pub provider: String,
    /// What the provider signs with: a signing secret, a token, or its public key.
    pub secret: SecretString,
    /// Whether requests that do not verify are refused. Default: true.
    #[serde(default = "crate::action::yes")]
    pub enforce: bool,
}

/// The compiled action.
#[derive(Clone)]
pub struct VerifyWebhook {
    provider: &'static Provider,
    scheme: &'static Scheme,
    secret: Secret,
    enforce: bool,
}

/// The secret in the forms that schemes use.
#[derive(Clone)]
struct Secret {
    mac: hmac::Key,
    /// SHA-256 of the text, for tokens that are sent as they are.
    digest: [u8; 32],
    /// A point of the curve P-256, for signatures that are none by a shared secret.
    public: Option<[u8; 65]>,
}

/// A request with its whole body, as it arrived.
#[derive(Clone, Copy, Debug)]
pub struct WebhookRequest<'a> {
    /// Its method.
    pub method: &'a Method,
    /// The URL as the provider called it: scheme, host as written, path and query.
    pub url: &'a str,
    /// Path and query of it.
    pub path_and_query: &'a str,
    /// Its header.
    pub headers: &'a HeaderMap,
    /// Its body.
    pub body: &'a [u8],
    /// Seconds since 1970 now.
    pub now: u64,
}

/// What is to be done with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookVerdict {
    /// Forward it.
    Pass,
    /// Refuse it: 403, or 401 where the provider checks that forged requests get that.
    Refuse {
        /// HTTP status.
        status: u16,
    },
    /// Answer it here: the provider asks whether the endpoint knows the secret.
    Answer(Challenge),
}

/// The answer to a provider's question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// Type of the body.
    pub content_type: &'static str,
    /// The body of a 200.
    pub body: String,
}

impl VerifyWebhook {
    /// Type of the action.
    pub const NAME: &str = "verify-webhook";

    /// Compiles the action.
    ///
    /// # Errors
    /// A provider that does not exist (2204) or whose scheme is not built (40004), an empty secret (2223), one that the provider cannot have
    /// given (2204).
    pub fn new(config: &VerifyWebhookConfig) -> Result<VerifyWebhook, ConfigError> {
        let Some(provider) = provider::find(&config.provider) else {
            let names: Vec<&str> = provider::built().collect();
            let why = format!(
                "no provider of webhooks is called {}; there are {}",
                shown(&config.provider),
                names.join(", ")
            );
            return Err(ConfigError::value(Self::NAME, "provider", why));
        };
        let Some(scheme) = &provider.scheme else {
            let why = format!("signatures of the provider {} cannot be verified here", provider.name);
            return Err(ConfigError::not_built(Self::NAME, "provider", why));
        };
        let text = config.secret.expose_secret();
        if text.trim().is_empty() {
            return Err(ConfigError::empty(Self::NAME, "secret"));
        }
        if text.len() > SECRET_MAX {
            return Err(ConfigError::value(Self::NAME, "secret", "it is longer than 1,024 bytes"));
        }
        let secret = scheme.secret(text).map_err(|why| ConfigError::value(Self::NAME, "secret", why))?;
        Ok(VerifyWebhook { provider, scheme, secret, enforce: config.enforce })
    }

    /// Decides about a request of which the body was not read yet (`body` is not looked at); `None` when it takes that. What shows no signature
    /// is not worth reading.
    pub fn decide_unread(&self, request: &WebhookRequest<'_>) -> Option<WebhookVerdict> {
        if let Some(answer) = self.scheme.unsigned_challenge(self.provider.name, &self.secret, request) {
            return Some(WebhookVerdict::Answer(answer));
        }
        (!self.scheme.is_signed(&self.secret, request)).then(|| self.unverified())
    }

    /// Decides about a request. The time it takes tells nothing about how much of a signature is right.
    pub fn decide(&self, request: &WebhookRequest<'_>) -> WebhookVerdict {
        if let Some(answer) = self.scheme.unsigned_challenge(self.provider.name, &self.secret, request) {
            return WebhookVerdict::Answer(answer);
        }
        if provider::is_message(self.provider.name, request.body) && self.scheme.verifies(&self.secret, request) {
            let answer = provider::signed_challenge(self.provider.name, &self.secret, request);
            return answer.map_or(WebhookVerdict::Pass, WebhookVerdict::Answer);
        }
        self.unverified()
    }

    fn unverified(&self) -> WebhookVerdict {
        match self.enforce {
            // Xero sends forged requests on purpose and wants to see 401.
            true => WebhookVerdict::Refuse { status: if self.provider.name == "xero" { 401 } else { 403 } },
            false => WebhookVerdict::Pass,
        }
    }
}

impl fmt::Debug for VerifyWebhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyWebhook").field("provider", &self.provider.name).finish_non_exhaustive()
    }
}

/// Whether a time is near enough to now.
fn is_fresh(then: Option<u64>, now: u64) -> bool {
    then.is_some_and(|then| now.abs_diff(then) <= TOLERANCE)
}

/// The one value of a field. Of a field given twice nobody knows which counts.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let (value, more) = (values.next()?, values.next());
    value.to_str().ok().filter(|_| more.is_none())
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

#[cfg(test)]
mod tests;
