//! `compress-response`: which responses are compressed, and how (RFC 9110 sections 8.4 and 12.5.3).

use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    TRAILER, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde::Deserialize;

use crate::ConfigError;

/// Bytes of `Accept-Encoding` that are looked at. Browsers send about 30.
const ACCEPT_MAX: usize = 1_024;

/// Digests over the bytes of the body: they would not hold for the compressed one.
const DIGESTS: [HeaderName; 4] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("repr-digest"),
];

/// A content coding that is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RFC 9110 section 8.4.1.3.
    Gzip,
    /// RFC 9110 section 8.4.1.2: DEFLATE in a zlib wrapper.
    Deflate,
    /// RFC 7932 section 9.
    Brotli,
}

impl Algorithm {
    /// Name of the coding.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Gzip => "gzip",
            Algorithm::Deflate => "deflate",
            Algorithm::Brotli => "br",
        }
    }
}

/// Configuration of `compress-response`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompressResponseConfig {
    /// `gzip`, `deflate`, `br`. Default: all of them. `compress`, which no browser has asked for in twenty years, is refused.
    #[serde(default)]
    pub algorithms: Option<Vec<String>>,
}

/// The compiled action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompressResponse {
    /// In the order of the server's preference.
    algorithms: Vec<Algorithm>,
}

/// What is to be done with a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Nothing: it is not for compressing, whatever the visitor accepts.
    Leave,
    /// It could be compressed, but not for this visitor: it is passed on as it is, and says in `Vary` that others may get it otherwise.
    VaryOnly,
    /// It is compressed.
    With(Algorithm),
}

impl CompressResponse {
    /// Type of the action.
    pub const NAME: &str = "compress-response";

    /// Compiles the action.
    ///
    /// # Errors
    /// An empty list (2223), an algorithm that is none (2204), `compress` (40004).
    pub fn new(config: &CompressResponseConfig) -> Result<CompressResponse, ConfigError> {
        let all = [Algorithm::Brotli, Algorithm::Gzip, Algorithm::Deflate];
        let Some(names) = &config.algorithms else { return Ok(CompressResponse { algorithms: all.to_vec() }) };
        if names.is_empty() {
            return Err(ConfigError::empty(Self::NAME, "algorithms"));
        }
        for (at, name) in names.iter().enumerate() {
            let field = format!("algorithms[{at}]");
            if name == "compress" {
                let why = "the algorithm compress is not built; leave it out";
                return Err(ConfigError::not_built(Self::NAME, field, why));
            }
            if !all.iter().any(|algorithm| algorithm.name() == name) {
                return Err(ConfigError::value(Self::NAME, field, "it is none of gzip, deflate and br"));
            }
        }
        let algorithms =
            all.into_iter().filter(|algorithm| names.iter().any(|name| name == algorithm.name())).collect();
        Ok(CompressResponse { algorithms })
    }

    /// Decides about a response. `accept`: the header of the request as the visitor sent it.
    pub fn decide(&self, method: &Method, accept: &HeaderMap, status: StatusCode, headers: &HeaderMap) -> Compression {
        if !is_for_compressing(method, status, headers) {
            return Compression::Leave;
        }
        self.negotiate(accept).map_or(Compression::VaryOnly, Compression::With)
    }

    /// The algorithm that the visitor likes best; among those it likes the same, the server's.
    fn negotiate(&self, accept: &HeaderMap) -> Option<Algorithm> {
        let wishes = Wishes::read(accept);
        let mut best = None;
        for &algorithm in &self.algorithms {
            let weight = wishes.weight(algorithm.name());
            // A visitor that likes the plain form better gets that.
            if weight > 0 && weight >= wishes.identity() && best.is_none_or(|(_, other)| weight > other) {
                best = Some((algorithm, weight));
            }
        }
        best.map(|(algorithm, _)| algorithm)
    }
}

