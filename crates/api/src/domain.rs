//! Domains that are reserved.

use portway_codes::Code;
use portway_names::{HostNameError, HostPattern};
use serde_json::{Value, json};

use crate::value::text;
use crate::{Described, Fault, Input, Schemas};

/// A domain that can be reserved: a name of several labels, or a wildcard in front of one. Underscores, which names may have elsewhere,
/// are refused here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Domain(pub HostPattern);

impl Described for Domain {
    fn schema(_: &mut Schemas) -> Value {
        json!({"type": "string", "format": "domain-pattern", "minLength": 1, "examples": ["app.example.com", "*.example.com"]})
    }
}

impl Input for Domain {
    fn read(value: Value) -> Result<Self, Fault> {
        let text = text(value)?;
        let pattern: HostPattern =
            text.trim().parse().map_err(|error| Fault::coded(code(&error, &text), error.to_string()))?;
        let name = pattern.name().as_str();
        if name.contains('_') {
            return Err(Fault::coded(Code::ERR_NGROK_438, "domains cannot have an underscore"));
        }
        let ascii = |label: &&str| label.get(2..4) == Some("--") && !label.starts_with("xn--");
        if let Some(label) = name.split('.').find(ascii) {
            return Err(Fault::coded(Code::ERR_NGROK_410, format!("the label \"{label}\" has \"--\" in the middle")));
        }
        if !name.contains('.') {
            return Err(match pattern {
                HostPattern::Exact(_) => Fault::coded(Code::ERR_NGROK_448, "it has a single label"),
                HostPattern::Wildcard(_) => {
                    Fault::coded(Code::ERR_NGROK_416, "the wildcard covers a whole top-level domain")
                }
            });
        }
        Ok(Domain(pattern))
    }
}

fn code(error: &HostNameError, text: &str) -> Code {
    match error {
        HostNameError::TooLong => Code::ERR_NGROK_514,
        HostNameError::LabelTooLong => Code::ERR_NGROK_513,
        HostNameError::EmptyLabel => Code::ERR_NGROK_409,
        HostNameError::Hyphen if text.split('.').any(|label| label.starts_with('-')) => Code::ERR_NGROK_407,
        HostNameError::Hyphen => Code::ERR_NGROK_408,
        HostNameError::Idna => Code::ERR_NGROK_429,
        HostNameError::BadWildcard => Code::ERR_NGROK_402,
        HostNameError::BadCharacter('*') => Code::ERR_NGROK_402,
        _ => Code::ERR_NGROK_406,
    }
}

/// The domain of a connect URL: a name of several labels.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IngressDomain(pub portway_names::HostName);

impl Described for IngressDomain {
    fn schema(_: &mut Schemas) -> Value {
        json!({"type": "string", "format": "domain", "minLength": 1, "examples": ["connect.example.com"]})
    }
}

impl Input for IngressDomain {
    fn read(value: Value) -> Result<Self, Fault> {
        let wrong = |why: String| Fault::coded(Code::ERR_NGROK_6704, why);
        let name: portway_names::HostName =
            text(value)?.trim().parse().map_err(|error: HostNameError| wrong(error.to_string()))?;
        if name.parent().is_none() {
            return Err(wrong("it has a single label".to_owned()));
        }
        Ok(IngressDomain(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_of_a_domain_has_its_code() {
        for text in
            ["app.example.com", "*.example.com", "bücher.example.com", "xn--bcher-kva.example.com", "A.Example.com."]
        {
            assert!(Domain::read(text.into()).is_ok(), "{text}");
        }
        let label = "a".repeat(64);
        for (text, code) in [
            ("a.*.example.com", 402),
            ("a*.example.com", 402),
            ("a b.example.com", 406),
            ("-a.example.com", 407),
            ("a-.example.com", 408),
            ("a..example.com", 409),
            ("ab--c.example.com", 410),
            ("*.com", 416),
            ("xn--a.example.com", 429),
            ("a_b.example.com", 438),
            ("localhost", 448),
            (&format!("{label}.example.com"), 513),
            (&format!("{}example.com", "abc.".repeat(70)), 514),
            ("10.0.0.1", 406),
        ] {
            let code = Code::from_number(code);
            assert_eq!(Domain::read(text.into()).unwrap_err().code, code, "{text}");
        }
        assert_eq!(IngressDomain::read("*.example.com".into()).unwrap_err().code, Some(Code::ERR_NGROK_6704));
        assert_eq!(IngressDomain::read("connect.example.com".into()).unwrap().0.as_str(), "connect.example.com");
    }
}
