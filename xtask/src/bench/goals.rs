//! The project's goals for speed, as data: `docs/performance.md` explains them.

use super::metric::{Metric, Spread, Values};
use super::system::System;

/// A goal: a figure, and how far it has to be.
pub(super) struct Goal {
    pub(super) what: &'static str,
    figure: Figure,
    pub(super) limit: Limit,
}

/// What is looked at; systems by name.
enum Figure {
    Ratio(Metric, &'static str, &'static str),
    Difference(Metric, &'static str, &'static str),
    Value(Metric, &'static str),
}

/// The threshold.
#[derive(Clone, Copy)]
pub(super) enum Limit {
    AtLeast(f64),
    AtMost(f64),
}

impl Limit {
    pub(super) fn holds(self, value: f64) -> bool {
        match self {
            Self::AtLeast(limit) => value >= limit,
            Self::AtMost(limit) => value <= limit,
        }
    }

    pub(super) fn text(self) -> String {
        match self {
            Self::AtLeast(limit) => format!(">= {limit}"),
            Self::AtMost(limit) => format!("<= {limit}"),
        }
    }
}

impl Goal {
    /// Whether a run of `systems` is to be judged by it: goals for an SDK are for runs that measure that SDK.
    pub(super) fn is_asked(&self, systems: &[System]) -> bool {
        let (Figure::Ratio(_, name, _) | Figure::Difference(_, name, _) | Figure::Value(_, name)) = self.figure;
        let sdk = System::all().any(|system| system.native().is_some() && system.name() == name);
        !sdk || systems.iter().any(|system| system.name() == name)
    }

