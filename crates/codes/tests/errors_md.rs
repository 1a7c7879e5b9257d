//! `docs/errors.md` is the catalogue as a table, and is kept fresh by this test.

use std::fmt::Write;
use std::path::Path;

use portway_codes::{Code, Family};

const HEAD: &str = "\
# Error codes

Every error that reaches a user carries a code. Visitors find it in the `ngrok-error-code` header and on the error page, agents on the
last line of the message. Codes named `ERR_NGROK_n` mean what programs written for ngrok expect them to mean; the words are Portway's.
`ERR_PORTWAY_n` are Portway's own, and their first three digits are the HTTP status. For codes that no HTTP answer carries, the status
is the one that fits best.

This file is made from `crates/codes/src/catalogue.rs` by `UPDATE=1 cargo test -p portway-codes --test errors_md`.
";

fn document() -> String {
    let mut text = HEAD.to_owned();
    for (family, title) in [(Family::Ngrok, "Codes known from ngrok"), (Family::Portway, "Portway's own codes")] {
        write!(text, "\n## {title}\n\n| Code | Status | What | Text |\n| --- | --- | --- | --- |\n")
            .expect("a string grows");
        for code in Code::ALL.iter().filter(|code| code.family() == family) {
            writeln!(text, "| `{code}` | {} | {} | {} |", code.status(), code.title(), code.text())
                .expect("a string grows");
        }
    }
    text
}

#[test]
fn the_table_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors.md");
    let fresh = document();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, fresh).expect("docs/errors.md can be written");
        return;
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == fresh,
        "docs/errors.md is not what crates/codes/src/catalogue.rs says; make it again with\n  \
         UPDATE=1 cargo test -p portway-codes --test errors_md"
    );
}
