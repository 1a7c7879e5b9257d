//! Ways to reach somebody outside: e-mail addresses and URLs.

use http::Uri;
use serde_json::{Value, json};

use crate::{Described, Fault, Input, Schemas, Text};

/// Longest e-mail address in bytes (RFC 5321 section 4.5.3.1.3, without its brackets).
const MAX_EMAIL_LEN: usize = 254;

/// One `@`, and neither space nor control characters.
const EMAIL: &str = "^[^@\\s\\u0000-\\u001f\\u007f-\\u009f]+@[^@\\s\\u0000-\\u001f\\u007f-\\u009f]+$";

/// Longest URL in bytes.
const MAX_URL_LEN: usize = 2048;

/// An e-mail address. Its mailbox is looked at no further: only who owns it can say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// The address, in small letters.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address, in small letters.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl Described for Email {
    fn schema(_: &mut Schemas) -> Value {
        json!({"type": "string", "pattern": EMAIL, "maxLength": MAX_EMAIL_LEN, "examples": ["me@example.com"]})
    }
}

impl Input for Email {
    fn read(value: Value) -> Result<Self, Fault> {
        let text = Text::<MAX_EMAIL_LEN>::read(value)?.into_string().trim().to_lowercase();
        let whole = text.split_once('@').is_some_and(|(name, host)| {
            let spaced = text.contains(|c: char| c.is_whitespace() || c.is_control());
            !name.is_empty() && !host.is_empty() && !host.contains('@') && !spaced
        });
        if whole { Ok(Email(text)) } else { Err(Fault::invalid("it is no e-mail address")) }
    }
}

/// A URL with a host, of any scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    text: String,
    uri: Uri,
}

impl Url {
    /// The URL as it came.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host.
    pub fn host(&self) -> &str {
        self.uri.host().unwrap_or_default()
    }
}

impl Described for Url {
    fn schema(_: &mut Schemas) -> Value {
        described("[A-Za-z][A-Za-z0-9+.-]*")
    }
}

impl Input for Url {
    fn read(value: Value) -> Result<Self, Fault> {
        let text = Text::<MAX_URL_LEN>::read(value)?.into_string();
        let uri: Option<Uri> = text.parse().ok();
        match uri.filter(|uri| uri.scheme().is_some() && uri.host().is_some_and(|host| !host.is_empty())) {
            Some(uri) => Ok(Url { text, uri }),
            None => Err(Fault::invalid("it is no URL with a host, as https://app.example.com/x")),
        }
    }
}

/// An http or https URL with a host; with `TLS`, an https URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebUrl<const TLS: bool>(Url);

impl<const TLS: bool> WebUrl<TLS> {
    /// The URL.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl<const TLS: bool> Described for WebUrl<TLS> {
    fn schema(_: &mut Schemas) -> Value {
        described(if TLS { "https" } else { "https?" })
    }
}

impl<const TLS: bool> Input for WebUrl<TLS> {
    fn read(value: Value) -> Result<Self, Fault> {
        let url = Url::read(value)?;
        match url.uri.scheme_str() {
            Some("https") => Ok(WebUrl(url)),
            Some("http") if !TLS => Ok(WebUrl(url)),
            _ if TLS => Err(Fault::invalid("it is no https URL")),
            _ => Err(Fault::invalid("it is no http or https URL")),
        }
    }
}

fn described(scheme: &str) -> Value {
    let pattern = format!("^{scheme}://[A-Za-z0-9]");
    json!({"type": "string", "format": "uri", "pattern": pattern, "maxLength": MAX_URL_LEN})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is<T: Input>(text: &str) -> bool {
        T::read(text.into()).is_ok()
    }

    #[test]
    fn addresses_are_read() {
        assert_eq!(Email::read(" Me@Example.com ".into()).unwrap().as_str(), "me@example.com");
        for text in ["", "me", "@example.com", "me@", "a@b@c", "a b@c", &format!("{}@c", "a".repeat(254))] {
            assert!(!is::<Email>(text), "{text}");
        }
    }

    #[test]
    fn urls_have_a_host_and_a_scheme() {
        assert_eq!(Url::read("tcp://a.example:20001".into()).unwrap().host(), "a.example");
        for text in ["", "a.example", "/x", "https:///x", "https://a b/"] {
            assert!(!is::<Url>(text), "{text}");
        }
        assert!(is::<WebUrl<true>>("https://a.example/x?y") && is::<WebUrl<false>>("http://a.example"));
        assert!(!is::<WebUrl<true>>("http://a.example") && !is::<WebUrl<false>>("ftp://a.example"));
    }
}
