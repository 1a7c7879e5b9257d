//! `docs/errors.md` is the catalogue as a table, and is kept fresh by this test.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use portway_codes::{Code, Family};

const HEAD: &str = "\
# Error codes

Every error that the server answers with carries a code. Visitors find it in the `ngrok-error-code` header and on the error page, agents
on the last line of the message, after the advice. What goes wrong before a server answers (an unknown host, nothing that listens, a
certificate that is not trusted, wrong usage) has no code: the message says what failed and what to do. Codes named `ERR_NGROK_n` mean
what programs written for ngrok expect them to mean; the words are Portway's. `ERR_PORTWAY_n` are Portway's own, and their first three
digits are the HTTP status. For codes that no HTTP answer carries, the status is the one that fits best.

The column *sent* says whether this version ever sends the code. The others are kept because programs know their numbers: what their
texts ask for, such as reserving a name, is neither needed nor possible in this version.

This file is made from `crates/codes/src/catalogue.rs`, and from where the other crates name its codes, by
`UPDATE=1 cargo test -p portway-codes --test errors_md`.
";

fn document() -> String {
    let sent = sent(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    let mut text = HEAD.to_owned();
    for (family, title) in [(Family::Ngrok, "Codes known from ngrok"), (Family::Portway, "Portway's own codes")] {
        write!(text, "\n## {title}\n\n| Code | Status | Sent | What | Text |\n| --- | --- | --- | --- | --- |\n")
            .expect("a string grows");
        for code in Code::ALL.iter().filter(|code| code.family() == family) {
            let sent = if sent.contains(code.name()) { "yes" } else { "no" };
            writeln!(text, "| `{code}` | {} | {sent} | {} | {} |", code.status(), code.title(), code.text())
                .expect("a string grows");
        }
    }
    text
}

/// Crates that are no source of errors: the catalogue itself, and tests.
const NO_SOURCES: [&str; 2] = ["codes", "testkit"];

/// The codes that the product code of the other crates names.
fn sent(crates: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for folder in fs::read_dir(crates).expect("the crates").map(|entry| entry.expect("a crate").path()) {
        if NO_SOURCES.iter().all(|name| !folder.ends_with(name)) {
            collect(&folder.join("src"), &mut names);
        }
    }
    names
}

fn collect(folder: &Path, names: &mut BTreeSet<String>) {
    for path in fs::read_dir(folder).into_iter().flatten().map(|entry| entry.expect("a file").path()) {
        let stem = path.file_stem().unwrap_or_default();
        if stem == "tests" || stem == "testing" {
            continue;
        }
        if path.is_dir() {
            collect(&path, names);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path).expect("a source file");
            let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            let code = product.lines().filter(|line| !line.trim_start().starts_with("//"));
            names.extend(code.flat_map(named));
        }
    }
}

/// The codes in a line, in the full form or as macros take them; what stands in a text is not sent by that.
fn named(line: &str) -> impl Iterator<Item = String> + '_ {
    let word = |rest: &str| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().map(str::to_owned);
    let outside = |at: &usize| !line[..*at].ends_with(['"', '_', '`']);
    line.match_indices("ERR_").map(|(at, _)| at).filter(outside).filter_map(move |at| word(&line[at..]))
}

#[test]
fn the_table_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors.md");
    let fresh = document();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, fresh).expect("docs/errors.md can be written");
        return;
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == fresh,
        "docs/errors.md is not what crates/codes/src/catalogue.rs and the uses of its codes say; make it again with\n  \
         UPDATE=1 cargo test -p portway-codes --test errors_md"
    );
}
