//! Certificates and keys that users upload: read, checked, and what they say.

use std::net::IpAddr;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair,
    Ed25519KeyPair, KeyPair, RsaKeyPair,
};
use portway_codes::{Code, PublicError};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::error::X509Error;
use x509_parser::extensions::{ExtendedKeyUsage, GeneralName, KeyUsage};
use x509_parser::prelude::FromDer;
use x509_parser::x509::AttributeTypeAndValue;
use zeroize::Zeroizing;

use crate::kept::certificates::{Facts, KeyType};

/// Certificates of a chain. Public chains have up to four, and every visitor gets them all before the first byte.
const CHAIN_MAX: usize = 10;

/// Bytes of the largest RSA modulus, 4,096 bits: with more, a signature takes a thread of the edge tens of milliseconds in each handshake.
const RSA_MODULUS_MAX: usize = 512;

/// A private key that an edge can sign with.
pub(crate) struct OwnKey {
    pub(crate) kind: KeyType,
    pub(crate) pkcs8: Zeroizing<Vec<u8>>,
    /// As it stands in certificates.
    public: Vec<u8>,
}

/// Reads a chain, which must be in order, and the key of its first certificate.
///
/// # Errors
/// 1900 and 1910 for certificates that cannot be read, 1921 for too many, 1926 for another order, 1903 and 1923 for the key.
pub(crate) fn read_pair(chain: &str, key: &str) -> Result<(Facts, OwnKey), PublicError> {
    pair(chain, || read_key(key))
}

/// The same with a key of our own: PKCS#8, DER.
pub(crate) fn read_ordered(chain: &str, key: &[u8]) -> Result<(Facts, OwnKey), PublicError> {
    pair(chain, || own_key(key).ok_or_else(|| Code::ERR_NGROK_1903.plain()))
}

fn pair(chain: &str, key: impl FnOnce() -> Result<OwnKey, PublicError>) -> Result<(Facts, OwnKey), PublicError> {
    let chain = read_chain(chain)?;
    let chain = chain.iter().map(|der| parse(der)).collect::<Result<Vec<_>, _>>()?;
    if let Some(at) = chain.windows(2).position(|pair| !issued_by(&pair[0], &pair[1])) {
        let (subject, next) = (chain[at].subject(), chain[at + 1].subject());
        return Err(Code::ERR_NGROK_1926.with(format!(
            "Certificate {} of the chain ({subject}) is not signed by the one that follows it ({next}). Send the leaf first, then its issuers.",
            at + 1
        )));
    }
    let leaf = chain.first().ok_or_else(|| Code::ERR_NGROK_1922.plain())?;
    let key = key()?;
    if leaf.public_key().subject_public_key.data != key.public {
        return Err(Code::ERR_NGROK_1923.plain());
    }
    Ok((facts(leaf), key))
}

/// Reads the certificate of an authority.
///
/// # Errors
/// 1900 and 1910 when it cannot be read, 1912 when there are several, 1913 when it is none of an authority.
pub(crate) fn read_authority(pem: &str) -> Result<Facts, PublicError> {
    let chain = read_chain(pem)?;
    let [der] = chain.as_slice() else {
        return Err(Code::ERR_NGROK_1912.with(format!("There are {} certificates. Send them one by one.", chain.len())));
    };
    let certificate = parse(der)?;
    if !certificate.is_ca() {
        return Err(Code::ERR_NGROK_1913.plain());
    }
    Ok(facts(&certificate))
}

fn read_chain(pem: &str) -> Result<Vec<CertificateDer<'static>>, PublicError> {
    check_headers(pem)?;
    let certificates = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
    let certificates = certificates
        .map_err(|error| Code::ERR_NGROK_1900.with(format!("The certificate is no valid PEM: {error}.")))?;
    if certificates.len() > CHAIN_MAX {
        return Err(Code::ERR_NGROK_1921
            .with(format!("There are {} certificates; at most {CHAIN_MAX} are allowed.", certificates.len())));
    }
    Ok(certificates)
}

/// RFC 7468 section 2: blocks have no headers; readers disagree about them.
fn check_headers(pem: &str) -> Result<(), PublicError> {
    let mut inside = false;
    for line in pem.lines() {
        match line.trim() {
            line if line.starts_with("-----BEGIN ") => inside = true,
            line if line.starts_with("-----END ") => inside = false,
            line if inside && line.contains(':') => return Err(Code::ERR_NGROK_1910.plain()),
            _ => {}
        }
    }
    Ok(())
}

fn parse<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, PublicError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err(Code::ERR_NGROK_1900.with("Something follows the certificate inside its PEM block.")),
        Err(error) => Err(Code::ERR_NGROK_1900.with(format!("The certificate cannot be parsed: {error}."))),
    }
}

fn issued_by(certificate: &X509Certificate<'_>, issuer: &X509Certificate<'_>) -> bool {
    let signed = || match certificate.verify_signature(Some(issuer.public_key())) {
        Ok(()) => true,
        // Clients look at signatures again; here it is about the order.
        Err(error) => matches!(error, X509Error::SignatureUnsupportedAlgorithm),
    };
    certificate.issuer().as_raw() == issuer.subject().as_raw() && signed()
}

