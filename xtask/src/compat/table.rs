//! What came out, as a table: a row for each scenario or resource, a column for each SDK or client.

use std::collections::BTreeMap;

use super::Counts;
use super::stage::Outcome;

/// Narrowest column of the rows' names.
const NAME_WIDTH: usize = 16;

/// Outcomes by column and row.
pub(super) struct Table {
    columns: Vec<String>,
    rows: Vec<String>,
    outcomes: BTreeMap<(String, String), Outcome>,
}

impl Table {
    pub(super) fn new<'a>(columns: impl Iterator<Item = &'a str>, rows: impl Iterator<Item = &'a str>) -> Self {
        let (columns, rows) = (columns.map(str::to_owned).collect(), rows.map(str::to_owned).collect());
        Self { columns, rows, outcomes: BTreeMap::new() }
    }

    /// Enters an outcome.
    pub(super) fn enter(&mut self, column: &str, row: &str, outcome: Outcome) {
        self.outcomes.insert((column.to_owned(), row.to_owned()), outcome);
    }

    /// Enters that nothing of a column is run.
    pub(super) fn skip(&mut self, column: &str, why: &str) {
        for row in &self.rows {
            self.outcomes.insert((column.to_owned(), row.clone()), Outcome::Skipped(why.to_owned()));
        }
    }

    /// Enters that a column could not be prepared, which is a failure of its first row.
    pub(super) fn unprepared(&mut self, column: &str, error: &anyhow::Error) {
        self.skip(column, "it could not be prepared");
        if let Some(row) = self.rows.first().cloned() {
            self.enter(column, &row, Outcome::Failed(format!("{error:#}")));
        }
    }

    /// The table and the reasons, and what is counted. What was not entered counts as failed.
    pub(super) fn finish(self) -> (String, Counts) {
        let mut text = String::new();
        let mut counts = Counts { passed: 0, failed: 0, skipped: Vec::new() };
        let mut failures = Vec::new();
        let width = self.rows.iter().map(String::len).max().unwrap_or_default().max(NAME_WIDTH);
        text += &format!("{:<width$}", "");
        for column in &self.columns {
            text += &format!(" {column:>13}");
        }
        text.push('\n');
        for row in &self.rows {
            text += &format!("{row:<width$}");
            for column in &self.columns {
                let lost = Outcome::Failed("it was never run".to_owned());
                let word = match self.outcomes.get(&(column.clone(), row.clone())).unwrap_or(&lost) {
                    Outcome::Passed => {
                        counts.passed += 1;
                        "ok"
                    }
                    Outcome::Failed(why) => {
                        counts.failed += 1;
                        failures.push(format!("failed: {column} {row}: {why}"));
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
        text += "\n-: there is nothing for it\n";
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
    use super::*;

    #[test]
    fn outcomes_are_counted() {
        let mut table = Table::new(["one", "two"].into_iter(), ["first", "second", "third"].into_iter());
        table.skip("two", "needs x; install it");
        table.enter("one", "first", Outcome::Passed);
        table.enter("one", "second", Outcome::Missing);
        let (text, counts) = table.finish();
        // What was not entered is a failure.
        assert_eq!((counts.passed, counts.failed, counts.skipped.len()), (1, 1, 1));
        assert!(text.contains("failed: one third: it was never run"), "{text}");
    }
}
