//! Rules for Markdown: a link to a file leads to one.

use super::Finding;

/// Checks the links of the document at `path`; `exists` answers for paths relative to the root.
pub(super) fn check(path: &str, text: &str, exists: impl Fn(&str) -> bool) -> Vec<Finding> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut findings = Vec::new();
    let mut fenced = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        for target in links(line) {
            let file = target.split(['#', '?']).next().unwrap_or(target);
            if file.is_empty() || file.contains(':') {
                continue;
            }
            let full = resolve(folder, file);
            if !full.as_ref().is_some_and(|full| exists(full)) {
                findings.push(Finding::new(index + 1, format!("the link leads nowhere: {target}")));
            }
        }
    }
    findings
}

/// Targets of `[text](target)` in a line, code spans left out.
fn links(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (index, span) in line.split('`').enumerate() {
        // The target of [`code`](target) stands outside of the code span; so do plain links.
        if index % 2 == 1 {
            continue;
        }
        let mut rest = span;
        while let Some(start) = rest.find("](") {
            rest = &rest[start + 2..];
            let Some(end) = rest.find(')') else { break };
            found.push(rest[..end].split(' ').next().unwrap_or_default());
            rest = &rest[end..];
        }
    }
    found
}

/// `file` as seen from `folder`, without `.` and `..`; `None` when it leaves the root.
fn resolve(folder: &str, file: &str) -> Option<String> {
    let base = if file.starts_with('/') { "" } else { folder };
    let mut parts = Vec::new();
    for part in base.split('/').chain(file.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(text: &str) -> Vec<usize> {
        let exists = |path: &str| path == "docs/there.md" || path == "README.md";
        check("docs/here.md", text, exists).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn links_that_lead_somewhere_pass() {
        let text =
            "[a](there.md#part) [b](../README.md)\n[c](https://example.com/x) [d](#here) [`e`](./there.md \"title\")\n";
        assert_eq!(broken(text), Vec::<usize>::new());
    }

    #[test]
    fn links_that_lead_nowhere_are_found() {
        assert_eq!(broken("[a](there.md)\n[b](gone.md) [c](../../outside.md)\n"), [2, 2]);
    }

    #[test]
    fn code_is_not_read() {
        assert_eq!(broken("`[a](gone.md)`\n```\n[a](gone.md)\n```\n"), Vec::<usize>::new());
    }
}
