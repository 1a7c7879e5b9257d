//! One measurement of one system.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::load::{Load, Requests};
use super::metric::Metric;
use super::portway::Portway;
use super::system::Running;
use super::upstream::{BULK_PATH, SMALL_PATH, SPLIT_PATH};
use crate::program::Program;

/// Idle connections opened to learn what one of them takes.
const IDLE_CONNECTIONS: usize = 300;

/// A kind of load; one run of it gives several figures.
#[derive(Clone, Copy, Debug)]
pub(super) enum Probe {
    Small(usize),
    Split,
    Connections,
    Bulk(u64),
}

impl Probe {
    /// All of them, in the order of a round.
    pub(super) const ALL: &[Self] = &[
        Self::Small(1),
        Self::Small(64),
        Self::Small(256),
        Self::Split,
        Self::Connections,
        Self::Bulk(1),
        Self::Bulk(8),
    ];
}

/// How much load.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dose {
    pub(super) time: Duration,
    pub(super) bytes: u64,
}

/// Figures of a run, and what went wrong in it.
pub(super) struct Figures {
    pub(super) values: Vec<(Metric, f64)>,
    pub(super) errors: u64,
}

/// Measures `running`; `portway` is the server that its agents share.
pub(super) fn measure(
    running: &Running,
    portway: Option<&Portway>,
    load: &Load,
    probe: Probe,
    dose: Dose,
) -> Result<Figures> {
    let server = portway.filter(|_| running.system.is_behind_portway()).map(|portway| &portway.server);
    let programs: Vec<&Program> = running.programs.iter().chain(server).collect();
    let cpu = || programs.iter().map(|program| program.cpu()).sum::<Duration>();
    let before = cpu();
    let per_thousand = |requests: &Requests| {
        let used = cpu().saturating_sub(before).as_secs_f64() * 1000.0;
        if programs.is_empty() { f64::NAN } else { used * 1000.0 / requests.answered as f64 }
    };
    match probe {
        Probe::Small(connections) => {
            let requests = load.requests(&format!("{}{SMALL_PATH}", running.url), connections, dose.time, false)?;
            let cpu = per_thousand(&requests);
            let (rps, p50, p99) = match connections {
                1 => (Metric::Rps1, Metric::P50At1, Metric::P99At1),
                64 => (Metric::Rps64, Metric::P50At64, Metric::P99At64),
                _ => (Metric::Rps256, Metric::P50At256, Metric::P99At256),
            };
            let mut values = vec![(rps, requests.per_second()), (p50, requests.p50), (p99, requests.p99)];
            if connections == 64 {
                values.push((Metric::CpuPerThousandRequests, cpu));
            }
            Ok(Figures { values, errors: requests.errors })
        }
        Probe::Split => {
            let requests = load.requests(&format!("{}{SPLIT_PATH}", running.url), 1, Duration::from_secs(1), false)?;
            let values = vec![(Metric::P50Split, requests.p50), (Metric::P99Split, requests.p99)];
            Ok(Figures { values, errors: requests.errors })
        }
        Probe::Connections => {
            let requests = load.requests(&format!("{}{SMALL_PATH}", running.url), 32, dose.time, true)?;
            let cpu = per_thousand(&requests);
            let rate = (Metric::ConnectionsPerSecond, requests.per_second());
            Ok(Figures { values: vec![rate, (Metric::CpuPerThousandConnections, cpu)], errors: requests.errors })
        }
        Probe::Bulk(streams) => {
            let time = load.download(&format!("{}{BULK_PATH}", running.url), streams, dose.bytes)?;
            let used = cpu().saturating_sub(before).as_secs_f64();
            let mib = dose.bytes as f64 / f64::from(1 << 20);
            let rate = mib / time.as_secs_f64();
            let cpu = if programs.is_empty() { f64::NAN } else { used * 1024.0 / mib };
            let values = match streams {
                1 => vec![(Metric::Bulk1, rate), (Metric::CpuPerGib, cpu)],
                _ => vec![(Metric::Bulk8, rate)],
            };
            Ok(Figures { values, errors: 0 })
        }
    }
}

/// What a tunnel takes before any load: memory, and the time to its first answer.
pub(super) fn measure_idle(running: &Running, portway: Option<&Portway>) -> Result<Figures> {
    let server = portway.filter(|_| running.system.is_behind_portway()).map(|portway| &portway.server);
    let programs: Vec<&Program> = running.programs.iter().chain(server).collect();
    let memory = || programs.iter().map(|program| program.pss()).sum::<u64>() as f64;
    let before = memory();
    let mib = f64::from(1 << 20);
    let mut values =
        vec![(Metric::IdleSystem, before / mib), (Metric::FirstAnswer, running.first_answer.as_secs_f64() * 1000.0)];
    if let Some(agent) = running.programs.last() {
        values.push((Metric::IdleAgentProcess, agent.pss() as f64 / mib));
    }
    if let Some(host) = running.url.strip_prefix("http://") {
        let open = || Load::connect(host, running.port, SMALL_PATH);
        // What the first connections allocate for good is not what one more of them takes.
        let first = (0..10).map(|_| open()).collect::<Result<Vec<_>>>()?;
        let before = memory();
        let held = (0..IDLE_CONNECTIONS).map(|_| open()).collect::<Result<Vec<_>>>()?;
        let grown = (memory() - before) / 1024.0;
        values.push((Metric::IdleConnection, grown / held.len() as f64));
        drop((first, held));
    }
    Ok(Figures { values, errors: 0 })
}

/// What idle agents take at the edge, and how fast it takes them in: `hold` connects `count` of them and returns the
/// program that holds them.
pub(super) fn measure_agents(server: &Program, count: u32, hold: impl FnOnce() -> Result<Program>) -> Result<Figures> {
    let (memory, cpu) = (server.pss(), server.cpu());
    let _agents = hold()?;
    let used = server.cpu().saturating_sub(cpu).as_secs_f64();
    let grown = server.pss().saturating_sub(memory) as f64 / 1024.0;
    ensure!(grown > 0.0, "memory did not grow by {count} agents");
    let count = f64::from(count);
    Ok(Figures {
        values: vec![(Metric::IdleAgent, grown / count), (Metric::AgentsPerCpuSecond, count / used)],
        errors: 0,
    })
}
