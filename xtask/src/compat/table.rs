//! What came out, as a table: a row for each scenario, a column for each SDK.

use std::collections::BTreeMap;

use super::Counts;
use super::scenario::Scenario;
use super::stage::Outcome;
use crate::sdk::Sdk;

/// Outcomes by SDK and scenario.
pub(super) struct Table {
    sdks: Vec<&'static Sdk>,
    scenarios: Vec<&'static Scenario>,
    outcomes: BTreeMap<(&'static str, &'static str), Outcome>,
}

impl Table {
    pub(super) fn new(sdks: &[&'static Sdk], scenarios: &[&'static Scenario]) -> Self {
        Self { sdks: sdks.to_vec(), scenarios: scenarios.to_vec(), outcomes: BTreeMap::new() }
    }

    /// Enters an outcome.
    pub(super) fn enter(&mut self, sdk: &'static str, scenario: &'static str, outcome: Outcome) {
        self.outcomes.insert((sdk, scenario), outcome);
    }

    /// Enters that nothing of an SDK is run.
    pub(super) fn skip(&mut self, sdk: &'static str, why: &str) {
        for scenario in &self.scenarios {
            self.outcomes.insert((sdk, scenario.name), Outcome::Skipped(why.to_owned()));
        }
    }

    /// The table and the reasons, and what is counted. What was not entered counts as failed.
    pub(super) fn finish(self) -> (String, Counts) {
        let mut text = String::new();
        let mut counts = Counts { passed: 0, failed: 0, skipped: Vec::new() };
        let mut failures = Vec::new();
        let columns: Vec<&str> = self.sdks.iter().map(|sdk| sdk.name).collect();
        text += &format!("{:<16}", "");
        for column in &columns {
            text += &format!(" {column:>13}");
        }
        text.push('\n');
        for scenario in &self.scenarios {
            text += &format!("{:<16}", scenario.name);
            for column in &columns {
                let lost = Outcome::Failed("it was never run".to_owned());
                let word = match self.outcomes.get(&(column, scenario.name)).unwrap_or(&lost) {
                    Outcome::Passed => {
                        counts.passed += 1;
                        "ok"
                    }
                    Outcome::Failed(why) => {
                        counts.failed += 1;
                        failures.push(format!("failed: {column} {}: {why}", scenario.name));
                        "FAILED"
                    }
                    Outcome::Missing => "-",
                    Outcome::Skipped(why) => {
                        let reason = format!("{column}: {why}");
                        if !counts.skipped.contains(&reason) {
                            counts.skipped.push(reason);
                        }
                        "skipped"
                    }
                };
                text += &format!(" {word:>13}");
            }
            text.push('\n');
        }
        text += "\n-: the SDK has nothing for it\n";
        for line in &failures {
            text += &format!("{line}\n");
        }
        for reason in &counts.skipped {
            text += &format!("skipped: {reason}\n");
        }
        (text, counts)
    }
}

#[cfg(test)]
mod tests {
    use super::super::scenario::SCENARIOS;
    use super::*;
    use crate::sdk::SDKS;

    #[test]
    fn outcomes_are_counted() {
        let (sdks, scenarios): (Vec<_>, Vec<_>) = (SDKS.iter().take(2).collect(), SCENARIOS.iter().take(3).collect());
        let mut table = Table::new(&sdks, &scenarios);
        table.skip(sdks[1].name, "needs x; install it");
        table.enter(sdks[0].name, scenarios[0].name, Outcome::Passed);
        table.enter(sdks[0].name, scenarios[1].name, Outcome::Missing);
        let (text, counts) = table.finish();
        // What was not entered is a failure.
        assert_eq!((counts.passed, counts.failed, counts.skipped.len()), (1, 1, 1));
        assert!(text.contains(&format!("failed: {} {}: it was never run", sdks[0].name, scenarios[2].name)), "{text}");
    }
}
