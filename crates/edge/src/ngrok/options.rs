//! What the options of a bind mean for an endpoint. An option that has no meaning here is refused by name, never ignored.

use std::sync::Arc;

use http::HeaderValue;
use portway_codes::Code;
use portway_names::{AccountId, EndpointId, EndpointUrl, HostPattern, Scheme, WantedUrl};
use portway_traffic::middleware::Middleware;
use portway_wire::ngrok::{Bind, Binding, MessageError, Opts, WantedName};
use portway_wire::proxy_protocol::ProxyVersion;

use serde_json::{Map, Value, json};

use crate::actions::EndpointActions;
use crate::bind::{Refused, Wanted, is_internal};
use crate::endpoint::{About, Address, EndpointOptions};
use crate::state::EdgeShared;

/// Options that other parts of the installation do not know yet.
const NOT_BUILT: [&str; 6] = ["OAuth", "OIDC", "TrafficPolicy", "Policy", "IPPolicyRef", "MutualTLSAtAgent"];
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

/// Options that are read here, in the wire format or by the agent alone.
const OTHERS: [&str; 10] = [
    "URL",
    "Domain",
    "Hostname",
    "Subdomain",
    "Addr",
    "Auth",
    "HostHeaderRewrite",
    "LocalURLScheme",
    "ProxyProto",
    "ForwardsProto",
];
/// Unknown options that a line of the log names, and characters of each name.
const NAMED_MAX: usize = 8;
const NAME_MAX: usize = 64;

/// Longest user name and password in one text, in bytes.
const LEGACY_CREDENTIAL_MAX: usize = 512;

/// What a bind asks for.
pub(super) fn wanted(
    edge: &EdgeShared,
    account: AccountId,
    bind: &Bind,
    address: Address,
    id: Option<(EndpointId, EndpointUrl)>,
) -> Result<Wanted, Refused> {
    let (scheme, opts) = (bind.scheme, &bind.opts);
    if let Some(option) = NOT_BUILT.iter().find(|option| opts.says(option)) {
        return Err(not_built(option));
    }
    if !bind.ip_policy.trim().is_empty() {
        return Err(not_built("IPPolicyRef"));
    }
    let url = url(scheme, opts)?;
    let internal = match bind.binding {
        Some(Binding::Kubernetes) => return Err(not_built("Bindings: kubernetes")),
        Some(Binding::Internal) => true,
        Some(Binding::Public) => false,
        None => url.host.as_ref().is_some_and(|host| is_internal(host.name())),
    };
    warn_of_unknown(edge, &url, opts);
    let options = EndpointOptions {
        upstream_http2: bind.http2 && scheme.is_http(),
        proxy_protocol: proxy_protocol(opts)?,
        host_header: host_header(bind)?,
        tls_edge: scheme == Scheme::Tls && opts.object("TLSTermination").map_err(|error| unusable(&error))?.is_some(),
        actions: actions(edge, account, scheme, opts)?,
    };
    let about = About {
        name: bind.name.clone(),
        description: bind.description.clone(),
        metadata: bind.metadata.clone(),
        forwards_to: bind.forwards_to.clone(),
    };
    Ok(Wanted { url, options, about, address, id, pooled: bind.pooling, internal })
}

/// An option that nobody knows has no effect: the log says so, since it may be one that was to protect the endpoint.
fn warn_of_unknown(edge: &EdgeShared, url: &WantedUrl, opts: &Opts) {
    let options = unknown(opts);
    if !options.is_empty() && edge.unknown_options.is_due(edge.started.elapsed()) {
        tracing::warn!(?options, endpoint = %url,
            "an SDK sent options that this server does not know; they have no effect. Others within this second are not logged");
    }
}

/// The first options that say something and are not known, shortened.
fn unknown(opts: &Opts) -> Vec<String> {
    let known = |key: &str| {
        let mut all = NOT_BUILT.iter().chain(&ACTIONS).chain(&OTHERS);
        all.any(|known| known.eq_ignore_ascii_case(key))
    };
    let unknown = opts.said().filter(|key| !known(key)).take(NAMED_MAX);
    unknown.map(|key| key.chars().take(NAME_MAX).collect()).collect()
}

/// What the options do with traffic; none where they do nothing.
fn actions(
    edge: &EdgeShared,
    account: AccountId,
    scheme: Scheme,
    opts: &Opts,
) -> Result<Option<Arc<EndpointActions>>, Refused> {
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
    EndpointActions::prepare(rules, scheme, account, &edge.replica).map_err(Refused::for_good)
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

/// The refusal of an option that is not built. SDKs know codes of ngrok's only, and none of them says this alone.
pub(super) fn not_built(option: &str) -> Refused {
    let text = format!("The option {option} is not supported by this server. Open the endpoint without it.");
    Refused::for_good(Code::ERR_NGROK_301.with(text))
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
        Refused::for_good(portway_proto::url_code(&error).with(text))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_nobody_knows_are_named() {
        let long = "x".repeat(1000);
        let message = json!({ "Proto": "https", "Opts": {
            "Domain": "app.example.com", "hostname": "h", "LocalUrlScheme": "http", "BasicAuth": {}, "ProxyProto": 0,
            "GeoFence": { "allow": ["CH"] }, "Nothing": null, "Empty": "", "Off": false, &long: 1,
        } });
        let opts = Bind::read(message.as_object().unwrap()).unwrap().opts;
        assert_eq!(unknown(&opts), ["GeoFence", &long[..NAME_MAX]]);
    }

    #[test]
    fn a_bad_name_has_the_same_code_as_over_ssh() {
        let long = format!("https://{}.example.com", "x".repeat(64));
        for name in ["a..b", "-a.example.com", "a b.example.com", "a.*.example.com", "127.0.0.1", "a.1", &long[8..]] {
            let message = json!({ "Proto": "https", "Opts": { "URL": format!("https://{name}") } });
            let opts = Bind::read(message.as_object().unwrap()).unwrap().opts;
            let here = url(Scheme::Https, &opts).unwrap_err().error.code;
            let line = format!("http --url 'https://{name}'");
            let there = portway_ssh::parse(line.as_bytes()).unwrap_err().code;
            assert_eq!(here, there, "{name}");
        }
    }
}
