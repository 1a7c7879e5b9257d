//! Error pages: plain text, HTML or JSON, as the visitor's `Accept` asks.
//!
//! A page is small, needs nothing from elsewhere, runs no script and escapes everything that is not its own.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use portway_codes::PublicError;

use super::body::ResponseBody;

/// Names the public code of an error that the edge made. An upstream can never set it.
pub(super) const ERROR_CODE: HeaderName = HeaderName::from_static("ngrok-error-code");

/// Bytes of an `Accept` value that are looked at. Browsers send about 200; a longer one is cut, and its rest ignored.
const ACCEPT_MAX: usize = 1024;

/// What a page is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Html,
    Json,
}

impl Form {
    /// The form that the visitor likes best by its `Accept`; text when it does not say or takes anything, as curl does.
    pub(super) fn of(accept: Option<&HeaderValue>) -> Form {
        let mut best = (Form::Text, 0);
        let bytes = accept.map_or(&[][..], HeaderValue::as_bytes);
        let text = std::str::from_utf8(&bytes[..bytes.len().min(ACCEPT_MAX)]).unwrap_or_default();
        for (form, weight) in text.split(',').filter_map(media_range) {
            if weight > best.1 {
                best = (form, weight);
            }
        }
        best.0
    }
}

/// A media range and its weight in thousandths (RFC 9110 section 12.5.1), when it is one that a page can be written in.
fn media_range(range: &str) -> Option<(Form, u16)> {
    let mut parts = range.split(';').map(str::trim);
    let name = parts.next()?;
    let is = |known: &str| name.eq_ignore_ascii_case(known);
    let form = if is("text/html") || is("application/xhtml+xml") {
        Form::Html
    } else if is("application/json") || is("application/problem+json") || is("application/*") {
        Form::Json
    } else if is("text/plain") || is("text/*") || is("*/*") {
        Form::Text
    } else {
        return None;
    };
    let weight =
        parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="))).map_or(1000, weight);
    Some((form, weight))
}

fn weight(text: &str) -> u16 {
    let weight: f32 = text.parse().unwrap_or(0.0);
    // Not-a-number becomes 0 by the cast.
    (weight.clamp(0.0, 1.0) * 1000.0) as u16
}

/// The whole answer for an error.
pub(super) fn respond(error: &PublicError, form: Form) -> Response<ResponseBody> {
    let (content_type, body) = match form {
        Form::Text => ("text/plain; charset=utf-8", text(error)),
        Form::Html => ("text/html; charset=utf-8", html(error)),
        Form::Json => ("application/json", json(error)),
    };
    let mut response = Response::new(ResponseBody::full(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::BAD_GATEWAY);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(ERROR_CODE, HeaderValue::from_static(error.code.name()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if form == Form::Html {
        let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'");
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// The same answer as bytes of HTTP/1.1, for a request that never became one. The connection ends behind it.
pub(super) fn raw(error: &PublicError) -> Bytes {
    let status = StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let body = text(error);
    let head = format!(
        "HTTP/1.1 {} {}\r\ncontent-type: text/plain; charset=utf-8\r\n{ERROR_CODE}: {}\r\ncache-control: no-store\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        status.as_str(),
        status.canonical_reason().unwrap_or("Error"),
        error.code.name(),
        body.len(),
    );
    Bytes::from(head + &body)
}

fn text(error: &PublicError) -> String {
    format!("{}\n{}\n\n{}\n", error.code.title(), error.text.trim_end(), error.code.name())
}

fn json(error: &PublicError) -> String {
    format!(
        "{{\"error_code\":\"{}\",\"status_code\":{},\"title\":\"{}\",\"msg\":\"{}\"}}\n",
        error.code.name(),
        error.code.status(),
        json_escaped(error.code.title()),
        json_escaped(error.text.trim_end()),
    )
}

fn html(error: &PublicError) -> String {
    let title = html_escaped(error.code.title());
    let text = html_escaped(error.text.trim_end()).replace('\n', "<br>");
    let (status, name) = (error.code.status(), error.code.name());
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width,initial-scale=1\"><meta name=\"robots\" content=\"noindex\"><title>{status} {title}</title>\
         <style>{STYLE}</style></head><body><main><p class=\"status\">{status}</p><h1>{title}</h1><p>{text}</p>\
         <p class=\"code\">{name}</p></main></body></html>\n"
    )
}

const STYLE: &str = ":root{color-scheme:light dark}body{margin:0;min-height:100vh;display:grid;place-items:center;\
font:1rem/1.5 system-ui,sans-serif;background:light-dark(#f6f7f9,#15171c);color:light-dark(#1d2129,#e3e6eb)}\
main{max-width:34rem;padding:2rem}h1{font-size:1.5rem;margin:.2rem 0 1rem}.status{margin:0;color:light-dark(#5b6472,#98a1b0)}\
.code{font-family:ui-monospace,monospace;font-size:.85rem;color:light-dark(#5b6472,#98a1b0)}";

fn html_escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

fn json_escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => escaped.push_str("\\\""),
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            c if c.is_control() => escaped.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use portway_codes::Code;

    use super::*;

    fn form(accept: &str) -> Form {
        Form::of(Some(&accept.parse().expect("header value")))
    }

    #[test]
    fn accept_decides_the_form() {
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";
        for (accept, expected) in [
            ("", Form::Text),
            ("*/*", Form::Text),
            (browser, Form::Html),
            ("application/json", Form::Json),
            ("application/json, text/plain, */*", Form::Json),
            ("text/html;q=0.2, application/json;q=0.9", Form::Json),
            ("text/html;q=0, */*", Form::Text),
            ("text/html;q=NaN", Form::Text),
            ("image/png", Form::Text),
            ("image/png,TEXT/HTML", Form::Html),
            ("application/problem+json", Form::Json),
        ] {
            assert_eq!(form(accept), expected, "{accept:?}");
        }
    }

    async fn body(response: Response<ResponseBody>) -> String {
        let bytes = response.into_body().collect().await.expect("body").to_bytes();
        String::from_utf8(bytes.to_vec()).expect("utf-8")
    }

    #[tokio::test]
    async fn nothing_foreign_is_left_unescaped() {
        let error = Code::ERR_NGROK_3200.with("<script>alert(\"x\")</script>\n'&\\\u{1}");
        let page = body(respond(&error, Form::Html)).await;
        assert!(!page.contains("<script"), "{page}");
        assert!(page.contains("&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;<br>&#39;&amp;"), "{page}");
        let page = body(respond(&error, Form::Json)).await;
        assert!(page.contains(r#""msg":"<script>alert(\"x\")</script>\n'&\\\u0001""#), "{page}");
    }

    #[tokio::test]
    async fn every_form_carries_status_and_code() {
        for form in [Form::Text, Form::Html, Form::Json] {
            let response = respond(&Code::ERR_PORTWAY_42101.plain(), form);
            assert_eq!(response.status(), StatusCode::MISDIRECTED_REQUEST);
            assert_eq!(response.headers()[ERROR_CODE], "ERR_PORTWAY_42101");
            assert!(body(response).await.contains("ERR_PORTWAY_42101"));
        }
        let raw = raw(&Code::ERR_PORTWAY_43101.plain());
        assert!(raw.starts_with(b"HTTP/1.1 431 Request Header Fields Too Large\r\n"));
    }
}
