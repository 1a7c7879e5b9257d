//! The objects by which ngrok's SDKs ask for actions, and their conversion.
//!
//! They stand in the options of a bind, under names such as `BasicAuth`, with the fields of ngrok's messages in them. Where an option has a field
//! that cannot be done here, the bind is refused and the field named; nothing is accepted and ignored.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use portway_codes::{Code, PublicError};
use portway_names::Scheme;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

use crate::headers::{check_count, entry, removable};
use crate::{
    Actions, BasicAuthConfig, CircuitBreakerConfig, CompressResponse, CompressResponseConfig, ConfigError,
    HeaderChange, Phase, RestrictIps, RestrictIpsConfig, TerminateTls, TerminateTlsConfig, UserAgentFilter,
    UserAgentFilterConfig, VerifyWebhook, VerifyWebhookConfig,
};

/// Headers that one option may add or remove. The SDKs have no limit; each entry costs a little of every message.
const HEADERS_MAX: usize = 64;

/// All options together. Other fields of the object that it is read from are not looked at.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Middleware {
    /// Responses are compressed with gzip.
    #[serde(alias = "Compression")]
    pub compression: Option<Compression>,
    /// Requests are held off an upstream that fails.
    #[serde(alias = "CircuitBreaker")]
    pub circuit_breaker: Option<CircuitBreaker>,
    /// Where visitors may come from.
    #[serde(alias = "IPRestriction")]
    pub ip_restriction: Option<IpRestriction>,
    /// Who must log in.
    #[serde(alias = "BasicAuth")]
    pub basic_auth: Option<BasicAuth>,
    /// Whose webhooks are accepted.
    #[serde(alias = "WebhookVerification")]
    pub webhook_verification: Option<WebhookVerification>,
    /// Who must have issued the visitor's certificate.
    #[serde(alias = "MutualTLSCA", alias = "MutualTLSAtEdge")]
    pub mutual_tls: Option<MutualTls>,
    /// TLS of a tls endpoint ends at the edge.
    #[serde(alias = "TLSTermination")]
    pub tls_termination: Option<TlsTermination>,
    /// What changes in the header of requests.
    #[serde(alias = "RequestHeaders")]
    pub request_headers: Option<Headers>,
    /// What changes in the header of responses.
    #[serde(alias = "ResponseHeaders")]
    pub response_headers: Option<Headers>,
    /// Visitors speak WebSocket, the upstream gets what is inside.
    #[serde(alias = "WebsocketTCPConverter")]
    pub websocket_tcp_converter: Option<WebsocketTcpConverter>,
    /// Which programs may come.
    #[serde(alias = "UserAgentFilter")]
    pub user_agent_filter: Option<UserAgents>,
}

/// `compression`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compression {}

/// `websocket_tcp_converter`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebsocketTcpConverter {}

/// `circuit_breaker`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CircuitBreaker {
    /// Ratio of failures at which it trips, 0 to 1. Default: 0.5.
    pub error_threshold: Option<f64>,
}

/// `ip_restriction`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IpRestriction {
    /// Networks that visitors may come from.
    #[serde(deserialize_with = "or_default")]
    pub allow_cidrs: Vec<String>,
    /// Networks that visitors may not come from.
    #[serde(deserialize_with = "or_default")]
    pub deny_cidrs: Vec<String>,
}

/// `basic_auth`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BasicAuth {
    /// User names with their passwords.
    #[serde(deserialize_with = "or_default")]
    pub credentials: Vec<Credential>,
}

/// One of `basic_auth.credentials`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Credential {
    /// The user name.
    #[serde(deserialize_with = "or_default")]
    pub username: String,
    /// The password.
    pub cleartext_password: Option<SecretString>,
    /// Refused: it is not said how it was hashed.
    pub hashed_password: Option<SecretString>,
}

/// `webhook_verification`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebhookVerification {
    /// Name of the provider.
    #[serde(deserialize_with = "or_default")]
    pub provider: String,
    /// What the provider signs with.
    pub secret: Option<SecretString>,
    /// Refused: only ngrok can open it.
    pub sealed_secret: Option<SecretString>,
}

/// `mutual_tls`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MutualTls {
    /// Authorities, base64 of PEM.
    #[serde(deserialize_with = "or_default")]
    pub mutual_tls_ca: String,
}

