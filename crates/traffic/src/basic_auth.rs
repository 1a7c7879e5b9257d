//! `basic-auth`: user names and passwords in HTTP (RFC 7617 section 2).

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use portway_codes::Code;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::ConfigError;

/// Credentials of one action; the documented limit.
const CREDENTIALS_MAX: usize = 10;
/// Bytes of a user name.
const USER_MAX: usize = 128;
/// Bytes of a password; the documented limits.
const PASSWORD_MIN: usize = 8;
const PASSWORD_MAX: usize = 128;
/// Bytes of a realm; the documented limit.
const REALM_MAX: usize = 128;
/// Bytes of presented credentials that are looked at: the longest that can be right, in base64, with room to spare.
const PRESENTED_MAX: usize = 512;

/// Clients that leave the padding out mean the same.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Configuration of `basic-auth`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BasicAuthConfig {
    /// `user:password`, 1 to 10; the user name at most 128 bytes, the password 8 to 128.
    pub credentials: Vec<SecretString>,
    /// What browsers show. Default: `ngrok`. At most 128 printable ASCII characters.
    #[serde(default)]
    pub realm: Option<String>,
    /// Whether requests without accepted credentials are refused. Default: true.
    #[serde(default = "crate::action::yes")]
    pub enforce: bool,
}

/// The compiled action. It holds digests only.
#[derive(Clone, Debug)]
pub struct BasicAuth {
    accepted: Vec<[u8; 32]>,
    challenge: HeaderValue,
    enforce: bool,
}

impl BasicAuth {
    /// Type of the action.
    pub const NAME: &str = "basic-auth";

    /// Compiles the action.
    ///
    /// # Errors
    /// No credentials (2223), more than 10 (2218), a user name that is too long (359), a password of a length that is not allowed (360),
    /// a missing colon, a control character, or a realm that is not allowed (2204).
    pub fn new(config: &BasicAuthConfig) -> Result<BasicAuth, ConfigError> {
        if config.credentials.is_empty() {
            return Err(ConfigError::empty(Self::NAME, "credentials"));
        }
        if config.credentials.len() > CREDENTIALS_MAX {
            return Err(ConfigError::too_many(Self::NAME, "credentials", CREDENTIALS_MAX));
        }
        let digests = config.credentials.iter().enumerate();
        let accepted = digests.map(|(at, text)| accepted(at, text.expose_secret())).collect::<Result<_, _>>()?;
        let challenge = challenge(config.realm.as_deref().unwrap_or("ngrok"))?;
        Ok(BasicAuth { accepted, challenge, enforce: config.enforce })
    }

    /// Whether a request may pass: it has exactly one `Authorization` field with accepted credentials. The time it takes does not depend
    /// on how much of them is right, nor on which of the accepted ones they are.
    pub fn permits(&self, headers: &HeaderMap) -> bool {
        if !self.enforce {
            return true;
        }
        let presented = presented(headers).unwrap_or_default();
        let presented = sha256(&presented);
        self.accepted
            .iter()
            .fold(false, |found, accepted| found | verify_slices_are_equal(accepted, &presented).is_ok())
    }

    /// Value of `WWW-Authenticate` in the refusal.
    pub fn challenge(&self) -> &HeaderValue {
        &self.challenge
    }
}

fn accepted(at: usize, text: &str) -> Result<[u8; 32], ConfigError> {
    let fault = |code, why| Err(ConfigError::new(code, BasicAuth::NAME, format!("credentials[{at}]"), why));
    let Some((user, password)) = text.split_once(':') else {
        return fault(Code::ERR_NGROK_2204, "there is no colon between user name and password");
    };
    if user.len() > USER_MAX {
        return fault(Code::ERR_NGROK_359, "the user name is longer than 128 bytes");
    }
    if !(PASSWORD_MIN..=PASSWORD_MAX).contains(&password.len()) {
        return fault(Code::ERR_NGROK_360, "the password must have 8 to 128 bytes");
    }
    if text.chars().any(char::is_control) {
        return fault(Code::ERR_NGROK_2204, "there is a control character in it");
    }
    Ok(sha256(text.as_bytes()))
}

fn challenge(realm: &str) -> Result<HeaderValue, ConfigError> {
    let fault = |why| ConfigError::value(BasicAuth::NAME, "realm", why);
    if realm.len() > REALM_MAX {
        return Err(fault("it is longer than 128 characters"));
    }
    if !realm.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err(fault("it may have printable ASCII characters only"));
    }
    let escaped = realm.replace('\\', "\\\\").replace('"', "\\\"");
    HeaderValue::try_from(format!("Basic realm=\"{escaped}\", charset=\"UTF-8\""))
        .map_err(|_| fault("it may have printable ASCII characters only"))
}

