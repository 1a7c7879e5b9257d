//! Signatures of every provider, and what is tried with them.

mod vectors;

use http::{HeaderName, HeaderValue};
use proptest::prelude::*;

use self::vectors::{NOW, VECTORS, Vector};
use super::*;

const SECRET: &str = "It is a secret 123";

fn action(provider: &str, secret: &str) -> Result<VerifyWebhook, ConfigError> {
    VerifyWebhook::new(&VerifyWebhookConfig { provider: provider.to_owned(), secret: secret.into(), enforce: true })
}

/// A request that can be changed.
#[derive(Clone)]
struct Sent {
    method: Method,
    target: String,
    headers: HeaderMap,
    body: Vec<u8>,
    now: u64,
}

impl Sent {
    fn of(vector: &Vector) -> Sent {
        Sent::new(vector.method, vector.target, vector.headers, vector.body)
    }

    fn new(method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Sent {
        let field = |(name, value): &(&str, &str)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
        };
        Sent {
            method: method.parse().unwrap(),
            target: target.to_owned(),
            headers: headers.iter().map(field).collect(),
            body: body.as_bytes().to_vec(),
            now: NOW,
        }
    }

    fn to(&self, action: &VerifyWebhook) -> WebhookVerdict {
        let url = format!("https://app.example.com{}", self.target);
        action.decide(&WebhookRequest {
            method: &self.method,
            url: &url,
            path_and_query: &self.target,
            headers: &self.headers,
            body: &self.body,
            now: self.now,
        })
    }

    /// What is known of it before its body is read.
    fn unread(&self, action: &VerifyWebhook) -> Option<WebhookVerdict> {
        let url = format!("https://app.example.com{}", self.target);
        action.decide_unread(&WebhookRequest {
            method: &self.method,
            url: &url,
            path_and_query: &self.target,
            headers: &self.headers,
            body: b"",
            now: self.now,
        })
    }

    fn passes(&self, action: &VerifyWebhook) -> bool {
        match self.to(action) {
            WebhookVerdict::Pass => true,
            WebhookVerdict::Refuse { .. } => false,
            WebhookVerdict::Answer(answer) => panic!("{answer:?}"),
        }
    }
}

/// Signed with a token only, or over a part of the request: a changed body does not show.
fn covers_body(vector: &Vector) -> bool {
    let token = vector.headers.iter().any(|(name, _)| matches!(*name, "x-gitlab-token" | "x-buildkite-token"));
    !token && vector.provider != "mailgun"
}

#[test]
fn what_providers_sign_passes_and_nothing_else() {
    for vector in VECTORS {
        let name = vector.provider;
        let action_of = action(name, vector.secret).unwrap();
        let sent = Sent::of(vector);
        assert!(sent.passes(&action_of), "{name}");

        let mut changed = sent.clone();
        changed.body.push(b' ');
        assert_eq!(changed.passes(&action_of), !covers_body(vector), "{name}: changed body");

        for field in sent.headers.keys().filter(|field| field.as_str() != "content-type") {
            let optional = matches!(
                field.as_str(),
                "box-signature-primary" | "box-signature-version" | "x-docusign-signature-1" | "x-gcs-keyid"
            );
            let mut without = sent.clone();
            without.headers.remove(field);
            assert_eq!(without.passes(&action_of), optional, "{name}: without {field}");
            let mut twice = sent.clone();
            let value = sent.headers[field].clone();
            twice.headers.append(field, value);
            assert_eq!(twice.passes(&action_of), optional, "{name}: {field} twice");
        }
        if name != "sendgrid" {
            let other = if vector.secret.starts_with("whsec_") { "whsec_AAAA" } else { "AAAA" };
            assert!(!sent.passes(&action(name, other).unwrap()), "{name}: another secret");
        }
    }
}

#[test]
fn every_scheme_that_is_built_has_a_signed_request() {
    for provider in [
        "aftership",
        "airship",
        "buildkite",
        "contentful",
        "graphcms",
        "mailgun",
        "sendgrid",
        "twilio",
        "gitlab",
        "zoom",
    ] {
        assert!(VECTORS.iter().any(|vector| vector.provider == provider), "{provider}");
    }
    let mut covered: Vec<&str> = VECTORS.iter().map(|vector| vector.provider).collect();
    covered.dedup();
    assert_eq!(covered, provider::built().collect::<Vec<_>>());
}

