//! From what is written to what it means.

use std::path::Path;

use portway_names::{Scheme, WantedUrl};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde_saphyr::{Error as YamlError, Location, MessageFormatter as _, Spanned};

use super::file::{EndpointV3, FileV3, Presence, Probe, SettingsPart, Text, Tunnel};
use super::values::{carrier, duration, key_place, not_built, one_of, proxy_protocol, terminate_at};
use super::{ConfigError, ConnectCas, EndpointConfig, Parts, Settings, nearest};
use crate::endpoint::{EndpointOptions, HostHeader};
use crate::upstream::Upstream;

/// Where in which file something is said.
#[derive(Clone, Copy)]
struct Source<'a> {
    file: &'a Path,
    text: &'a str,
}

/// Reads one file of any version.
pub(super) fn parse(file: &Path, text: &str) -> Result<Parts, ConfigError> {
    let source = Source { file, text };
    let mut parts = Parts { files: vec![file.to_owned()], ..Parts::default() };
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(parts);
    }
    let Some(version) = source.read::<Probe>()?.version else {
        return Err(
            source.nowhere("the version is missing; add the line `version: 3` (or 2, for a file with `tunnels`)")
        );
    };
    match version.value.as_str() {
        "1" | "2" => {
            let part: SettingsPart = source.read()?;
            source.settings(part, &mut parts)?;
        }
        "3" => {
            let whole: FileV3 = source.read()?;
            if let Some(mut agent) = whole.agent {
                let strays = [
                    ("tunnels", agent.tunnels.take().map(|it| it.referenced)),
                    ("version", agent.version.take().map(|it| it.referenced)),
                ];
                if let Some((key, location)) = strays.into_iter().find_map(|(key, location)| Some((key, location?))) {
                    return Err(
                        source.at(location, format!("`{key}` belongs to the top of the file, not below `agent`"))
                    );
                }
                source.settings(agent, &mut parts)?;
            }
            source.tunnels(whole.tunnels, &mut parts)?;
            if let Some(list) = whole.endpoints {
                let endpoints: Result<Vec<_>, _> = list.into_iter().map(|endpoint| source.endpoint(endpoint)).collect();
                parts.endpoints = Some(endpoints?);
            }
        }
        other => {
            let problem = format!("version {other:?} is not understood; versions 2 and 3 are");
            return Err(source.at(version.referenced, problem));
        }
    }
    Ok(parts)
}

