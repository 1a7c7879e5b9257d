//! Rules for Rust sources.

use super::source::Source;
use super::{Exceptions, Finding};

/// Lines a file is wanted to stay below; longer ones are listed.
pub(super) const WANTED_LINES: usize = 400;
/// Lines no file exceeds without an exception.
const MOST_LINES: usize = 600;
/// Lines of code no function exceeds without an exception.
const MOST_FUNCTION_LINES: usize = 70;
/// Names that say nothing about what is inside.
const BANNED_MODULES: &[&str] = &["util", "utils", "common", "shared", "core", "types", "helpers", "helper", "misc"];
/// Code that has no place in a commit.
const BANNED_CODE: &[&str] = &["todo!(", "unimplemented!(", "dbg!(", "#[ignore"];
/// What the pure set does not use: time, randomness, sockets, threads and files are arguments or somebody else's.
const IMPURE: &[&str] = &[
    "Instant::now",
    "SystemTime",
    "UNIX_EPOCH",
    "rand::",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "ToSocketAddrs",
    "std::thread",
    "thread::spawn",
    "std::fs",
    "std::env",
    "std::process",
    "tokio::",
];

/// Checks a source file.
pub(super) fn check(path: &str, text: &str, pure: bool, exceptions: &Exceptions) -> Vec<Finding> {
    let source = Source::new(text);
    let tests_only = is_tests(path);
    let mut findings = check_shape(path, text, exceptions);
    for word in BANNED_CODE {
        findings.extend(
            source.find(word).map(|at| Finding::new(source.line(at), format!("{word} has no place in a commit"))),
        );
    }
    if pure && !tests_only {
        for word in IMPURE {
            let hits = source.find(word).filter(|at| !source.is_test(*at) && begins_word(&source.code, *at));
            findings.extend(hits.map(|at| Finding::new(source.line(at), format!("{word} in a pure crate"))));
        }
    }
    for function in source.functions().iter().filter(|function| !function.test && !tests_only) {
        let excused = exceptions.long_functions.contains_key(&format!("{path}::{}", function.name));
        if function.length > MOST_FUNCTION_LINES && !excused {
            let what =
                format!("{} has {} lines of code, {MOST_FUNCTION_LINES} are the limit", function.name, function.length);
            findings.push(Finding::new(function.line, what));
        }
    }
    findings.extend(check_citations(&source.comments));
    findings
}

/// Length, name and module doc of the file.
fn check_shape(path: &str, text: &str, exceptions: &Exceptions) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lines = text.lines().count();
    if lines > MOST_LINES && !exceptions.long_files.contains_key(path) {
        findings
            .push(Finding::new(lines, format!("{lines} lines, {MOST_LINES} are the limit: give its subjects files")));
    }
    if !text.lines().any(|line| !line.trim().is_empty()) || !text.trim_start().starts_with("//!") {
        findings.push(Finding::new(1, "does not begin with a module doc (`//!`)"));
    }
    if let Some(name) = path.split(['/', '.']).find(|part| BANNED_MODULES.contains(part)) {
        findings.push(Finding::new(1, format!("a module named {name} says nothing about what is inside")));
    }
    findings
}

/// Whether the whole file is compiled for tests only.
fn is_tests(path: &str) -> bool {
    let folder = |name: &str| path.contains(&format!("/{name}/"));
    path.ends_with("/tests.rs") || folder("tests") || folder("benches") || path.starts_with("crates/testkit/")
}

fn begins_word(code: &str, offset: usize) -> bool {
    !code[..offset].ends_with(|c: char| c.is_alphanumeric() || c == '_')
}

/// An RFC is cited with its section, or nobody finds the sentence.
fn check_citations(comments: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (offset, _) in comments.match_indices("RFC ") {
        let after = &comments[offset + 4..];
        let number = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if number == 0 {
            continue;
        }
        let next: String = after[number..].chars().take(160).collect();
        // A citation may go on in the next line of the comment.
        let next = next.replace("//!", " ").replace("///", " ").replace("//", " ");
        let next = next.trim_start_matches([',', ' ', '\n', '(']);
        let cited = ["§", "section", "Section", "appendix", "Appendix"].iter().any(|word| next.starts_with(word));
        if !cited {
            let line = comments[..offset].matches('\n').count() + 1;
            findings.push(Finding::new(line, format!("RFC {} is cited without a section", &after[..number])));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str, pure: bool) -> Vec<(usize, String)> {
        let findings = check(path, text, pure, &Exceptions::default());
        findings.into_iter().map(|finding| (finding.line, finding.what)).collect()
    }

    #[test]
    fn a_good_file_passes() {
        let text = "//! Frames.\n\n/// RFC 9110 §7.6.1 and RFC 9112,\n/// section 6.\nfn a() { let t = \"dbg!(\"; }\n";
        assert_eq!(found("crates/wire/src/frame.rs", text, true), []);
    }

    #[test]
    fn a_file_needs_a_doc_and_a_name() {
        let found = found("crates/wire/src/util.rs", "fn a() {}\n", false);
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn long_files_and_functions_are_found() {
        let long = format!("//! Doc.\nfn a() {{\n{}}}\n", "    b();\n".repeat(71));
        assert_eq!(found("a.rs", &long, false), [(2, "a has 71 lines of code, 70 are the limit".to_owned())]);
        assert_eq!(found("crates/x/tests/a.rs", &long, false), []);
        let endless = format!("//! Doc.\n{}", "\n".repeat(600));
        assert_eq!(found("a.rs", &endless, false).len(), 1);
    }

    #[test]
    fn exceptions_hold() {
        let long = format!("//! Doc.\nfn a() {{\n{}}}\n", "    b();\n".repeat(700));
        let exceptions = toml::from_str("[long_files]\n\"a.rs\" = \"x\"\n[long_functions]\n\"a.rs::a\" = \"x\"\n");
        assert_eq!(check("a.rs", &long, false, &exceptions.expect("exceptions")), []);
    }

    #[test]
    fn leftovers_are_found() {
        let text = "//! Doc.\nfn a() { todo!() }\n#[ignore]\nfn b() { dbg!(1); }\n";
        let lines: Vec<usize> = found("a.rs", text, false).into_iter().map(|found| found.0).collect();
        assert_eq!(lines, [2, 4, 3]);
    }

    #[test]
    fn a_clock_in_a_pure_crate_is_found() {
        let text = "//! Doc.\nfn a() { Instant::now(); operand::x(); }\n#[cfg(test)]\nmod tests { fn b() { Instant::now(); } }\n";
        assert_eq!(found("a.rs", text, true), [(2, "Instant::now in a pure crate".to_owned())]);
        assert_eq!(found("a.rs", text, false), []);
    }

    #[test]
    fn citations_need_a_section() {
        let text = "//! Doc.\n// See RFC 9110 for more, and the RFC says so.\nlet a = \"RFC 1\";\n";
        assert_eq!(found("a.rs", text, false), [(2, "RFC 9110 is cited without a section".to_owned())]);
    }
}
