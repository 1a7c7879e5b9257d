//! One request head (RFC 9112 sections 2 to 6), read in a single pass and resumed line by line.

use std::ops::Range;

use super::{GuardLimits, Refusal, chars};

/// Longest method. Registered ones have up to 17 letters (UPDATEREDIRECTREF).
const MAX_METHOD: usize = 32;

/// How the body is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    None,
    Length(u64),
    Chunked,
}

/// A complete head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HeadEnd {
    /// Bytes of the head.
    pub(super) length: usize,
    pub(super) framing: Framing,
    /// The request asks to leave HTTP/1.
    pub(super) upgrade: bool,
}

/// What is known of a head that is arriving. Positions count from the head's first byte.
#[derive(Debug, Default)]
pub(super) struct HeadProgress {
    /// Start of the first line that is not read yet.
    at: usize,
    line: Option<RequestLine>,
    headers: usize,
    host: Option<Range<usize>>,
    content_length: Option<u64>,
    chunked: bool,
    upgrade: bool,
}

#[derive(Debug)]
struct RequestLine {
    http10: bool,
    connect: bool,
    /// Where the authority of an absolute target, or of CONNECT, stands.
    authority: Option<Range<usize>>,
}

impl HeadProgress {
    /// Reads on; `bytes` start at the head's first byte. `None` while the head is incomplete.
    pub(super) fn advance(&mut self, bytes: &[u8], limits: &GuardLimits) -> Result<Option<HeadEnd>, Refusal> {
        // Nothing beyond the limit is looked at, so that how much arrives at once does not decide what is found wrong.
        let seen = &bytes[..bytes.len().min(limits.max_head + 1)];
        match self.lines(seen, limits)? {
            Some(end) if end.length <= limits.max_head => Ok(Some(end)),
            None if seen.len() <= limits.max_head => Ok(None),
            _ => Err(Refusal::HeadTooLarge),
        }
    }

    fn lines(&mut self, bytes: &[u8], limits: &GuardLimits) -> Result<Option<HeadEnd>, Refusal> {
        if self.line.is_none() && !self.request_line(bytes, limits)? {
            return Ok(None);
        }
        loop {
            match field(&bytes[self.at..])? {
                Field::Incomplete => return Ok(None),
                Field::End => return self.end(bytes).map(Some),
                Field::Is { name, value, length } => {
                    self.headers += 1;
                    if self.headers > limits.max_headers {
                        return Err(Refusal::TooManyHeaders);
                    }
                    self.header(&bytes[self.at..][..name], chars::trim(&bytes[self.at..][value.clone()]), &value)?;
                    self.at += length;
                }
            }
        }
    }

    /// Reads the request line; tells whether it was complete.
    fn request_line(&mut self, bytes: &[u8], limits: &GuardLimits) -> Result<bool, Refusal> {
        // RFC 9112 section 2.2: an empty line before a request is skipped; one is enough.
        if self.at == 0 && bytes.starts_with(b"\r\n") {
            self.at = 2;
        }
        let rest = &bytes[self.at..];
        let method = chars::token(rest);
        if method > MAX_METHOD {
            return Err(Refusal::Method);
        }
        match rest.get(method) {
            None => return Ok(false),
            Some(b' ') if method > 0 => {}
            Some(b'\r') if rest.len() == 1 && self.at == 0 => return Ok(false),
            Some(_) => return Err(Refusal::RequestLine),
        }
        let rest = &rest[method + 1..];
        let target = chars::target(rest);
        if target > limits.max_target {
            return Err(Refusal::TargetTooLong);
        }
        match rest.get(target) {
            None => return Ok(false),
            Some(b' ') if target > 0 => {}
            Some(b'\r' | b'\n' | b' ') => return Err(Refusal::RequestLine),
            Some(_) => return Err(Refusal::Target),
        }
        if !chars::is_parsed(&rest[..target]) {
            return Err(Refusal::Target);
        }
        let Some(http10) = version(&rest[target + 1..])? else { return Ok(false) };
        let start = self.at + method + 1;
        let method = &bytes[self.at..self.at + method];
        let authority = authority(method, &bytes[start..start + target])?;
        let authority = authority.map(|range| start + range.start..start + range.end);
        self.line = Some(RequestLine { http10, connect: method == b"CONNECT", authority });
        self.at = start + target + 1 + b"HTTP/1.1\r\n".len();
        Ok(true)
    }