/// Changes the header of a response as its compression asks: RFC 9110 sections 8.4, 8.8.3 and 12.5.5. The body changes, so its length goes, ranges
/// of it are no longer offered, and a strong entity tag becomes a weak one.
pub fn adapt_headers(compression: Compression, headers: &mut HeaderMap) {
    if compression == Compression::Leave {
        return;
    }
    let varies = headers.get_all(VARY).iter().any(|value| {
        value.as_bytes().split(|byte| *byte == b',').any(|name| {
            let name = name.trim_ascii();
            name == b"*" || name.eq_ignore_ascii_case(b"accept-encoding")
        })
    });
    if !varies {
        headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    }
    let Compression::With(algorithm) = compression else { return };
    headers.remove(CONTENT_LENGTH);
    headers.remove(ACCEPT_RANGES);
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static(algorithm.name()));
    if let Some(tag) = headers.get(ETAG)
        && !tag.as_bytes().starts_with(b"W/")
        && let Ok(weak) = HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat())
    {
        headers.insert(ETAG, weak);
    }
}

fn is_for_compressing(method: &Method, status: StatusCode, headers: &HeaderMap) -> bool {
    let has_body = *method != Method::HEAD
        && !status.is_informational()
        && !matches!(status.as_u16(), 204 | 205 | 304)
        && headers.get(CONTENT_LENGTH).is_none_or(|length| length != "0");
    // A part of a representation is a part of the plain one.
    let whole = status != StatusCode::PARTIAL_CONTENT && !headers.contains_key(CONTENT_RANGE);
    let plain =
        headers.get_all(CONTENT_ENCODING).iter().all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    let may_change = !has_token(headers, &CACHE_CONTROL, b"no-transform")
        && !DIGESTS.iter().any(|digest| headers.contains_key(digest))
        && !DIGESTS.iter().any(|digest| has_token(headers, &TRAILER, digest.as_str().as_bytes()));
    has_body && whole && plain && may_change && shrinks(headers.get(CONTENT_TYPE))
}

/// Whether compressing may be worth anything: pictures, sound, video and archives are compressed in their own way. Nothing is known: it may.
fn shrinks(content_type: Option<&HeaderValue>) -> bool {
    let Some(Ok(text)) = content_type.map(HeaderValue::to_str) else { return true };
    let media = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if matches!(media.as_str(), "image/svg+xml" | "image/bmp" | "image/x-icon" | "image/vnd.microsoft.icon") {
        return true;
    }
    let (kind, sub) = media.split_once('/').unwrap_or((&media, ""));
    match kind {
        "image" | "video" | "audio" => false,
        "font" => !matches!(sub, "woff" | "woff2"),
        "application" => {
            // gRPC has a compression of its own, inside of its messages.
            !matches!(sub, "zip" | "gzip" | "x-gzip" | "x-bzip2" | "x-xz" | "x-7z-compressed" | "zstd" | "vnd.rar")
                && !sub.starts_with("grpc")
        }
        _ => true,
    }
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &[u8]) -> bool {
    let mut tokens = headers.get_all(name).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    tokens.any(|found| found.trim_ascii().eq_ignore_ascii_case(token))
}

/// `Accept-Encoding`, read once: weights in thousandths.
struct Wishes {
    named: Vec<(String, u16)>,
}

impl Wishes {
    fn read(headers: &HeaderMap) -> Wishes {
        let mut named = Vec::new();
        for value in headers.get_all(ACCEPT_ENCODING) {
            let bytes = value.as_bytes();
            let text = std::str::from_utf8(&bytes[..bytes.len().min(ACCEPT_MAX)]).unwrap_or_default();
            named.extend(text.split(',').filter_map(wish));
        }
        Wishes { named }
    }

    fn weight(&self, name: &str) -> u16 {
        self.find(name).or_else(|| self.find("*")).unwrap_or(0)
    }

    /// RFC 9110 section 12.5.3: the plain form is accepted unless it is excluded; who says nothing of it likes it least.
    fn identity(&self) -> u16 {
        self.find("identity").unwrap_or(0)
    }

    fn find(&self, name: &str) -> Option<u16> {
        let same = |known: &str| known == name || (name == "gzip" && known == "x-gzip");
        self.named.iter().find(|(known, _)| same(known)).map(|(_, weight)| *weight)
    }
}

fn wish(text: &str) -> Option<(String, u16)> {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty())?.to_ascii_lowercase();
    let mut weight = 1000;
    for part in parts {
        if let Some(text) = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")) {
            weight = qvalue(text)?;
        }
    }
    Some((name, weight))
}

/// RFC 9110 section 12.4.2: 0 to 1 with at most three digits. What is none says nothing.
fn qvalue(text: &str) -> Option<u16> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if part.len() > 3 || !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = format!("{part:0<3}").parse().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
#[path = "compress_response/tests.rs"]
mod tests;
