//! SSH certificate authorities and the certificates that they sign.

use std::collections::BTreeMap;

use portway_codes::Code;
use portway_names::SshCertificateAuthorityId;
use serde_json::{Value, json};

use crate::choice::choices;
use crate::object::{body, reply};
use crate::{Described, Description, Fault, Input, Metadata, Schemas, SshKeyType, SshPublicKey, Text, Timestamp, Word};

choices! {
    /// The curve of an ECDSA key.
    SshCurve {
        /// NIST P-256.
        P256 "256",
        /// NIST P-384.
        P384 "384",
        /// NIST P-521.
        P521 "521",
    }
}

/// The size of an RSA key in bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RsaSize(pub u32);

impl Described for RsaSize {
    fn schema(_: &mut Schemas) -> Value {
        json!({"type": "integer", "enum": [2048, 4096]})
    }
}

impl Input for RsaSize {
    fn read(value: Value) -> Result<Self, Fault> {
        match u32::read(value)? {
            size @ (2048 | 4096) => Ok(RsaSize(size)),
            _ => Err(Fault::invalid("it must be 2048 or 4096")),
        }
    }

    /// Clients send zero, or an empty text, for what their user left out.
    fn is_unset(value: &Value) -> bool {
        *value == 0 || *value == ""
    }
}

body! {
    /// An SSH certificate authority to create. Its key is made by the server.
    SshCertificateAuthorityCreate {
        /// What a person wants to say about the authority.
        description: Description, invalid ERR_NGROK_1937;
        /// What a program wants to keep with the authority.
        metadata: Metadata, invalid ERR_NGROK_1938;
        /// The kind of key.
        private_key_type: SshKeyType = SshKeyType::Ed25519, invalid ERR_NGROK_1936;
        /// The curve of an ECDSA key.
        elliptic_curve: Option<SshCurve>, invalid ERR_NGROK_1941;
        /// The size of an RSA key in bits.
        key_size: Option<RsaSize>, invalid ERR_NGROK_1939;
    }
    check key_options;
    says options_fit_key();

    /// A change of an SSH certificate authority.
    SshCertificateAuthorityUpdate {
        /// What a person wants to say about the authority.
        description: Option<Description>, invalid ERR_NGROK_1937;
        /// What a program wants to keep with the authority.
        metadata: Option<Metadata>, invalid ERR_NGROK_1938;
    }
    ignored "id";

    /// A certificate for an SSH server to sign.
    SshHostCertificateCreate {
        /// The authority that signs.
        ssh_certificate_authority_id: SshCertificateAuthorityId;
        /// The key of the server.
        public_key: SshPublicKey, missing ERR_NGROK_1952, invalid ERR_NGROK_1934;
        /// The host names that it is for.
        principals: Vec<Word<255>>;
        /// When it begins to be valid; now when it is left out.
        valid_after: Option<Timestamp>;
        /// When it ceases to be valid; a year later when it is left out.
        valid_until: Option<Timestamp>;
        /// What a person wants to say about the certificate.
        description: Description, invalid ERR_NGROK_1945;
        /// What a program wants to keep with the certificate.
        metadata: Metadata, invalid ERR_NGROK_1946;
    }
    check host_validity;

    /// A change of a certificate for an SSH server.
    SshHostCertificateUpdate {
        /// What a person wants to say about the certificate.
        description: Option<Description>, invalid ERR_NGROK_1945;
        /// What a program wants to keep with the certificate.
        metadata: Option<Metadata>, invalid ERR_NGROK_1946;
    }
    ignored "id";

    /// A certificate for an SSH client to sign.
    SshUserCertificateCreate {
        /// The authority that signs.
        ssh_certificate_authority_id: SshCertificateAuthorityId;
        /// The key of the user.
        public_key: SshPublicKey, missing ERR_NGROK_1952, invalid ERR_NGROK_1934;
        /// The user names that it is for.
        principals: Vec<Word<255>>;
        /// Options that servers must understand.
        critical_options: BTreeMap<String, Text<1024>>;
        /// What the user may do; a terminal and a personal start file when it is left out.
        extensions: Option<BTreeMap<String, Text<1024>>>;
        /// When it begins to be valid; now when it is left out.
        valid_after: Option<Timestamp>;
        /// When it ceases to be valid; a day later when it is left out.
        valid_until: Option<Timestamp>;
        /// What a person wants to say about the certificate.
        description: Description, invalid ERR_NGROK_1945;
        /// What a program wants to keep with the certificate.
        metadata: Metadata, invalid ERR_NGROK_1946;
    }
    check user_validity;

    /// A change of a certificate for an SSH client.
    SshUserCertificateUpdate {
        /// What a person wants to say about the certificate.
        description: Option<Description>, invalid ERR_NGROK_1945;
        /// What a program wants to keep with the certificate.
        metadata: Option<Metadata>, invalid ERR_NGROK_1946;
    }
    ignored "id";
}

