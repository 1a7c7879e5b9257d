//! All actions of an endpoint together.

use portway_codes::Code;
use portway_names::Scheme;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::headers;
use crate::{
    AddHeadersConfig, BasicAuth, BasicAuthConfig, CircuitBreaker, CircuitBreakerConfig, CompressResponse,
    CompressResponseConfig, ConfigError, HeaderChange, RemoveHeadersConfig, RequestHeaders, RestrictIps,
    RestrictIpsConfig, TerminateTls, TerminateTlsConfig, UserAgentFilter, UserAgentFilterConfig, VerifyWebhook,
    VerifyWebhookConfig,
};

/// Header changes of one direction. Each costs a little of every message.
const CHANGES_MAX: usize = 32;

/// When an action runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// A connection was made.
    TcpConnect,
    /// The head of a request is there.
    HttpRequest,
    /// The head of the upstream's response is there.
    HttpResponse,
}

impl Phase {
    /// Its name in policies.
    pub fn name(self) -> &'static str {
        match self {
            Phase::TcpConnect => "on_tcp_connect",
            Phase::HttpRequest => "on_http_request",
            Phase::HttpResponse => "on_http_response",
        }
    }
}

/// One compiled action.
#[derive(Clone, Debug)]
pub enum Action {
    /// `restrict-ips`.
    RestrictIps(RestrictIps),
    /// `user-agent-filter`.
    UserAgentFilter(UserAgentFilter),
    /// `basic-auth`.
    BasicAuth(BasicAuth),
    /// `verify-webhook`.
    VerifyWebhook(Box<VerifyWebhook>),
    /// `circuit-breaker`.
    CircuitBreaker(CircuitBreaker),
    /// `add-headers` or `remove-headers`.
    Headers(HeaderChange),
    /// `compress-response`.
    CompressResponse(CompressResponse),
    /// `websocket-tcp-converter`.
    WebsocketTcpConverter,
    /// `terminate-tls`.
    TerminateTls(Box<TerminateTls>),
}

/// An action without fields.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

const WEBSOCKET: &str = "websocket-tcp-converter";

impl Action {
    /// Compiles an action from its type and its configuration, as policies have them. `Value::Null` is a configuration without fields.
    ///
    /// # Errors
    /// An unknown type (2201), a configuration that cannot be read, with unknown or missing fields (2203), and what the actions refuse.
    pub fn new(kind: &str, config: &Value) -> Result<Action, ConfigError> {
        Ok(match kind {
            RestrictIps::NAME => {
                let config: RestrictIpsConfig = read(RestrictIps::NAME, config)?;
                Action::RestrictIps(RestrictIps::new(&config)?)
            }
            UserAgentFilter::NAME => {
                let config: UserAgentFilterConfig = read(UserAgentFilter::NAME, config)?;
                Action::UserAgentFilter(UserAgentFilter::new(&config)?)
            }
            BasicAuth::NAME => {
                let config: BasicAuthConfig = read(BasicAuth::NAME, config)?;
                Action::BasicAuth(BasicAuth::new(&config)?)
            }
            VerifyWebhook::NAME => {
                let config: VerifyWebhookConfig = read(VerifyWebhook::NAME, config)?;
                Action::VerifyWebhook(Box::new(VerifyWebhook::new(&config)?))
            }
            CircuitBreaker::NAME => {
                let config: CircuitBreakerConfig = read(CircuitBreaker::NAME, config)?;
                Action::CircuitBreaker(CircuitBreaker::new(&config)?)
            }
            HeaderChange::ADD => {
                let config: AddHeadersConfig = read(HeaderChange::ADD, config)?;
                Action::Headers(HeaderChange::add(&config)?)
            }
            HeaderChange::REMOVE => {
                let config: RemoveHeadersConfig = read(HeaderChange::REMOVE, config)?;
                Action::Headers(HeaderChange::remove(&config)?)
            }
            CompressResponse::NAME => {
                let config: CompressResponseConfig = read(CompressResponse::NAME, config)?;
                Action::CompressResponse(CompressResponse::new(&config)?)
            }
            WEBSOCKET => {
                let Nothing {} = read(WEBSOCKET, config)?;
                Action::WebsocketTcpConverter
            }
            TerminateTls::NAME => {
                let config: TerminateTlsConfig = read(TerminateTls::NAME, config)?;
                Action::TerminateTls(Box::new(TerminateTls::new(&config)?))
            }
            _ => {
                let shown: String = kind.chars().take(64).filter(|c| !c.is_control()).collect();
                let why = format!("there is no action of the type {shown}");
                return Err(ConfigError::new(Code::ERR_NGROK_2201, "of unknown type", "", why));
            }
        })
    }

