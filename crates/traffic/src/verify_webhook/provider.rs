//! The providers and how each of them signs, after their public documentation.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde::Deserialize;

use super::mac::{Form, Hash, Key, Mac, Piece, Text, Time};
use super::timestamp::Unit;
use super::{Challenge, Secret, WebhookRequest, content, own_ways, sha256, single};

/// Bytes of what a provider sends to be signed or sent back.
const CHALLENGE_MAX: usize = 256;

/// A provider that policies can name.
#[derive(Debug)]
pub(super) struct Provider {
    pub(super) name: &'static str,
    /// None: how it signs is not known for certain, or needs more than its secret.
    pub(super) scheme: Option<Scheme>,
}

/// How a provider signs.
#[derive(Debug)]
pub(super) enum Scheme {
    Mac(Mac),
    /// It sends the secret in this field.
    Token(&'static str),
    Buildkite,
    Contentful,
    Graphcms,
    Mailgun,
    SendGrid,
    Twilio,
}

/// Fields of DocuSign's signatures, one for each secret.
const DOCUSIGN: &[&str] = &["x-docusign-signature-1", "x-docusign-signature-2", "x-docusign-signature-3"];

/// Buildkite's other way; see [`Scheme::Buildkite`].
const BUILDKITE: Mac = Mac::pairs(&["x-buildkite-signature"], "timestamp", "signature");

const V0: &[Piece] = &[Piece::Text("v0:"), Piece::Time, Piece::Text(":"), Piece::Body];

const fn body(header: &'static [&'static str], prefix: &'static str, hash: Hash, text: Text) -> Option<Scheme> {
    Some(Scheme::Mac(Mac::body(header, prefix, hash, text)))
}

const fn hex256(header: &'static [&'static str], prefix: &'static str) -> Option<Scheme> {
    body(header, prefix, Hash::Sha256, Text::Hex)
}

const fn base64_256(header: &'static [&'static str], prefix: &'static str) -> Option<Scheme> {
    body(header, prefix, Hash::Sha256, Text::Base64)
}

const fn pairs(header: &'static [&'static str], time: &'static str, signature: &'static str) -> Option<Scheme> {
    Some(Scheme::Mac(Mac::pairs(header, time, signature)))
}

const fn list(header: &'static [&'static str], prefix: &'static str) -> Option<Scheme> {
    Some(Scheme::Mac(Mac { form: Form::List(',', prefix), ..Mac::body(header, "", Hash::Sha256, Text::Hex) }))
}

/// A time in a field of its own.
const fn timed(
    header: &'static [&'static str],
    prefix: &'static str,
    text: Text,
    time: (&'static str, Unit),
    message: &'static [Piece],
) -> Option<Scheme> {
    let time = Time::Header(time.0, time.1);
    Some(Scheme::Mac(Mac { message, time, ..Mac::body(header, prefix, Hash::Sha256, text) }))
}

/// The scheme of Svix (and Standard Webhooks), under the names of fields that its users chose.
const fn svix(header: &'static [&'static str], time: &'static str, message: &'static [Piece]) -> Option<Scheme> {
    Some(Scheme::Mac(Mac {
        form: Form::List(' ', "v1,"),
        key: Key::Whsec,
        message,
        time: Time::Header(time, Unit::Seconds),
        ..Mac::body(header, "", Hash::Sha256, Text::Base64)
    }))
}

const SVIX: &[Piece] = &[Piece::Header("svix-id"), Piece::Text("."), Piece::Time, Piece::Text("."), Piece::Body];
const STANDARD_WEBHOOK: &[Piece] =
    &[Piece::Header("webhook-id"), Piece::Text("."), Piece::Time, Piece::Text("."), Piece::Body];

const TEAMS: Scheme =
    Scheme::Mac(Mac { key: Key::Base64, ..Mac::body(&["authorization"], "HMAC ", Hash::Sha256, Text::Base64) });
const HUBSPOT: &[Piece] = &[Piece::Method, Piece::HubspotUrl, Piece::Body, Piece::Time];
const SQUARE: Scheme = Scheme::Mac(Mac {
    message: &[Piece::Url, Piece::Body],
    ..Mac::body(&["x-square-hmacsha256-signature"], "", Hash::Sha256, Text::Base64)
});
const ORB: &[Piece] = &[Piece::Text("v1:"), Piece::Time, Piece::Text(":"), Piece::Body];
const AIRSHIP: &[Piece] = &[Piece::Time, Piece::Text(":"), Piece::Body];
const META: &[&str] = &["x-hub-signature-256"];
const HUB: &[&str] = &["x-hub-signature"];