    /// Takes note of what a field says about framing and routing. `place` is where the untrimmed value stands in the current line.
    fn header(&mut self, name: &[u8], value: &[u8], place: &Range<usize>) -> Result<(), Refusal> {
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                if !chars::is_authority(value) {
                    return Err(Refusal::Host);
                }
                let place = self.at + place.start..self.at + place.end;
                if self.host.replace(place).is_some() {
                    return Err(Refusal::HostRepeated);
                }
            }
            7 if name.eq_ignore_ascii_case(b"upgrade") => self.upgrade = true,
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                let length = content_length(value)?;
                if self.content_length.replace(length).is_some() {
                    return Err(Refusal::ContentLengthRepeated);
                }
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if std::mem::replace(&mut self.chunked, true) {
                    return Err(Refusal::TransferEncodingRepeated);
                }
                // Codings are case-insensitive, but a reader further on may not know that; no client sends another form.
                if value != b"chunked" {
                    return Err(Refusal::TransferEncoding);
                }
            }
            // Servers with CGI-like variables take an underscore for a hyphen.
            14 if name.eq_ignore_ascii_case(b"content_length") => return Err(Refusal::HeaderName),
            17 if name.eq_ignore_ascii_case(b"transfer_encoding") => return Err(Refusal::HeaderName),
            _ => {}
        }
        Ok(())
    }

    /// The empty line is read: the fields must agree.
    fn end(&self, bytes: &[u8]) -> Result<HeadEnd, Refusal> {
        let line = self.line.as_ref().ok_or(Refusal::RequestLine)?;
        if self.host.is_none() && !line.http10 {
            return Err(Refusal::HostMissing);
        }
        if let (Some(authority), Some(host)) = (&line.authority, &self.host)
            && !bytes[authority.clone()].eq_ignore_ascii_case(chars::trim(&bytes[host.clone()]))
        {
            return Err(Refusal::HostMismatch);
        }
        let framing = match (self.content_length, self.chunked) {
            (Some(_), true) => return Err(Refusal::LengthAndEncoding),
            (_, true) if line.http10 => return Err(Refusal::EncodingInHttp10),
            (_, true) => Framing::Chunked,
            (None | Some(0), false) => Framing::None,
            (Some(length), false) => Framing::Length(length),
        };
        if line.connect && (self.content_length.is_some() || self.chunked) {
            return Err(Refusal::ConnectWithBody);
        }
        Ok(HeadEnd { length: self.at + 2, framing, upgrade: self.upgrade || line.connect })
    }
}

/// A line of a head or of trailers.
pub(super) enum Field {
    Incomplete,
    /// The empty line.
    End,
    /// A field: the length of its name, where its value stands, and the length of the line.
    Is {
        name: usize,
        value: Range<usize>,
        length: usize,
    },
}

/// Reads the field line at the front.
pub(super) fn field(line: &[u8]) -> Result<Field, Refusal> {
    match line {
        [] | [b'\r'] => return Ok(Field::Incomplete),
        [b'\r', b'\n', ..] => return Ok(Field::End),
        [b'\r', ..] => return Err(Refusal::BareCr),
        [b'\n', ..] => return Err(Refusal::BareLf),
        [b' ' | b'\t', ..] => return Err(Refusal::Folding),
        _ => {}
    }
    let name = chars::token(line);
    match line.get(name) {
        None => return Ok(Field::Incomplete),
        Some(b':') if name > 0 => {}
        Some(b' ' | b'\t') => return Err(Refusal::SpaceBeforeColon),
        Some(_) => return Err(Refusal::HeaderName),
    }
    let end = name + 1 + chars::value(&line[name + 1..]);
    match line.get(end..) {
        None | Some([] | [b'\r']) => Ok(Field::Incomplete),
        Some([b'\r', b'\n', ..]) => Ok(Field::Is { name, value: name + 1..end, length: end + 2 }),
        Some([b'\r', ..]) => Err(Refusal::BareCr),
        Some([b'\n', ..]) => Err(Refusal::BareLf),
        Some(_) => Err(Refusal::HeaderValue),
    }
}

/// Whether the version is HTTP/1.0 (else it is HTTP/1.1); `None` while incomplete.
fn version(rest: &[u8]) -> Result<Option<bool>, Refusal> {
    match rest {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ (b'0' | b'1'), b'\r', b'\n', ..] => Ok(Some(*minor == b'0')),
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9', b'\r', b'\n', ..] => Err(Refusal::Version),
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9', b'\n', ..] => Err(Refusal::BareLf),
        _ if rest.len() >= 10 || rest.contains(&b'\n') => Err(Refusal::RequestLine),
        _ => Ok(None),
    }
}

/// Where the authority stands in a target, when it has one (RFC 9112 section 3.2).
fn authority(method: &[u8], target: &[u8]) -> Result<Option<Range<usize>>, Refusal> {
    let range = match target {
        _ if method == b"CONNECT" => 0..target.len(),
        [b'/', ..] => return Ok(None),
        b"*" if method == b"OPTIONS" => return Ok(None),
        _ => {
            let scheme = target.iter().position(|byte| !byte.is_ascii_alphabetic()).ok_or(Refusal::Target)?;
            if scheme == 0 || !target[scheme..].starts_with(b"://") {
                return Err(Refusal::Target);
            }
            let start = scheme + 3;
            let length = target[start..].iter().position(|byte| matches!(byte, b'/' | b'?' | b'\\'));
            start..length.map_or(target.len(), |length| start + length)
        }
    };
    if range.is_empty() || !chars::is_authority(&target[range.clone()]) {
        return Err(Refusal::Target);
    }
    Ok(Some(range))
}

/// RFC 9112 section 6.3: one or more digits, nothing else; no leading zero, which some readers take for octal.
fn content_length(value: &[u8]) -> Result<u64, Refusal> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    if !digits || value.len() > 1 && value[0] == b'0' || value.len() > 18 {
        return Err(Refusal::ContentLength);
    }
    Ok(value.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}