    /// Type of the action.
    pub fn name(&self) -> &'static str {
        match self {
            Action::RestrictIps(_) => RestrictIps::NAME,
            Action::UserAgentFilter(_) => UserAgentFilter::NAME,
            Action::BasicAuth(_) => BasicAuth::NAME,
            Action::VerifyWebhook(_) => VerifyWebhook::NAME,
            Action::CircuitBreaker(_) => CircuitBreaker::NAME,
            Action::Headers(HeaderChange::Add(_)) => HeaderChange::ADD,
            Action::Headers(HeaderChange::Remove(_)) => HeaderChange::REMOVE,
            Action::CompressResponse(_) => CompressResponse::NAME,
            Action::WebsocketTcpConverter => WEBSOCKET,
            Action::TerminateTls(_) => TerminateTls::NAME,
        }
    }

    fn runs_in(&self, phase: Phase) -> bool {
        match self {
            Action::RestrictIps(_) => phase != Phase::HttpResponse,
            Action::TerminateTls(_) => phase == Phase::TcpConnect,
            Action::Headers(_) => phase != Phase::TcpConnect,
            Action::CompressResponse(_) => phase == Phase::HttpResponse,
            Action::UserAgentFilter(_)
            | Action::BasicAuth(_)
            | Action::VerifyWebhook(_)
            | Action::CircuitBreaker(_)
            | Action::WebsocketTcpConverter => phase == Phase::HttpRequest,
        }
    }
}

/// What an endpoint does with all of its traffic, compiled. They run in the order of the fields, whatever order they were added in.
#[derive(Clone, Debug, Default)]
pub struct Actions {
    /// How TLS ends.
    pub terminate_tls: Option<Box<TerminateTls>>,
    /// Who may come; each must permit a visitor.
    pub restrict_ips: Vec<RestrictIps>,
    /// Which programs may come.
    pub user_agent_filter: Option<UserAgentFilter>,
    /// Who must log in.
    pub basic_auth: Option<BasicAuth>,
    /// Whose webhooks are accepted.
    pub verify_webhook: Option<Box<VerifyWebhook>>,
    /// When the upstream is left alone.
    pub circuit_breaker: Option<CircuitBreaker>,
    /// Visitors speak WebSocket, the upstream gets what is inside.
    pub websocket_tcp_converter: bool,
    /// What changes in the header of requests.
    pub request_headers: RequestHeaders,
    /// What changes in the header of responses.
    pub response_headers: Vec<HeaderChange>,
    /// How responses are compressed.
    pub compress_response: Option<CompressResponse>,
}