const fn row(name: &'static str, scheme: Option<Scheme>) -> Provider {
    Provider { name, scheme }
}

/// Every provider that ngrok's documentation names, in order.
#[rustfmt::skip]
const PROVIDERS: &[Provider] = &[
    row("aftership", base64_256(&["aftership-hmac-sha256"], "")),
    row("airship", timed(&["x-ua-signature"], "", Text::Hex, ("x-ua-timestamp", Unit::Seconds), AIRSHIP)),
    row("alchemy", hex256(&["x-alchemy-signature"], "")),
    row("autodesk", body(&["x-adsk-signature"], "sha1hash=", Hash::Sha1, Text::Hex)),
    row("bitbucket", hex256(HUB, "sha256=")),
    row("bolt", base64_256(&["x-bolt-hmac-sha256"], "")),
    row("box", timed(&["box-signature-primary", "box-signature-secondary"], "", Text::Base64, ("box-delivery-timestamp", Unit::Rfc3339), &[Piece::Body, Piece::Time])),
    row("brex", svix(&["webhook-signature"], "webhook-timestamp", STANDARD_WEBHOOK)),
    row("buildkite", Some(Scheme::Buildkite)),
    row("calendly", pairs(&["calendly-webhook-signature"], "t", "v1")),
    row("castle", base64_256(&["x-castle-signature"], "")),
    row("chargify", hex256(&["x-chargify-webhook-signature-hmac-sha-256"], "")),
    row("circleci", list(&["circleci-signature"], "v1=")),
    row("clearbit", body(&["x-request-signature"], "sha1=", Hash::Sha1, Text::Hex)),
    row("clerk", svix(&["svix-signature"], "svix-timestamp", SVIX)),
    row("coinbase", hex256(&["x-cc-webhook-signature"], "")),
    row("contentful", Some(Scheme::Contentful)),
    row("docusign", base64_256(DOCUSIGN, "")),
    row("dropbox", hex256(&["x-dropbox-signature"], "")),
    row("facebook_graph_api", hex256(META, "sha256=")),
    row("facebook_messenger", hex256(META, "sha256=")),
    row("frameio", timed(&["x-frameio-signature"], "v0=", Text::Hex, ("x-frameio-request-timestamp", Unit::Seconds), V0)),
    row("github", hex256(META, "sha256=")),
    row("gitlab", Some(Scheme::Token("x-gitlab-token"))),
    row("go1", None),
    row("graphcms", Some(Scheme::Graphcms)),
    row("heroku", base64_256(&["heroku-webhook-hmac-sha256"], "")),
    row("hostedhooks", None),
    row("hubspot", timed(&["x-hubspot-signature-v3"], "", Text::Base64, ("x-hubspot-request-timestamp", Unit::Millis), HUBSPOT)),
    row("instagram", hex256(META, "sha256=")),
    row("intercom", body(HUB, "sha1=", Hash::Sha1, Text::Hex)),
    row("jira", hex256(HUB, "sha256=")),
    row("launch_darkly", hex256(&["x-ld-signature"], "")),
    row("linear", hex256(&["linear-signature"], "")),
    row("mailchimp", None),
    row("mailgun", Some(Scheme::Mailgun)),
    row("microsoft_teams", Some(TEAMS)),
    row("modern_treasury", hex256(&["x-signature"], "")),
    row("mongodb", body(&["x-mms-signature"], "", Hash::Sha1, Text::Base64)),
    row("mux", pairs(&["mux-signature"], "t", "v1")),
    row("orb", timed(&["x-orb-signature"], "v1=", Text::Hex, ("x-orb-timestamp", Unit::Rfc3339), ORB)),
    row("orbit", None),
    row("pagerduty", list(&["x-pagerduty-signature"], "v1=")),
    row("pinwheel", None),
    row("plivo", None),
    row("pusher", hex256(&["x-pusher-signature"], "")),
    row("sendgrid", Some(Scheme::SendGrid)),
    row("sentry", hex256(&["sentry-hook-signature"], "")),
    row("shopify", base64_256(&["x-shopify-hmac-sha256"], "")),
    row("signal_sciences", hex256(&["x-sigsci-signature"], "")),
    row("slack", timed(&["x-slack-signature"], "v0=", Text::Hex, ("x-slack-request-timestamp", Unit::Seconds), V0)),
    row("sns", None),
    row("sonatype", body(&["x-nexus-webhook-signature"], "", Hash::Sha1, Text::Hex)),
    row("square", Some(SQUARE)),
    row("stripe", pairs(&["stripe-signature"], "t", "v1")),
    row("svix", svix(&["svix-signature"], "svix-timestamp", SVIX)),
    row("terraform", body(&["x-tfe-notification-signature"], "", Hash::Sha512, Text::Hex)),
    row("tiktok", pairs(&["tiktok-signature"], "t", "s")),
    row("trendmicro_conformity", None),
    row("twilio", Some(Scheme::Twilio)),
    row("twitter", base64_256(&["x-twitter-webhooks-signature"], "sha256=")),
    row("typeform", base64_256(&["typeform-signature"], "sha256=")),
    row("vmware", None),
    row("webex", body(&["x-spark-signature"], "", Hash::Sha1, Text::Hex)),
    row("whatsapp", hex256(META, "sha256=")),
    row("worldline", base64_256(&["x-gcs-signature"], "")),
    row("xero", base64_256(&["x-xero-signature"], "")),
    row("zendesk", timed(&["x-zendesk-webhook-signature"], "", Text::Base64, ("x-zendesk-webhook-signature-timestamp", Unit::Rfc3339), &[Piece::Time, Piece::Body])),
    row("zoom", timed(&["x-zm-signature"], "v0=", Text::Hex, ("x-zm-request-timestamp", Unit::Seconds), V0)),
];

