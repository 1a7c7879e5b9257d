//! What is measured, and the values of a run.

use std::collections::BTreeMap;

/// A figure of a system under test.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Metric {
    Rps1,
    P50At1,
    P99At1,
    Rps64,
    P50At64,
    P99At64,
    CpuPerThousandRequests,
    Rps256,
    P50At256,
    P99At256,
    P50Split,
    P99Split,
    ConnectionsPerSecond,
    CpuPerThousandConnections,
    Bulk1,
    CpuPerGib,
    Bulk8,
    IdleConnection,
    IdleSystem,
    IdleAgentProcess,
    IdleAgent,
    AgentsPerCpuSecond,
    FirstAnswer,
}

impl Metric {
    /// All of them, in the order of the report.
    pub(super) const ALL: &[Self] = &[
        Self::Rps1,
        Self::P50At1,
        Self::P99At1,
        Self::Rps64,
        Self::P50At64,
        Self::P99At64,
        Self::CpuPerThousandRequests,
        Self::Rps256,
        Self::P50At256,
        Self::P99At256,
        Self::P50Split,
        Self::P99Split,
        Self::ConnectionsPerSecond,
        Self::CpuPerThousandConnections,
        Self::Bulk1,
        Self::CpuPerGib,
        Self::Bulk8,
        Self::IdleConnection,
        Self::IdleSystem,
        Self::IdleAgentProcess,
        Self::IdleAgent,
        Self::AgentsPerCpuSecond,
        Self::FirstAnswer,
    ];

    /// Its key in the JSON file.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Rps1 => "rps1",
            Self::P50At1 => "p50_1",
            Self::P99At1 => "p99_1",
            Self::Rps64 => "rps64",
            Self::P50At64 => "p50_64",
            Self::P99At64 => "p99_64",
            Self::CpuPerThousandRequests => "cpu_kreq",
            Self::Rps256 => "rps256",
            Self::P50At256 => "p50_256",
            Self::P99At256 => "p99_256",
            Self::P50Split => "p50_split",
            Self::P99Split => "p99_split",
            Self::ConnectionsPerSecond => "conn_s",
            Self::CpuPerThousandConnections => "cpu_kconn",
            Self::Bulk1 => "bulk1",
            Self::CpuPerGib => "cpu_gib",
            Self::Bulk8 => "bulk8",
            Self::IdleConnection => "idle_conn",
            Self::IdleSystem => "idle_system",
            Self::IdleAgentProcess => "idle_agent_process",
            Self::IdleAgent => "idle_agent",
            Self::AgentsPerCpuSecond => "agents_cpu_s",
            Self::FirstAnswer => "first_answer",
        }
    }

    /// What it is, with its unit.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Rps1 => "requests/s, 1 connection",
            Self::P50At1 => "median latency, 1 connection, us",
            Self::P99At1 => "p99 latency, 1 connection, us",
            Self::Rps64 => "requests/s, 64 connections",
            Self::P50At64 => "median latency, 64 connections, us",
            Self::P99At64 => "p99 latency, 64 connections, us",
            Self::CpuPerThousandRequests => "CPU per 1,000 requests, ms",
            Self::Rps256 => "requests/s, 256 connections",
            Self::P50At256 => "median latency, 256 connections, us",
            Self::P99At256 => "p99 latency, 256 connections, us",
            Self::P50Split => "median latency, answer in two writes, us",
            Self::P99Split => "p99 latency, answer in two writes, us",
            Self::ConnectionsPerSecond => "new connections/s, 32 at a time",
            Self::CpuPerThousandConnections => "CPU per 1,000 connections, ms",
            Self::Bulk1 => "download, 1 stream, MiB/s",
            Self::CpuPerGib => "CPU per GiB, s",
            Self::Bulk8 => "download, 8 streams, MiB/s",
            Self::IdleConnection => "memory per idle connection, both sides, KiB",
            Self::IdleSystem => "memory without load, both sides, MiB",
            Self::IdleAgentProcess => "memory of the agent without load, MiB",
            Self::IdleAgent => "memory of the edge per idle agent, KiB",
            Self::AgentsPerCpuSecond => "agents taken per second of edge CPU",
            Self::FirstAnswer => "agent start to first answer, ms",
        }
    }
}

/// Values of a run: of each system and metric, one per round. A value that could not be measured is not a number.
#[derive(Debug, Default)]
pub(super) struct Values {
    values: BTreeMap<(&'static str, Metric), Vec<f64>>,
}

/// Median and the values farthest from it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) most: f64,
}

impl Values {
    /// Keeps the value of a round, counted from 0; rounds without a value are not numbers.
    pub(super) fn put(&mut self, system: &'static str, metric: Metric, round: usize, value: f64) {
        let rounds = self.values.entry((system, metric)).or_default();
        rounds.resize(rounds.len().max(round + 1), f64::NAN);
        rounds[round] = value;
    }

    /// One value per round.
    pub(super) fn rounds(&self, system: &str, metric: Metric) -> &[f64] {
        let found = self.values.iter().find(|((name, of), _)| *name == system && *of == metric);
        found.map_or(&[], |(_, values)| values)
    }

    pub(super) fn spread(&self, system: &str, metric: Metric) -> Option<Spread> {
        Spread::of(self.rounds(system, metric).iter().copied())
    }

    /// `combine` of the two systems' values, round by round: what drifts from round to round cancels out.
    pub(super) fn compare(
        &self,
        metric: Metric,
        system: &str,
        other: &str,
        combine: impl Fn(f64, f64) -> f64,
    ) -> Option<Spread> {
        let pairs = self.rounds(system, metric).iter().zip(self.rounds(other, metric));
        Spread::of(pairs.map(|(value, other)| combine(*value, *other)))
    }
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median =
            if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) };
        Some(Self { median, least, most })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_ignore_what_was_not_measured() {
        let spread = Spread::of([3.0, f64::NAN, 1.0, 2.0, 10.0].into_iter());
        assert_eq!(spread, Some(Spread { median: 2.5, least: 1.0, most: 10.0 }));
        assert_eq!(Spread::of([f64::NAN].into_iter()), None);
    }

    #[test]
    fn systems_are_compared_round_by_round() {
        let mut values = Values::default();
        for (round, ours, theirs) in [(0, 10.0, 5.0), (1, 100.0, 25.0), (3, 9.0, f64::NAN)] {
            values.put("ours", Metric::Rps64, round, ours);
            values.put("theirs", Metric::Rps64, round, theirs);
        }
        let ratio = values.compare(Metric::Rps64, "ours", "theirs", |a, b| a / b);
        assert_eq!(ratio, Some(Spread { median: 3.0, least: 2.0, most: 4.0 }));
    }
}