impl Actions {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.terminate_tls.is_none() && self.restrict_ips.is_empty() && self.first_of_http().is_none()
    }

    /// Adds an action.
    ///
    /// # Errors
    /// A phase that does not have it (2202), a second one of a kind that can be there once, or too many header changes (2218), header changes of
    /// more than 16 KiB together (2204).
    pub fn add(&mut self, phase: Phase, action: Action) -> Result<(), ConfigError> {
        let name = action.name();
        if !action.runs_in(phase) {
            let why = format!("it cannot be used in {}", phase.name());
            return Err(ConfigError::new(Code::ERR_NGROK_2202, name, "", why));
        }
        let once = |there: bool| {
            let again = ConfigError::new(Code::ERR_NGROK_2218, name, "", "the endpoint has one already");
            if there { Err(again) } else { Ok(()) }
        };
        match action {
            Action::RestrictIps(action) if self.restrict_ips.len() < CHANGES_MAX => self.restrict_ips.push(action),
            Action::RestrictIps(_) => return Err(ConfigError::too_many(name, "", CHANGES_MAX)),
            Action::UserAgentFilter(action) => once(self.user_agent_filter.replace(action).is_some())?,
            Action::BasicAuth(action) => once(self.basic_auth.replace(action).is_some())?,
            Action::VerifyWebhook(action) => once(self.verify_webhook.replace(action).is_some())?,
            Action::CircuitBreaker(action) => once(self.circuit_breaker.replace(action).is_some())?,
            Action::CompressResponse(action) => once(self.compress_response.replace(action).is_some())?,
            Action::TerminateTls(action) => once(self.terminate_tls.replace(action).is_some())?,
            Action::WebsocketTcpConverter => once(std::mem::replace(&mut self.websocket_tcp_converter, true))?,
            Action::Headers(change) => {
                let changes = match phase {
                    Phase::HttpRequest => self.request_headers.len(),
                    _ => self.response_headers.len(),
                };
                if changes >= CHANGES_MAX {
                    return Err(ConfigError::too_many(name, "", CHANGES_MAX));
                }
                self.change_headers(phase, change)?;
            }
        }
        Ok(())
    }

    /// Adds a change of requests' headers, or of responses'.
    pub(crate) fn change_headers(&mut self, phase: Phase, change: HeaderChange) -> Result<(), ConfigError> {
        let there = match phase {
            Phase::HttpRequest => self.request_headers.size(),
            _ => self.response_headers.iter().map(HeaderChange::size).sum(),
        };
        if there + change.size() > headers::BYTES_MAX {
            return Err(headers::too_large());
        }
        match phase {
            Phase::HttpRequest => self.request_headers.push(change),
            _ => self.response_headers.push(change),
        }
        Ok(())
    }

    /// Whether endpoints of this scheme can have these actions.
    ///
    /// # Errors
    /// 2205, naming the first action that cannot be.
    pub fn check_scheme(&self, scheme: Scheme) -> Result<(), ConfigError> {
        let http = matches!(scheme, Scheme::Http | Scheme::Https);
        let wrong = match self.first_of_http() {
            Some(name) if !http => Some(name),
            _ if self.terminate_tls.is_some() && !matches!(scheme, Scheme::Https | Scheme::Tls) => {
                Some(TerminateTls::NAME)
            }
            _ => None,
        };
        match wrong {
            None => Ok(()),
            Some(name) => {
                let why = format!("endpoints of the protocol {scheme} cannot have it");
                Err(ConfigError::new(Code::ERR_NGROK_2205, name, "", why))
            }
        }
    }

    /// An action on HTTP, when there is one.
    fn first_of_http(&self) -> Option<&'static str> {
        let all = [
            (self.user_agent_filter.is_some(), UserAgentFilter::NAME),
            (self.basic_auth.is_some(), BasicAuth::NAME),
            (self.verify_webhook.is_some(), VerifyWebhook::NAME),
            (self.circuit_breaker.is_some(), CircuitBreaker::NAME),
            (self.websocket_tcp_converter, WEBSOCKET),
            (!self.request_headers.is_empty() || !self.response_headers.is_empty(), HeaderChange::ADD),
            (self.compress_response.is_some(), CompressResponse::NAME),
        ];
        all.into_iter().find(|(there, _)| *there).map(|(_, name)| name)
    }
}

/// Default of `enforce`.
pub(crate) fn yes() -> bool {
    true
}

