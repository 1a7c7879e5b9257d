//! Rust source, split into code and comments: enough of a lexer to count lines and find words, and no more.

/// A source file whose code and comments can be looked at apart.
pub(super) struct Source {
    /// The text, with comments and the insides of strings and characters replaced by spaces.
    pub(super) code: String,
    /// The text, with everything but comments replaced by spaces.
    pub(super) comments: String,
    /// Byte ranges of `code` that are compiled for tests only.
    tests: Vec<(usize, usize)>,
}

/// A function with a body.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Function {
    pub(super) name: String,
    /// Line it begins on, from 1.
    pub(super) line: usize,
    /// Lines of its body that hold code.
    pub(super) length: usize,
    /// Compiled for tests only.
    pub(super) test: bool,
}

impl Source {
    pub(super) fn new(text: &str) -> Self {
        let (code, comments) = split(text);
        let tests = test_ranges(&code);
        Self { code, comments, tests }
    }

    /// Whether the byte at `offset` belongs to code that is compiled for tests only.
    pub(super) fn is_test(&self, offset: usize) -> bool {
        self.tests.iter().any(|(start, end)| (*start..*end).contains(&offset))
    }

    /// Offsets of `word` in the code.
    pub(super) fn find<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        self.code.match_indices(word).map(|(offset, _)| offset)
    }

    /// The line of an offset, from 1.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.code[..offset].matches('\n').count() + 1
    }

    /// Every function with a body.
    pub(super) fn functions(&self) -> Vec<Function> {
        let mut found = Vec::new();
        for start in self.find("fn ") {
            if self.code[..start].ends_with(is_word) {
                continue;
            }
            let name: String = self.code[start + 3..].trim_start().chars().take_while(|c| is_word(*c)).collect();
            let Some(open) = body(&self.code, start).filter(|_| !name.is_empty()) else { continue };
            let end = closing(&self.code, open);
            let lines = self.code[open + 1..end].lines().filter(|line| !line.trim().is_empty());
            let (line, length, test) = (self.line(start), lines.count(), self.is_test(start));
            found.push(Function { name, line, length, test });
        }
        found
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where the body of the item at `start` begins; `None` when it ends with `;` before.
fn body(code: &str, start: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (offset, c) in code[start..].char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            '{' if depth == 0 => return Some(start + offset),
            ';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// The brace that closes the one at `open`, or the end of the text.
fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, c) in code[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return open + offset;
                }
            }
            _ => {}
        }
    }
    code.len()
}

fn test_ranges(code: &str) -> Vec<(usize, usize)> {
    let marks = code.match_indices("#[cfg(test)]").map(|(start, mark)| (start, start + mark.len()));
    let mut ranges = Vec::new();
    for (start, after) in marks {
        if let Some(open) = body(code, after) {
            ranges.push((start, closing(code, open)));
        }
    }
    ranges
}

/// Code and comments, each with the other replaced by spaces; line ends stay in both.
fn split(text: &str) -> (String, String) {
    let mut splitter = Splitter { code: String::new(), comments: String::new() };
    let mut rest = text;
    while !rest.is_empty() {
        let (length, kind) = token(rest, splitter.code.ends_with(is_word));
        splitter.push(&rest[..length], kind);
        rest = &rest[length..];
    }
    (splitter.code, splitter.comments)
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Kind {
    Code,
    Comment,
    Literal,
}

struct Splitter {
    code: String,
    comments: String,
}

impl Splitter {
    fn push(&mut self, token: &str, kind: Kind) {
        // Blanks are as many bytes as what they replace, so that offsets agree.
        let blank = |c: char| if c == '\n' { "\n".to_owned() } else { " ".repeat(c.len_utf8()) };
        let blanked: String = token.chars().map(blank).collect();
        match kind {
            Kind::Code => {
                self.code.push_str(token);
                self.comments.push_str(&blanked);
            }
            Kind::Comment => {
                self.code.push_str(&blanked);
                self.comments.push_str(token);
            }
            Kind::Literal => {
                // Something must stay, or a line that holds only a string would count as blank.
                let (quote, inner) = (&token[..1], &blanked[1..]);
                self.code.push_str(quote);
                self.code.push_str(inner);
                self.comments.push_str(&blanked);
            }
        }
    }
}

/// Length and kind of the token `text` begins with.
fn token(text: &str, after_word: bool) -> (usize, Kind) {
    if text.starts_with("//") {
        return (text.find('\n').unwrap_or(text.len()), Kind::Comment);
    }
    if text.starts_with("/*") {
        return (block_comment(text), Kind::Comment);
    }
    if text.starts_with('"') {
        return (quoted(text, '"'), Kind::Literal);
    }
    if !after_word && let Some(length) = raw_string(text) {
        return (length, Kind::Literal);
    }
    if let Some(after) = text.strip_prefix('\'') {
        let mut chars = after.chars();
        let first = chars.next();
        if first == Some('\\') || (first.is_some() && chars.next() == Some('\'')) {
            return (quoted(text, '\''), Kind::Literal);
        }
    }
    (text.chars().next().map_or(1, char::len_utf8), Kind::Code)
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let bytes = text.as_bytes();
    let mut at = 0;
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => {
                depth += 1;
                at += 2;
            }
            b"*/" => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    text.len()
}

/// Length of the literal that begins and ends with `quote`.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (offset, c) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return offset + 1;
        }
    }
    text.len()
}

/// Length of `r"…"`, `r#"…"#` and their byte and C kin.
fn raw_string(text: &str) -> Option<usize> {
    let after = text.strip_prefix('r').or_else(|| text.strip_prefix("br")).or_else(|| text.strip_prefix("cr"))?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let inner = after[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = inner.find(&close)? + close.len();
    Some(text.len() - inner.len() + end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_and_comments_are_blanked() {
        let source = Source::new(
            "let a = \"fn {\"; // fn {\nlet b = '{'; /* { /* } */ } */ let c: &'static str = r#\"\"{\"#;\n",
        );
        assert!(!source.code.contains('{'), "{}", source.code);
        assert!(source.code.contains("&'static str"));
        assert!(source.comments.contains("// fn {"));
        assert_eq!(source.code.len(), source.comments.len());
    }

    #[test]
    fn functions_are_measured_without_blanks_and_comments() {
        let text = "fn a() {\n    // why\n\n    one();\n    \"text\";\n}\ntrait T { fn b(); fn c(x: [u8; 2]) -> fn(u8) { x } }\n";
        let functions = Source::new(text).functions();
        let measured: Vec<_> = functions.iter().map(|f| (f.name.as_str(), f.line, f.length)).collect();
        assert_eq!(measured, [("a", 1, 2), ("c", 7, 1)]);
    }

    #[test]
    fn test_code_is_known() {
        let source =
            Source::new("fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n#[cfg(test)]\nmod far;\n");
        let tests: Vec<_> = source.functions().into_iter().map(|f| (f.name, f.test)).collect();
        assert_eq!(tests, [("a".to_owned(), false), ("b".to_owned(), true), ("c".to_owned(), false)]);
    }
}
