//! Signatures that are a MAC over parts of the request: nearly all of them, once the parts are named.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::timestamp::Unit;
use super::{Secret, WebhookRequest, is_fresh, single};

/// Signatures of one request that are compared. While a secret is changed there are two.
const SIGNATURES_MAX: usize = 16;

/// A scheme of this kind.
#[derive(Debug)]
pub(super) struct Mac {
    /// Fields that hold signatures; one of them must verify.
    pub(super) headers: &'static [&'static str],
    pub(super) form: Form,
    pub(super) hash: Hash,
    pub(super) text: Text,
    pub(super) key: Key,
    /// What is signed, in order.
    pub(super) message: &'static [Piece],
    pub(super) time: Time,
}

/// How a field holds signatures.
#[derive(Debug)]
pub(super) enum Form {
    /// One, behind these characters.
    Plain(&'static str),
    /// Several with this character between; those behind the prefix count.
    List(char, &'static str),
    /// Pairs `name=value` with commas between: the name of the time, the name of the signatures.
    Pairs(&'static str, &'static str),
}

/// The hash in the MAC.
#[derive(Clone, Copy, Debug)]
pub(super) enum Hash {
    Sha1,
    Sha256,
    Sha512,
}

/// How a signature is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Text {
    Hex,
    Base64,
}

/// How the secret is the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// Its characters.
    Raw,
    /// It is base64 of the key.
    Base64,
    /// It is base64 of the key, behind `whsec_`.
    Whsec,
}

/// A part of what is signed.
#[derive(Debug)]
pub(super) enum Piece {
    Body,
    /// The time as it is written in the request.
    Time,
    Method,
    Url,
    /// The URL with some of its percent-encodings taken back.
    HubspotUrl,
    Header(&'static str),
    Text(&'static str),
}

/// Where the time of a signature stands.
#[derive(Debug)]
pub(super) enum Time {
    None,
    Header(&'static str, Unit),
    /// In the field of the signature, see [`Form::Pairs`].
    Pair(Unit),
}

impl Mac {
    /// A MAC over the body alone, behind a prefix: the commonest scheme.
    pub(super) const fn body(header: &'static [&'static str], prefix: &'static str, hash: Hash, text: Text) -> Mac {
        let message = &[Piece::Body];
        Mac { headers: header, form: Form::Plain(prefix), hash, text, key: Key::Raw, message, time: Time::None }
    }

    /// Pairs with a time in seconds, and a MAC in hexadecimal over time, full stop and body.
    pub(super) const fn pairs(header: &'static [&'static str], time: &'static str, signature: &'static str) -> Mac {
        let message = &[Piece::Time, Piece::Text("."), Piece::Body];
        Mac {
            message,
            form: Form::Pairs(time, signature),
            time: Time::Pair(Unit::Seconds),
            ..Mac::body(header, "", Hash::Sha256, Text::Hex)
        }
    }

    /// The algorithm of the key.
    pub(super) fn algorithm(&self) -> hmac::Algorithm {
        match self.hash {
            Hash::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Hash::Sha256 => hmac::HMAC_SHA256,
            Hash::Sha512 => hmac::HMAC_SHA512,
        }
    }

    /// Whether one of the signatures is right and its time is near.
    pub(super) fn verifies(&self, secret: &Secret, request: &WebhookRequest<'_>) -> bool {
        self.headers.iter().any(|header| {
            let found = single(request.headers, header).and_then(|value| self.read(value, request));
            found.is_some_and(|found| self.matches(&found, secret, request))
        })
    }

    fn read<'a>(&self, value: &'a str, request: &WebhookRequest<'a>) -> Option<Found<'a>> {
        let mut found = Found { time: None, signatures: Vec::new() };
        match self.form {
            Form::Plain(prefix) => found.signatures.push(self.decode(value.trim().strip_prefix(prefix)?)?),
            Form::List(separator, prefix) => {
                let entries = value.split(separator).map(str::trim).take(SIGNATURES_MAX);
                found.signatures.extend(entries.filter_map(|entry| self.decode(entry.strip_prefix(prefix)?)));
            }
            Form::Pairs(time, signature) => {
                for entry in value.split(',').take(SIGNATURES_MAX) {
                    let (name, value) = entry.trim().split_once('=')?;
                    if name == signature {
                        found.signatures.extend(self.decode(value));
                    } else if name == time && found.time.replace(value).is_some() {
                        return None;
                    }
                }
            }
        }
        if let Time::Header(name, _) = self.time {
            found.time = Some(single(request.headers, name)?);
        }
        Some(found)
    }

    fn decode(&self, text: &str) -> Option<Vec<u8>> {
        match self.text {
            Text::Hex => decode_hex(text),
            Text::Base64 => STANDARD.decode(text).ok(),
        }
    }

    fn matches(&self, found: &Found<'_>, secret: &Secret, request: &WebhookRequest<'_>) -> bool {
        let fresh = match self.time {
            Time::None => true,
            Time::Header(_, unit) | Time::Pair(unit) => {
                is_fresh(found.time.and_then(|text| unit.read(text)), request.now)
            }
        };
        let Some(expected) = self.sign(found, secret, request).filter(|_| fresh) else { return false };
        found
            .signatures
            .iter()
            .fold(false, |any, given| any | verify_slices_are_equal(expected.as_ref(), given).is_ok())
    }

    fn sign(&self, found: &Found<'_>, secret: &Secret, request: &WebhookRequest<'_>) -> Option<hmac::Tag> {
        let mut mac = hmac::Context::with_key(&secret.mac);
        for piece in self.message {
            match piece {
                Piece::Body => mac.update(request.body),
                Piece::Time => mac.update(found.time?.as_bytes()),
                Piece::Method => mac.update(request.method.as_str().as_bytes()),
                Piece::Url => mac.update(request.url.as_bytes()),
                Piece::HubspotUrl => mac.update(hubspot_url(request.url).as_bytes()),
                Piece::Header(name) => mac.update(single(request.headers, name)?.as_bytes()),
                Piece::Text(text) => mac.update(text.as_bytes()),
            }
        }
        Some(mac.sign())
    }
}

struct Found<'a> {
    time: Option<&'a str>,
    signatures: Vec<Vec<u8>>,
}