#[test]
fn old_and_future_signatures_are_refused_where_there_is_a_time() {
    let timed = [
        "airship",
        "box",
        "brex",
        "calendly",
        "clerk",
        "contentful",
        "frameio",
        "graphcms",
        "hubspot",
        "mailgun",
        "mux",
        "orb",
        "sendgrid",
        "slack",
        "stripe",
        "svix",
        "tiktok",
        "zendesk",
        "zoom",
    ];
    for vector in VECTORS {
        let has_time =
            timed.contains(&vector.provider) || vector.headers.iter().any(|(name, _)| *name == "x-buildkite-signature");
        let action = action(vector.provider, vector.secret).unwrap();
        for (now, near) in [(NOW + 300, true), (NOW - 300, true), (NOW + 302, false), (NOW - 301, false), (0, false)] {
            let sent = Sent { now, ..Sent::of(vector) };
            assert_eq!(sent.passes(&action), near || !has_time, "{} at {now}", vector.provider);
        }
    }
}

/// Examples that the providers publish themselves.
#[test]
fn published_examples_pass() {
    let sent = Sent::new(
        "POST",
        "/",
        &[("x-hub-signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")],
        "Hello, World!",
    );
    assert!(sent.passes(&action("github", "It's a Secret to Everybody").unwrap()));
    let sent = Sent::new(
        "POST",
        "/",
        &[("x-hub-signature", "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9")],
        "Hello World!",
    );
    assert!(sent.passes(&action("jira", "It's a Secret to Everybody").unwrap()));
    let slack = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=\
                 foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2F\
                 hooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.\
                 47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let mut sent = Sent::new(
        "POST",
        "/",
        &[
            ("x-slack-signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"),
            ("x-slack-request-timestamp", "1531420618"),
        ],
        slack,
    );
    sent.now = 1_531_420_700;
    assert!(sent.passes(&action("slack", "8f742231b10e8888abcd99yyyzzz85a5").unwrap()));
}

#[test]
fn what_shows_no_signature_is_refused_unread() {
    for vector in VECTORS {
        let (name, action) = (vector.provider, action(vector.provider, vector.secret).unwrap());
        let sent = Sent::of(vector);
        assert_eq!(sent.unread(&action), None, "{name}");
        let bare = Sent { headers: HeaderMap::new(), ..sent };
        let refused = Some(WebhookVerdict::Refuse { status: if name == "xero" { 401 } else { 403 } });
        assert_eq!(bare.unread(&action), refused.filter(|_| name != "mailgun"), "{name}");
    }
    // A token is all there is to check.
    let gitlab = action("gitlab", SECRET).unwrap();
    let guessed = Sent::new("POST", "/", &[("x-gitlab-token", "guess")], "{}");
    assert_eq!(guessed.unread(&gitlab), Some(WebhookVerdict::Refuse { status: 403 }));
    let twitter = action("twitter", SECRET).unwrap();
    assert!(matches!(Sent::new("GET", "/?crc_token=a", &[], "").unread(&twitter), Some(WebhookVerdict::Answer(_))));
}