/// The provider of this name.
pub(super) fn find(name: &str) -> Option<&'static Provider> {
    PROVIDERS.iter().find(|provider| provider.name == name)
}

/// Names of the providers whose schemes are built.
pub(super) fn built() -> impl Iterator<Item = &'static str> {
    PROVIDERS.iter().filter(|provider| provider.scheme.is_some()).map(|provider| provider.name)
}

impl Scheme {
    /// The secret as this scheme uses it, or why it is none.
    pub(super) fn secret(&self, text: &str) -> Result<Secret, &'static str> {
        let mut secret = Secret {
            mac: hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes()),
            digest: sha256(text.as_bytes()),
            public: None,
        };
        match self {
            Scheme::Mac(mac) => {
                let key = match mac.key {
                    Key::Raw => text.as_bytes().to_vec(),
                    Key::Base64 => decode_key(text)?,
                    Key::Whsec => decode_key(text.strip_prefix("whsec_").unwrap_or(text))?,
                };
                secret.mac = hmac::Key::new(mac.algorithm(), &key);
            }
            Scheme::Twilio => secret.mac = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()),
            Scheme::SendGrid => {
                secret.public = Some(own_ways::p256_point(text).ok_or("it is no public key as SendGrid shows it")?);
            }
            Scheme::Token(_) | Scheme::Buildkite | Scheme::Contentful | Scheme::Graphcms | Scheme::Mailgun => {}
        }
        Ok(secret)
    }

    /// Whether the request shows what its signature can be checked by, its body aside.
    pub(super) fn is_signed(&self, secret: &Secret, request: &WebhookRequest<'_>) -> bool {
        let has = |header| single(request.headers, header).is_some();
        match self {
            Scheme::Mac(mac) => mac.headers.iter().copied().any(has),
            Scheme::Token(_) => self.verifies(secret, request),
            Scheme::Buildkite if request.headers.contains_key("x-buildkite-signature") => has("x-buildkite-signature"),
            Scheme::Buildkite => self.verifies(secret, request),
            Scheme::Contentful => has("x-contentful-signature"),
            Scheme::Graphcms => has("gcms-signature"),
            // It stands in the body.
            Scheme::Mailgun => true,
            Scheme::SendGrid => has("x-twilio-email-event-webhook-signature"),
            Scheme::Twilio => has("x-twilio-signature"),
        }
    }

    /// Whether the request is signed with the secret.
    pub(super) fn verifies(&self, secret: &Secret, request: &WebhookRequest<'_>) -> bool {
        match self {
            Scheme::Mac(mac) => mac.verifies(secret, request),
            Scheme::Token(header) => own_ways::token(header, secret, request),
            Scheme::Buildkite if request.headers.contains_key("x-buildkite-signature") => {
                BUILDKITE.verifies(secret, request)
            }
            Scheme::Buildkite => own_ways::token("x-buildkite-token", secret, request),
            Scheme::Contentful => own_ways::contentful(secret, request),
            Scheme::Graphcms => own_ways::graphcms(secret, request),
            Scheme::Mailgun => own_ways::mailgun(secret, request),
            Scheme::SendGrid => own_ways::sendgrid(secret, request),
            Scheme::Twilio => own_ways::twilio(secret, request),
        }
    }

    /// The answer to a question that is not signed itself.
    ///
    /// What Twitter asks to be signed is signed with the key that signs its messages: a text that could be a message is not signed, or anybody
    /// could have one made.
    pub(super) fn unsigned_challenge(
        &self,
        provider: &str,
        secret: &Secret,
        request: &WebhookRequest<'_>,
    ) -> Option<Challenge> {
        if *request.method != Method::GET {
            return None;
        }
        match provider {
            "twitter" => {
                let query = content::fields(content::query(request.path_and_query).as_bytes())?;
                let token =
                    std::str::from_utf8(content::one(&query, "crc_token")?).ok().filter(|text| is_token(text))?;
                let body = format!("{{\"response_token\":\"sha256={}\"}}", own_ways::mac_base64(secret, token));
                Some(Challenge { content_type: "application/json", body })
            }
            "worldline" => {
                let asked = single(request.headers, "x-gcs-webhooks-endpoint-verification")?;
                let body = Some(asked.to_owned()).filter(|text| is_token(text))?;
                Some(Challenge { content_type: "text/plain; charset=utf-8", body })
            }
            _ => None,
        }
    }
}