/// Hexadecimal of either case.
pub(super) fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    let pairs = text.as_bytes().chunks_exact(2);
    if !pairs.remainder().is_empty() || text.len() > 128 {
        return None;
    }
    pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

/// Hexadecimal in lower case.
pub(super) fn encode_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Characters that HubSpot signs decoded, wherever they stand in the URL.
fn hubspot_url(url: &str) -> String {
    let decoded = [
        ("%3A", ":"),
        ("%2F", "/"),
        ("%3F", "?"),
        ("%40", "@"),
        ("%21", "!"),
        ("%24", "$"),
        ("%27", "'"),
        ("%28", "("),
        ("%29", ")"),
        ("%2A", "*"),
        ("%2C", ","),
        ("%3B", ";"),
    ];
    let mut out = String::with_capacity(url.len());
    let mut rest = url;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let known = rest.get(..3).and_then(|code| decoded.iter().find(|(known, _)| known.eq_ignore_ascii_case(code)));
        match known {
            Some((_, character)) => {
                out.push_str(character);
                rest = &rest[3..];
            }
            None => {
                out.push('%');
                rest = &rest[1..];
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_goes_both_ways() {
        assert_eq!(decode_hex("00fFa1"), Some(vec![0, 255, 161]));
        assert_eq!(encode_hex(&[0, 255, 161]), "00ffa1");
        for text in ["0", "0g", "+1", " 00", "é"] {
            assert_eq!(decode_hex(text), None, "{text}");
        }
    }

    #[test]
    fn hubspot_signs_some_characters_decoded() {
        assert_eq!(hubspot_url("https://a/b%2fc?d=%3A%20%25%"), "https://a/b/c?d=:%20%25%");
    }
}