/// `tls_termination`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsTermination {
    /// Certificate and chain, base64 of PEM. Default: the edge's own for the name.
    #[serde(deserialize_with = "or_default")]
    pub cert: String,
    /// Its key, base64 of PEM.
    pub key: Option<SecretString>,
    /// Refused: only ngrok can open it.
    pub sealed_key: Option<SecretString>,
}

/// `request_headers` and `response_headers`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Headers {
    /// What is added: `name:value`.
    #[serde(deserialize_with = "or_default")]
    pub add: Vec<String>,
    /// Names of what is removed. That happens before anything is added.
    #[serde(deserialize_with = "or_default")]
    pub remove: Vec<String>,
    /// Not used by any SDK; refused when there is something in it.
    #[serde(rename = "addParsed", deserialize_with = "or_default")]
    pub add_parsed: serde_json::Map<String, serde_json::Value>,
}

/// `user_agent_filter`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UserAgents {
    /// Regular expressions.
    #[serde(deserialize_with = "or_default")]
    pub allow: Vec<String>,
    /// Regular expressions.
    #[serde(deserialize_with = "or_default")]
    pub deny: Vec<String>,
}

impl Middleware {
    /// The actions that an endpoint of this scheme shall have.
    ///
    /// # Errors
    /// What the actions refuse, with the codes of agents where there are such (359 to 362, 14001, 14002); options that are not built (40004);
    /// options that endpoints of the scheme cannot have (2205).
    pub fn into_actions(self, scheme: Scheme) -> Result<Actions, PublicError> {
        let mut actions = Actions::default();
        if let Some(Compression {}) = self.compression {
            let config = CompressResponseConfig { algorithms: Some(vec!["gzip".to_owned()]) };
            actions.compress_response = Some(CompressResponse::new(&config)?);
        }
        actions.circuit_breaker = self.circuit_breaker.map(CircuitBreaker::compile).transpose()?;
        actions.restrict_ips.extend(self.ip_restriction.map(IpRestriction::compile).transpose()?);
        actions.basic_auth = self.basic_auth.map(BasicAuth::compile).transpose()?;
        actions.verify_webhook = self.webhook_verification.map(WebhookVerification::compile).transpose()?;
        actions.terminate_tls = terminate_tls(self.mutual_tls, self.tls_termination)?;
        for (phase, headers) in
            [(Phase::HttpRequest, self.request_headers), (Phase::HttpResponse, self.response_headers)]
        {
            for change in headers.map(Headers::compile).transpose()?.into_iter().flatten() {
                actions.change_headers(phase, change)?;
            }
        }
        actions.websocket_tcp_converter = self.websocket_tcp_converter.is_some();
        if let Some(UserAgents { allow, deny }) = self.user_agent_filter {
            actions.user_agent_filter = Some(UserAgentFilter::new(&UserAgentFilterConfig { allow, deny })?);
        }
        actions.check_scheme(scheme)?;
        Ok(actions)
    }
}

impl CircuitBreaker {
    fn compile(self) -> Result<crate::CircuitBreaker, ConfigError> {
        let default = CircuitBreakerConfig::default();
        let error_threshold = self.error_threshold.unwrap_or(default.error_threshold);
        crate::CircuitBreaker::new(&CircuitBreakerConfig { error_threshold, ..default })
    }
}

impl IpRestriction {
    fn compile(self) -> Result<RestrictIps, ConfigError> {
        let config = RestrictIpsConfig {
            allow: self.allow_cidrs,
            deny: self.deny_cidrs,
            ip_policies: Vec::new(),
            enforce: true,
        };
        RestrictIps::new(&config).map_err(|error| match error.code {
            Code::ERR_NGROK_2217 => ConfigError { code: Code::ERR_NGROK_362, ..error },
            _ => error,
        })
    }
}

