//! Certificates with their keys, and certificate authorities that visitors' certificates are checked against.

use crate::object::{body, reply};
use crate::{CertificatePem, Description, Metadata, PrivateKeyPem, Timestamp};

body! {
    /// A certificate to upload.
    TlsCertificateCreate {
        /// What a person wants to say about the certificate.
        description: Description, invalid ERR_NGROK_1914;
        /// What a program wants to keep with the certificate.
        metadata: Metadata, invalid ERR_NGROK_1915;
        /// The certificate and the chain behind it, in PEM, leaf first.
        certificate_pem: CertificatePem, missing ERR_NGROK_1922;
        /// The private key of the certificate, in PEM, without a password.
        private_key_pem: PrivateKeyPem, missing ERR_NGROK_1901;
    }

    /// A change of a certificate.
    TlsCertificateUpdate {
        /// What a person wants to say about the certificate.
        description: Option<Description>, invalid ERR_NGROK_1914;
        /// What a program wants to keep with the certificate.
        metadata: Option<Metadata>, invalid ERR_NGROK_1915;
    }
    ignored "id";

    /// A certificate authority to upload.
    CertificateAuthorityCreate {
        /// What a person wants to say about the certificate authority.
        description: Description, invalid ERR_NGROK_1916;
        /// What a program wants to keep with the certificate authority.
        metadata: Metadata, invalid ERR_NGROK_1917;
        /// The certificate of the authority, in PEM.
        ca_pem: CertificatePem, missing ERR_NGROK_1919;
    }

    /// A change of a certificate authority.
    CertificateAuthorityUpdate {
        /// What a person wants to say about the certificate authority.
        description: Option<Description>, invalid ERR_NGROK_1916;
        /// What a program wants to keep with the certificate authority.
        metadata: Option<Metadata>, invalid ERR_NGROK_1917;
    }
    ignored "id";
}

reply! {
    /// The names that a certificate is for.
    SubjectAlternativeNames {
        /// Host names.
        dns_names: Vec<String>;
        /// Addresses.
        ips: Vec<String>;
    }

    /// A certificate. Its private key is never given back.
    TlsCertificate {
        /// The id.
        id: String;
        /// Where it is found.
        uri: String;
        /// When it was uploaded or issued.
        created_at: Timestamp;
        /// What a person said about it.
        description: String;
        /// What a program keeps with it.
        metadata: String;
        /// The certificate and its chain, in PEM.
        certificate_pem: String;
        /// The common name of the subject.
        subject_common_name: String;
        /// The names that it is for.
        subject_alternative_names: SubjectAlternativeNames;
        /// When it was issued, when this installation ordered it.
        issued_at: Option<Timestamp>;
        /// When it begins to be valid.
        not_before: Timestamp;
        /// When it ceases to be valid.
        not_after: Timestamp;
        /// What its key may be used for.
        key_usages: Vec<String>;
        /// What else its key may be used for.
        extended_key_usages: Vec<String>;
        /// The kind of key: rsa, ecdsa or ed25519.
        private_key_type: String;
        /// The common name of the issuer.
        issuer_common_name: String;
        /// The serial number, in hexadecimal digits.
        serial_number: String;
        /// The organization of the subject.
        subject_organization: String;
        /// The organizational unit of the subject.
        subject_organizational_unit: String;
        /// The locality of the subject.
        subject_locality: String;
        /// The province of the subject.
        subject_province: String;
        /// The country of the subject.
        subject_country: String;
    }

    /// A certificate authority.
    CertificateAuthority {
        /// The id.
        id: String;
        /// Where it is found.
        uri: String;
        /// When it was uploaded.
        created_at: Timestamp;
        /// What a person said about it.
        description: String;
        /// What a program keeps with it.
        metadata: String;
        /// The certificate of the authority, in PEM.
        ca_pem: String;
        /// The common name of the subject.
        subject_common_name: String;
        /// When it begins to be valid.
        not_before: Timestamp;
        /// When it ceases to be valid.
        not_after: Timestamp;
        /// What its key may be used for.
        key_usages: Vec<String>;
        /// What else its key may be used for.
        extended_key_usages: Vec<String>;
    }
}
