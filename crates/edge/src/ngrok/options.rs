//! What the options of a bind mean for an endpoint. An option that has no meaning here is refused by name, never ignored.

use std::sync::Arc;

use http::HeaderValue;
use portway_codes::Code;
use portway_names::{EndpointId, HostPattern, Scheme, WantedUrl};
use portway_traffic::middleware::Middleware;
use portway_wire::ngrok::{Bind, Binding, MessageError, Opts, WantedName};
use portway_wire::proxy_protocol::ProxyVersion;

use serde_json::{Map, Value, json};

use crate::actions::EndpointActions;
use crate::bind::{Refused, Wanted, is_internal};
use crate::endpoint::{About, Address, EndpointOptions};
use crate::state::EdgeShared;

/// Options that other parts of the installation do not know yet.
const NOT_BUILT: [&str; 4] = ["OAuth", "OIDC", "TrafficPolicy", "Policy"];
/// Options that are actions on traffic.
const ACTIONS: [&str; 12] = [
    "Compression",
    "CircuitBreaker",
    "IPRestriction",
    "BasicAuth",
    "WebhookVerification",
    "MutualTLSCA",
    "MutualTLSAtEdge",
    "TLSTermination",
    "RequestHeaders",
    "ResponseHeaders",
    "WebsocketTCPConverter",
    "UserAgentFilter",
];

/// Longest user name and password in one text, in bytes.
const LEGACY_CREDENTIAL_MAX: usize = 512;

/// What a bind asks for.
pub(super) fn wanted(
    edge: &EdgeShared,
    bind: &Bind,
    address: Address,
    id: Option<EndpointId>,
) -> Result<Wanted, Refused> {
    let (scheme, opts) = (bind.scheme, &bind.opts);
    if let Some(option) = NOT_BUILT.iter().find(|option| opts.says(option)) {
        return Err(not_built(option));
    }
    let url = url(scheme, opts)?;
    let internal = match bind.binding {
        Some(Binding::Kubernetes) => return Err(not_built("Bindings: kubernetes")),
        Some(Binding::Internal) => true,
        Some(Binding::Public) => false,
        None => url.host.as_ref().is_some_and(|host| is_internal(host.name())),
    };
    let options = EndpointOptions {
        upstream_http2: bind.http2 && scheme.is_http(),
        proxy_protocol: proxy_protocol(opts)?,
        host_header: host_header(bind)?,
        tls_edge: scheme == Scheme::Tls && opts.object("TLSTermination").map_err(|error| unusable(&error))?.is_some(),
        actions: actions(edge, scheme, opts)?,
    };
    let about = About {
        name: bind.name.clone(),
        description: bind.description.clone(),
        metadata: bind.metadata.clone(),
        forwards_to: bind.forwards_to.clone(),
    };
    Ok(Wanted { url, options, about, address, id, pooled: bind.pooling, internal })
}

/// What the options do with traffic; none where they do nothing.
fn actions(edge: &EdgeShared, scheme: Scheme, opts: &Opts) -> Result<Option<Arc<EndpointActions>>, Refused> {
    let mut asked = Map::new();
    for key in ACTIONS {
        if let Some(option) = opts.object(key).map_err(|error| unusable(&error))? {
            asked.insert(key.to_owned(), Value::Object(option.clone()));
        }
    }
    if let Some(credential) = legacy_credential(opts)? {
        asked.insert("BasicAuth".to_owned(), json!({ "credentials": [credential] }));
    }
    if asked.is_empty() {
        return Ok(None);
    }
    let middleware: Middleware = serde_json::from_value(Value::Object(asked)).map_err(|error| {
        let text = format!("The options of the endpoint cannot be used: {error}.");
        Refused::for_good(Code::ERR_NGROK_301.with(text))
    })?;
    let rules = middleware.into_actions(scheme).map_err(Refused::for_good)?;
    EndpointActions::prepare(rules, scheme, &edge.replica.visitor_certs).map_err(Refused::for_good)
}

/// The user and password of the option that old agents have instead of `BasicAuth`.
fn legacy_credential(opts: &Opts) -> Result<Option<Value>, Refused> {
    let text = opts.text("Auth", LEGACY_CREDENTIAL_MAX).map_err(|error| unusable(&error))?;
    if text.is_empty() || opts.says("BasicAuth") {
        return Ok(None);
    }
    match text.split_once(':') {
        Some((user, password)) => Ok(Some(json!({ "username": user, "cleartext_password": password }))),
        None => {
            let text = "The option Opts.Auth: must be a user name and a password with a colon between them.";
            Err(Refused::for_good(Code::ERR_NGROK_301.with(text)))
        }
    }
}

/// The refusal of an option that is not built.
pub(super) fn not_built(option: &str) -> Refused {
    let text = format!("The option {option} is not supported by this server. Open the endpoint without it.");
    Refused::for_good(Code::ERR_PORTWAY_50101.with(text))
}

fn unusable(error: &MessageError) -> Refused {
    Refused::for_good(Code::ERR_NGROK_301.with(format!("The option {error}.")))
}

/// The URL of the first field that names one. The scheme is the endpoint's, whatever the field says.
fn url(scheme: Scheme, opts: &Opts) -> Result<WantedUrl, Refused> {
    let text = match opts.wanted_name(scheme).map_err(|error| unusable(&error))? {
        WantedName::Any => return Ok(WantedUrl::any(scheme)),
        WantedName::Label(label) => format!("{scheme}://{label}"),
        WantedName::Url(url) => match url.split_once("://") {
            Some((_, rest)) => format!("{scheme}://{rest}"),
            None => format!("{scheme}://{url}"),
        },
    };
    let wanted: WantedUrl = text.parse().map_err(|error| {
        let text = format!("The name {text:?} of the endpoint cannot be used: {error}.");
        Refused::for_good(Code::ERR_NGROK_326.with(text))
    })?;
    match (&wanted.host, scheme) {
        (Some(HostPattern::Wildcard(_)), Scheme::Tcp) => Err(Refused::for_good(Code::ERR_NGROK_307.plain())),
        _ => Ok(wanted),
    }
}

fn proxy_protocol(opts: &Opts) -> Result<Option<ProxyVersion>, Refused> {
    match opts.number("ProxyProto").map_err(|error| unusable(&error))? {
        0 => Ok(None),
        1 => Ok(Some(ProxyVersion::V1)),
        2 => Ok(Some(ProxyVersion::V2)),
        other => {
            let text = format!("The option Opts.ProxyProto: must be 0, 1 or 2, and is {other}.");
            Err(Refused::for_good(Code::ERR_NGROK_301.with(text)))
        }
    }
}

/// The Host field for the service, where the agent asks for its own: what stands in `ForwardsTo`.
fn host_header(bind: &Bind) -> Result<Option<HeaderValue>, Refused> {
    let asked = bind.opts.flag("HostHeaderRewrite").map_err(|error| unusable(&error))?;
    if !asked || !bind.scheme.is_http() {
        return Ok(None);
    }
    let rest = bind.forwards_to.split_once("://").map_or(bind.forwards_to.as_str(), |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    HeaderValue::from_str(authority).ok().filter(|value| !value.is_empty()).map(Some).ok_or_else(|| {
        let text = "The option HostHeaderRewrite needs an address in ForwardsTo that a Host header can have.";
        Refused::for_good(Code::ERR_NGROK_301.with(text))
    })
}
