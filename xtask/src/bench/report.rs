//! What a run says: tables for people, JSON for programs.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use super::goals::{GOALS, Goal};
use super::metric::{Metric, Values};
use super::system::System;
use crate::workspace::Workspace;

/// Prints medians, spreads and ratios of every metric, then the goals.
pub(super) fn print(values: &Values, systems: &[System]) {
    for metric in Metric::ALL {
        let measured = systems.iter().filter_map(|system| Some((system, values.spread(system.name(), *metric)?)));
        let measured: Vec<_> = measured.collect();
        if measured.is_empty() {
            continue;
        }
        let native = if systems.iter().any(|system| system.native().is_some()) { "/ native" } else { "" };
        println!("\n{:<46} {:>10} {:>21} {:>10} {native:>10}", metric.title(), "median", "least - most", "/ direct");
        for (system, spread) in measured {
            let range = format!("{} - {}", number(spread.least), number(spread.most));
            let ratio = |other| {
                let ratio = values.compare(*metric, system.name(), other, |value, other| value / other);
                ratio.map_or_else(String::new, |ratio| format!("{:.2}", ratio.median))
            };
            let (direct, native) = (ratio("direct"), system.native().map_or_else(String::new, ratio));
            let median = number(spread.median);
            println!("  {:<44} {median:>10} {range:>21} {direct:>10} {native:>10}", system.name());
        }
    }
    println!("\n{:<52} {:>10} {:>19} {:>9}  met", "goal", "median", "least - most", "wanted");
    let (mut met, mut missed) = (0, 0);
    let asked: Vec<&Goal> = GOALS.iter().filter(|goal| goal.is_asked(systems)).collect();
    for goal in &asked {
        let Some(spread) = goal.value(values) else {
            println!("{:<52} {:>10} {:>19} {:>9}  not measured", goal.what, "", "", goal.limit.text());
            continue;
        };
        let holds = goal.limit.holds(spread.median);
        *(if holds { &mut met } else { &mut missed }) += 1;
        let range = format!("{} - {}", number(spread.least), number(spread.most));
        let verdict = if holds { "yes" } else { "NO" };
        println!("{:<52} {:>10} {range:>19} {:>9}  {verdict}", goal.what, number(spread.median), goal.limit.text());
    }
    println!("\n{met} goals met, {missed} missed, {} not measured", asked.len() - met - missed);
}

/// Everything that was measured, as one JSON document.
pub(super) fn json(workspace: &Workspace, values: &Values, systems: &[System], rounds: usize) -> Value {
    let measured = |system: &System| {
        let metrics = Metric::ALL.iter().filter_map(|metric| {
            let rounds = values.rounds(system.name(), *metric);
            (!rounds.is_empty()).then(|| (metric.key().to_owned(), json!(rounds)))
        });
        (system.name().to_owned(), Value::Object(metrics.collect()))
    };
    let goals = GOALS.iter().filter(|goal| goal.is_asked(systems)).map(|goal| {
        let spread = goal.value(values);
        json!({
            "goal": goal.what,
            "wanted": goal.limit.text(),
            "median": spread.map(|spread| spread.median),
            "least": spread.map(|spread| spread.least),
            "most": spread.map(|spread| spread.most),
            "met": spread.map(|spread| goal.limit.holds(spread.median)),
        })
    });
    json!({
        "machine": machine(workspace),
        "rounds": rounds,
        "systems": systems.iter().map(measured).collect::<serde_json::Map<_, _>>(),
        "goals": goals.collect::<Vec<_>>(),
    })
}

/// What the figures were made on.
pub(super) fn machine(workspace: &Workspace) -> Value {
    let first = |file: &str, key: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(key)).map(str::to_owned);
        line.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned()))
    };
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).current_dir(workspace.root()).output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    json!({
        "processor": first("/proc/cpuinfo", "model name"),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "memory": first("/proc/meminfo", "MemTotal"),
        "kernel": fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim(),
        "compiler": said("rustc", &["--version"]),
        "commit": said("git", &["describe", "--always", "--dirty"]),
    })
}

/// A figure with about three digits that mean something.
fn number(value: f64) -> String {
    if value.abs() >= 100.0 {
        format!("{value:.0}")
    } else if value.abs() >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_are_short() {
        assert_eq!([number(12345.6), number(45.67), number(0.456)], ["12346", "45.7", "0.46"]);
    }
}
