//! Keys, certificates and access rules in requests. What needs a parser of certificates is left to the caller.

use portway_access::{Acl, SshKey};
use portway_codes::Code;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use crate::value::text;
use crate::{Described, Fault, Input, MAX_SECRET_LEN, Schemas};

/// Longest certificate with its chain, in bytes of PEM.
const MAX_CERTIFICATES_LEN: usize = 64 * 1024;

impl Described for Acl {
    fn schema(_: &mut Schemas) -> Value {
        let rules = ["bind:app.example.com", "bind:*.example.com", "bind:tcp.example.com:20000", "bind:key=value"];
        json!({"type": "array", "items": {"type": "string", "format": "acl-rule", "pattern": "^(\\*|bind:.+)$"}, "examples": [rules]})
    }
}

impl Input for Acl {
    fn read(value: Value) -> Result<Self, Fault> {
        let rules: Vec<String> = Vec::<crate::Text<512>>::read(value)
            .map_err(|fault| Fault { code: Some(Code::ERR_NGROK_600), ..fault })?
            .into_iter()
            .map(crate::Text::into_string)
            .collect();
        Acl::parse(rules.iter().map(String::as_str))
            .map_err(|error| Fault::coded(Code::ERR_NGROK_600, error.to_string()))
    }

    fn absent() -> Result<Self, Fault> {
        Ok(Acl::UNRESTRICTED)
    }
}

/// A public SSH key, as a line of `authorized_keys`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshPublicKey {
    /// The line as it came, without surrounding space.
    pub text: String,
    /// What it says.
    pub key: SshKey,
}

impl Described for SshPublicKey {
    fn schema(_: &mut Schemas) -> Value {
        json!({"type": "string", "format": "ssh-public-key", "minLength": 1, "maxLength": 8192})
    }
}

impl Input for SshPublicKey {
    fn read(value: Value) -> Result<Self, Fault> {
        let text = text(value)?.trim().to_owned();
        let key = SshKey::parse(&text).map_err(|error| Fault::invalid(error.to_string()))?;
        Ok(SshPublicKey { text, key })
    }
}

/// Certificates in PEM (RFC 7468 section 5). Only what the text looks like is checked here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificatePem(pub String);

impl Described for CertificatePem {
    fn schema(_: &mut Schemas) -> Value {
        json!({"type": "string", "format": "pem-certificates", "minLength": 1, "maxLength": MAX_CERTIFICATES_LEN})
    }
}

impl Input for CertificatePem {
    fn read(value: Value) -> Result<Self, Fault> {
        let pem = text(value)?;
        if pem.len() > MAX_CERTIFICATES_LEN {
            let why = format!("it is longer than {MAX_CERTIFICATES_LEN} bytes");
            return Err(Fault::coded(Code::ERR_NGROK_1921, why));
        }
        match kinds(&pem) {
            Pem { certificate: true, key: false, .. } => Ok(CertificatePem(pem)),
            Pem { certificate: false, key: true, .. } => {
                Err(Fault::coded(Code::ERR_NGROK_1925, "it is a private key instead of a certificate"))
            }
            Pem { key: true, .. } => Err(Fault::coded(Code::ERR_NGROK_1911, "it holds a private key as well")),
            Pem { other: true, .. } => Err(Fault::coded(Code::ERR_NGROK_1911, "its PEM block is not a certificate")),
            _ => Err(Fault::coded(Code::ERR_NGROK_1920, "it is not PEM")),
        }
    }
}

/// A private key in PEM (RFC 7468 section 10). Only what the text looks like is checked here.
#[derive(Clone, Debug)]
pub struct PrivateKeyPem(pub SecretString);

impl Described for PrivateKeyPem {
    fn schema(schemas: &mut Schemas) -> Value {
        let mut schema = SecretString::schema(schemas);
        schema["format"] = "pem-private-key".into();
        schema
    }
}

