//! A chunked body (RFC 9112 section 7.1), line by line.

use super::head::{Field, field};
use super::{GuardLimits, Refusal, chars};

/// Bytes of one chunk's extensions. Nobody uses them; 256 bytes are enough to be polite.
const MAX_EXTENSION: usize = 256;
/// Bytes of all extensions of a body: they carry nothing and must not cost more than the body.
const MAX_EXTENSIONS: usize = 16 * 1024;

/// Trailer names that would change framing, routing, authentication or how the message is read (RFC 9110 section 6.5.1).
const FORBIDDEN_TRAILERS: &[&str] = &[
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Where in the body.
#[derive(Debug, Default)]
pub(super) struct Chunked {
    part: Part,
    extensions: usize,
    trailers: usize,
}

#[derive(Debug, Default)]
enum Part {
    #[default]
    Size,
    Data(u64),
    DataEnd,
    Trailers,
    Over,
}

impl Chunked {
    pub(super) fn is_over(&self) -> bool {
        matches!(self.part, Part::Over)
    }

    /// Reads on; tells how many bytes pass, or `None` while a line is incomplete. `bytes` is not empty.
    pub(super) fn advance(&mut self, bytes: &[u8], limits: &GuardLimits) -> Result<Option<usize>, Refusal> {
        match &mut self.part {
            Part::Size => self.size(bytes),
            Part::Data(remaining) => {
                let passed = usize::try_from(*remaining).unwrap_or(usize::MAX).min(bytes.len());
                *remaining -= passed as u64;
                if *remaining == 0 {
                    self.part = Part::DataEnd;
                }
                Ok(Some(passed))
            }
            Part::DataEnd => match bytes {
                [b'\r', b'\n', ..] => {
                    self.part = Part::Size;
                    Ok(Some(2))
                }
                [b'\r'] => Ok(None),
                _ => Err(Refusal::ChunkEnd),
            },
            Part::Trailers => self.trailer(bytes, limits),
            Part::Over => Ok(None),
        }
    }

    fn size(&mut self, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        let digits = bytes.iter().take(17).take_while(|byte| byte.is_ascii_hexdigit()).count();
        if digits > 16 {
            return Err(Refusal::ChunkSize);
        }
        let extension = match bytes.get(digits) {
            None => return Ok(None),
            Some(b';') if digits > 0 => chars::value(&bytes[digits..]),
            Some(b'\r') if digits > 0 => 0,
            Some(b'\n') if digits > 0 => return Err(Refusal::BareLf),
            Some(_) => return Err(Refusal::ChunkSize),
        };
        if extension > MAX_EXTENSION {
            return Err(Refusal::ChunkExtension);
        }
        match &bytes[digits + extension..] {
            [] | [b'\r'] => return Ok(None),
            [b'\r', b'\n', ..] => {}
            [b'\r', ..] => return Err(Refusal::BareCr),
            [b'\n', ..] => return Err(Refusal::BareLf),
            _ => return Err(Refusal::ChunkExtension),
        }
        self.extensions += extension;
        if self.extensions > MAX_EXTENSIONS {
            return Err(Refusal::ChunkExtension);
        }
        let size = bytes[..digits].iter().fold(0u64, |size, digit| size << 4 | u64::from(hex(*digit)));
        self.part = if size == 0 { Part::Trailers } else { Part::Data(size) };
        Ok(Some(digits + extension + 2))
    }

    fn trailer(&mut self, bytes: &[u8], limits: &GuardLimits) -> Result<Option<usize>, Refusal> {
        // As with heads, nothing beyond the limit is looked at.
        let seen = &bytes[..bytes.len().min(limits.max_trailers - self.trailers + 1)];
        let length = match field(seen)? {
            Field::Incomplete if self.trailers + seen.len() > limits.max_trailers => {
                return Err(Refusal::TrailersTooLarge);
            }
            Field::Incomplete => return Ok(None),
            Field::End => {
                self.part = Part::Over;
                2
            }
            Field::Is { name, length, .. } => {
                if is_forbidden_trailer(&seen[..name]) {
                    return Err(Refusal::TrailerName);
                }
                length
            }
        };
        self.trailers += length;
        if self.trailers > limits.max_trailers {
            return Err(Refusal::TrailersTooLarge);
        }
        Ok(Some(length))
    }
}

/// Whether a trailer field of this name would change framing, routing, authentication or how the message is read, were it merged into
/// the header (RFC 9110 section 6.5.1); in any case, and with underscores for hyphens, which some servers cannot tell apart.
#[must_use]
pub fn is_forbidden_trailer(name: &[u8]) -> bool {
    FORBIDDEN_TRAILERS.iter().any(|known| names_match(name, known))
}

/// Compares without case, and with an underscore for a hyphen.
fn names_match(name: &[u8], known: &str) -> bool {
    let fold = |byte: &u8| if *byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    name.len() == known.len() && name.iter().map(fold).eq(known.bytes())
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}