fn read<C: DeserializeOwned>(action: &'static str, config: &Value) -> Result<C, ConfigError> {
    let empty = Value::Object(serde_json::Map::new());
    let config = if config.is_null() { &empty } else { config };
    if !config.is_object() {
        let why = "invalid: the configuration must be an object with named fields";
        return Err(ConfigError::new(Code::ERR_NGROK_2203, action, "", why));
    }
    serde_path_to_error::deserialize(config).map_err(|error| {
        let path = error.path().to_string();
        let field = if path == "." { String::new() } else { path };
        // A value that does not fit may be a secret: only what kind it is of may be told.
        let why = match error.inner().to_string() {
            text if text.starts_with("invalid type: string") || text.starts_with("invalid value: string") => {
                "a text does not fit here".to_owned()
            }
            text => text,
        };
        ConfigError::new(Code::ERR_NGROK_2203, action, field, why)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fault(kind: &str, config: Value) -> (u32, String) {
        let error = Action::new(kind, &config).unwrap_err();
        (error.code.number(), error.to_string())
    }

    #[test]
    fn policies_find_their_actions_by_type() {
        for (kind, config, phase) in [
            ("restrict-ips", json!({"allow": ["10.0.0.0/8"]}), Phase::TcpConnect),
            ("user-agent-filter", json!({"deny": ["bot"]}), Phase::HttpRequest),
            ("basic-auth", json!({"credentials": ["user:password"], "realm": "x"}), Phase::HttpRequest),
            ("verify-webhook", json!({"provider": "github", "secret": "x"}), Phase::HttpRequest),
            ("circuit-breaker", json!({"error_threshold": 0.1, "window_duration": "1m"}), Phase::HttpRequest),
            ("circuit-breaker", Value::Null, Phase::HttpRequest),
            ("add-headers", json!({"headers": {"a": "b"}}), Phase::HttpRequest),
            ("remove-headers", json!({"headers": ["a"]}), Phase::HttpResponse),
            ("compress-response", json!({}), Phase::HttpResponse),
            ("websocket-tcp-converter", json!({}), Phase::HttpRequest),
            ("terminate-tls", json!({"min_version": "1.3"}), Phase::TcpConnect),
        ] {
            let action = Action::new(kind, &config).unwrap();
            assert_eq!(action.name(), kind);
            let mut actions = Actions::default();
            assert!(actions.is_empty());
            actions.add(phase, action).unwrap();
            assert!(!actions.is_empty(), "{kind}");
        }
    }

    #[test]
    fn what_cannot_be_read_names_its_field() {
        for (kind, config, code, part) in [
            ("deny-all", json!({}), 2201, "deny-all"),
            ("restrict-ips", json!({"allowed": []}), 2203, "unknown field `allowed`"),
            ("basic-auth", json!({}), 2203, "missing field `credentials`"),
            ("circuit-breaker", json!({"error_threshold": "high"}), 2203, "error_threshold: a text"),
            ("circuit-breaker", json!({"window_duration": "10"}), 2203, "window_duration"),
            ("circuit-breaker", json!({"num_buckets": 11}), 2215, "num_buckets"),
            ("add-headers", json!({"headers": {"a": 1}}), 2203, "headers"),
            ("restrict-ips", json!({"allow": ["10.0.0.0/8", 7]}), 2203, "allow[1]"),
            ("websocket-tcp-converter", json!({"a": 1}), 2203, "unknown field `a`"),
            ("compress-response", json!([]), 2203, "invalid"),
            ("terminate-tls", json!({"min_version": "1.1"}), 2203, "min_version"),
        ] {
            let (got, text) = fault(kind, config);
            assert_eq!(got, code, "{text}");
            assert!(text.contains(part), "{text}");
        }
        let (_, text) = fault("basic-auth", json!({"credentials": "user:password"}));
        assert!(!text.contains("password"), "{text}");
    }

    #[test]
    fn header_changes_are_bounded_as_a_whole() {
        let add = || Action::new("add-headers", &json!({"headers": {"x": "v".repeat(4_000)}})).unwrap();
        let mut actions = Actions::default();
        for phase in [Phase::HttpRequest, Phase::HttpResponse] {
            for _ in 0..4 {
                actions.add(phase, add()).unwrap();
            }
            assert_eq!(actions.add(phase, add()).unwrap_err().code, Code::ERR_NGROK_2204);
            actions.add(phase, Action::new("remove-headers", &json!({"headers": ["a"]})).unwrap()).unwrap();
        }
    }

    #[test]
    fn phases_and_schemes_are_checked() {
        let filter = || Action::new("user-agent-filter", &json!({"deny": ["x"]})).unwrap();
        let mut actions = Actions::default();
        let error = actions.add(Phase::HttpResponse, filter()).unwrap_err();
        assert_eq!((error.code, actions.is_empty()), (Code::ERR_NGROK_2202, true));
        actions.add(Phase::HttpRequest, filter()).unwrap();
        assert_eq!(actions.add(Phase::HttpRequest, filter()).unwrap_err().code, Code::ERR_NGROK_2218);
        assert!(actions.check_scheme(Scheme::Https).is_ok() && actions.check_scheme(Scheme::Http).is_ok());
        assert_eq!(actions.check_scheme(Scheme::Tcp).unwrap_err().code, Code::ERR_NGROK_2205);
        let mut tls = Actions::default();
        tls.add(Phase::TcpConnect, Action::new("terminate-tls", &Value::Null).unwrap()).unwrap();
        let schemes = [Scheme::Https, Scheme::Tls, Scheme::Http, Scheme::Tcp];
        assert_eq!(schemes.map(|scheme| tls.check_scheme(scheme).is_ok()), [true, true, false, false]);
    }
}