fn presented(headers: &HeaderMap) -> Option<Vec<u8>> {
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    let (field, more) = (fields.next()?, fields.next());
    let (scheme, text) = field.to_str().ok()?.split_once(' ')?;
    if more.is_some() || !scheme.eq_ignore_ascii_case("basic") || text.len() > PRESENTED_MAX {
        return None;
    }
    BASE64.decode(text.trim_start_matches(' ')).ok()
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(credentials: &[&str]) -> BasicAuthConfig {
        let credentials = credentials.iter().map(|&text| text.into()).collect();
        BasicAuthConfig { credentials, realm: None, enforce: true }
    }

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (AUTHORIZATION, value.parse().unwrap())).collect()
    }

    #[test]
    fn the_right_credentials_pass_and_no_others() {
        let auth = BasicAuth::new(&config(&["user:password", "Grüße:pass:word", ":nobody's"])).unwrap();
        for (values, passes) in [
            (&["Basic dXNlcjpwYXNzd29yZA=="][..], true),
            (&["bAsIc  dXNlcjpwYXNzd29yZA"], true),
            // The example of RFC 7617 section 2.1 in spirit: UTF-8, and a colon in the password.
            (&["Basic R3LDvMOfZTpwYXNzOndvcmQ="], true),
            (&["Basic Om5vYm9keSdz"], true),
            (&[], false),
            (&[""], false),
            (&["Basic"], false),
            (&["Basic "], false),
            (&["Basic !"], false),
            (&["Bearer dXNlcjpwYXNzd29yZA=="], false),
            // "user:passwor", "user:password " and "USER:password"
            (&["Basic dXNlcjpwYXNzd29y"], false),
            (&["Basic dXNlcjpwYXNzd29yZCA="], false),
            (&["Basic VVNFUjpwYXNzd29yZA=="], false),
            (&["Basic dXNlcjpwYXNzd29yZA==", "Basic dXNlcjpwYXNzd29yZA=="], false),
            (&["Basic dXNlcjpwYXNzd29yZA==, Basic dXNlcjpwYXNzd29yZA=="], false),
        ] {
            assert_eq!(auth.permits(&headers(values)), passes, "{values:?}");
        }
        let long = format!("Basic {}", "A".repeat(100_000));
        assert!(!auth.permits(&headers(&[&long])));
    }

    #[test]
    fn limits_hold() {
        let user = format!("{}:password", "u".repeat(129));
        let long = format!("user:{}", "p".repeat(129));
        for (credentials, code) in [
            (&[][..], Code::ERR_NGROK_2223),
            (&["user:password"; 11], Code::ERR_NGROK_2218),
            (&[user.as_str()], Code::ERR_NGROK_359),
            (&["user:passwor"], Code::ERR_NGROK_360),
            (&[long.as_str()], Code::ERR_NGROK_360),
            (&["userpassword"], Code::ERR_NGROK_2204),
            (&["user:password\n"], Code::ERR_NGROK_2204),
        ] {
            assert_eq!(BasicAuth::new(&config(credentials)).unwrap_err().code, code, "{credentials:?}");
        }
        let error = BasicAuth::new(&config(&["user:password", "user:short"])).unwrap_err();
        assert_eq!(error.field, "credentials[1]");
        assert!(!error.to_string().contains("short"), "{error}");
    }

    #[test]
    fn the_realm_is_quoted() {
        let of =
            |realm: &str| BasicAuth::new(&BasicAuthConfig { realm: Some(realm.to_owned()), ..config(&["a:password"]) });
        assert_eq!(of("a \"b\" \\").unwrap().challenge(), "Basic realm=\"a \\\"b\\\" \\\\\", charset=\"UTF-8\"");
        assert_eq!(
            BasicAuth::new(&config(&["a:password"])).unwrap().challenge(),
            "Basic realm=\"ngrok\", charset=\"UTF-8\""
        );
        for realm in ["ä", "a\r\nb", &"r".repeat(129)] {
            assert_eq!(of(realm).unwrap_err().field, "realm");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let config = config(&["user:password"]);
        let shown = format!("{config:?} {:?}", BasicAuth::new(&config).unwrap());
        assert!(!shown.contains("password\""), "{shown}");
    }
}
