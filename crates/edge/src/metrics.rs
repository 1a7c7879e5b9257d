//! What the edge counts. Every metric is a clone of what the registry holds; counting is one atomic addition.

use std::sync::atomic::AtomicU64;

use portway_names::Scheme;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The metrics of one edge.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics {
    pub(crate) sessions: Family<CarrierLabel, Gauge>,
    pub(crate) endpoints: Family<SchemeLabel, Gauge>,
    /// Connections accepted, by what they turned out to be.
    pub(crate) connections: Family<KindLabel, Counter>,
    /// Connections open now, of any kind.
    pub(crate) connections_open: Gauge,
    pub(crate) streams_opened: Counter,
    /// Bytes of payload between visitors and agents.
    pub(crate) bytes: Family<DirectionLabel, Counter>,
    /// Sessions, binds and visitors turned away, by reason.
    pub(crate) refused: Family<ReasonLabel, Counter>,
    /// Agents and visitors that an IP restriction does not admit.
    pub(crate) ip_restricted: Family<RestrictedLabel, Counter>,
    pub(crate) handshake_failures: Family<HandshakeLabel, Counter>,
    /// Times a limit was reached, by limit.
    pub(crate) limits_reached: Family<LimitLabel, Counter>,
    /// Responses to visitors by class of status.
    pub(crate) http_responses: Family<StatusLabel, Counter>,
    /// Version of the replica that is applied.
    pub(crate) replica_version: Gauge<i64>,
    /// 1 while the watch on the control plane is connected.
    pub(crate) control_connected: Gauge,
    /// Handovers between shards.
    pub(crate) handovers: Counter<u64, AtomicU64>,
}

impl Metrics {
    /// Registers everything below `portway_edge_`.
    pub(crate) fn register(registry: &mut Registry) -> Metrics {
        let metrics = Metrics::default();
        let m = metrics.clone();
        let registry = registry.sub_registry_with_prefix("portway_edge");
        registry.register("sessions", "Agent sessions", m.sessions);
        registry.register("endpoints", "Endpoints online", m.endpoints);
        registry.register("connections", "Connections accepted", m.connections);
        registry.register("connections_open", "Connections open", m.connections_open);
        registry.register("streams_opened", "Streams opened to agents", m.streams_opened);
        registry.register("bytes", "Payload bytes", m.bytes);
        registry.register("refused", "Sessions, binds and visitors refused", m.refused);
        registry.register("ip_restricted", "Agents and visitors not admitted by an IP restriction", m.ip_restricted);
        registry.register("handshake_failures", "Handshakes that failed", m.handshake_failures);
        registry.register("limits_reached", "Times that a limit was reached", m.limits_reached);
        registry.register("http_responses", "HTTP responses to visitors", m.http_responses);
        registry.register("replica_version", "Version of the replica", m.replica_version);
        registry.register("control_connected", "1 while the control plane is being watched", m.control_connected);
        registry.register("handovers", "Connections handed to another shard", m.handovers);
        metrics
    }
}

/// Label of a session's carrier.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct CarrierLabel {
    carrier: &'static str,
}

impl CarrierLabel {
    /// "tcp", "quic" or "ssh".
    pub(crate) fn new(carrier: &'static str) -> Self {
        CarrierLabel { carrier }
    }
}

/// Label of an endpoint's scheme.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct SchemeLabel {
    scheme: &'static str,
}

impl From<Scheme> for SchemeLabel {
    fn from(scheme: Scheme) -> Self {
        SchemeLabel {
            scheme: match scheme {
                Scheme::Http => "http",
                Scheme::Https => "https",
                Scheme::Tcp => "tcp",
                Scheme::Tls => "tls",
            },
        }
    }
}

/// Label of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct KindLabel {
    pub(crate) kind: Kind,
}

/// What an accepted connection turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum Kind {
    Agent,
    Http,
    Https,
    Tls,
    Tcp,
}

/// Label of a direction of bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct DirectionLabel {
    pub(crate) direction: Direction,
}

/// Where bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum Direction {
    ToAgent,
    ToVisitor,
}

/// Label of a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ReasonLabel {
    /// A public code ("ERR_NGROK_107") or a word.
    pub(crate) reason: &'static str,
}

/// Label of an IP restriction that does not admit an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RestrictedLabel {
    /// "agent" or "endpoints".
    pub(crate) restriction: &'static str,
    pub(crate) outcome: RestrictionOutcome,
}

/// What becomes of whoever is not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum RestrictionOutcome {
    Refused,
    /// It passes, since the restriction is not enforced.
    Warned,
}

/// Label of a failed handshake.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct HandshakeLabel {
    pub(crate) stage: HandshakeStage,
}

/// How far a handshake came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum HandshakeStage {
    /// What came was no ClientHello, or not in time.
    ClientHello,
    /// No certificate or endpoint for the name.
    UnknownName,
    /// The TLS handshake failed.
    Tls,
    /// The QUIC handshake failed.
    Quic,
    /// No Hello, a malformed one, or not in time.
    AgentHello,
}

/// Label of a limit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct LimitLabel {
    pub(crate) limit: &'static str,
}

/// Label of a class of HTTP status.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct StatusLabel {
    /// "1xx" to "5xx".
    pub(crate) class: &'static str,
}
