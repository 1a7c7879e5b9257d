//! Answers to HTTP clients where no HTTP is served: one text, and the connection ends.

use portway_codes::Code;

/// A whole response.
pub(crate) fn answer(status: u16, code: Option<Code>, text: &str) -> String {
    let (header, line) = match code {
        Some(code) => (format!("ngrok-error-code: {code}\r\n"), format!("\n{code}\n")),
        None => (String::new(), String::new()),
    };
    let body = format!("{text}\n{line}");
    let reason =
        http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Error");
    format!(
        "HTTP/1.1 {status} {reason}\r\ncontent-type: text/plain; charset=utf-8\r\n{header}connection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_complete() {
        let text = answer(429, Some(Code::ERR_PORTWAY_42901), "Too many.");
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 429 Too Many Requests\r\n"));
        assert!(head.contains("ngrok-error-code: ERR_PORTWAY_42901\r\n"));
        assert!(head.ends_with(&format!("content-length: {}", body.len())));
        assert_eq!(body, "Too many.\n\nERR_PORTWAY_42901\n");
    }
}