impl BasicAuth {
    fn compile(self) -> Result<crate::BasicAuth, ConfigError> {
        let mut credentials = Vec::with_capacity(self.credentials.len());
        for (at, credential) in self.credentials.into_iter().enumerate() {
            if given(&credential.hashed_password) {
                let field = format!("credentials[{at}].hashed_password");
                let why = "hashed passwords are not available here; give cleartext_password";
                return Err(ConfigError::not_built(crate::BasicAuth::NAME, field, why));
            }
            if credential.username.contains(':') {
                let field = format!("credentials[{at}].username");
                return Err(ConfigError::value(crate::BasicAuth::NAME, field, "a user name cannot have a colon"));
            }
            let password = credential.cleartext_password.unwrap_or_default();
            credentials.push(format!("{}:{}", credential.username, password.expose_secret()).into());
        }
        crate::BasicAuth::new(&BasicAuthConfig { credentials, realm: None, enforce: true })
    }
}

impl WebhookVerification {
    fn compile(self) -> Result<Box<VerifyWebhook>, ConfigError> {
        sealed(VerifyWebhook::NAME, "sealed_secret", &self.sealed_secret)?;
        let config = VerifyWebhookConfig {
            provider: self.provider.to_ascii_lowercase(),
            secret: self.secret.unwrap_or_default(),
            enforce: true,
        };
        VerifyWebhook::new(&config).map(Box::new)
    }
}

impl Headers {
    fn compile(self) -> Result<Vec<HeaderChange>, ConfigError> {
        if !self.add_parsed.is_empty() {
            return Err(ConfigError::not_built(HeaderChange::ADD, "addParsed", "only add is available here"));
        }
        let mut changes = Vec::new();
        if !self.remove.is_empty() {
            check_count(HeaderChange::REMOVE, self.remove.len(), HEADERS_MAX)?;
            let names = self.remove.iter().enumerate().map(|(at, name)| removable(format!("remove[{at}]"), name));
            changes.push(HeaderChange::Remove(names.collect::<Result<_, _>>()?));
        }
        if !self.add.is_empty() {
            check_count(HeaderChange::ADD, self.add.len(), HEADERS_MAX)?;
            let entries = self.add.iter().enumerate().map(|(at, text)| {
                let field = format!("add[{at}]");
                match text.split_once(':') {
                    Some((name, value)) => entry(field, name, value),
                    None => Err(ConfigError::value(HeaderChange::ADD, field, "it is not of the form name:value")),
                }
            });
            changes.push(HeaderChange::Add(entries.collect::<Result<_, _>>()?));
        }
        Ok(changes)
    }
}

/// Mutual TLS and a certificate of the endpoint's own are one action.
fn terminate_tls(
    mutual: Option<MutualTls>,
    termination: Option<TlsTermination>,
) -> Result<Option<Box<TerminateTls>>, ConfigError> {
    if mutual.is_none() && termination.is_none() {
        return Ok(None);
    }
    let mut config = TerminateTlsConfig::default();
    if let Some(mutual) = mutual {
        let pem = from_base64(Code::ERR_NGROK_14002, "mutual_tls_ca", &mutual.mutual_tls_ca)?;
        config.mutual_tls_certificate_authorities = vec![pem];
    }
    if let Some(termination) = termination {
        sealed(TerminateTls::NAME, "sealed_key", &termination.sealed_key)?;
        let key = termination.key.unwrap_or_default();
        if !termination.cert.is_empty() || !key.expose_secret().is_empty() {
            let code = Code::ERR_NGROK_14001;
            config.server_certificate = Some(from_base64(code, "cert", &termination.cert)?);
            config.server_private_key = Some(from_base64(code, "key", key.expose_secret())?.into());
        }
    }
    TerminateTls::new(&config).map(Box::new).map(Some)
}

fn from_base64(code: Code, field: &str, text: &str) -> Result<String, ConfigError> {
    let decoded = STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let fault = || ConfigError::new(code, TerminateTls::NAME, field, "it is not base64 of a PEM text");
    decoded.filter(|pem| !pem.is_empty()).ok_or_else(fault)
}

/// Refuses what is sealed for ngrok.
fn sealed(action: &'static str, field: &str, value: &Option<SecretString>) -> Result<(), ConfigError> {
    if given(value) {
        return Err(ConfigError::not_built(
            action,
            field,
            "sealed secrets are not available here; give it in the clear",
        ));
    }
    Ok(())
}

fn given(value: &Option<SecretString>) -> bool {
    value.as_ref().is_some_and(|value| !value.expose_secret().is_empty())
}

/// `null` means what a missing field means.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests;
