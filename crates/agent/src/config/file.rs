//! The files as they are written: every key that ngrok's documents name, and Portway's own.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_saphyr::Spanned;

/// A text and where it stands.
pub(super) type Text = Option<Spanned<String>>;
/// A key whose value is not looked at; only that it is there, and where.
pub(super) type Presence = Option<Spanned<IgnoredAny>>;

/// Only the version, to choose how to read the rest.
#[derive(Deserialize)]
pub(super) struct Probe {
    pub(super) version: Text,
}

/// A file of version 2; the `agent` part of version 3 has the same keys except `version` and `tunnels`.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct SettingsPart {
    pub(super) version: Text,
    pub(super) tunnels: Option<Spanned<BTreeMap<String, Spanned<Tunnel>>>>,

    pub(super) authtoken: Text,
    pub(super) connect_url: Text,
    pub(super) connect_cas: Text,
    pub(super) connect_timeout: Text,
    pub(super) carrier: Text,
    pub(super) proxy_url: Text,
    pub(super) metadata: Text,
    pub(super) log: Text,
    pub(super) log_format: Text,
    pub(super) log_level: Text,
    pub(super) console_ui: Text,
    pub(super) remote_management: Text,

    // Version 2's names of keys above. Not aliases: a file that says both is told so in these words.
    pub(super) server_addr: Text,
    pub(super) root_cas: Text,

    // For `portway api`.
    pub(super) api_key: Text,
    pub(super) api_url: Text,

    // Known, harmless, without effect yet.
    pub(super) console_ui_color: Presence,
    pub(super) crl_noverify: Presence,
    pub(super) crl_url: Presence,
    pub(super) heartbeat_interval: Presence,
    pub(super) heartbeat_tolerance: Presence,
    pub(super) inspect_db_size: Presence,
    pub(super) region: Text,
    pub(super) update: Presence,
    pub(super) update_channel: Presence,
    pub(super) update_check: Presence,
    pub(super) web_addr: Text,
    pub(super) web_allow_hosts: Presence,

    // Known and needed by whoever writes them; not built yet.
    pub(super) connect_interface: Presence,
    pub(super) dns_resolver_ips: Presence,
}

/// A definition below `tunnels`.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Tunnel {
    pub(super) addr: Text,
    pub(super) proto: Text,
    pub(super) description: Text,
    pub(super) metadata: Text,
    pub(super) domain: Text,
    /// An older name of `domain`.
    pub(super) hostname: Text,
    pub(super) subdomain: Text,
    pub(super) schemes: Option<Spanned<Vec<String>>>,
    pub(super) host_header: Text,
    pub(super) proxy_proto: Text,
    pub(super) remote_addr: Text,
    pub(super) terminate_at: Text,

    #[serde(rename = "inspect")]
    pub(super) _inspect: Presence,

    pub(super) basic_auth: Presence,
    pub(super) bind_tls: Presence,
    pub(super) circuit_breaker: Presence,
    pub(super) compression: Presence,
    pub(super) crt: Presence,
    pub(super) ip_restriction: Presence,
    pub(super) key: Presence,
    pub(super) labels: Presence,
    pub(super) mutual_tls_cas: Presence,
    pub(super) oauth: Presence,
    pub(super) oidc: Presence,
    pub(super) policy: Presence,
    pub(super) request_header: Presence,
    pub(super) response_header: Presence,
    pub(super) traffic_policy: Presence,
    pub(super) user_agent_filter: Presence,
    pub(super) verify_webhook: Presence,
    pub(super) websocket_tcp_converter: Presence,
}

/// A file of version 3.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileV3 {
    #[serde(rename = "version")]
    pub(super) _version: Presence,
    pub(super) agent: Option<SettingsPart>,
    pub(super) endpoints: Option<Vec<Spanned<EndpointV3>>>,
    pub(super) tunnels: Option<Spanned<BTreeMap<String, Spanned<Tunnel>>>>,
}

/// An element of `endpoints`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EndpointV3 {
    pub(super) name: Text,
    pub(super) url: Text,
    pub(super) description: Text,
    pub(super) metadata: Text,
    pub(super) bindings: Option<Spanned<Vec<String>>>,
    pub(super) pooling_enabled: Option<Spanned<bool>>,
    pub(super) upstream: Option<Spanned<UpstreamV3>>,
    pub(super) host_header: Text,

    #[serde(rename = "inspect")]
    pub(super) _inspect: Presence,

    pub(super) agent_tls_termination: Presence,
    pub(super) basic_auth: Presence,
    pub(super) circuit_breaker: Presence,
    pub(super) compression: Presence,
    pub(super) ip_restriction: Presence,
    pub(super) mutual_tls_cas: Presence,
    pub(super) oauth: Presence,
    pub(super) oidc: Presence,
    pub(super) policy: Presence,
    pub(super) request_header: Presence,
    pub(super) response_header: Presence,
    pub(super) traffic_policy: Presence,
    pub(super) traffic_policy_file: Presence,
    pub(super) traffic_policy_url: Presence,
    pub(super) user_agent_filter: Presence,
    pub(super) verify_webhook: Presence,
    pub(super) websocket_tcp_converter: Presence,
}

/// `upstream` of an endpoint.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UpstreamV3 {
    pub(super) url: Text,
    pub(super) protocol: Text,
    pub(super) proxy_protocol: Text,
    pub(super) tls_verify: Option<bool>,
}