/// The answer to a question whose signature was found right.
pub(super) fn signed_challenge(provider: &str, secret: &Secret, request: &WebhookRequest<'_>) -> Option<Challenge> {
    match provider {
        "zoom" => {
            #[derive(Deserialize)]
            struct Question {
                event: String,
                payload: Payload,
            }
            #[derive(Deserialize)]
            #[serde(rename_all = "camelCase")]
            struct Payload {
                plain_token: String,
            }
            let question: Question = serde_json::from_slice(request.body).ok()?;
            let plain = Some(question.payload.plain_token).filter(|text| is_token(text))?;
            if question.event != "endpoint.url_validation" {
                return None;
            }
            let encrypted = own_ways::mac_hex(secret, &plain);
            let body = format!("{{\"plainToken\":\"{plain}\",\"encryptedToken\":\"{encrypted}\"}}");
            Some(Challenge { content_type: "application/json", body })
        }
        "xero" => {
            #[derive(Deserialize)]
            struct Intent {
                events: [(); 0],
            }
            let Intent { events: [] } = serde_json::from_slice(request.body).ok()?;
            Some(Challenge { content_type: "text/plain; charset=utf-8", body: String::new() })
        }
        _ => None,
    }
}

/// Whether the provider sends such bodies. Twitter's questions, which anybody may ask, are answered with signatures of words: a body that
/// is such a word would be forged with the answer.
pub(super) fn is_message(provider: &str, body: &[u8]) -> bool {
    provider != "twitter" || body.starts_with(b"{")
}

/// A word that can be no message, and no markup.
fn is_token(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'_' | b'-' | b'.');
    (1..=CHALLENGE_MAX).contains(&text.len()) && text.bytes().all(plain)
}

fn decode_key(text: &str) -> Result<Vec<u8>, &'static str> {
    let key = STANDARD.decode(text).map_err(|_| "it is not base64, as the secrets of this provider are")?;
    if key.is_empty() { Err("it holds no key") } else { Ok(key) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_provider_stands_once_in_order() {
        assert!(PROVIDERS.is_sorted_by(|a, b| a.name < b.name));
        assert_eq!(PROVIDERS.len(), 69);
        assert!(matches!(find("github"), Some(Provider { scheme: Some(Scheme::Mac(_)), .. })));
        assert!(find("GitHub").is_none());
    }
}
