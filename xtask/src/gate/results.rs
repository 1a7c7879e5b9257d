//! Counts from what test binaries print.

/// Sums over all test binaries of a run.
#[derive(Debug, Default)]
pub(super) struct TestResults {
    pub(super) passed: usize,
    pub(super) failed: usize,
    /// Why tests did not do their work, as they said in a line `skipped: reason`; each reason once.
    pub(super) skipped: Vec<String>,
    /// Inside of the output of tests that passed.
    quiet: bool,
}

impl TestResults {
    /// Takes in a line; returns whether people should see it.
    pub(super) fn read(&mut self, line: &str) -> bool {
        if let Some(reason) = line.trim_start().strip_prefix("skipped: ") {
            self.skip(reason);
        }
        match line.trim_end() {
            "successes:" => self.quiet = true,
            "failures:" => self.quiet = false,
            line => {
                if let Some(summary) = line.strip_prefix("test result: ") {
                    self.quiet = false;
                    self.passed += count(summary, "passed");
                    self.failed += count(summary, "failed");
                }
            }
        }
        !self.quiet
    }

    /// Notes why something did not do its work.
    pub(super) fn skip(&mut self, reason: &str) {
        if !self.skipped.iter().any(|known| known == reason) {
            self.skipped.push(reason.to_owned());
        }
    }

    /// Skips whose reason names something to install.
    pub(super) fn installable_skips(&self) -> usize {
        self.skipped.iter().filter(|reason| reason.contains("install")).count()
    }
}

/// The number before `word` in `ok. 12 passed; 0 failed; …`.
fn count(summary: &str, word: &str) -> usize {
    let words: Vec<&str> = summary.split([' ', ';', '.']).filter(|word| !word.is_empty()).collect();
    let pair = words.windows(2).find(|pair| pair[1] == word);
    pair.and_then(|pair| pair[0].parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
running 2 tests
test a ... ok
test b ... ok

successes:

---- a stdout ----
skipped: needs curl; install it with apt-get install curl
noise

successes:
    a
    b

test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.01s

running 1 test
test c ... FAILED

failures:

---- c stdout ----
skipped: this kernel has no netem
reason

failures:
    c

test result: FAILED. 10 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

    #[test]
    fn sums_over_binaries() {
        let mut results = TestResults::default();
        let shown: Vec<&str> = OUTPUT.lines().filter(|line| results.read(line)).collect();
        assert_eq!((results.passed, results.failed), (12, 1));
        assert_eq!(results.skipped.len(), 2);
        assert_eq!(results.installable_skips(), 1);
        assert!(shown.contains(&"reason") && !shown.contains(&"noise"), "{shown:?}");
        assert!(shown.iter().filter(|line| line.starts_with("test result")).count() == 2);
    }
}