fn read_key(pem: &str) -> Result<OwnKey, PublicError> {
    check_headers(pem)?;
    let der = PrivateKeyDer::from_pem_slice(pem.as_bytes())
        .map_err(|error| Code::ERR_NGROK_1903.with(format!("The private key is no valid PEM: {error}.")))?;
    let key = match &der {
        PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()).ok().and_then(rsa),
        PrivateKeyDer::Sec1(key) => ecdsa(key.secret_sec1_der()),
        PrivateKeyDer::Pkcs8(key) => own_key(key.secret_pkcs8_der()),
        _ => None,
    };
    key.ok_or_else(|| {
        Code::ERR_NGROK_1903.with(
            "The private key is of a kind that is not supported. Use RSA with 2,048 to 4,096 bits, ECDSA on P-256, P-384 or P-521, or Ed25519.",
        )
    })
}

fn own_key(pkcs8: &[u8]) -> Option<OwnKey> {
    ed25519(pkcs8).or_else(|| RsaKeyPair::from_pkcs8(pkcs8).ok().and_then(rsa)).or_else(|| ecdsa(pkcs8))
}

fn rsa(key: RsaKeyPair) -> Option<OwnKey> {
    let pkcs8: Pkcs8V1Der<'_> =
        Some(key.public_modulus_len()).filter(|len| *len <= RSA_MODULUS_MAX).and(key.as_der().ok())?;
    Some(OwnKey::new(KeyType::Rsa, pkcs8.as_ref(), &key))
}

fn ecdsa(der: &[u8]) -> Option<OwnKey> {
    let curves = [&ECDSA_P256_SHA256_ASN1_SIGNING, &ECDSA_P384_SHA384_ASN1_SIGNING, &ECDSA_P521_SHA512_ASN1_SIGNING];
    let key = curves.into_iter().find_map(|curve| EcdsaKeyPair::from_private_key_der(curve, der).ok())?;
    Some(OwnKey::new(KeyType::Ecdsa, key.to_pkcs8v1().ok()?.as_ref(), &key))
}

fn ed25519(pkcs8: &[u8]) -> Option<OwnKey> {
    let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).ok()?;
    Some(OwnKey::new(KeyType::Ed25519, key.to_pkcs8v1().ok()?.as_ref(), &key))
}

impl OwnKey {
    fn new(kind: KeyType, pkcs8: &[u8], key: &impl KeyPair) -> OwnKey {
        OwnKey { kind, pkcs8: Zeroizing::new(pkcs8.to_vec()), public: key.public_key().as_ref().to_vec() }
    }
}

fn facts(certificate: &X509Certificate<'_>) -> Facts {
    let (subject, validity) = (certificate.subject(), certificate.validity());
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.map_or(&[][..], |extension| &extension.value.general_names);
    Facts {
        subject_common_name: joined(subject.iter_common_name()),
        subject_organization: joined(subject.iter_organization()),
        subject_organizational_unit: joined(subject.iter_organizational_unit()),
        subject_locality: joined(subject.iter_locality()),
        subject_province: joined(subject.iter_state_or_province()),
        subject_country: joined(subject.iter_country()),
        issuer_common_name: joined(certificate.issuer().iter_common_name()),
        serial_number: format!("{:x}", certificate.serial),
        dns_names: names.iter().filter_map(dns_name).collect(),
        ips: names.iter().filter_map(ip).collect(),
        not_before: validity.not_before.timestamp(),
        not_after: validity.not_after.timestamp(),
        key_usages: certificate.key_usage().ok().flatten().map(|found| key_usages(found.value)).unwrap_or_default(),
        extended_key_usages: certificate
            .extended_key_usage()
            .ok()
            .flatten()
            .map(|found| extended_key_usages(found.value))
            .unwrap_or_default(),
    }
}

/// Values of an attribute that may be there several times. Those in encodings of the last century are left out.
fn joined<'a>(values: impl Iterator<Item = &'a AttributeTypeAndValue<'a>>) -> String {
    values.filter_map(|value| value.as_str().ok()).collect::<Vec<_>>().join(", ")
}

fn dns_name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    }
}

fn ip(name: &GeneralName<'_>) -> Option<String> {
    let GeneralName::IPAddress(octets) = name else { return None };
    let v4 = <[u8; 4]>::try_from(*octets).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(*octets).map(IpAddr::from)).ok().map(|ip| ip.to_string())
}

/// RFC 5280 section 4.2.1.3.
fn key_usages(usage: &KeyUsage) -> Vec<String> {
    chosen([
        (usage.digital_signature(), "digital_signature"),
        (usage.non_repudiation(), "content_commitment"),
        (usage.key_encipherment(), "key_encipherment"),
        (usage.data_encipherment(), "data_encipherment"),
        (usage.key_agreement(), "key_agreement"),
        (usage.key_cert_sign(), "cert_sign"),
        (usage.crl_sign(), "crl_sign"),
        (usage.encipher_only(), "encipher_only"),
        (usage.decipher_only(), "decipher_only"),
    ])
}

/// RFC 5280 section 4.2.1.12. Usages without a name are left out.
fn extended_key_usages(usage: &ExtendedKeyUsage<'_>) -> Vec<String> {
    chosen([
        (usage.any, "any"),
        (usage.server_auth, "server_auth"),
        (usage.client_auth, "client_auth"),
        (usage.code_signing, "code_signing"),
        (usage.email_protection, "email_protection"),
        (usage.time_stamping, "time_stamping"),
        (usage.ocsp_signing, "ocsp_signing"),
    ])
}

fn chosen<const N: usize>(words: [(bool, &str); N]) -> Vec<String> {
    words.into_iter().filter(|(there, _)| *there).map(|(_, word)| word.to_owned()).collect()
}
