//! Reads the first lines of requests and answers as they pass, for people who look at the live view.
//!
//! It never delays or changes a byte. Requests on a kept connection are told apart by the turn of direction: bytes to the upstream that
//! start like a request line after the upstream has answered begin a new request. That is exact for edges, which do not pipeline.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Instant, SystemTime};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::status::Event;

/// Longest request target that is kept.
const MAX_PATH: usize = 256;
/// Longest method: the longest registered one has 17 letters.
const MAX_METHOD: usize = 20;

/// A connection to an upstream whose first lines are read.
pub(crate) struct Sniffed<T, F> {
    inner: T,
    url: Arc<str>,
    publish: F,
    state: State,
}

enum State {
    /// The next bytes to the upstream may begin a request.
    Ready,
    /// A request went out; the next bytes back are its answer.
    Asked(Asked),
}

struct Asked {
    method: String,
    path: String,
    at: SystemTime,
    since: Instant,
}

impl<T, F: Fn(Event)> Sniffed<T, F> {
    pub(crate) fn new(inner: T, url: Arc<str>, publish: F) -> Self {
        Self { inner, url, publish, state: State::Ready }
    }

    fn sent(&mut self, data: &[u8]) {
        if let State::Ready = self.state
            && let Some((method, path)) = request_line(data)
        {
            self.state = State::Asked(Asked { method, path, at: SystemTime::now(), since: Instant::now() });
        }
    }

    fn received(&mut self, data: &[u8]) {
        let State::Asked(_) = self.state else { return };
        let Some(status) = status_line(data) else { return };
        // An interim answer is followed by the real one (RFC 9110 section 15.2); 101 is the last thing that is HTTP.
        if (100..200).contains(&status) && status != 101 {
            return;
        }
        if let State::Asked(asked) = std::mem::replace(&mut self.state, State::Ready) {
            (self.publish)(Event::Request {
                at: asked.at,
                url: self.url.clone(),
                method: asked.method,
                path: asked.path,
                status,
                duration: asked.since.elapsed(),
            });
        }
    }
}

impl<T: AsyncRead + Unpin, F: Fn(Event) + Unpin> AsyncRead for Sniffed<T, F> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        if let Poll::Ready(Ok(())) = polled {
            self.received(&buf.filled()[before..]);
        }
        polled
    }
}

impl<T: AsyncWrite + Unpin, F: Fn(Event) + Unpin> AsyncWrite for Sniffed<T, F> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, data);
        if let Poll::Ready(Ok(length)) = polled {
            self.sent(&data[..length]);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// Method and target when the bytes begin with a request line.
fn request_line(data: &[u8]) -> Option<(String, String)> {
    let method_end = data.iter().take(MAX_METHOD + 1).position(|&byte| byte == b' ')?;
    let method = &data[..method_end];
    if method.is_empty() || !method.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'-') {
        return None;
    }
    let rest = &data[method_end + 1..];
    let path_end = rest.iter().position(|&byte| matches!(byte, b' ' | b'\r' | b'\n'))?;
    if path_end == 0 || !rest[path_end..].starts_with(b" HTTP/1.") {
        return None;
    }
    let path = &rest[..path_end.min(MAX_PATH)];
    Some((String::from_utf8_lossy(method).into_owned(), String::from_utf8_lossy(path).into_owned()))
}

/// The status when the bytes begin with a status line.
fn status_line(data: &[u8]) -> Option<u16> {
    let rest = data.strip_prefix(b"HTTP/1.")?;
    let digits = rest.get(2..5)?;
    std::str::from_utf8(digits).ok()?.parse().ok().filter(|status| (100..1000).contains(status))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn lines(exchange: &[(bool, &str)]) -> Vec<String> {
        let seen = Mutex::new(Vec::new());
        let mut sniffed = Sniffed::new((), Arc::from("https://a.example"), |event| {
            if let Event::Request { method, path, status, .. } = event {
                seen.lock().expect("one thread").push(format!("{method} {path} {status}"));
            }
        });
        for (out, data) in exchange {
            if *out { sniffed.sent(data.as_bytes()) } else { sniffed.received(data.as_bytes()) }
        }
        drop(sniffed);
        seen.into_inner().expect("one thread")
    }

    #[test]
    fn requests_of_a_kept_connection_are_told_apart() {
        let seen = lines(&[
            (true, "GET /a?b=1 HTTP/1.1\r\nHost: x\r\n\r\n"),
            (false, "HTTP/1.1 200 OK\r\n\r\n"),
            (false, "GET /not-a-request HTTP/1.1"),
            (true, "POST /c HTTP/1.1\r\nContent-Length: 30\r\n\r\n"),
            (true, "GET /body HTTP/1.1\r\n\r\n"),
            (false, "HTTP/1.1 100 Continue\r\n\r\n"),
            (false, "HTTP/1.1 404 Not Found\r\n\r\n"),
        ]);
        assert_eq!(seen, ["GET /a?b=1 200", "POST /c 404"]);
    }

    #[test]
    fn other_protocols_are_let_be() {
        assert!(lines(&[(true, "\x16\x03\x01 hello"), (false, "HTTP/1.1 200 OK")]).is_empty());
        assert!(lines(&[(true, "GET"), (true, " / HTTP/1.1"), (false, "HTTP/1.1 200 OK")]).is_empty());
    }

    #[test]
    fn long_targets_are_cut() {
        let path = "/x".repeat(400);
        let seen = lines(&[(true, &format!("GET {path} HTTP/1.1\r\n\r\n")), (false, "HTTP/1.0 204 \r\n")]);
        assert_eq!(seen[0].len(), "GET  204".len() + MAX_PATH);
    }
}