impl Input for PrivateKeyPem {
    fn read(value: Value) -> Result<Self, Fault> {
        let pem = SecretString::read(value)?;
        match kinds(pem.expose_secret()) {
            Pem { encrypted: true, .. } => {
                Err(Fault::coded(Code::ERR_NGROK_1902, "it is encrypted with a password; decrypt it first"))
            }
            Pem { key: true, .. } => Ok(PrivateKeyPem(pem)),
            Pem { certificate: true, .. } => {
                Err(Fault::coded(Code::ERR_NGROK_1924, "it is a certificate instead of a private key"))
            }
            _ => Err(Fault::coded(Code::ERR_NGROK_1901, "it is not a private key in PEM")),
        }
    }
}

/// Which blocks a PEM text has.
#[derive(Default)]
struct Pem {
    certificate: bool,
    key: bool,
    encrypted: bool,
    other: bool,
}

fn kinds(pem: &str) -> Pem {
    let mut found = Pem { encrypted: pem.contains("Proc-Type: 4,ENCRYPTED"), ..Pem::default() };
    for label in pem.lines().filter_map(|line| line.trim().strip_prefix("-----BEGIN ")?.strip_suffix("-----")) {
        match label {
            "CERTIFICATE" => found.certificate = true,
            "ENCRYPTED PRIVATE KEY" => (found.key, found.encrypted) = (true, true),
            // OpenSSL writes the curve as a block of its own in front of some keys.
            "EC PARAMETERS" => {}
            _ if label.ends_with("PRIVATE KEY") => found.key = true,
            _ => found.other = true,
        }
    }
    found
}

/// A token in the reply to the call that made it: written once, never in logs.
#[derive(Clone, Debug)]
pub struct ShownOnce(SecretString);

impl ShownOnce {
    /// The token.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl From<SecretString> for ShownOnce {
    fn from(token: SecretString) -> Self {
        ShownOnce(token)
    }
}

impl Serialize for ShownOnce {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

impl<'de> Deserialize<'de> for ShownOnce {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        SecretString::deserialize(deserializer).map(ShownOnce)
    }
}

impl Described for ShownOnce {
    fn schema(_: &mut Schemas) -> Value {
        json!({"type": "string", "readOnly": true, "maxLength": MAX_SECRET_LEN})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(label: &str) -> Value {
        format!("-----BEGIN {label}-----\nMIIB\n-----END {label}-----\n").into()
    }

    #[test]
    fn certificates_and_keys_are_told_apart() {
        assert!(CertificatePem::read(block("CERTIFICATE")).is_ok());
        for (label, code) in
            [("PRIVATE KEY", 1925), ("RSA PRIVATE KEY", 1925), ("CERTIFICATE REQUEST", 1911), ("\n", 1920)]
        {
            let fault = CertificatePem::read(block(label)).unwrap_err();
            assert_eq!(fault.code, Code::from_number(code), "{label}");
        }
        let large = format!("{}{}", block("CERTIFICATE").as_str().unwrap(), " ".repeat(MAX_CERTIFICATES_LEN));
        assert_eq!(CertificatePem::read(large.into()).unwrap_err().code, Some(Code::ERR_NGROK_1921));

        assert!(PrivateKeyPem::read(block("EC PRIVATE KEY")).is_ok());
        for (label, code) in
            [("CERTIFICATE", 1924), ("ENCRYPTED PRIVATE KEY", 1902), ("\n", 1901), ("PUBLIC KEY", 1901)]
        {
            let fault = PrivateKeyPem::read(block(label)).unwrap_err();
            assert_eq!(fault.code, Code::from_number(code), "{label}");
            assert!(!fault.why.contains("MIIB"));
        }
    }

    #[test]
    fn rules_have_their_code() {
        assert!(Acl::read(json!(["bind:a.example.com", "*"])).unwrap().is_unrestricted());
        for rules in [json!(["listen:a.example.com"]), json!(["bind:"]), json!([7]), json!("*"), json!([""])] {
            assert_eq!(Acl::read(rules.clone()).unwrap_err().code, Some(Code::ERR_NGROK_600), "{rules}");
        }
    }

    #[test]
    fn tokens_are_written_and_never_logged() {
        let token = ShownOnce::from(SecretString::from("s3cret"));
        assert_eq!(serde_json::to_value(&token).unwrap(), "s3cret");
        assert!(!format!("{token:?}").contains("s3cret"));
    }
}
