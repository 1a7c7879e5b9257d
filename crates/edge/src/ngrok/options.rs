//! What the options of a bind mean for an endpoint. An option that has no meaning here is refused by name, never ignored.

use http::HeaderValue;
use portway_codes::Code;
use portway_names::{EndpointId, HostPattern, Scheme, WantedUrl};
use portway_wire::ngrok::{Bind, Binding, MessageError, Opts, WantedName};
use portway_wire::proxy_protocol::ProxyVersion;

use crate::bind::{Refused, Wanted, is_internal};
use crate::endpoint::{About, Address, EndpointOptions};

/// Options that other parts of the installation do not know yet.
const NOT_BUILT: [&str; 4] = ["OAuth", "OIDC", "TrafficPolicy", "Policy"];

/// What a bind asks for.
pub(super) fn wanted(bind: &Bind, address: Address, id: Option<EndpointId>) -> Result<Wanted, Refused> {
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
    };
    let about = About {
        name: bind.name.clone(),
        description: bind.description.clone(),
        metadata: bind.metadata.clone(),
        forwards_to: bind.forwards_to.clone(),
    };
    Ok(Wanted { url, options, about, address, id, pooled: bind.pooling, internal })
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