    /// Its figure in this run; `None` when something it needs was not measured.
    pub(super) fn value(&self, values: &Values) -> Option<Spread> {
        match self.figure {
            Figure::Ratio(metric, ours, theirs) => values.compare(metric, ours, theirs, |ours, theirs| ours / theirs),
            Figure::Difference(metric, ours, theirs) => {
                values.compare(metric, ours, theirs, |ours, theirs| ours - theirs)
            }
            Figure::Value(metric, ours) => values.spread(ours, metric),
        }
    }
}

const TCP: &str = "portway-tcp";
const QUIC: &str = "portway-tcp-quic";
const HTTP: &str = "portway-http";
const HTTPS: &str = "portway-https";
const RATHOLE: &str = "rathole-tls";
const RATHOLE_PLAIN: &str = "rathole-tcp";

const fn ratio(what: &'static str, metric: Metric, ours: &'static str, theirs: &'static str, limit: Limit) -> Goal {
    Goal { what, figure: Figure::Ratio(metric, ours, theirs), limit }
}

const fn difference(
    what: &'static str,
    metric: Metric,
    ours: &'static str,
    theirs: &'static str,
    limit: Limit,
) -> Goal {
    Goal { what, figure: Figure::Difference(metric, ours, theirs), limit }
}

const fn value(what: &'static str, metric: Metric, ours: &'static str, limit: Limit) -> Goal {
    Goal { what, figure: Figure::Value(metric, ours), limit }
}

use Limit::{AtLeast, AtMost};

/// Every goal that a run can judge. A ratio is taken round by round, and its median counts.
pub(super) const GOALS: &[Goal] = &[
    ratio("TCP endpoint: requests at 64 / rathole-tls", Metric::Rps64, TCP, RATHOLE, AtLeast(1.8)),
    ratio("TCP endpoint: requests at 64 / rathole-tcp", Metric::Rps64, TCP, RATHOLE_PLAIN, AtLeast(1.1)),
    ratio("TCP endpoint: requests at 64 / bore", Metric::Rps64, TCP, "bore", AtLeast(1.2)),
    ratio("TCP endpoint: requests at 64 / frp-tls", Metric::Rps64, TCP, "frp-tls", AtLeast(2.0)),
    ratio("TCP endpoint: requests at 64 / chisel", Metric::Rps64, TCP, "chisel", AtLeast(1.8)),
    ratio("TCP endpoint: CPU per request / rathole-tls", Metric::CpuPerThousandRequests, TCP, RATHOLE, AtMost(0.45)),
    ratio(
        "TCP endpoint: CPU per request / rathole-tcp",
        Metric::CpuPerThousandRequests,
        TCP,
        RATHOLE_PLAIN,
        AtMost(0.8),
    ),
    ratio("TCP endpoint: connections / rathole-tls", Metric::ConnectionsPerSecond, TCP, RATHOLE, AtLeast(10.0)),
    ratio("TCP endpoint: connections / rathole-tcp", Metric::ConnectionsPerSecond, TCP, RATHOLE_PLAIN, AtLeast(1.3)),
    ratio("TCP endpoint: connections / frp-tls", Metric::ConnectionsPerSecond, TCP, "frp-tls", AtLeast(2.5)),
    ratio(
        "TCP endpoint: CPU per connection / rathole-tls",
        Metric::CpuPerThousandConnections,
        TCP,
        RATHOLE,
        AtMost(0.08),
    ),
    ratio("TCP endpoint: p99 at 64 / rathole-tls", Metric::P99At64, TCP, RATHOLE, AtMost(0.15)),
    ratio("TCP endpoint: p99 at 64 / rathole-tcp", Metric::P99At64, TCP, RATHOLE_PLAIN, AtMost(1.0)),
    ratio("TCP endpoint: median latency / rathole-tls", Metric::P50At1, TCP, RATHOLE, AtMost(1.0)),
    difference("TCP endpoint: median latency - direct, us", Metric::P50At1, TCP, "direct", AtMost(70.0)),
    difference("TCP endpoint: split answer, median - direct, us", Metric::P50Split, TCP, "direct", AtMost(150.0)),
    value("TCP endpoint: split answer, p99, us", Metric::P99Split, TCP, AtMost(5000.0)),
    ratio("TCP endpoint: download / rathole-tls", Metric::Bulk1, TCP, RATHOLE, AtLeast(1.3)),
    ratio("TCP endpoint: download / frp-tls", Metric::Bulk1, TCP, "frp-tls", AtLeast(1.3)),
    ratio("TCP endpoint: download / one-hop copy", Metric::Bulk1, TCP, "raw-one-hop", AtLeast(0.35)),
    ratio("TCP endpoint: CPU per GiB / rathole-tls", Metric::CpuPerGib, TCP, RATHOLE, AtMost(0.75)),
    ratio("HTTP endpoint: requests at 64 / nginx", Metric::Rps64, HTTP, "nginx-http", AtLeast(0.6)),
    ratio("HTTP endpoint: requests at 64 / frp-http", Metric::Rps64, HTTP, "frp-http", AtLeast(5.0)),
    ratio("HTTP endpoint: CPU per request / nginx", Metric::CpuPerThousandRequests, HTTP, "nginx-http", AtMost(2.0)),
    ratio("HTTPS endpoint: requests at 64 / nginx with TLS", Metric::Rps64, HTTPS, "nginx-https", AtLeast(0.75)),
    ratio(
        "HTTPS endpoint: connections / nginx with TLS",
        Metric::ConnectionsPerSecond,
        HTTPS,
        "nginx-https",
        AtLeast(1.0),
    ),
    ratio("QUIC carrier: requests at 64 / rathole-tls", Metric::Rps64, QUIC, RATHOLE, AtLeast(1.2)),
    ratio("QUIC carrier: download / rathole-tls", Metric::Bulk1, QUIC, RATHOLE, AtLeast(0.7)),
    value("idle agent at the edge, TCP carrier, KiB", Metric::IdleAgent, TCP, AtMost(20.0)),
    value("idle agent at the edge, QUIC carrier, KiB", Metric::IdleAgent, QUIC, AtMost(48.0)),
    value("idle connection, edge and agent, KiB", Metric::IdleConnection, TCP, AtMost(24.0)),
    value("without load, server and agent, MiB", Metric::IdleSystem, TCP, AtMost(30.0)),
    value("without load, agent, MiB", Metric::IdleAgentProcess, TCP, AtMost(10.0)),
    value("agents taken per s of edge CPU, TCP carrier", Metric::AgentsPerCpuSecond, TCP, AtLeast(1500.0)),
    value("agents taken per s of edge CPU, QUIC carrier", Metric::AgentsPerCpuSecond, QUIC, AtLeast(900.0)),
    value("agent start to first answer, ms", Metric::FirstAnswer, TCP, AtMost(150.0)),
    ratio("agent start to first answer / rathole-tls", Metric::FirstAnswer, TCP, RATHOLE, AtMost(2.0)),
    ratio("Node SDK, TCP endpoint: requests at 64 / native", Metric::Rps64, "sdk-node-tcp", TCP, AtLeast(0.5)),
    ratio("Node SDK, HTTP endpoint: requests at 64 / native", Metric::Rps64, "sdk-node-http", HTTP, AtLeast(0.5)),
    ratio("Node SDK, HTTP endpoint: median latency / native", Metric::P50At1, "sdk-node-http", HTTP, AtMost(2.0)),
    ratio("Rust SDK, HTTP endpoint: median latency / native", Metric::P50At1, "sdk-rust-http", HTTP, AtMost(2.0)),
    value("idle session of the Node SDK at the edge, KiB", Metric::IdleAgent, "sdk-node-tcp", AtMost(64.0)),
    value("idle session of the Python SDK at the edge, KiB", Metric::IdleAgent, "sdk-python-tcp", AtMost(64.0)),
    value("idle session of the Rust SDK at the edge, KiB", Metric::IdleAgent, "sdk-rust-tcp", AtMost(64.0)),
    value("idle session of the Go SDK at the edge, KiB", Metric::IdleAgent, "sdk-go-tcp", AtMost(64.0)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_goal_names_systems_that_exist() {
        let known = |name: &str| System::all().any(|system| system.name() == name);
        for goal in GOALS {
            let ok = match goal.figure {
                Figure::Ratio(_, ours, theirs) | Figure::Difference(_, ours, theirs) => known(ours) && known(theirs),
                Figure::Value(_, ours) => known(ours),
            };
            assert!(ok, "{}", goal.what);
        }
    }

    #[test]
    fn goals_for_an_sdk_are_for_runs_with_it() {
        let asked = |name: &str| {
            let systems: Vec<System> = System::all().filter(|system| system.name() == name).collect();
            GOALS.iter().filter(|goal| goal.is_asked(&systems)).count()
        };
        assert_eq!(asked("sdk-node-http"), asked("direct") + 2);
    }

    #[test]
    fn a_goal_is_judged_by_the_median_of_its_ratios() {
        let mut values = Values::default();
        for (round, ours) in [18.0, 10.0, 40.0].into_iter().enumerate() {
            values.put(TCP, Metric::Rps64, round, ours);
            values.put(RATHOLE, Metric::Rps64, round, 10.0);
        }
        let goal = &GOALS[0];
        let median = goal.value(&values).expect("measured").median;
        assert!(goal.limit.holds(median), "{median}");
        assert!(GOALS[1].value(&values).is_none());
    }
}