reply! {
    /// An SSH certificate authority.
    SshCertificateAuthority {
        /// The id.
        id: String;
        /// Where it is found.
        uri: String;
        /// When it was created.
        created_at: Timestamp;
        /// What a person said about it.
        description: String;
        /// What a program keeps with it.
        metadata: String;
        /// The public key, as a line of authorized_keys.
        public_key: String;
        /// The kind of key.
        key_type: String;
    }

    /// A certificate for an SSH server.
    SshHostCertificate {
        /// The id.
        id: String;
        /// Where it is found.
        uri: String;
        /// When it was signed.
        created_at: Timestamp;
        /// What a person said about it.
        description: String;
        /// What a program keeps with it.
        metadata: String;
        /// The key of the server.
        public_key: String;
        /// The kind of key.
        key_type: String;
        /// The authority that signed.
        ssh_certificate_authority_id: String;
        /// The host names that it is for.
        principals: Vec<String>;
        /// When it begins to be valid.
        valid_after: Timestamp;
        /// When it ceases to be valid.
        valid_until: Timestamp;
        /// The certificate, as the file that ends in -cert.pub.
        certificate: String;
    }

    /// A certificate for an SSH client.
    SshUserCertificate {
        /// The id.
        id: String;
        /// Where it is found.
        uri: String;
        /// When it was signed.
        created_at: Timestamp;
        /// What a person said about it.
        description: String;
        /// What a program keeps with it.
        metadata: String;
        /// The key of the user.
        public_key: String;
        /// The kind of key.
        key_type: String;
        /// The authority that signed.
        ssh_certificate_authority_id: String;
        /// The user names that it is for.
        principals: Vec<String>;
        /// Options that servers must understand.
        critical_options: BTreeMap<String, String>;
        /// What the user may do.
        extensions: BTreeMap<String, String>;
        /// When it begins to be valid.
        valid_after: Timestamp;
        /// When it ceases to be valid.
        valid_until: Timestamp;
        /// The certificate, as the file that ends in -cert.pub.
        certificate: String;
    }
}

fn options_fit_key() -> Value {
    let none = json!({"enum": [null, "", 0]});
    json!({"anyOf": [
        {"required": ["private_key_type"], "properties": {"private_key_type": {"const": "rsa"}, "elliptic_curve": none}},
        {"required": ["private_key_type"], "properties": {"private_key_type": {"const": "ecdsa"}, "key_size": none}},
        {"properties": {"elliptic_curve": none, "key_size": none}},
    ]})
}

fn key_options(body: &SshCertificateAuthorityCreate) -> Result<(), Fault> {
    if body.key_size.is_some() && body.private_key_type != SshKeyType::Rsa {
        return Err(Fault::coded(Code::ERR_NGROK_1940, "key_size is for rsa keys only"));
    }
    if body.elliptic_curve.is_some() && body.private_key_type != SshKeyType::Ecdsa {
        return Err(Fault::coded(Code::ERR_NGROK_1942, "elliptic_curve is for ecdsa keys only"));
    }
    Ok(())
}

fn host_validity(body: &SshHostCertificateCreate) -> Result<(), Fault> {
    validity(body.valid_after, body.valid_until, Code::ERR_NGROK_1963)
}

fn user_validity(body: &SshUserCertificateCreate) -> Result<(), Fault> {
    validity(body.valid_after, body.valid_until, Code::ERR_NGROK_1962)
}

/// What is left out depends on the time, so the caller checks that again.
fn validity(after: Option<Timestamp>, until: Option<Timestamp>, code: Code) -> Result<(), Fault> {
    match (after, until) {
        (Some(after), Some(until)) if until <= after => {
            Err(Fault::coded(code, "valid_until is not later than valid_after"))
        }
        _ => Ok(()),
    }
}
