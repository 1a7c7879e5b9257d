//! A strict watcher of HTTP/1 request framing, in front of an HTTP parser.
//!
//! Where a request ends must not depend on who reads it (RFC 9112 section 11.2, request smuggling). The guard follows a connection's
//! request stream head by head and body by body, and lets through only what has a single reading; everything else is an error with the
//! status to answer. It does not build requests: that is the parser's part, which then meets no ambiguity.

mod chars;
mod chunked;
mod head;
mod refusal;

#[cfg(test)]
mod tests;

pub use chunked::is_forbidden_trailer;
pub use refusal::{GuardError, Refusal};

use chunked::Chunked;
use head::{Framing, HeadProgress};

/// What a request may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuardLimits {
    /// Bytes of a head, request line included. Cookies of several applications on one domain add up to 30 KiB; 64 KiB is twice that.
    pub max_head: usize,
    /// Header fields of a head. Browsers send 20 to 40; the usual servers stop at 100.
    pub max_headers: usize,
    /// Bytes of a request target. 16 KiB is what most servers stop at.
    pub max_target: usize,
    /// Bytes of the trailer section of a chunked body.
    pub max_trailers: usize,
}

impl Default for GuardLimits {
    fn default() -> Self {
        Self { max_head: 64 * 1024, max_headers: 100, max_target: 16 * 1024, max_trailers: 8 * 1024 }
    }
}

/// Where in the request stream a guard is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuardState {
    /// Before or in a head.
    Head,
    /// In a body.
    Body,
    /// After a request that asks to leave HTTP/1 (`Upgrade` or CONNECT): nothing passes until [`Http1Guard::upgraded`] or
    /// [`Http1Guard::not_upgraded`] says what the answer was.
    MaybeUpgrade,
    /// No longer HTTP/1: everything passes.
    Tunnel,
    /// Refused: nothing passes any more.
    Refused,
}

/// Follows the request stream of one connection.
#[derive(Debug)]
pub struct Http1Guard {
    limits: GuardLimits,
    place: Place,
    upgrade: Upgrade,
    refused_in_body: bool,
}

#[derive(Debug)]
enum Place {
    Head(HeadProgress),
    /// So many bytes of a body with a length are to come.
    Length(u64),
    Chunked(Chunked),
    MaybeUpgrade,
    Tunnel,
    Refused(Refusal),
}

/// Whether the current request asks to leave HTTP/1, and what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Upgrade {
    NotAsked,
    Asked,
    Granted,
}

impl Http1Guard {
    /// A guard for a new connection.
    #[must_use]
    pub fn new(limits: GuardLimits) -> Self {
        Self { limits, place: Place::Head(HeadProgress::default()), upgrade: Upgrade::NotAsked, refused_in_body: false }
    }

    /// Looks at `bytes`, which start at the first byte that was not let through before, and tells how many of them may be passed on to
    /// the parser now. The rest (an incomplete head or line, at most the limits) is to be kept and shown again, followed by what arrives
    /// next. A head passes whole or not at all; body bytes pass as they come.
    ///
    /// # Errors
    /// [`GuardError`] when what follows its `offset` must not reach a parser. The bytes before are good (earlier requests of a
    /// pipeline): pass them on, answer them, then answer the refusal's status and close.
    pub fn observe(&mut self, bytes: &[u8]) -> Result<usize, GuardError> {
        let mut good = 0;
        loop {
            match self.step(&bytes[good..]) {
                Ok(Some(passed)) => good += passed,
                Ok(None) => return Ok(good),
                Err(kind) => {
                    self.refused_in_body |= self.state() == GuardState::Body;
                    self.place = Place::Refused(kind);
                    return Err(GuardError { offset: good, kind });
                }
            }
        }
    }

    /// Where the guard is.
    #[must_use]
    pub fn state(&self) -> GuardState {
        match self.place {
            Place::Head(_) => GuardState::Head,
            Place::Length(_) | Place::Chunked(_) => GuardState::Body,
            Place::MaybeUpgrade => GuardState::MaybeUpgrade,
            Place::Tunnel => GuardState::Tunnel,
            Place::Refused(_) => GuardState::Refused,
        }
    }

    /// Whether what was refused is the body of a request whose head has passed: that request cannot be completed. Otherwise it is a head,
    /// and the requests before it are whole.
    #[must_use]
    pub fn refused_in_body(&self) -> bool {
        self.refused_in_body
    }

    /// The request that asked for it was answered by 101 (or CONNECT by 2xx): what follows it is no longer HTTP/1. Ignored when no
    /// request asked.
    pub fn upgraded(&mut self) {
        match (&self.place, self.upgrade) {
            (Place::MaybeUpgrade, _) => self.place = Place::Tunnel,
            (_, Upgrade::Asked) => self.upgrade = Upgrade::Granted,
            _ => {}
        }
    }

    /// The request that asked to leave HTTP/1 was answered otherwise: requests follow as before. Ignored when no request asked.
    pub fn not_upgraded(&mut self) {
        self.upgrade = Upgrade::NotAsked;
        if matches!(self.place, Place::MaybeUpgrade) {
            self.place = Place::Head(HeadProgress::default());
        }
    }

    /// One part of the stream: how many bytes passed, or `None` when more are needed.
    fn step(&mut self, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        if let Place::Refused(kind) = self.place {
            return Err(kind);
        }
        if bytes.is_empty() {
            return Ok(None);
        }
        match &mut self.place {
            Place::Head(progress) => {
                let Some(end) = progress.advance(bytes, &self.limits)? else { return Ok(None) };
                self.upgrade = if end.upgrade { Upgrade::Asked } else { Upgrade::NotAsked };
                match end.framing {
                    Framing::None => self.request_ended(),
                    Framing::Length(length) => self.place = Place::Length(length),
                    Framing::Chunked => self.place = Place::Chunked(Chunked::default()),
                }
                Ok(Some(end.length))
            }
            Place::Length(remaining) => {
                let passed = usize::try_from(*remaining).unwrap_or(usize::MAX).min(bytes.len());
                *remaining -= passed as u64;
                if *remaining == 0 {
                    self.request_ended();
                }
                Ok(Some(passed))
            }
            Place::Chunked(chunked) => {
                let Some(passed) = chunked.advance(bytes, &self.limits)? else { return Ok(None) };
                if chunked.is_over() {
                    self.request_ended();
                }
                Ok(Some(passed))
            }
            Place::MaybeUpgrade => Ok(None),
            Place::Tunnel => Ok(Some(bytes.len())),
            Place::Refused(kind) => Err(*kind),
        }
    }

    fn request_ended(&mut self) {
        self.place = match self.upgrade {
            Upgrade::NotAsked => Place::Head(HeadProgress::default()),
            Upgrade::Asked => Place::MaybeUpgrade,
            Upgrade::Granted => Place::Tunnel,
        };
    }
}