#[test]
fn questions_of_providers_are_answered() {
    let twitter = action("twitter", SECRET).unwrap();
    let ask = |target: &str| Sent::new("GET", target, &[], "").to(&twitter);
    let json = |body: &str| Challenge { content_type: "application/json", body: body.to_owned() };
    assert_eq!(
        ask("/hook?nonce=x&crc_token=OTgzMTc0OTM1"),
        WebhookVerdict::Answer(json("{\"response_token\":\"sha256=2X8dj7+vEv2rGK2ih4p9/7nSZBPqf+MLEu+vEHvKXbM=\"}"))
    );
    // A text that could be a message is not signed, or anybody could have one made.
    for target in ["/hook?crc_token=%7B%22a%22%3A1%7D", "/hook?crc_token=a&crc_token=b", "/hook?crc_token=", "/hook"] {
        assert_eq!(ask(target), WebhookVerdict::Refuse { status: 403 }, "{target}");
    }

    // Nor does an answer make a message of the word that it was given for.
    let signed = [("x-twitter-webhooks-signature", "sha256=2X8dj7+vEv2rGK2ih4p9/7nSZBPqf+MLEu+vEHvKXbM=")];
    let forged = Sent::new("POST", "/hook", &signed, "OTgzMTc0OTM1").to(&twitter);
    assert_eq!(forged, WebhookVerdict::Refuse { status: 403 });

    let zoom = action("zoom", SECRET).unwrap();
    let body = r#"{"event":"endpoint.url_validation","payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"},"event_ts":1}"#;
    let time = NOW.to_string();
    let ask = |signature: &str, body: &str| {
        Sent::new("POST", "/", &[("x-zm-signature", signature), ("x-zm-request-timestamp", &time)], body).to(&zoom)
    };
    let answer = "{\"plainToken\":\"qgg8vlvZRS6UYooatFL8Aw\",\"encryptedToken\":\"af19ba59d3a1db87a75ee179b42bf55292172ed19b0610436dcc503f93a62083\"}";
    assert_eq!(
        ask("v0=c07cf449f89bbb35eb63fa12b6a08342c739304273fdbbb1ca4572e0f920794f", body),
        WebhookVerdict::Answer(json(answer))
    );
    assert_eq!(ask("v0=00", body), WebhookVerdict::Refuse { status: 403 });
    let forged = r#"{"event":"endpoint.url_validation","payload":{"plainToken":"v0:1:{}"}}"#;
    assert_eq!(
        ask("v0=ff2d70e4498283f3e76a7785ca31a577c62cf3ee9856eb10d71af0f292721e66", forged),
        WebhookVerdict::Pass
    );

    let xero = action("xero", SECRET).unwrap();
    let body = r#"{"events":[],"firstEventSequence":0,"lastEventSequence":0,"entropy":"E"}"#;
    let ask = |signature: &str| Sent::new("POST", "/", &[("x-xero-signature", signature)], body).to(&xero);
    let plain = |body: &str| Challenge { content_type: "text/plain; charset=utf-8", body: body.to_owned() };
    assert_eq!(ask("VbfqO7waphzRc6/GpgYQhzXpxC7+PjmMx83Wu3vEcQI="), WebhookVerdict::Answer(plain("")));
    assert_eq!(ask("AAAA"), WebhookVerdict::Refuse { status: 401 });

    let worldline = action("worldline", SECRET).unwrap();
    let ask = |text: &str| Sent::new("GET", "/", &[("x-gcs-webhooks-endpoint-verification", text)], "").to(&worldline);
    assert_eq!(ask("4fc5-8e2a"), WebhookVerdict::Answer(plain("4fc5-8e2a")));
    assert_eq!(ask("<script>"), WebhookVerdict::Refuse { status: 403 });
}

#[test]
fn not_enforced_everything_passes() {
    let config = VerifyWebhookConfig { provider: "github".to_owned(), secret: SECRET.into(), enforce: false };
    let action = VerifyWebhook::new(&config).unwrap();
    assert!(Sent::new("POST", "/", &[], "x").passes(&action));
}

#[test]
fn providers_and_secrets_are_checked() {
    let fault = |provider: &str, secret: &str| {
        let error = action(provider, secret).unwrap_err();
        (error.code.number(), error.field.clone(), error.to_string())
    };
    for provider in
        ["sns", "go1", "hostedhooks", "mailchimp", "orbit", "pinwheel", "plivo", "trendmicro_conformity", "vmware"]
    {
        let (code, field, text) = fault(provider, SECRET);
        assert_eq!((code, field.as_str()), (40_004, "provider"));
        assert!(text.contains(provider), "{text}");
    }
    assert_eq!(fault("acme", SECRET).0, 2204);
    for (provider, secret, code) in [
        ("github", "", 2223),
        ("github", "  ", 2223),
        ("svix", "whsec_!", 2204),
        ("svix", "whsec_", 2204),
        ("microsoft_teams", "not base64!", 2204),
        ("sendgrid", SECRET, 2204),
        ("github", &"x".repeat(1_025), 2204),
    ] {
        assert_eq!(
            (fault(provider, secret).0, fault(provider, secret).1.as_str()),
            (code, "secret"),
            "{provider} {secret}"
        );
    }
    assert!(!format!("{:?}", action("gitlab", SECRET).unwrap()).contains("secret"));
}

#[test]
fn bodies_that_are_not_covered_are_refused() {
    let twilio = action("twilio", SECRET).unwrap();
    let vector = VECTORS.iter().find(|vector| vector.provider == "twilio" && vector.method == "GET").unwrap();
    let mut sent = Sent::of(vector);
    assert!(sent.passes(&twilio));
    sent.method = Method::POST;
    sent.body = b"{\"forged\":true}".to_vec();
    assert!(!sent.passes(&twilio));
}

proptest! {
    /// No request of a stranger verifies, and none makes the verifier fail.
    #[test]
    fn strangers_do_not_pass(
        which in 0..VECTORS.len(),
        values in proptest::collection::vec("[ -~]{0,80}", 4),
        body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let vector = &VECTORS[which];
        let action = action(vector.provider, vector.secret).unwrap();
        let mut sent = Sent { body, ..Sent::of(vector) };
        for ((_, value), random) in sent.headers.iter_mut().zip(&values) {
            *value = HeaderValue::from_str(random).unwrap();
        }
        prop_assert!(!sent.passes(&action));
    }
}
