//! Signatures of providers that go ways of their own.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};

use super::content::{self, fields, one};
use super::mac::{decode_hex, encode_hex};
use super::timestamp::Unit;
use super::{Secret, WebhookRequest, is_fresh, sha256, single};

/// Fields that Contentful may list as signed; it lists about ten.
const SIGNED_HEADERS_MAX: usize = 50;

/// What stands in front of the point in a public key for P-256 (RFC 5480 section 2).
const P256_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The secret itself in a field.
pub(super) fn token(header: &str, secret: &Secret, request: &WebhookRequest<'_>) -> bool {
    single(request.headers, header)
        .is_some_and(|token| verify_slices_are_equal(&sha256(token.as_bytes()), &secret.digest).is_ok())
}

/// Twilio: HMAC-SHA1 over the URL and the sorted fields of the form. Of other bodies the URL has a digest. Twilio may sign the URL with the
/// port that everybody leaves out.
pub(super) fn twilio(secret: &Secret, request: &WebhookRequest<'_>) -> bool {
    let Some(given) = single(request.headers, "x-twilio-signature").and_then(|text| STANDARD.decode(text).ok()) else {
        return false;
    };
    let Some(signed) = twilio_fields(request) else { return false };
    let with_port = |scheme: &str, port: &str| {
        let rest = request.url.strip_prefix(scheme)?;
        let end = rest.find('/').unwrap_or(rest.len());
        (!rest[..end].contains(':')).then(|| format!("{scheme}{}{port}{}", &rest[..end], &rest[end..]))
    };
    let other = with_port("https://", ":443").or_else(|| with_port("http://", ":80"));
    [Some(request.url.to_owned()), other].into_iter().flatten().fold(false, |any, url| {
        let message = [url.as_bytes(), &signed].concat();
        any | hmac::verify(&secret.mac, &message, &given).is_ok()
    })
}

/// What is signed behind the URL; `None` when the body is not covered by the signature.
fn twilio_fields(request: &WebhookRequest<'_>) -> Option<Vec<u8>> {
    let query = fields(content::query(request.path_and_query).as_bytes())?;
    if let Some(digest) = one(&query, "bodySHA256") {
        let digest = decode_hex(std::str::from_utf8(digest).ok()?)?;
        return verify_slices_are_equal(&sha256(request.body), &digest).ok().map(|()| Vec::new());
    }
    if request.body.is_empty() {
        return Some(Vec::new());
    }
    let form = single(request.headers, CONTENT_TYPE.as_str()).is_some_and(is_form);
    let mut form = fields(request.body).filter(|_| form)?;
    form.sort();
    form.dedup();
    Some(form.into_iter().flat_map(|(name, value)| [name, value]).flatten().collect())
}

fn is_form(content_type: &str) -> bool {
    content_type
        .split(';')
        .next()
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
}

/// SendGrid: ECDSA over the time and the body, with the provider's own key.
pub(super) fn sendgrid(secret: &Secret, request: &WebhookRequest<'_>) -> bool {
    let signature = single(request.headers, "x-twilio-email-event-webhook-signature");
    let time = single(request.headers, "x-twilio-email-event-webhook-timestamp");
    let (Some(signature), Some(time), Some(point)) = (signature, time, &secret.public) else { return false };
    let Ok(signature) = STANDARD.decode(signature) else { return false };
    let message = [time.as_bytes(), request.body].concat();
    is_fresh(Unit::Seconds.read(time), request.now)
        && UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(&message, &signature).is_ok()
}

/// The point in the public key that SendGrid shows: base64 of DER.
pub(super) fn p256_point(text: &str) -> Option<[u8; 65]> {
    STANDARD.decode(text.trim()).ok()?.strip_prefix(&P256_PREFIX)?.try_into().ok()
}

/// Mailgun: HMAC over a time and a token, which stand in the body beside the signature. (The rest of the body is not signed.)
pub(super) fn mailgun(secret: &Secret, request: &WebhookRequest<'_>) -> bool {
    #[derive(Deserialize)]
    struct Event {
        signature: Signature,
    }
    #[derive(Deserialize)]
    struct Signature {
        timestamp: String,
        token: String,
        signature: String,
    }
    let form = single(request.headers, CONTENT_TYPE.as_str()).is_some_and(is_form);
    let found = if form {
        let fields = fields(request.body);
        let text = |name| String::from_utf8(one(fields.as_deref()?, name)?.to_vec()).ok();
        (|| Some(Signature { timestamp: text("timestamp")?, token: text("token")?, signature: text("signature")? }))()
    } else {
        serde_json::from_slice::<Event>(request.body).ok().map(|event| event.signature)
    };
    let Some(Signature { timestamp, token, signature }) = found else { return false };
    let Some(signature) = decode_hex(&signature) else { return false };
    is_fresh(Unit::Seconds.read(&timestamp), request.now)
        && hmac::verify(&secret.mac, (timestamp + &token).as_bytes(), &signature).is_ok()
}

/// GraphCMS, now Hygraph: HMAC over a JSON object that has the body as a text in it.
pub(super) fn graphcms(secret: &Secret, request: &WebhookRequest<'_>) -> bool {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Signed<'a> {
        body: &'a str,
        environment_name: &'a str,
        time_stamp: u64,
    }
    let read = || {
        let mut parts = single(request.headers, "gcms-signature")?.split(", ");
        let signature = STANDARD.decode(parts.next()?.strip_prefix("sign=")?).ok()?;
        let environment_name = parts.next()?.strip_prefix("env=")?;
        let time = parts.next()?.strip_prefix("t=")?;
        let body = std::str::from_utf8(request.body).ok()?;
        let signed = Signed { body, environment_name, time_stamp: time.parse().ok()? };
        let fresh = parts.next().is_none() && is_fresh(Unit::Millis.read(time), request.now);
        Some((serde_json::to_vec(&signed).ok()?, signature)).filter(|_| fresh)
    };
    read().is_some_and(|(message, signature)| hmac::verify(&secret.mac, &message, &signature).is_ok())
}

/// Contentful: HMAC over method, target, the fields it lists, and the body, a line each.
pub(super) fn contentful(secret: &Secret, request: &WebhookRequest<'_>) -> bool {
    let read = || {
        let signature = decode_hex(single(request.headers, "x-contentful-signature")?)?;
        let time = single(request.headers, "x-contentful-timestamp")?;
        let mut names: Vec<&str> =
            single(request.headers, "x-contentful-signed-headers")?.split(',').map(str::trim).collect();
        names.sort_unstable();
        if names.len() > SIGNED_HEADERS_MAX || !names.contains(&"x-contentful-timestamp") {
            return None;
        }
        let listed = names.iter().map(|name| Some(format!("{name}:{}", single(request.headers, name)?.trim())));
        let listed = listed.collect::<Option<Vec<_>>>()?.join(";");
        let head = format!("{}\n{}\n{listed}\n", request.method, request.path_and_query);
        let message = [head.as_bytes(), request.body].concat();
        Some((message, signature)).filter(|_| is_fresh(Unit::Millis.read(time), request.now))
    };
    read().is_some_and(|(message, signature)| hmac::verify(&secret.mac, &message, &signature).is_ok())
}

/// The MAC of a text, in hexadecimal.
pub(super) fn mac_hex(secret: &Secret, text: &str) -> String {
    encode_hex(hmac::sign(&secret.mac, text.as_bytes()).as_ref())
}

/// The MAC of a text, in base64.
pub(super) fn mac_base64(secret: &Secret, text: &str) -> String {
    STANDARD.encode(hmac::sign(&secret.mac, text.as_bytes()).as_ref())
}