impl Source<'_> {
    fn at(self, location: Location, problem: impl Into<String>) -> ConfigError {
        let place = (location.line() > 0).then(|| (location.line(), location.column()));
        ConfigError { file: self.file.to_owned(), place, problem: problem.into() }
    }

    /// An error about a key, of which the place of its value is known.
    fn at_key(self, key: &str, value: Location, problem: impl Into<String>) -> ConfigError {
        let mut error = self.at(value, problem);
        error.place = error.place.map(|place| key_place(self.text, key, place));
        error
    }

    /// One of two keys that mean the same.
    fn either(self, newer: (&str, Text), older: (&str, Text)) -> Result<Text, ConfigError> {
        match (newer.1, older.1) {
            (Some(_), Some(twice)) => {
                let problem =
                    format!("`{}` means the same as `{}`, which is given too; remove one of them", older.0, newer.0);
                Err(self.at_key(older.0, twice.referenced, problem))
            }
            (newer, older) => Ok(newer.or(older)),
        }
    }

    fn nowhere(self, problem: &str) -> ConfigError {
        ConfigError { file: self.file.to_owned(), place: None, problem: problem.to_owned() }
    }

    fn read<T: DeserializeOwned>(self) -> Result<T, ConfigError> {
        // No snippet: the line may hold a secret.
        let options = serde_saphyr::options! { with_snippet: false };
        serde_saphyr::from_str_with_options(self.text, options).map_err(|error| self.yaml(&error))
    }

    fn yaml(self, error: &YamlError) -> ConfigError {
        let error = error.without_snippet();
        let problem = match error {
            YamlError::SerdeUnknownField { field, expected, .. } => match nearest(field, expected.iter().copied()) {
                Some(near) => format!("unknown key `{field}`; did you mean `{near}`?"),
                None if field == "endpoints" || field == "agent" => {
                    format!("`{field}` belongs to files of version 3; this one says version 2")
                }
                None => format!("unknown key `{field}`; known here are {}", expected.join(", ")),
            },
            other => serde_saphyr::UserMessageFormatter.format_message(other).into_owned(),
        };
        match error.location() {
            Some(location) => self.at(location, problem),
            None => self.nowhere(&problem),
        }
    }

    fn settings(self, part: SettingsPart, parts: &mut Parts) -> Result<(), ConfigError> {
        self.refuse(&[("connect_interface", &part.connect_interface), ("dns_resolver_ips", &part.dns_resolver_ips)])?;
        let web_addr = part.web_addr.filter(|web_addr| web_addr.value != "false");
        let web_addr = web_addr.map(|web_addr| web_addr.referenced);
        for (key, location) in [
            ("console_ui_color", place(&part.console_ui_color)),
            ("crl_noverify", place(&part.crl_noverify)),
            ("crl_url", place(&part.crl_url)),
            ("heartbeat_interval", place(&part.heartbeat_interval)),
            ("heartbeat_tolerance", place(&part.heartbeat_tolerance)),
            ("inspect_db_size", place(&part.inspect_db_size)),
            ("update", place(&part.update)),
            ("update_channel", place(&part.update_channel)),
            ("update_check", place(&part.update_check)),
            ("web_addr", web_addr),
            ("web_allow_hosts", place(&part.web_allow_hosts)),
        ] {
            if let Some(location) = location {
                parts.warnings.push(self.at_key(key, location, format!("`{key}` has no effect yet")).to_string());
            }
        }
        let connect_url = self.either(("connect_url", part.connect_url), ("server_addr", part.server_addr))?;
        let connect_cas = self.either(("connect_cas", part.connect_cas), ("root_cas", part.root_cas))?;
        let settings = Settings {
            authtoken: part.authtoken.map(|token| SecretString::from(token.value)),
            api_key: part.api_key.map(|key| SecretString::from(key.value)),
            api_url: part.api_url.map(|url| url.value),
            connect_url: self.checked(connect_url, |text| {
                text.parse::<portway_names::ConnectUrl>().map(|_| text.to_owned()).map_err(|error| error.to_string())
            })?,
            connect_cas: connect_cas.map(|cas| self.connect_cas(&cas.value)),
            carrier: self.checked(part.carrier, carrier)?,
            region: self.checked(part.region, |text| {
                crate::region::choice(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
            })?,
            connect_timeout: self.checked(part.connect_timeout, duration)?,
            proxy_url: part.proxy_url.map(|url| url.value),
            metadata: part.metadata.map(|metadata| metadata.value),
            log: part.log.map(|log| log.value),
            log_format: self.checked(part.log_format, |text| one_of(text, &["term", "logfmt", "json"]))?,
            log_level: self
                .checked(part.log_level, |text| one_of(text, &["debug", "info", "warn", "error", "crit"]))?,
            console_ui: self
                .checked(part.console_ui, |text| one_of(text, &["true", "false", "iftty"]))?
                .map(|on| on != "false"),
            remote_management: self
                .checked(part.remote_management, |text| one_of(text, &["true", "false"]))?
                .map(|on| on == "true"),
        };
        parts.settings.override_with(settings);
        self.tunnels(part.tunnels, parts)
    }

    /// A path is taken from the folder of the file that names it.
    fn connect_cas(self, text: &str) -> ConnectCas {
        match text {
            "trusted" => ConnectCas::Trusted,
            "host" => ConnectCas::Host,
            path => ConnectCas::File(self.file.parent().unwrap_or(Path::new("")).join(path)),
        }
    }

    fn tunnels(
        self,
        tunnels: Option<Spanned<std::collections::BTreeMap<String, Spanned<Tunnel>>>>,
        parts: &mut Parts,
    ) -> Result<(), ConfigError> {
        for (name, tunnel) in tunnels.into_iter().flat_map(|tunnels| tunnels.value) {
            let endpoints = self.tunnel(&name, tunnel)?;
            parts.tunnels.push((name, endpoints));
        }
        Ok(())
    }

    fn tunnel(self, name: &str, tunnel: Spanned<Tunnel>) -> Result<Vec<EndpointConfig>, ConfigError> {
        let Spanned { value: tunnel, referenced: place, .. } = tunnel;
        self.refuse(&[
            ("basic_auth", &tunnel.basic_auth),
            ("bind_tls", &tunnel.bind_tls),
            ("circuit_breaker", &tunnel.circuit_breaker),
            ("compression", &tunnel.compression),
            ("crt", &tunnel.crt),
            ("ip_restriction", &tunnel.ip_restriction),
            ("key", &tunnel.key),
            ("labels", &tunnel.labels),
            ("mutual_tls_cas", &tunnel.mutual_tls_cas),
            ("oauth", &tunnel.oauth),
            ("oidc", &tunnel.oidc),
            ("policy", &tunnel.policy),
            ("request_header", &tunnel.request_header),
            ("response_header", &tunnel.response_header),
            ("traffic_policy", &tunnel.traffic_policy),
            ("user_agent_filter", &tunnel.user_agent_filter),
            ("verify_webhook", &tunnel.verify_webhook),
            ("websocket_tcp_converter", &tunnel.websocket_tcp_converter),
        ])?;
        let missing = |key: &str, example: &str| {
            self.at(place, format!("tunnel {name:?} has no `{key}`; add one, for example {example}"))
        };
        let Some(proto) = tunnel.proto else { return Err(missing("proto", "`proto: http`")) };
        let kind = self.proto(&proto)?;
        let Some(addr) = tunnel.addr else { return Err(missing("addr", "`addr: 8080`")) };
        let given = if tunnel.hostname.is_some() { "hostname" } else { "domain" };
        let domain = self.either(("domain", tunnel.domain), ("hostname", tunnel.hostname))?;
        for (key, text, kinds) in [
            (given, &domain, &[Scheme::Http, Scheme::Https, Scheme::Tls][..]),
            ("subdomain", &tunnel.subdomain, &[Scheme::Http, Scheme::Https, Scheme::Tls]),
            ("host_header", &tunnel.host_header, &[Scheme::Http, Scheme::Https]),
            ("remote_addr", &tunnel.remote_addr, &[Scheme::Tcp]),
            ("terminate_at", &tunnel.terminate_at, &[Scheme::Tls]),
        ] {
            if let Some(text) = text
                && !kinds.contains(&kind)
            {
                let problem = format!("`{key}` has no meaning for a {kind} tunnel; remove it");
                return Err(self.at_key(key, text.referenced, problem));
            }
        }
        let upstream = self.upstream(&addr, kind)?;
        let host = self.name(given, domain, tunnel.subdomain)?.or(tunnel.remote_addr);
        let mut options = EndpointOptions {
            description: value(tunnel.description),
            metadata: value(tunnel.metadata),
            host_header: HostHeader::from(value(tunnel.host_header).as_str()),
            proxy_protocol: self.checked(tunnel.proxy_proto, proxy_protocol)?,
            tls_edge: self.checked(tunnel.terminate_at, terminate_at)?.unwrap_or(false),
            ..EndpointOptions::default()
        };
        let mut endpoints = Vec::new();
        for (index, scheme) in self.schemes(kind, tunnel.schemes)?.into_iter().enumerate() {
            options.url = match &host {
                Some(host) => {
                    self.url(kind, &Spanned::new(format!("{scheme}://{}", host.value), host.referenced, host.defined))?
                }
                None => format!("{scheme}://"),
            };
            let name = if index == 0 { name.to_owned() } else { format!("{name} ({scheme})") };
            options.name.clone_from(&name);
            endpoints.push(EndpointConfig { name, kind, upstream: upstream.clone(), options: options.clone() });
        }
        Ok(endpoints)
    }

    fn proto(self, proto: &Spanned<String>) -> Result<Scheme, ConfigError> {
        match proto.value.as_str() {
            "http" => Ok(Scheme::Http),
            "https" => Ok(Scheme::Https),
            "tcp" => Ok(Scheme::Tcp),
            "tls" => Ok(Scheme::Tls),
            other => Err(self.at(proto.referenced, format!("{other:?} is not a proto; use http, tcp or tls"))),
        }
    }

    /// The name that a tunnel asks for, by the key `given` or by `subdomain`.
    fn name(self, given: &str, domain: Text, subdomain: Text) -> Result<Text, ConfigError> {
        match (domain, subdomain) {
            (Some(_), Some(subdomain)) => {
                let problem = format!("`subdomain` and `{given}` ask for two names; remove one of them");
                Err(self.at_key("subdomain", subdomain.referenced, problem))
            }
            (domain, subdomain) => Ok(domain.or(subdomain)),
        }
    }

    fn schemes(self, kind: Scheme, written: Option<Spanned<Vec<String>>>) -> Result<Vec<&'static str>, ConfigError> {
        let Some(written) = written else {
            return Ok(vec![match kind {
                Scheme::Http | Scheme::Https => "https",
                Scheme::Tcp => "tcp",
                Scheme::Tls => "tls",
            }]);
        };
        let fail = |problem: &str| self.at(written.referenced, problem);
        if !matches!(kind, Scheme::Http | Scheme::Https) {
            return Err(fail("`schemes` has a meaning for http tunnels only; remove it"));
        }
        let mut schemes = Vec::new();
        for scheme in &written.value {
            schemes.push(match scheme.as_str() {
                "https" => "https",
                "http" => "http",
                _ => return Err(fail("`schemes` is a list of http and https")),
            });
        }
        // The one that keeps the tunnel's own name stands first, as in ngrok.
        schemes.sort_unstable_by(|a, b| b.cmp(a));
        schemes.dedup();
        if schemes.is_empty() { Err(fail("`schemes` is a list of http and https")) } else { Ok(schemes) }
    }

    fn endpoint(self, endpoint: Spanned<EndpointV3>) -> Result<EndpointConfig, ConfigError> {
        let Spanned { value: endpoint, referenced: place, .. } = endpoint;
        self.refuse(&[
            ("agent_tls_termination", &endpoint.agent_tls_termination),
            ("basic_auth", &endpoint.basic_auth),
            ("circuit_breaker", &endpoint.circuit_breaker),
            ("compression", &endpoint.compression),
            ("ip_restriction", &endpoint.ip_restriction),
            ("mutual_tls_cas", &endpoint.mutual_tls_cas),
            ("oauth", &endpoint.oauth),
            ("oidc", &endpoint.oidc),
            ("policy", &endpoint.policy),
            ("request_header", &endpoint.request_header),
            ("response_header", &endpoint.response_header),
            ("traffic_policy", &endpoint.traffic_policy),
            ("traffic_policy_file", &endpoint.traffic_policy_file),
            ("traffic_policy_url", &endpoint.traffic_policy_url),
            ("user_agent_filter", &endpoint.user_agent_filter),
            ("verify_webhook", &endpoint.verify_webhook),
            ("websocket_tcp_converter", &endpoint.websocket_tcp_converter),
        ])?;
        if let Some(bindings) = endpoint.bindings.filter(|bindings| bindings.value != ["public"]) {
            return Err(self.at(bindings.referenced, "only `bindings: [public]` is built yet; remove the others"));
        }
        if let Some(pooling) = endpoint.pooling_enabled.filter(|pooling| pooling.value) {
            return Err(self.at(pooling.referenced, not_built("pooling_enabled")));
        }
        let Some(name) = endpoint.name.filter(|name| !name.value.is_empty()) else {
            return Err(self.at(place, "the endpoint has no `name`; add one, `portway start` takes it"));
        };
        let (written, kind) = match endpoint.url.filter(|url| !url.value.is_empty()) {
            None => (String::new(), Scheme::Http),
            Some(url) => {
                let kind = match url.value.split_once("://").map(|(scheme, _)| scheme) {
                    None | Some("https" | "http") => Scheme::Http,
                    Some("tcp") => Scheme::Tcp,
                    Some("tls") => Scheme::Tls,
                    Some(other) => {
                        let problem = format!("{other:?} is not a scheme of an endpoint; use https, http, tcp or tls");
                        return Err(self.at(url.referenced, problem));
                    }
                };
                (self.url(kind, &url)?, kind)
            }
        };
        let upstream =
            endpoint.upstream.ok_or_else(|| self.at(place, "the endpoint has no `upstream`; add one with a `url`"))?;
        let Some(address) = upstream.value.url else {
            return Err(self.at(upstream.referenced, "the upstream has no `url`; add one, for example `url: 8080`"));
        };
        let options = EndpointOptions {
            name: name.value.clone(),
            url: written,
            description: value(endpoint.description),
            metadata: value(endpoint.metadata),
            host_header: HostHeader::from(value(endpoint.host_header).as_str()),
            proxy_protocol: self.checked(upstream.value.proxy_protocol, proxy_protocol)?,
            upstream_http2: self.checked(upstream.value.protocol, |text| one_of(text, &["http1", "http2"]))?.as_deref()
                == Some("http2"),
            tls_edge: false,
            verify_upstream_tls: upstream.value.tls_verify.unwrap_or(false),
            upstream_ca: None,
        };
        Ok(EndpointConfig { upstream: self.upstream(&address, kind)?, name: name.value, kind, options })
    }

    fn upstream(self, address: &Spanned<String>, kind: Scheme) -> Result<String, ConfigError> {
        match Upstream::parse(&address.value, kind) {
            Ok(_) => Ok(address.value.clone()),
            Err(error) => Err(self.at(address.referenced, error.to_string())),
        }
    }

    fn url(self, kind: Scheme, url: &Spanned<String>) -> Result<String, ConfigError> {
        let text = if url.value.contains("://") { url.value.clone() } else { format!("https://{}", url.value) };
        match text.parse::<WantedUrl>() {
            Ok(_) => Ok(text),
            Err(error) => Err(self.at(url.referenced, format!("the {kind} URL {text:?} cannot be used: {error}"))),
        }
    }

    fn checked<T>(self, text: Text, check: impl Fn(&str) -> Result<T, String>) -> Result<Option<T>, ConfigError> {
        text.map(|text| check(&text.value).map_err(|problem| self.at(text.referenced, problem))).transpose()
    }

    /// Refuses keys that are known but not built.
    fn refuse(self, keys: &[(&str, &Presence)]) -> Result<(), ConfigError> {
        match keys.iter().find_map(|(key, presence)| Some((key, place(presence)?))) {
            Some((key, location)) => Err(self.at_key(key, location, not_built(key))),
            None => Ok(()),
        }
    }
}

fn place(presence: &Presence) -> Option<Location> {
    presence.as_ref().map(|presence| presence.referenced)
}

fn value(text: Text) -> String {
    text.map(|text| text.value).unwrap_or_default()
}
