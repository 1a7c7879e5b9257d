//! Looks at the first bytes that an upstream sends back: whether it speaks what its endpoint promises.
//!
//! It never delays or changes a byte. A visitor of such an upstream sees an error page that only says that the answer was bad; why it was is
//! known here.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What the upstream of an http endpoint is to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Promised {
    Http1,
    Http2,
}

impl Promised {
    /// What is wrong with an upstream whose first bytes are these, and what to do. None when nothing is, or too few of them came together to
    /// tell.
    pub(crate) fn broken_by(self, first: &[u8]) -> Option<&'static str> {
        match (self, Spoken::tell(first)?) {
            (Self::Http1, Spoken::Http1) | (Self::Http2, Spoken::Http2) => None,
            (_, Spoken::Tls) => Some("it speaks TLS; forward to https:// in place of http://"),
            (Self::Http1, Spoken::Http2) => Some("it speaks HTTP/2; set the upstream protocol to http2"),
            (Self::Http2, Spoken::Http1) => Some("it speaks HTTP/1, not HTTP/2; leave the upstream protocol out"),
            (_, Spoken::Else) => Some("what it answers is not HTTP; is it the right port?"),
        }
    }
}

/// What first bytes are.
enum Spoken {
    Http1,
    Http2,
    Tls,
    Else,
}

impl Spoken {
    fn tell(first: &[u8]) -> Option<Spoken> {
        Some(match first {
            // An HTTP/2 server begins with its settings (RFC 9113 section 3.4): a length of three bytes, and 4 for the type.
            [0, _, _, 4, ..] => Spoken::Http2,
            // A record of TLS (RFC 8446 section 5.1): its alert or handshake, and the version.
            [0x15 | 0x16, 3, ..] => Spoken::Tls,
            _ if first.starts_with(b"HTTP/1") => Spoken::Http1,
            _ if first.len() < 6 => return None,
            _ => Spoken::Else,
        })
    }
}

/// A connection to an upstream whose first bytes are looked at.
pub(crate) struct FirstLook<T, F> {
    inner: T,
    /// Taken by the first bytes.
    look: Option<F>,
}

impl<T, F: FnOnce(&[u8])> FirstLook<T, F> {
    pub(crate) fn new(inner: T, look: F) -> Self {
        Self { inner, look: Some(look) }
    }
}

impl<T: AsyncRead + Unpin, F: FnOnce(&[u8]) + Unpin> AsyncRead for FirstLook<T, F> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        if self.look.is_some()
            && buf.filled().len() > before
            && let Some(look) = self.look.take()
        {
            look(&buf.filled()[before..]);
        }
        polled
    }
}

impl<T: AsyncWrite + Unpin, F: Unpin> AsyncWrite for FirstLook<T, F> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_tell_what_is_spoken() {
        use Promised::{Http1, Http2};
        let settings = b"\0\0\x12\x04\0\0\0\0\0";
        let alert = b"\x15\x03\x01\0\x02\x02\x46";
        for (promised, first, words) in [
            (Http1, &b"HTTP/1.1 200 OK\r\n"[..], None),
            (Http1, b"HTTP/1.0 400 Bad Request\r\n", None),
            (Http2, settings, None),
            (Http1, alert, Some("speaks TLS")),
            (Http2, alert, Some("speaks TLS")),
            (Http1, settings, Some("speaks HTTP/2")),
            (Http2, b"HTTP/1.1 400 Bad Request\r\n", Some("speaks HTTP/1,")),
            (Http1, b"SSH-2.0-OpenSSH_9.6\r\n", Some("not HTTP")),
            (Http2, b"* OK IMAP4rev1", Some("not HTTP")),
            // A beginning that may become anything.
            (Http1, b"HTT", None),
            (Http1, b"", None),
        ] {
            let told = promised.broken_by(first);
            assert_eq!(told.is_some(), words.is_some(), "{promised:?} {first:?}: {told:?}");
            assert!(told.unwrap_or_default().contains(words.unwrap_or_default()), "{told:?}");
        }
    }
}
